"""From a raw case to the network's input, and from its output back to the raw grid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import bounding_box
from ..core.case import Case
from ..core.errors import InputError
from ..core.grid import Matrix, canonical_spacing_mm, rows_of, to_canonical
from ..core.strict import Strict
from .params import PreprocessingConfig
from .resample import resample_classes, resample_linear

_LARGEST_MM3 = 400.0**3
"""Of what is resampled: more than four times a head with its neck."""


class Geometry(Strict):
    """The inverse transform: what `prepare` did to the grid.

    Attributes
    ----------
    raw_shape : tuple of int
        Voxels along the raw axes.
    raw_affine : 4 rows of 4
        Raw voxel indices to RAS+ millimetres.
    box : tuple of 3 (start, stop)
        The crop, in raw voxels on canonical axes.
    shape, spacing_mm
        Of the prepared image.
    """

    raw_shape: tuple[int, int, int]
    raw_affine: Matrix
    box: tuple[tuple[int, int], ...]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the network sees of a case.

    Attributes
    ----------
    image : (X, Y, Z, C) float16 or float32 array
        On canonical axes, z-scored inside the brain, exactly 0 outside; a modality that the case
        lacks is 0 all over.
    classes : (X, Y, Z) uint8 array or None
    geometry : Geometry
        For `restore`.
    """

    image: np.ndarray
    classes: np.ndarray | None
    geometry: Geometry


def prepare(
    case: Case, config: PreprocessingConfig, present: Sequence[bool] | None = None
) -> Prepared:
    """Orient, crop to the brain, resample and normalise a case.

    Parameters
    ----------
    case : Case
    config : PreprocessingConfig
    present : (C,) sequence of bool, optional
        Which modalities of the network the case has, in its order; its image has a channel for each
        of these. All by default. One that it lacks is 0, the mean of the brain, as after
        `pipeline.augmentation.modality_dropout`, and takes no part in finding the brain.

    Raises
    ------
    InputError
        If the target voxels are so large that less than half of each is brain, or so small that
        the image would have many times the voxels of a head.

    Notes
    -----
    Percentiles and z-score are those of the brain (or head), per case and modality; percentiles are
    read off every eighth voxel of it. Otsu: IEEE Transactions on Systems, Man, and Cybernetics 9
    (1979), eq. 18.
    """
    image = to_canonical(case.image, case.grid.affine)
    brain = to_canonical(brain_of(case, config.foreground), case.grid.affine)
    inside = bounding_box(brain, config.margin_voxels)
    box = tuple((span.start, span.stop) for span in inside)
    image, brain = image[inside], _by_slabs(brain[inside])
    spacing_mm = canonical_spacing_mm(case.grid.affine)
    shape = _target_shape(image.shape[:3], spacing_mm, config.spacing_mm)
    _require_head(case.name, image.shape[:3], spacing_mm, shape, config.spacing_mm)
    classes = None if case.classes is None else to_canonical(case.classes, case.grid.affine)[inside]
    if shape != image.shape[:3]:
        brain = resample_linear(brain.astype(np.float32), shape) >= 0.5
        classes = None if classes is None else resample_classes(classes, shape)
    if not brain.any():
        raise InputError(
            f"case {case.name}: no voxel of the brain is left at spacing_mm {config.spacing_mm}."
            " Choose a smaller spacing."
        )
    present = [True] * image.shape[-1] if present is None else present
    prepared = np.zeros((*shape, len(present)), config.dtype)
    for channel, place in enumerate(np.flatnonzero(present)):
        voxels = image[..., channel]
        resampled = shape != voxels.shape
        voxels = resample_linear(voxels, shape) if resampled else _by_slabs(voxels)
        prepared[..., place][brain] = _normalised(
            voxels[brain], config.clip_percentiles, prepared.dtype
        )
    x_mm, y_mm, z_mm = (
        edge * (stop - start) / sides
        for edge, (start, stop), sides in zip(spacing_mm, box, shape, strict=True)
    )
    geometry = Geometry(
        raw_shape=case.grid.shape,
        raw_affine=rows_of(case.grid.affine),
        box=box,
        shape=shape,
        spacing_mm=(x_mm, y_mm, z_mm),
    )
    return Prepared(prepared, None if classes is None else _by_slabs(classes), geometry)


def brain_of(case: Case, rule: str) -> np.ndarray:
    """Voxels of the brain (or head) of a case, (X, Y, Z) bool on the raw axes.

    `rule` is the ``foreground`` of the config.
    """
    brain = np.zeros_like(case.image[..., 0], bool)  # in the order of memory of the image
    for channel in range(case.image.shape[-1]):
        voxels = case.image[..., channel]
        brain |= voxels != 0 if rule == "nonzero" else voxels > _otsu(voxels)
    if rule == "head":
        for level in np.moveaxis(to_canonical(brain, case.grid.affine), 2, 0):  # views
            level[:] = ndimage.binary_fill_holes(level)
    return brain


def _otsu(voxels: np.ndarray) -> float:
    """The threshold between dark and bright with the largest variance between the two."""
    counts, edges = np.histogram(voxels, 256)
    below, total = counts.cumsum(), (counts * (edges[:-1] + edges[1:]) / 2).cumsum()
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.nan_to_num(below * above * (total / below - (total[-1] - total) / above) ** 2)
    return float(edges[1:][between.argmax()])


def _target_shape(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], wanted_mm: tuple[float, ...] | None
) -> tuple[int, int, int]:
    x, y, z = (
        max(round(n * s / w), 1)
        for n, s, w in zip(shape, spacing_mm, wanted_mm or spacing_mm, strict=True)
    )
    return x, y, z


def _require_head(
    name: str,
    shape: tuple[int, ...],
    spacing_mm: tuple[float, ...],
    wanted: tuple[int, int, int],
    wanted_mm: tuple[float, ...] | None,
) -> None:
    """Raise InputError if resampling to a shape adds voxels beyond those of the largest head."""
    most = _LARGEST_MM3 / math.prod(wanted_mm or spacing_mm)
    if math.prod(wanted) > max(most, math.prod(shape)):
        size, edges = (
            " x ".join(f"{one:.4g}" for one in lengths)
            for lengths in ([n * s for n, s in zip(shape, spacing_mm, strict=True)], spacing_mm)
        )
        raise InputError(
            f"case {name}: its voxels of {edges} mm make it {size} mm large, far more than a head."
            " Its header may not be in millimetres: correct the spacing there, or export it again."
        )


def _by_slabs(voxels: np.ndarray) -> np.ndarray:
    """A C-contiguous copy of an (X, Y, Z) array, a slab at a time: all at once NumPy would jump
    through an array of the other order voxel by voxel.
    """
    copy = np.empty(voxels.shape, voxels.dtype)
    for level in range(voxels.shape[1]):
        copy[:, level] = voxels[:, level]
    return copy


def _normalised(
    inside: np.ndarray, percentiles: tuple[float, float], dtype: np.dtype
) -> np.ndarray:
    """Clip and z-score the voxels of the brain, (N,) int16 or float32."""
    low, high = np.percentile(inside[::8], percentiles)
    if inside.dtype == np.int16:  # each of the few values once
        least = inside.min()
        places = np.subtract(inside, least, dtype=np.intp)
        counts = np.bincount(places)
        values = least + np.arange(len(counts), dtype=np.float64)
    else:
        places, counts, values = slice(None), None, inside
    values = np.clip(values, low, high)  # float64
    values -= np.average(values, weights=counts)
    deviation = np.sqrt(np.average(np.square(values), weights=counts))
    values /= max(deviation, 1e-8)
    return values.astype(np.float32).astype(dtype)[places]
