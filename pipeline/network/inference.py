"""A network over a whole volume: sliding windows, blended, in bounded memory."""

import itertools
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.progress import Bar
from ..preparation.patches import Size, box_of, overlap_of, window_origins
from ..preparation.preprocessing import Geometry
from . import backend, blending
from .backend import keras
from .engines.engine import Activation, Forward, forward
from .params import Mirror, mirrored_axes
from .prediction import Prediction
from .settings import Engine

ops = keras.ops

_forward = lru_cache(maxsize=4)(forward)


def predict(
    model: keras.Model,
    image: np.ndarray,
    patch: Sequence[int],
    overlap: float,
    mirror: Mirror,
    batch_size: int,
    activation: Activation,
    unions: np.ndarray | None = None,
    describe: str | None = None,
    slices: int = 1,
    engine: Engine = "keras",
    geometry: Geometry | None = None,
) -> Prediction:
    """Probabilities of every voxel of an image, and their disagreement between mirror images.

    Parameters
    ----------
    model : keras.Model
        From (B, *patch, slices * C) to logits (B, *patch, O), as `saving.load_model` returns it;
        with a type head also to logits (B, O - 1), of every output but the background.
    image : (X, Y, Z, C) float16 or float32 array
        Prepared; zero outside the brain in every channel. Possibly memory-mapped.
    patch : (2,) or (3,) ints
        In voxels; two sides for networks of slices.
    overlap : float
        Least share that neighbouring windows have in common, in [0, 1).
    mirror : bool or sequence of {"x", "y", "z"}
        Axes whose mirror images of each window are averaged, in all combinations: true for all
        axes (4 images in 2D, 8 in 3D), ``["x"]`` for 2 images. A network of slices has no z.
    batch_size : int
        Windows of a forward pass.
    activation : {"sigmoid", "softmax"}
    unions : (O, U) bool array, optional
        Outputs whose summed probability is compared: the identity for each output by itself, for a
        region of several labels the column that holds them. The deviation of a sum does not follow
        from those of its parts. Takes 4 bytes per union and voxel of the image, and 16 per union
        and voxel of the batch, and no further forward pass. Ignored without mirroring.
    describe : str, optional
        Text of a progress bar; none is shown without it.
    slices : int
        Neighbouring slices, odd, that a network of two dimensions sees to segment the middle one,
        see `batches.recipes`; those beyond the volume are 0.
    engine : {"keras", "openvino", "onnx"}
    geometry : Geometry, optional
        Of the image, to ask for predictions on the raw grid.

    Returns
    -------
    Prediction
    """
    outputs = model.outputs[0].shape[-1]
    mirrored = mirrored_axes(mirror, len(patch))
    if not mirrored:
        unions = None
    channels = outputs + (0 if unions is None else unions.shape[1])
    columns = None if unions is None else unions.astype(np.float32)
    network = _forward(model, activation, engine)
    origins = _occupied(image, patch, overlap)
    # TensorFlow adds to a part of a tensor by copying the whole
    volume = blending.OnDevice if backend.name() == "jax" else blending.OnHost
    blended = volume(image, origins, patch, slices, channels)
    of_types = []
    with Bar(
        total=len(origins), desc=describe, unit="window", leave=False, disable=describe is None
    ) as bar:
        for first in range(0, len(origins), batch_size):
            members = origins[first : first + batch_size]
            # all batches have one size, so that the network is compiled once
            windows = blended.cut(members, batch_size)
            predicted, types = _mean_of_mirror_images(network, windows, mirrored, columns)
            blended.add(members, predicted)
            of_types.append((len(members), types))
            bar.update(len(members))
    types = _types_of_case(of_types) if len(model.outputs) > 1 else None
    return Prediction(blended.total, outputs, activation == "softmax", types, geometry)


def _types_of_case(of_windows: list[tuple[int, Any]]) -> np.ndarray | None:
    """Probabilities of the types (K,) float32, of sums (B, K) of which so many count; None without
    a tumour.
    """
    seen = [ops.convert_to_numpy(types)[:count] for count, types in of_windows]
    total = np.sum([types.sum(axis=0, dtype=np.float64) for types in seen], axis=0)
    return (total / total.sum()).astype(np.float32) if np.any(total) else None


def _occupied(image: np.ndarray, patch: Sequence[int], overlap: float) -> list[Size]:
    """Origins of windows over every voxel that is not 0 in all channels; none is empty."""
    occupied, box = np.any(image, axis=-1), box_of(patch)
    origins = window_origins(occupied.shape, patch, overlap, bounding_box(occupied))
    return [
        origin for origin in origins if occupied[overlap_of(occupied.shape, origin, box)[0]].any()
    ]


def _mean_of_mirror_images(
    network: Forward, windows: Any, mirrored: tuple[int, ...], unions: np.ndarray | None
) -> tuple[Any, Any]:
    """Mean probabilities (B, *patch, O) over the mirror images of windows (B, *patch, C) along
    those axes of a patch, and U more channels with the deviations of the unions; and of a type head
    the mean probabilities (B, O - 1), multiplied with the tumour predicted in the window, else
    None.
    """
    mirrorings = [
        tuple(axis + 1 for axis in axes)
        for count in range(len(mirrored) + 1)
        for axes in itertools.combinations(mirrored, count)
    ]
    (mean, types), squares = network(windows), None
    if not mirrored and types is None:
        return mean, None
    for count, axes in enumerate(mirrorings[1:], 2):
        number = np.float32(count)
        one, one_types = network(_flipped(windows, axes))
        one = _flipped(one, axes)
        if unions is not None:
            squares = _deviating()(squares, mean, one, unions, number)
        mean = _averaging()(mean, one, number)
        types = None if types is None else _averaging()(types, one_types, number)
    return _ending()(mean, types, squares, np.float32(len(mirrorings)))


def _flipped(features: Any, axes: tuple[int, ...]) -> Any:
    return ops.flip(features, axes) if axes else features


@cache
def _averaging() -> Callable:
    """Compiled: a mean with one more value, the `number`-th."""
    return backend.compiled(
        lambda mean, value, number: mean + (value - mean) / number, donated=True
    )


@cache
def _deviating() -> Callable:
    """Compiled: sum of the unions' squared deviations from their mean, with the `number`-th mirror
    image (Chan, Golub and LeVeque, The American Statistician 37, 1983, eq. 1.3).

    A program of its own, so that the bits of the mean do not depend on it.
    """

    def deviated(squares, mean, probabilities, unions, number):
        change = ops.square(ops.matmul(probabilities - mean, unions)) * ((number - 1) / number)
        return change if squares is None else squares + change

    return backend.compiled(deviated, donated=True)


@cache
def _ending() -> Callable:
    def ended(mean, types, squares, count):
        if types is not None:
            tumour = ops.sum(1 - mean[..., 0], axis=tuple(range(1, len(mean.shape) - 1)))
            types = tumour[:, None] * types
        if squares is not None:
            mean = ops.concatenate([mean, ops.sqrt(squares / count)], axis=-1)
        return mean, types

    return backend.compiled(ended)
