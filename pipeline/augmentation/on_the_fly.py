"""Augmentation of patches in training: everything is drawn first, for a whole batch, then applied.

What is drawn are a few numbers per patch. `augment_patch` applies them with NumPy, and
`network.batches.on_device` with the library that trains; both give the same patch.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import separable
from ..core.hashed_noise import standard_normal
from ..core.strict import Strict
from .brightness import Brightness
from .contrast import Contrast
from .copy_paste import CopyPaste, pasted
from .fade import Fade, faded
from .gamma import Gamma
from .mirror import Mirror, flip
from .modality_dropout import ModalityDropout
from .noise import Noise
from .resolution import Blur, LowResolution, soften
from .spatial import Elastic, Rotation, Scaling, rotation, warp
from .transform import OwnNames, Sample, Transform, brain_mask

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_UNUSED = np.random.default_rng(0)  # by gamma, contrast and brightness, which draw nothing
Changes = dict[str, np.ndarray]
"""What `OnTheFly.draw` returns, or a row of each of its arrays."""


class OnTheFly(Strict):
    """The section `train.on_the_fly`: the registry of the transforms of patches.

    They act in the order of the fields, but fade before gamma; rotation, scaling and elastic
    displacement in one interpolation, and mirror after it. Changes of intensity are drawn once per
    modality. `own` names further transforms, which act after those of single patches. Then
    `copy_paste` acts on the batch, and `modality_dropout` last.
    """

    rotation: Rotation
    scaling: Scaling
    elastic: Elastic
    mirror: Mirror
    gamma: Gamma
    contrast: Contrast
    brightness: Brightness
    blur: Blur
    low_resolution: LowResolution
    noise: Noise
    modality_dropout: ModalityDropout
    fade: Fade
    copy_paste: CopyPaste
    own: OwnNames

    def draw(
        self,
        rng: np.random.Generator,
        count: int,
        box: tuple[int, int, int],
        channels: int,
        spacing_mm: Sequence[float],
    ) -> Changes:
        """Choose the changes of a batch of patches.

        Parameters
        ----------
        rng : numpy.random.Generator
        count : int
            Patches.
        box : (3,) ints
            Sides of a patch; a slice, of one voxel along z, turns and bends in its plane only.
        channels : int
        spacing_mm : (3,) floats

        Returns
        -------
        dict of str to array, each (count, ...), without those of transforms of probability 0:

        flip : (count, 3) bool
            Axes to reverse.
        matrix : (count, 3, 3) float32
            From the offset of a voxel from the middle of the patch to the offset of its source, in
            voxels.
        knots : (count, 3, *knots) float32
            Of the elastic displacement, in -1..1.
        elastic : (count, 3) float32
            Its largest size along each axis, in voxels.
        exponent, factor, shift, blur_mm, coarse, sd : (count, channels) float32
            Amounts of gamma, contrast, brightness, blur, low resolution and noise.
        seed : (count, channels) uint32
            Of the noise.
        kept : (count, channels) bool
            Which modalities are there.
        fade : (count, channels) float32
            How much of the tumour's difference from the brain is taken away.
        paste : (count,) bool
            Whether the tumour of the next patch is pasted.
        """
        each, spacing = (count, channels), np.array(spacing_mm)
        flat = np.array(box) == 1
        mirror = [self.mirror.x, self.mirror.y, self.mirror.z]
        drawn: dict[str, np.ndarray] = {"flip": (rng.random((count, 3)) < mirror) & ~flat}
        acts, places = rng.random((count, 1)), rng.random((count, 3))
        low, high = self.rotation.degrees
        degrees = np.where(acts < self.rotation.probability, low + (high - low) * places, 0.0)
        degrees[:, :2] *= not flat[2]
        scale = self.scaling.factors_of(rng, self.scaling.factors, (count,))
        inverses = np.stack([rotation(tuple(angles)).T for angles in degrees])
        inverses *= (spacing / spacing[:, None]) / scale[:, None, None]
        drawn["matrix"] = inverses
        elastic_mm = self.elastic.amounts(rng, self.elastic.largest_mm, (count, 1))
        drawn["elastic"] = np.where(flat, 0, elastic_mm / spacing)
        knots = [spline.shape[1] for spline in splines(box, tuple(spacing), self.elastic.knots_mm)]
        drawn["knots"] = rng.uniform(-1, 1, (count, 3, *knots))
        drawn["exponent"] = self.gamma.factors_of(rng, self.gamma.exponent, each)
        drawn["factor"] = self.contrast.factors_of(rng, self.contrast.factors, each)
        drawn["shift"] = self.brightness.amounts(rng, self.brightness.shift_sd, each)
        drawn["blur_mm"] = self.blur.amounts(rng, self.blur.sigma_mm, each)
        drawn["coarse"] = self.low_resolution.factors_of(rng, self.low_resolution.factors, each)
        drawn["sd"] = self.noise.amounts(rng, self.noise.sd, each)
        drawn["seed"] = rng.integers(2**32, size=each, dtype=np.uint32)
        drawn["kept"] = self.modality_dropout.kept(rng, *each)
        drawn["fade"] = self.fade.amounts(rng, self.fade.shares, each)
        drawn["paste"] = self.copy_paste.acts(rng, count)
        return {
            name: array if array.dtype in (bool, np.uint32) else array.astype(np.float32)
            for name, array in drawn.items()
            if name in self.names
        }

    @property
    def names(self) -> set[str]:
        """Of the arrays that `draw` returns."""
        bends = self.elastic.probability > 0
        moves = bends or self.rotation.probability > 0 or self.scaling.probability > 0
        softens = self.blur.probability > 0 or self.low_resolution.probability > 0
        noisy = self.noise.probability > 0
        present = {
            "flip": max(self.mirror.x, self.mirror.y, self.mirror.z) > 0,
            "matrix": moves,
            "elastic": bends,
            "knots": bends,
            "exponent": self.gamma.probability > 0,
            "factor": self.contrast.probability > 0,
            "shift": self.brightness.probability > 0,
            "blur_mm": softens,
            "coarse": softens,
            "sd": noisy,
            "seed": noisy,
            "kept": self.modality_dropout.probability > 0,
            "fade": self.fade.probability > 0,
            "paste": self.copy_paste.probability > 0,
        }
        return {name for name, acts in present.items() if acts}


@cache
def splines(
    box: tuple[int, ...], spacing_mm: tuple[float, ...], knots_mm: float
) -> "tuple[csr_array, ...]":
    """Of the elastic displacement, from knots to voxels, per axis."""
    return tuple(
        separable.bspline(size, knots_mm / edge) for size, edge in zip(box, spacing_mm, strict=True)
    )


def margin(changes: Changes, box: tuple[int, ...]) -> np.ndarray:
    """Voxels (3,) around a patch that its changes may fetch values from."""
    if "matrix" not in changes:
        return np.zeros(3, int)
    half = (np.array(box) - 1) / 2
    reach = np.abs(changes["matrix"]) @ half + changes.get("elastic", 0) - half
    return np.where(reach > 1e-4, np.ceil(reach) + 1, 0).astype(int)


def augment_patch(
    image: np.ndarray,
    classes: np.ndarray,
    changes: Changes,
    ranges: OnTheFly,
    box: tuple[int, int, int],
    spacing_mm: tuple[float, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Apply the changes of one patch; `across_patches` follows for the batch.

    Parameters
    ----------
    image : (X + 2 * margin, ..., C) float32 array
        The patch and the voxels around it that `margin` asks for: z-scores inside the brain;
        exactly 0 in all modalities outside it.
    classes : (X + 2 * margin, ...) uint8 array
        Class indices.
    changes : dict of str to array
        A row of each array of `OnTheFly.draw`.
    ranges : OnTheFly
        What they were drawn from.
    box : (3,) ints
    spacing_mm : tuple of 3 floats

    Returns
    -------
    image : (*box, C) float32 array
    classes : (*box) uint8 array
    """
    brain = brain_mask(image)
    if "matrix" in changes:
        field = _field(changes, box, spacing_mm, ranges.elastic.knots_mm)
        image, brain, classes = warp(image, brain, classes, changes["matrix"], field, box)
    axes = changes["flip"].tolist() if "flip" in changes else []
    image, brain, classes = (np.array(flip(array, axes)) for array in (image, brain, classes))
    if "fade" in changes:
        image = faded(image, classes, brain, changes["fade"])
    sample = Sample(image, classes, brain, spacing_mm)
    if brain.any():
        for modality in range(image.shape[-1]):
            row = {
                name: changes[name][modality]
                for name in ("exponent", "factor", "shift", "blur_mm", "coarse", "sd", "seed")
                if name in changes
            }
            channel = image[..., modality]
            channel[brain] = _recoloured(channel[brain], row, ranges, sample)
    return image, classes


def across_patches(
    library: Any, image: Any, brain: Any, classes: Any, changes: Mapping[str, Any], one_type: bool
) -> tuple[Any, Any]:
    """Image and classes of a batch after copy-paste and modality dropout, in NumPy or `keras.ops`.

    Parameters
    ----------
    library, image, brain, classes, one_type
        As in `pasted`; the brain is not used without copy-paste.
    changes : mapping of str to array
        Of `OnTheFly.draw`.
    """
    if "paste" in changes:
        image, classes = pasted(library, image, brain, classes, changes["paste"], one_type)
    if "kept" in changes:
        image = library.where(changes["kept"][:, None, None, None], image, 0.0)
    return image, classes


def _field(changes, box, spacing_mm, knots_mm):
    if "elastic" not in changes or not changes["elastic"].any():
        return None
    operators = splines(tuple(box), tuple(spacing_mm), knots_mm)
    fields = np.stack([separable.along_axes(knots, operators) for knots in changes["knots"]])
    peaks = np.abs(fields).max(axis=(1, 2, 3), keepdims=True)
    return fields / peaks * changes["elastic"][:, None, None, None]


def _recoloured(values, row, ranges: OnTheFly, sample: Sample):
    for name, transform in (
        ("exponent", ranges.gamma),
        ("factor", ranges.contrast),
        ("shift", ranges.brightness),
    ):
        if name in row and row[name] != transform.neutral:
            values = transform.change(values, row[name], sample, _UNUSED)
    if "coarse" in row and (row["blur_mm"] or row["coarse"] != 1):
        values = soften(
            values, sample.brain, sample.spacing_mm, float(row["blur_mm"]), float(row["coarse"])
        )
    if row.get("sd"):
        place = np.flatnonzero(sample.brain).astype(np.uint32)
        values = values + standard_normal(np, row["seed"][None], place) * row["sd"]
    return values


def apply_own(
    own: Mapping[str, Transform],
    rng: np.random.Generator,
    image: np.ndarray,
    classes: np.ndarray,
    spacing_mm: tuple[float, ...],
    modalities: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw and apply the user's transforms; arrays as those that `augment_patch` returns."""
    sample = Sample(image, classes, brain_mask(image), spacing_mm)
    for transform in own.values():
        drawn = transform.draw(rng, image.shape, modalities)
        sample = transform.apply(sample, drawn, int(rng.integers(2**32)))
    return np.asarray(sample.image, np.float32), sample.classes
