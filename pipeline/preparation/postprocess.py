"""Corrections of a predicted class map: no specks, no holes, no trace of an innermost region."""

from math import ceil, prod

import cc3d
import numpy as np
from scipy.special import expit, logit

from ..core.boxes import bounding_box
from ..core.schema import Schema
from .params import Postprocess


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (float32, any shape) whose logits are divided by a temperature: above 1 for a
    network that is surer than it is right (Guo et al., "On calibration of modern neural networks",
    ICML 2017). The same array at 1.
    """
    if temperature == 1:
        return probabilities
    with np.errstate(divide="ignore"):  # the logits of 0 and 1 are infinite, and so they stay
        return expit(logit(probabilities) / np.float32(temperature))


def postprocess(
    classes: np.ndarray, schema: Schema, spacing_mm: tuple[float, float, float], params: Postprocess
) -> np.ndarray:
    """Remove small components, fill holes, dissolve a too small innermost region, in this order.

    Parameters
    ----------
    classes : (X, Y, Z) uint8 array
        Predicted class indices 0..K; not changed.
    schema : Schema
    spacing_mm : tuple of 3 float
    params : Postprocess

    Returns
    -------
    (X, Y, Z) uint8 array
        A new class map, with nested regions as in every class map.

    Raises
    ------
    InputError
        If `min_innermost_ml` is set, but no innermost region has another around it.
    """
    params.check_innermost(schema)
    around = _around(schema)
    corrected = classes.copy()
    crop = corrected[bounding_box(classes, margin_voxels=1)]  # a view, written in place
    voxel_ml = prod(spacing_mm) / 1000
    _remove_components(crop, _least_voxels(params.min_component_ml, voxel_ml))
    if params.fill_holes:
        _fill_holes(crop, schema)
    for own_class, outer_class in around.items():
        if outer_class and np.count_nonzero(crop == own_class) < _least_voxels(
            params.min_innermost_ml, voxel_ml
        ):
            crop[crop == own_class] = outer_class
    return corrected


def _around(schema: Schema) -> dict[int, int | None]:
    """For each innermost region the class index that it alone holds, and that of the region around
    it, if any.
    """
    return {
        _own_class(schema, region): _own_class(schema, outer) if outer else None
        for region, outer in schema.around.items()
        if region in schema.innermost
    }


def _own_class(schema: Schema, region: str) -> int:
    (label,) = schema.own_labels[region]
    return list(schema.labels).index(label) + 1


def _least_voxels(volume_ml: float, voxel_ml: float) -> int:
    # unrounded, 0.003 ml would be more than ten voxels of 0.5x0.5x1.2 mm
    return ceil(round(volume_ml / voxel_ml, 6))


def _remove_components(crop: np.ndarray, least_voxels: int) -> None:
    if least_voxels <= 1 or crop.size == 0:
        return
    components = cc3d.connected_components(crop != 0, connectivity=26)
    small = np.bincount(components.ravel(order="K")) < least_voxels
    crop[small[components]] = 0  # a small background is 0 already


def _fill_holes(crop: np.ndarray, schema: Schema) -> None:
    for region, outer in schema.around.items():  # outer regions first, inner ones over them
        if outer is None or region not in schema.innermost:
            crop[_holes(np.isin(crop, schema.classes_of(region)))] = _own_class(schema, region)


def _holes(mask: np.ndarray) -> np.ndarray:
    """Voxels outside a mask that no path over voxel faces connects to the border of the image."""
    if mask.size == 0:
        return mask
    outside = cc3d.connected_components(~mask, connectivity=6)
    enclosed = np.ones(outside.max() + 1, bool)
    enclosed[0] = False  # the mask itself
    for axis, length in enumerate(mask.shape):
        if length > 1:
            enclosed[np.take(outside, [0, -1], axis=axis)] = False
    return enclosed[outside]
