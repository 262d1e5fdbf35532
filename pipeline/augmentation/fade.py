"""Paler tumours: a network that has seen them finds those that hardly differ from the brain."""

from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator

from ..core.params import Share
from .transform import Sometimes, neighbours, ordered

WEIGHTS = (0.25, 0.5, 0.25)
"""Of a voxel's neighbours and itself, along each axis: the edge that the tumour's mask is given."""


class Fade(Sometimes):
    """Part of the difference between the mean intensities of the tumour and of the rest of the
    brain, both within the patch, that is taken away from the tumour; for each modality by itself.
    """

    shares: Annotated[tuple[Share, Share], AfterValidator(ordered)]


def faded(
    image: np.ndarray, classes: np.ndarray, brain: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """A patch with a paler tumour; unchanged where there is no tumour, or nothing else.

    Parameters
    ----------
    image : (X, Y, Z, C) float32 array
    classes : (X, Y, Z) uint8 array
    brain : (X, Y, Z) bool array
    shares : (C,) array
        0 for none.
    """
    tumour = brain & (classes > 0)
    rest = brain & ~tumour
    if not (shares.any() and tumour.any() and rest.any()):
        return image
    difference = image[tumour].mean(axis=0) - image[rest].mean(axis=0)
    soft = np.where(brain, soft_edge(np, tumour.astype(np.float32), (0, 1, 2)), np.float32(0))
    return image - soft[..., None] * (shares * difference).astype(np.float32)


def soft_edge(library: Any, mask: Any, axes: tuple[int, ...]) -> Any:
    """A float mask with an edge of two voxels: averaged with `WEIGHTS` along each axis, in NumPy or
    `keras.ops`; beyond the patch it goes on as it ends.
    """
    for axis in axes:
        below, above = neighbours(library, mask, axis)
        mask = WEIGHTS[0] * below + WEIGHTS[1] * mask + WEIGHTS[2] * above
    return mask
