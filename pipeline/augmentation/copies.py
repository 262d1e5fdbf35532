"""Replayable copies of a whole case: parameters are drawn first, recorded, then applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.strict import Strict
from .bias_field import BiasField
from .brightness import Brightness
from .contrast import Contrast
from .gamma import Gamma
from .mirror import Mirror
from .noise import Noise
from .resolution import Blur, LowResolution, Resolution
from .spatial import Elastic, Rotation, Scaling, Spatial
from .transform import Drawn, Sample, Transform, brain_mask


class Ranges(Strict):
    """The section `augment.ranges`: the registry of the transforms of copies."""

    mirror: Mirror
    rotation: Rotation
    scaling: Scaling
    elastic: Elastic
    gamma: Gamma
    bias_field: BiasField
    contrast: Contrast
    brightness: Brightness
    blur: Blur
    low_resolution: LowResolution
    noise: Noise

    def transforms(self) -> dict[str, Transform]:
        """By name, in the order of drawing: contrast mechanisms, coil, resolution, noise.

        Another order would give other copies.
        """
        return {
            "mirror": self.mirror,
            "spatial": Spatial(rotation=self.rotation, scaling=self.scaling, elastic=self.elastic),
            "gamma": self.gamma,
            "bias_field": self.bias_field,
            "contrast": self.contrast,
            "brightness": self.brightness,
            "resolution": Resolution(blur=self.blur, low_resolution=self.low_resolution),
            "noise": self.noise,
        }


@dataclass(frozen=True)
class Draw:
    """One copy's parameters. With the shard and the transforms they determine every byte of it.

    Attributes
    ----------
    seed : int
        Of the random fields, 0 .. 2**32 - 1.
    parameters : dict of str to dict of str to float
        What each transform drew, by its name.
    """

    seed: int
    parameters: dict[str, Drawn]

    def row(self) -> dict[str, float]:
        """The draw as one row of a table, with columns such as ``gamma.exponent_t1c``."""
        columns = {
            f"{name}.{column}": number
            for name, drawn in self.parameters.items()
            for column, number in drawn.items()
        }
        return {"seed": self.seed} | columns

    @classmethod
    def from_row(cls, row: Mapping[str, float | str]) -> "Draw":
        """The draw that `row` returned, from numbers or their text; other columns are ignored."""
        parameters: dict[str, Drawn] = {}
        for key, number in row.items():
            name, dot, column = key.partition(".")
            if dot:
                parameters.setdefault(name, {})[column] = float(number)
        return cls(int(row["seed"]), parameters)


def draw(
    rng: np.random.Generator,
    transforms: Mapping[str, Transform],
    shape: Sequence[int],
    modalities: Sequence[str],
) -> Draw:
    """Draw the parameters of one copy.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of this case and copy alone.
    transforms : mapping of str to Transform
    shape, modalities
        As in `Transform.draw`.
    """
    seed = int(rng.integers(2**32))
    drawn = {name: transform.draw(rng, shape, modalities) for name, transform in transforms.items()}
    return Draw(seed, drawn)


def apply(
    draw: Draw,
    transforms: Mapping[str, Transform],
    image: np.ndarray,
    classes: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Make the copy that a draw describes.

    Parameters
    ----------
    draw : Draw
    transforms : mapping of str to Transform
        Those of the draw.
    image, classes, spacing_mm
        As in `Sample`, the image of float16 or float32.

    Returns
    -------
    image, classes : arrays of the same shapes and dtypes
        On the same grid: what is moved out of it is lost, and outside the brain the image is 0.
    """
    volume = image.astype(np.float32, order="C")  # a copy, changed in place
    sample = Sample(volume, np.array(classes), brain_mask(volume), spacing_mm)
    # flips last, whenever they are drawn: random fields do not depend on them
    for name in sorted(transforms, key=lambda name: name == "mirror"):
        sample = transforms[name].apply(sample, draw.parameters[name], draw.seed)
    return (
        np.ascontiguousarray(sample.image, dtype=image.dtype),
        np.ascontiguousarray(sample.classes),
    )
