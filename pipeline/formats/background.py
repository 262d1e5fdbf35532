"""The constant value of air in skull-stripped images: usually 0, another after z-scoring."""

import numpy as np

from ..core.boxes import bounding_box

_SHARE = 0.5  # of the outer faces that one value must fill
_NOISE = 0.02  # share of the faces on both sides of that value from which it is a mode of noise


def constant_air(voxels: np.ndarray) -> float:
    """Find the constant that surrounds the brain of a skull-stripped image.

    Parameters
    ----------
    voxels : (X, Y, Z) array of any real dtype
        One modality; singleton axes are ignored.

    Returns
    -------
    float
        The value that more than half of the outer faces have; 0 if there is none, as in images with
        noise in the air, which has values on both sides of the most frequent one.
    """
    along = [np.moveaxis(voxels, axis, 0) for axis, length in enumerate(voxels.shape) if length > 1]
    faces = [volume[end].ravel() for volume in along for end in (0, -1)]
    values, counts = (
        np.unique(np.concatenate(faces), return_counts=True)
        if faces
        else (np.zeros(1), np.zeros(1))
    )
    most = counts.argmax()
    noise = min(counts[:most].sum(), counts[most + 1 :].sum())
    return (
        float(values[most])
        if counts[most] > _SHARE * counts.sum() and noise <= _NOISE * counts.sum()
        else 0.0
    )


def air_within(voxels: np.ndarray, air: float) -> float | None:
    """Find a second constant around the brain, as of images normalised and then padded with 0.

    Parameters
    ----------
    voxels : (X, Y, Z) array
        One modality.
    air : float
        From `constant_air`.

    Returns
    -------
    float or None
        The constant on the faces of the bounding box of voxels other than `air`; None if there is
        no other.
    """
    inner = voxels[bounding_box(voxels != air)]
    found = constant_air(inner) if inner.size else air
    return found if found not in (air, 0.0) else None
