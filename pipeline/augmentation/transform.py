"""What a transform is: its fields are its ranges, `draw` chooses parameters, `apply` uses them."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, Field, NonNegativeFloat

from ..core.errors import InputError
from ..core.extensions import resolve
from ..core.params import Positive, Share
from ..core.rng import generator
from ..core.strict import Strict

Drawn = dict[str, float]
"""Parameters of one application, by column of the table of copies."""


def ordered(span: tuple[float, float]) -> tuple[float, float]:
    """Accept two finite numbers, the smaller first."""
    if not span[0] <= span[1] < math.inf:
        raise ValueError(f"must be two finite numbers, the smaller first, got {list(span)}")
    return span


Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Span = Annotated[tuple[float, float], AfterValidator(ordered)]
AmountSpan = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], AfterValidator(ordered)]
FactorSpan = Annotated[tuple[Positive, Positive], AfterValidator(ordered)]
OwnNames = tuple[Annotated[str, Field(pattern=r"^[\w.]+:\w+$")], ...]
"""Own transforms as ``package.module:attribute``."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A case or a patch on its way through the transforms, which may change the arrays in place.

    Attributes
    ----------
    image : (X, Y, Z, C) float32 array
        z-scores inside the brain; exactly 0 in all modalities outside it.
    classes : (X, Y, Z) uint8 array
        Class indices.
    brain : (X, Y, Z) bool array
    spacing_mm : tuple of 3 floats
    """

    image: np.ndarray
    classes: np.ndarray
    brain: np.ndarray
    spacing_mm: tuple[float, ...]


def brain_mask(image: np.ndarray) -> np.ndarray:
    """Voxels that are not exactly 0 in every modality; (..., C) to (...) bool."""
    mask = image[..., 0] != 0
    for modality in range(1, image.shape[-1]):  # several times as fast as `any` along a short axis
        mask |= image[..., modality] != 0
    return mask


def neighbours(library: Any, array: Any, axis: int) -> tuple[Any, Any]:
    """The values one voxel below and one above along an axis, in NumPy or `keras.ops`; beyond the
    array it goes on as it ends.
    """
    count = array.shape[axis]
    below = library.take(array, [max(place - 1, 0) for place in range(count)], axis)
    above = library.take(array, [min(place + 1, count - 1) for place in range(count)], axis)
    return below, above


class Transform(Strict):
    """A random change of a sample. A subclass declares its ranges as fields."""

    @abstractmethod
    def draw(
        self, rng: np.random.Generator, shape: Sequence[int], modalities: Sequence[str]
    ) -> Drawn:
        """Choose the parameters of one application.

        Parameters
        ----------
        rng : numpy.random.Generator
            Take as many numbers whatever the ranges are, so that the draws of the other transforms
            do not depend on them.
        shape : (4,) ints
            X, Y, Z, C of the image.
        modalities : sequence of str
            Names of the C channels.
        """

    @abstractmethod
    def apply(self, sample: Sample, drawn: Drawn, seed: int) -> Sample:
        """Change a sample: a pure function of its arguments.

        Parameters
        ----------
        sample, drawn
            `drawn` is what `draw` returned.
        seed : int
            0 .. 2**32 - 1, for random fields: ``generator(seed, "name of the transform")``.
        """


class Sometimes(Strict):
    """A range with a probability.

    A draw takes two random numbers whatever it returns, so that another probability or range
    leaves the draws of all other transforms as they were.
    """

    probability: Share

    def amount(self, rng: np.random.Generator, span: tuple[float, float]) -> float:
        """A number drawn uniformly from the span, or 0 with probability 1 - `probability`."""
        return float(self.amounts(rng, span, ()))

    def amounts(
        self, rng: np.random.Generator, span: tuple[float, float], shape: tuple[int, ...]
    ) -> np.ndarray:
        """As `amount`, an array of them (float64)."""
        acts, place = rng.random((2, *shape))
        return np.where(acts < self.probability, span[0] + (span[1] - span[0]) * place, 0.0)

    def factor(self, rng: np.random.Generator, span: tuple[float, float]) -> float:
        """A number drawn uniformly in its logarithm, so that 1/2 is as likely as 2, or 1 with
        probability 1 - `probability`.
        """
        return float(self.factors_of(rng, span, ()))

    def factors_of(
        self, rng: np.random.Generator, span: tuple[float, float], shape: tuple[int, ...]
    ) -> np.ndarray:
        """As `factor`, an array of them (float64)."""
        acts, place = rng.random((2, *shape))
        return np.where(acts < self.probability, span[0] * (span[1] / span[0]) ** place, 1.0)


class IntensityTransform(Transform, Sometimes):
    """A change of the intensities inside the brain, drawn for each modality by itself.

    Attributes
    ----------
    column : str
        Name and unit of the amount in the table of copies.
    neutral : float
        The amount that changes nothing.
    stream : str
        Names the random numbers of `change`; the name of the class if empty.
    """

    column: ClassVar[str]
    neutral: ClassVar[float] = 0.0
    stream: ClassVar[str] = ""

    @abstractmethod
    def draw_amount(self, rng: np.random.Generator) -> float:
        """The amount for one modality, often by `amount` or `factor`."""

    @abstractmethod
    def change(
        self, values: np.ndarray, amount: float, sample: Sample, rng: np.random.Generator
    ) -> np.ndarray:
        """Change the intensities of one modality.

        Parameters
        ----------
        values : (N,) float32 array
            At the N voxels of `sample.brain`, in C order; as the result is.
        amount : float
            Not `neutral`.
        sample : Sample
            For brain and spacing_mm.
        rng : numpy.random.Generator
            Of this modality and copy.
        """

    def draw(
        self, rng: np.random.Generator, shape: Sequence[int], modalities: Sequence[str]
    ) -> Drawn:
        return {f"{self.column}_{name}": self.draw_amount(rng) for name in modalities}

    def apply(self, sample: Sample, drawn: Drawn, seed: int) -> Sample:
        for modality, amount in enumerate(drawn.values()):
            if amount != self.neutral and sample.brain.any():
                rng = generator(seed, self.stream or type(self).__name__, modality)
                channel = sample.image[..., modality]
                channel[sample.brain] = self.change(channel[sample.brain], amount, sample, rng)
        return sample


def load_own(names: Sequence[str], key: str, code: str) -> Mapping[str, Transform]:
    """Own transforms by the names of their attributes; `names` are ``package.module:attribute``.

    Raises InputError as `pipeline.core.extensions.resolve`, which takes key and code, and if an
    attribute is not a transform.
    """
    found = {name.partition(":")[2]: resolve(name, {}, key, code) for name in names}
    for name, transform in found.items():
        if not isinstance(transform, Transform):
            raise InputError(
                f"params.yaml: {key} names {name}, which is {transform!r}, not a Transform with its"
                " ranges. See docs/extending/transform.md."
            )
    return found
