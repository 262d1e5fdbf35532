"""Conversions between label values in files, class indices in shards and region masks."""

from collections.abc import Mapping

import numpy as np

from .boxes import bounding_box
from .errors import InputError
from .schema import Schema


def values_to_classes(values: np.ndarray, schema: Schema) -> np.ndarray:
    """Map a cohort's label values, (X, Y, Z) of any real dtype, to class indices (X, Y, Z) uint8: 0
    for background, 1..K in the order of ``schema.labels``.

    Raises
    ------
    ValueError
        If a voxel holds a value that the schema does not declare.
    """
    table = np.full(256, 255, np.uint8)
    table[0] = 0
    for index, value in enumerate(schema.labels.values(), 1):
        table[value] = index
    inside = bounding_box(values != 0)  # a tumour fills a small part of a mask
    labelled = values[inside]
    with np.errstate(invalid="ignore"):  # NaN has no integer, and differs from any
        integers = labelled.astype(np.uint8)
    classes = np.zeros_like(values, np.uint8)
    classes[inside] = table[integers]
    foreign = (integers != labelled) | (classes[inside] == 255)
    if foreign.any():
        found, counts = np.unique(labelled[foreign], return_counts=True)
        listed = ", ".join(
            f"{value:g} ({count} voxels)"
            for value, count in zip(found[:8], counts[:8], strict=True)
        )
        raise ValueError(
            f"label values {listed} are not among 0 and {schema.labels} of cohort {schema.cohort}"
        )
    return classes


def classes_to_values(classes: np.ndarray, schema: Schema) -> np.ndarray:
    """Map class indices (uint8, any shape) to the cohort's label values (uint8, same shape)."""
    return np.array([0, *schema.labels.values()], np.uint8)[classes]


def classes_to_regions(classes: np.ndarray, schema: Schema) -> np.ndarray:
    """Region masks (..., R) bool of class indices (...) uint8, in the order of the schema."""
    table = np.zeros((len(schema.labels) + 1, len(schema.regions)), bool)
    for column, region in enumerate(schema.regions):
        table[schema.classes_of(region), column] = True
    return table[classes]


def regions_to_classes(masks: np.ndarray, schema: Schema) -> np.ndarray:
    """Class indices (...) uint8 of region masks (..., R) bool, the inverse of `classes_to_regions`.

    The masks need not be consistent: a voxel belongs to a region only if it also belongs to every
    region around it, and of disjoint regions to the last.
    """
    names, around = list(schema.labels), schema.around
    classes = np.zeros(masks.shape[:-1], np.uint8)
    inside: dict[str, np.ndarray] = {}
    for column, (region, own) in enumerate(schema.own_labels.items()):
        outer, mask = around[region], masks[..., column]
        inside[region] = mask if outer is None else inside[outer] & mask
        classes[inside[region]] = names.index(next(iter(own))) + 1
    return classes


def classes_to_outputs(classes: np.ndarray, schema: Schema, output: str) -> np.ndarray:
    """Target channels of a network, (..., O) uint8 of zeros and ones, of class indices (...) uint8.

    `output` is "regions" for a channel per region, or "labels" for one of background and one per
    label.
    """
    if output == "regions":
        return classes_to_regions(classes, schema).view(np.uint8)
    return np.eye(len(schema.labels) + 1, dtype=np.uint8)[classes]


def outputs_to_classes(
    probabilities: np.ndarray, schema: Schema, output: str, thresholds: Mapping[str, float] = {}
) -> np.ndarray:
    """Class indices (...) uint8 of a network's probabilities, (..., O) float in the channels of
    `classes_to_outputs`.

    A region is where its probability exceeds its threshold, 0.5 where none is named, and of regions
    side by side the most probable; of labels, the most probable. Ties go to the first.
    """
    if output == "regions":
        masks = probabilities > thresholds_of(schema, thresholds)
        for beside in side_by_side(schema):
            masks[..., beside] &= np.eye(len(beside), dtype=bool)[
                _largest(probabilities[..., beside])
            ]
        return regions_to_classes(masks, schema)
    return _largest(probabilities)


def thresholds_of(schema: Schema, named: Mapping[str, float]) -> np.ndarray:
    """Thresholds (R,) float32 of the regions, 0.5 for those that are not named.

    Raises
    ------
    InputError
        If one is named that the schema does not have.
    """
    if unknown := [name for name in named if name not in schema.regions]:
        raise InputError(
            f"evaluate.postprocess.thresholds names {', '.join(unknown)}, but the regions of cohort"
            f" {schema.cohort} are {', '.join(schema.regions)}. Name those."
        )
    return np.array([named.get(region, 0.5) for region in schema.regions], np.float32)


def region_probabilities(probabilities: np.ndarray, schema: Schema, output: str) -> np.ndarray:
    """Probability of every region, (..., R) float32 in the schema's order, in [0, 1].

    The array of the outputs' probabilities, (..., O) float32, itself where the outputs are the
    regions, else the sum over the labels of each region.
    """
    if output == "regions":
        return probabilities
    shape = (*probabilities.shape[:-1], len(schema.regions))
    summed = np.zeros(shape, np.float32, order="F")  # as `restore` returns them
    for column, region in enumerate(schema.regions):
        for index in schema.classes_of(region):
            summed[..., column] += probabilities[..., index]
    return np.minimum(summed, 1, out=summed)  # rounding may exceed 1


def _largest(values: np.ndarray) -> np.ndarray:
    """``argmax(axis=-1)`` as uint8: an output after the other, as `restore` has them in memory."""
    most = values[..., 0].copy(order="K")
    found = np.zeros_like(most, np.uint8)
    for index in range(1, values.shape[-1]):
        np.copyto(found, index, where=values[..., index] > most)
        np.maximum(most, values[..., index], out=most)
    return found


def side_by_side(schema: Schema) -> list[list[int]]:
    """Columns of regions with the same outer region or none, where there are several."""
    outer = list(schema.around.values())
    columns = [
        np.flatnonzero([region == name for region in outer]) for name in dict.fromkeys(outer)
    ]
    return [group.tolist() for group in columns if group.size > 1]
