"""The value of air in images whose background was set to a constant: 0 as a rule, something else after z-scoring or rescaling."""

import numpy as np

_SHARE = 0.5  # of the rim that one value must fill; noise spreads over many


def constant_air(voxels: np.ndarray) -> float:
    """Find the constant that surrounds the brain of a skull-stripped image.

    Parameters
    ----------
    voxels : (X, Y, Z) array of any real dtype
        One modality; singleton axes are ignored.

    Returns
    -------
    float
        The value that more than half of the outer faces have; 0 where there is none, as in images with noise in the air, and
        where every voxel has it.
    """
    along = [np.moveaxis(voxels, axis, 0) for axis, length in enumerate(voxels.shape) if length > 1]
    faces = [volume[end].ravel() for volume in along for end in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True) if faces else (np.zeros(1), np.zeros(1))
    return float(values[counts.argmax()]) if counts.max() > _SHARE * counts.sum() else 0.0
