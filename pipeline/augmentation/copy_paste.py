"""Tumours of one patient in the brain of another: the more places and pairs, the fewer to learn by
heart.
"""

from typing import Any

import numpy as np

from .transform import Sometimes, neighbours


class CopyPaste(Sometimes):
    """Probability that a patch is given the tumour of the next patch of its batch, with one voxel
    around it; the last patch is given that of the first.

    As TumorCP (Yang et al., MICCAI 2021) and CarveMix (Zhang et al., MICCAI 2021), but pasted as it
    lies in its own patch, after all changes of both patches but `modality_dropout`.
    """

    def acts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """(count,) bool: which patches of a batch are given a tumour."""
        return rng.random(count) < self.probability


def pasted(
    library: Any, image: Any, brain: Any, classes: Any, acts: Any, one_type: bool
) -> tuple[Any, Any]:
    """A batch with pasted tumours, in NumPy or `keras.ops`.

    Parameters
    ----------
    library : module
    image : (B, X, Y, Z, C) float32 array or tensor
    brain : (B, X, Y, Z) bool
        Nothing is pasted outside the brain, or from there.
    classes : (B, X, Y, Z) uint8
    acts : (B,) bool
    one_type : bool
        Whether the labels are types of tumours, of which a patch has one: then only a tumour of
        the same type is pasted, or any where there is none.

    Returns
    -------
    image, classes
        New ones.
    """
    given = library.roll(classes, -1, axis=0)
    if one_type:
        own, other = (library.max(each, axis=(1, 2, 3)) for each in (classes, given))
        acts = library.logical_and(acts, library.logical_or(own == 0, own == other))
    where = given > 0
    for axis in (1, 2, 3):
        below, above = neighbours(library, where, axis)
        where = library.logical_or(where, library.logical_or(below, above))
    both = library.logical_and(brain, library.roll(brain, -1, axis=0))
    where = library.logical_and(library.logical_and(where, both), acts[:, None, None, None])
    image = library.where(where[..., None], library.roll(image, -1, axis=0), image)
    return image, library.where(where, given, classes)
