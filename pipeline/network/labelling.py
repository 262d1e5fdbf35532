"""Class indices on the raw grid, made in the memory of the device: a byte a voxel comes back, and
not the probabilities of every output.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..core.regions import regions_to_classes, side_by_side, thresholds_of
from ..core.schema import Schema
from ..preparation.inverse import uncropped
from ..preparation.preprocessing import Geometry
from ..preparation.resample import kernel_matrix
from . import backend
from .backend import keras

ops = keras.ops

GRANULE = 32
"""Sides of an array in the memory of the device are multiples, in voxels, so that the cases of a
cohort need few programs."""


class Taps(NamedTuple):
    """A kernel along one axis: for every target, the positions and weights of its sources, in
    ascending order: (target, K) int32 and float32.
    """

    positions: np.ndarray
    weights: np.ndarray


def raw_classes(
    sums: Any,
    outputs: int,
    before: Sequence[int],
    types: np.ndarray | None,
    geometry: Geometry,
    schema: Schema,
    output: str,
    thresholds: Mapping[str, float] = {},
) -> np.ndarray:
    """What `restore` and `outputs_to_classes` make of blended predictions.

    Parameters
    ----------
    sums : (X, Y, Z, O + U + 1) float32 tensor
        Weighted sums of the probabilities of O outputs, of U other quantities, and the weight; of a
        volume with margins.
    outputs : int
        O.
    before : (3,) ints
        Voxels of the margin below the prepared image.
    types : (O - 1,) float32 array or None
        Probabilities of the types of a case, which has the most probable one alone.
    geometry : Geometry
    schema, output, thresholds
        As in `outputs_to_classes`.

    Returns
    -------
    (X, Y, Z) uint8 array
        On the raw axes and shape; 0 outside the crop.
    """
    crop = [stop - start for start, stop in geometry.box]
    taps = [
        taps_of(kernel_matrix(length, target), int(margin))
        for length, target, margin in zip(geometry.shape, crop, before, strict=True)
    ]
    masks = (np.arange(2**outputs)[:, None] >> np.arange(outputs)) & 1
    table = regions_to_classes(masks.astype(bool), schema) if output == "regions" else None
    least = thresholds_of(schema, thresholds)
    beside = tuple(map(tuple, side_by_side(schema)))
    found = _labelling(outputs, output, beside)(sums, taps, types, table, least)
    x, y, z = crop
    return uncropped(ops.convert_to_numpy(found)[:x, :y, :z], geometry)


def taps_of(matrix: np.ndarray, margin: int) -> Taps:
    """Taps of a matrix (target, length), whose sources begin after a margin. Targets are filled up
    to a multiple of `GRANULE`.
    """
    count = max(1, int(np.count_nonzero(matrix, axis=1).max()))
    first = np.minimum(np.argmax(matrix != 0, axis=1), matrix.shape[1] - count)
    places = first[:, None] + np.arange(count)
    filling = [(0, -len(matrix) % GRANULE), (0, 0)]
    return Taps(
        np.pad(places + margin, filling).astype(np.int32),
        np.pad(np.take_along_axis(matrix, places, axis=1), filling),
    )


@lru_cache(maxsize=8)
def _labelling(outputs: int, output: str, beside: tuple[tuple[int, ...], ...]) -> Any:
    """The program, for every shape of its arguments."""

    def labelled(sums, taps, types, table, least):
        weight = sums[..., -1:]
        seen = weight > 0
        mean = sums[..., :outputs] / ops.where(seen, weight, 1)
        if output == "labels":
            mean = ops.concatenate([ops.where(seen, mean[..., :1], 1), mean[..., 1:]], axis=-1)
        for axis, (positions, weights) in enumerate(taps):
            along = [1] * 4
            along[axis] = -1
            mean = sum(
                ops.take(mean, positions[:, tap], axis) * ops.reshape(weights[:, tap], along)
                for tap in range(positions.shape[1])
            )
        if types is not None:
            tumour = ops.sum(mean[..., 1:], axis=-1) > mean[..., 0]
            return ops.cast(ops.where(tumour, ops.argmax(types) + 1, 0), "uint8")
        if output == "labels":
            return ops.cast(ops.argmax(mean, axis=-1), "uint8")
        masks = {column: mean[..., column] > least[column] for column in range(outputs)}
        for columns in beside:
            largest = ops.argmax(ops.stack([mean[..., column] for column in columns], -1), axis=-1)
            for number, column in enumerate(columns):
                masks[column] = ops.logical_and(masks[column], largest == number)
        number = sum(ops.cast(mask, "int32") * 2**column for column, mask in masks.items())
        return ops.take(table, number)

    return backend.compiled(labelled)
