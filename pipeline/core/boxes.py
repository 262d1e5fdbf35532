"""Bounding boxes: most of a scan is background, so most work starts by cropping."""

import numpy as np

Box = tuple[slice, ...]


def bounding_box(mask: np.ndarray, margin_voxels: int = 0) -> Box:
    """Find the smallest box that holds every non-zero voxel.

    Parameters
    ----------
    mask : (X, Y, Z) bool or integer array
        Non-zero in the voxels of interest.
    margin_voxels : int
        Voxels added on every side, clipped at the image border. With a margin of at least 1 the box
        is one voxel thick only along an axis where the image itself is.

    Returns
    -------
    tuple of 3 slices
        Half-open voxel ranges; all empty (``slice(0, 0)``) when nothing is true.
    """
    box = [slice(None)] * mask.ndim
    ascending = tuple(slice(None, None, -1 if stride < 0 else 1) for stride in mask.strides)
    forward = mask[ascending]  # NumPy searches backwards slowly
    for axis in sorted(range(mask.ndim), key=lambda axis: -forward.strides[axis]):
        crop = forward[tuple(box)]  # every axis shortens the search along the next
        others = tuple(other for other in range(mask.ndim) if other != axis)
        hits = np.flatnonzero(crop.any(axis=others))
        if hits.size == 0:
            return (slice(0, 0),) * mask.ndim
        box[axis] = slice(int(hits[0]), int(hits[-1]) + 1)
    box = [
        slice(length - span.stop, length - span.start) if way.step < 0 else span
        for span, length, way in zip(box, mask.shape, ascending, strict=True)
    ]
    return tuple(
        slice(max(span.start - margin_voxels, 0), min(span.stop + margin_voxels, length))
        for span, length in zip(box, mask.shape, strict=True)
    )
