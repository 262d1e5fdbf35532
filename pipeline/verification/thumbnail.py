"""A thumbnail of a case: one axial slice with the outline of its tumour."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..core.boxes import bounding_box
from ..core.case import Case
from ..core.grid import canonical_spacing_mm, to_canonical

SIDE = 72
OUTLINE = (255, 80, 0)
_FAVOURITES = ("t2f", "t1c", "t2w", "t1n")


def favourite(modalities: Sequence[str]) -> int:
    """Index of the modality shown: FLAIR if there is one, else T1c, T2, T1, else the first."""
    return next((modalities.index(name) for name in _FAVOURITES if name in modalities), 0)


def thumbnail(case: Case, channel: int) -> np.ndarray:
    """The axial slice of a channel with the most tumour, or the most brain if there is no tumour.

    Returns
    -------
    (72, 72, 3) uint8 array
        Rows from the front to the back, columns from the patient's right to the left (radiological
        convention), true to the proportions of the voxels; between the 1st and the 99th percentile
        of the slice's brain; the outer border of all labels together in orange.
    """
    voxels = to_canonical(case.image[..., channel], case.grid.affine)
    brain = voxels != 0
    tumour = (
        np.zeros(voxels.shape, bool)
        if case.classes is None
        else to_canonical(case.classes, case.grid.affine) > 0
    )
    level = int(np.argmax((tumour if tumour.any() else brain).sum(axis=(0, 1))))
    inside = bounding_box(brain[..., level : level + 1], 2)[:2]
    edges_mm = canonical_spacing_mm(case.grid.affine)[:2]
    grey = _grey(voxels[..., level][inside], brain[..., level][inside])
    picture = np.repeat(_fitted(grey, edges_mm, order=1)[..., None], 3, axis=-1)
    shape = _fitted(tumour[..., level][inside].astype(np.uint8), edges_mm, order=0) > 0
    picture[shape & ~ndimage.binary_erosion(shape)] = OUTLINE
    return np.ascontiguousarray(picture[::-1, ::-1].transpose(1, 0, 2))


def _grey(voxels: np.ndarray, brain: np.ndarray) -> np.ndarray:
    low, high = np.percentile(voxels[brain], (1, 99)) if brain.any() else (0, 1)
    return (np.clip((voxels - low) / max(high - low, 1e-8), 0, 1) * 255 * brain).astype(np.uint8)


def _fitted(plane: np.ndarray, edges_mm: tuple[float, ...], order: int) -> np.ndarray:
    """The plane in the middle of a square picture, as large as fits."""
    lengths_mm = np.array(plane.shape) * edges_mm
    step_mm = lengths_mm.max() / SIDE
    places = [
        ((np.arange(SIDE) - (SIDE - 1) / 2) * step_mm + length_mm / 2) / edge - 0.5
        for length_mm, edge in zip(lengths_mm, edges_mm, strict=True)
    ]
    if order:
        plane = ndimage.uniform_filter(plane, [max(int(step_mm / edge), 1) for edge in edges_mm])
    grid = np.meshgrid(*places, indexing="ij")
    return ndimage.map_coordinates(plane, grid, order=order, mode="constant")
