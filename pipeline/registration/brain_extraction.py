"""Brain extraction without a trained network: the template's brain, refined at its edge."""

import cc3d
import numpy as np
from scipy import ndimage

from ..core.boxes import bounding_box

OUTER_MM = 4.0
INNER_MM = 4.0
OPENING_MM = 3.5
CLOSING_MM = 6.0
TISSUE = (0.5, 1.6)
"""Of the median of the core: darker is skull or air, brighter is fat or a vessel."""


def extract_brain(
    voxels: np.ndarray, prior: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Fit the brain of the template to a head.

    Parameters
    ----------
    voxels : (X, Y, Z) array
        T1-weighted, without contrast agent where there is one; 0 outside the field of view.
    prior : (X, Y, Z) bool array
        The template's brain, mapped here by an affine registration.
    spacing_mm : tuple of 3 float

    Returns
    -------
    (X, Y, Z) bool array
        One connected component without holes, within 4 mm of the prior's edge plus the closing;
        fluid between gyri is inside.

    Notes
    -----
    Tissue (0.5 to 1.6 times the median of the core) in a band of 4 mm to either side of the prior's
    edge is joined to the prior's inside, opened by 3.5 mm, which removes what only a vessel or
    nerve connects, reduced to its largest connected component, closed by 6 mm and filled. An
    outline far from the template's (infants, resection cavities that reach the surface, large
    swelling) is not followed beyond the band, and enhancing dura next to the brain may remain.
    """
    box = bounding_box(prior, margin_voxels=int(np.ceil((OUTER_MM + CLOSING_MM) / min(spacing_mm))))
    brain = np.zeros(voxels.shape, bool)
    brain[box] = _fitted(np.asarray(voxels[box], np.float32), prior[box], spacing_mm)
    return brain


def _fitted(
    voxels: np.ndarray, prior: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    def depth_mm(mask: np.ndarray) -> np.ndarray:
        return ndimage.distance_transform_edt(mask, spacing_mm).astype(np.float32)

    inside, outside = depth_mm(prior), depth_mm(~prior)
    seen = voxels != 0
    core = seen & (inside > 0.4 * inside.max())
    level = np.median(voxels[core]) if core.any() else 1.0
    smooth = ndimage.gaussian_filter(voxels, [0.7 / length for length in spacing_mm])
    tissue = (
        (smooth > TISSUE[0] * level) & (smooth < TISSUE[1] * level) & (outside < OUTER_MM) & seen
    )
    kept = largest_component(depth_mm(tissue | (inside > INNER_MM)) > OPENING_MM)
    opened = depth_mm(~kept) <= OPENING_MM
    closed = depth_mm(depth_mm(~opened) <= CLOSING_MM) > CLOSING_MM
    return ndimage.binary_fill_holes(closed)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest face-connected component of an (X, Y, Z) bool array."""
    return cc3d.largest_k(mask, k=1, connectivity=6, binary_image=True) > 0
