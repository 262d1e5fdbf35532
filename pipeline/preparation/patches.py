"""Boxes in a volume: windows that cover it, random patches, cuts that may reach beyond it.

A patch is (X, Y) for networks of slices and (X, Y, Z) for networks of volumes; its box always has
three sides, a slice being one voxel thick. An origin is the box's lowest voxel, negative where the
box is larger than the volume and stands out on both sides.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from ..core.boxes import Box

Size = tuple[int, int, int]


def box_of(patch: Sequence[int], slices: int = 1) -> Size:
    """Sides of a patch's box: (X, Y) -> (X, Y, slices), (X, Y, Z) -> itself."""
    x, y, z = (*patch, slices)[:3]
    return x, y, z


def window_origins(
    shape: Sequence[int], patch: Sequence[int], overlap: float, inside: Box | None = None
) -> list[Size]:
    """Origins of the fewest evenly spaced windows that cover every voxel.

    Parameters
    ----------
    shape : (3,) ints
        Of the volume, in voxels.
    patch : (2,) or (3,) ints
        In voxels; slices, being one voxel thick, do not overlap.
    overlap : float
        Least share of a window that its neighbour also covers, in [0, 1).
    inside : 3 slices, optional
        Voxels that need to be covered. Along an axis where they take fewer windows than the volume,
        the windows are spaced over them alone: a margin may make a brain of 127 voxels too long for
        a window of 128.
    """
    axes = []
    for axis, (length, side) in enumerate(zip(shape, box_of(patch), strict=True)):
        along = _origins_along(length, side, overlap)
        if inside:
            start, stop = inside[axis].start, inside[axis].stop
            within = [start + origin for origin in _origins_along(stop - start, side, overlap)]
            along = min(along, within, key=len)
        axes.append(along)
    x, y, z = axes
    return list(itertools.product(x, y, z))


def _origins_along(length: int, side: int, overlap: float) -> list[int]:
    if side >= length:
        return [_centred(length, side)]
    stride = max(int(side * (1 - overlap)), 1)
    gaps = -(-(length - side) // stride)
    return [round(gap * (length - side) / gaps) for gap in range(gaps + 1)]


def _centred(length: int, side: int) -> int:
    return -((side - length) // 2)


def importance(patch: Sequence[int]) -> np.ndarray:
    """Weight of each voxel of a window when windows are blended, box-shaped float32 in (0, 1].

    A Gaussian, highest in the centre, with a standard deviation of an eighth of each side (nnU-Net,
    Isensee et al. 2021, online methods, "inference").
    """
    weights = np.ones((), np.float32)
    for side in box_of(patch):
        from_centre = np.arange(side) - (side - 1) / 2
        weights = np.multiply.outer(weights, np.exp(-0.5 * (from_centre / (side / 8)) ** 2))
    return (weights / weights.max()).astype(np.float32)


def draw_origin(
    generator: np.random.Generator,
    shape: Sequence[int],
    patch: Sequence[int],
    foreground: np.ndarray,
    foreground_share: float,
) -> Size:
    """Draw the origin of a training patch, centred on the tumour more often than chance would.

    Parameters
    ----------
    generator, shape, patch
        As in `window_origins`.
    foreground : (N, 4) integer array
        Class and voxel (x, y, z) of tumour voxels, possibly none.
    foreground_share : float
        Probability, in [0, 1], that the patch is centred, as far as the volume's borders allow, on
        a tumour voxel: one of a class that is drawn first, so that rare classes are seen as often.

    Returns
    -------
    (int, int, int)
        The patch lies within the volume wherever the volume is at least as large.
    """
    box = np.array(box_of(patch))
    slack = np.array(shape) - box
    if len(foreground) and generator.random() < foreground_share:
        wanted = generator.choice(np.unique(foreground[:, 0]))
        voxel = generator.choice(foreground[foreground[:, 0] == wanted])[1:].astype(np.int64)
        origin = np.clip(voxel - box // 2, 0, np.maximum(slack, 0))
    else:
        origin = generator.integers(0, np.maximum(slack, 0) + 1)
    centred = [_centred(length, side) for length, side in zip(shape, box, strict=True)]
    return tuple(np.where(slack < 0, centred, origin).tolist())


def cut(volume: np.ndarray, origin: Size, patch: Sequence[int]) -> np.ndarray:
    """Copy a patch out of a volume, with zeros where it reaches beyond.

    Parameters
    ----------
    volume : (X, Y, Z, ...) array
        Possibly memory-mapped: only the patch is read.
    origin, patch
        Of `draw_origin` or `window_origins`.

    Returns
    -------
    (*patch, ...) array of the volume's dtype
        Without the axis of slices for a patch of two sides.
    """
    box = box_of(patch)
    inside, covered = overlap_of(volume.shape[:3], origin, box)
    if all(part.stop - part.start == side for part, side in zip(inside, box, strict=True)):
        patched = np.array(volume[inside])
    else:
        patched = np.zeros((*box, *volume.shape[3:]), volume.dtype)
        patched[covered] = volume[inside]
    return patched[:, :, 0] if len(patch) == 2 else patched


def cut_slab(volume: np.ndarray, origin: Size, patch: Sequence[int], slices: int) -> np.ndarray:
    """Copy a patch of a slice and its neighbours out of a volume, as `cut` does.

    Parameters
    ----------
    volume, origin, patch
        As in `cut`.
    slices : int
        Odd; the slice of the origin is the one in the middle. 1 for a patch of three sides.

    Returns
    -------
    (X, Y, slices, ...) or (X, Y, Z, ...) array of the volume's dtype
    """
    x, y, z = origin
    return cut(volume, (x, y, z - slices // 2), (*patch, slices))


def overlap_of(
    shape: Sequence[int], origin: Size, box: Size
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a box and a volume meet: three slices into the volume, and the same place as slices
    into the box.
    """
    starts = [max(lowest, 0) for lowest in origin]
    stops = [
        min(lowest + side, length) for lowest, side, length in zip(origin, box, shape, strict=True)
    ]
    inside = tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    covered = tuple(
        slice(part.start - lowest, part.stop - lowest)
        for part, lowest in zip(inside, origin, strict=True)
    )
    return inside, covered
