"""The constant value of air in skull-stripped images: usually 0, another after z-scoring."""

import numpy as np

from ..core.boxes import bounding_box

_SHARE = 0.5  # of the outer faces that one value must fill
_NOISE = 0.02  # share of the faces on both sides of that value from which it is a mode of noise


def constant_air(voxels: np.ndarray) -> float:
    """The constant that surrounds the brain of a skull-stripped image.

    Returns
    -------
    float
        The value that more than half of the outer faces of an (X, Y, Z) array have, singleton axes
        ignored; 0 if there is none, as in images with noise in the air, which has values on both
        sides of the most frequent one.
    """
    along = [np.moveaxis(voxels, axis, 0) for axis, length in enumerate(voxels.shape) if length > 1]
    if not along:
        return 0.0
    faces = [volume[end].ravel() for volume in along for end in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    most, total = counts.argmax(), counts.sum()
    noise = min(counts[:most].sum(), counts[most + 1 :].sum())
    is_constant = counts[most] > _SHARE * total and noise <= _NOISE * total
    return float(values[most]) if is_constant else 0.0


def air_within(voxels: np.ndarray, air: float) -> float | None:
    """A second constant around the brain, as of images normalised and then padded with 0: that
    on the faces of the bounding box of voxels other than `air`; None if there is none.
    """
    inner = voxels[bounding_box(voxels != air)]
    found = constant_air(inner) if inner.size else air
    return found if found not in (air, 0.0) else None
