"""A network over a whole volume: sliding windows, blended, in bounded memory."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from scipy.special import expit, softmax
from tqdm import tqdm

from ..preparation.patches import (
    Size,
    box_of,
    cut,
    cut_slab,
    importance,
    overlap_of,
    window_origins,
)
from .backend import keras


def predict_probabilities(
    model: keras.Model,
    image: np.ndarray,
    patch: Sequence[int],
    overlap: float,
    mirror: bool,
    batch_size: int,
    activation: Literal["sigmoid", "softmax"],
    unions: np.ndarray | None = None,
    describe: str | None = None,
    slices: int = 1,
) -> tuple[np.ndarray, np.ndarray | None]:
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
    mirror : bool
        Whether to average the predictions for all mirror images of each window (4 in 2D, 8 in 3D).
    batch_size : int
        Windows of a forward pass.
    activation : {"sigmoid", "softmax"}
    unions : (O, U) bool array, optional
        Outputs whose summed probability is compared: the identity for each output by itself, for a
        region of several labels the column that holds them. The deviation of a sum does not follow
        from those of its parts. Takes 4 bytes per union and voxel of the image, and 16 per union
        and voxel of the batch, and no further forward pass.
    describe : str, optional
        Text of a progress bar; none is shown without it.
    slices : int
        Neighbouring slices, odd, that a network of two dimensions sees to segment the middle one,
        see `batches.Sampler`; those beyond the volume are 0.

    Returns
    -------
    probabilities : (X, Y, Z, O) float32 array
        Those of the windows around each voxel, averaged with `patches.importance`. Background where
        every window around the voxel holds nothing but zeros: such windows are not predicted. With
        a type head those of the types are multiplied with its probabilities for the case: the mean
        over windows, each weighted by the tumour predicted in it; the background's stay.
    disagreement : (X, Y, Z, U) float32 array or None
        Standard deviation over the mirror images (divided by their number, not by one less) in each
        window, in [0, 0.5], averaged over windows as the probabilities are; 0 where nothing was
        predicted. None without mirroring or unions.
    """
    outputs = model.outputs[0].shape[-1]
    if not mirror:
        unions = None
    channels = outputs + (0 if unions is None else unions.shape[1])
    weights = importance(patch)
    summed = np.zeros((*image.shape[:3], channels), np.float32)
    weight = np.zeros(image.shape[:3], np.float32)
    types = np.zeros(outputs - 1)
    origins = window_origins(image.shape[:3], patch, overlap)
    with tqdm(
        total=len(origins), desc=describe, unit="window", leave=False, disable=describe is None
    ) as bar:
        for members, windows, seen in _batches(image, origins, patch, batch_size, slices):
            predicted, of_types = _forward_pass(model, windows, mirror, activation, unions)
            predicted = predicted.reshape(-1, *weights.shape, channels)
            if of_types is not None:
                tumour = (1 - predicted[: len(members), ..., 0]).sum(axis=(1, 2, 3))
                types += tumour @ of_types[: len(members)]
            for origin, window in zip(members, predicted, strict=False):
                inside, covered = overlap_of(image.shape[:3], origin, box_of(patch))
                summed[inside] += (weights[..., None] * window)[covered]
                weight[inside] += weights[covered]
            bar.update(seen)
    np.divide(summed, weight[..., None], out=summed, where=weight[..., None] > 0)
    if activation == "softmax":
        summed[weight == 0, 0] = 1  # background where nothing was predicted
    if types.any():
        _weigh_types(summed[..., 1:outputs], types / types.sum())
    return summed[..., :outputs], None if unions is None else summed[..., outputs:]


def _weigh_types(labels: np.ndarray, types: np.ndarray) -> None:
    """Multiply probabilities of labels (X, Y, Z, K) by those of types (K,), in place; the sum over
    the labels of each voxel stays.
    """
    tumour = labels.sum(axis=-1, keepdims=True)
    labels *= types.astype(np.float32)
    weighted = labels.sum(axis=-1, keepdims=True)
    labels *= np.divide(tumour, weighted, out=np.zeros_like(tumour), where=weighted > 0)


def _batches(
    image, origins, patch, batch_size, slices
) -> Iterator[tuple[list[Size], np.ndarray, int]]:
    """Origins of windows that are not empty, the windows, and how many origins this consumed.

    All batches have one size, padded with zeros, so that the network is compiled once.
    """
    members: list[Size] = []
    windows, seen = np.zeros((batch_size, *patch, slices * image.shape[-1]), np.float32), 0
    for origin in origins:
        seen += 1
        window = cut(image, origin, patch)
        if not window.any():
            continue
        if slices > 1:
            window = cut_slab(image, origin, patch, slices).reshape(*patch, -1)
        windows[len(members)] = window
        members.append(origin)
        if len(members) == batch_size:
            yield members, windows, seen
            members, windows, seen = [], np.zeros_like(windows), 0
    if members:
        yield members, windows, seen


def _forward_pass(
    model, windows, mirror, activation, unions
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean probabilities (B, *patch, O) over the mirror images of windows (B, *patch, C), and U
    more channels with the deviations of the unions; mean probabilities (B, O - 1) of a type head.

    Deviations are summed as differences to the first mirror image, which are small where all agree,
    so that float32 is enough (Chan, Golub and LeVeque, The American Statistician 37, 1983, eq. 1.5:
    shifted data).
    """
    spatial = range(1, windows.ndim - 1)
    counts = range(len(spatial) + 1) if mirror else [0]
    mirrorings = [axes for count in counts for axes in itertools.combinations(spatial, count)]
    number = np.float32(len(mirrorings))
    total, first, of_types = np.zeros((), np.float32), None, None
    differences, squares = np.zeros((), np.float32), np.zeros((), np.float32)
    for axes in mirrorings:
        logits = model.predict_on_batch(np.flip(windows, axes))
        if isinstance(logits, list):
            logits, types = logits
            share = softmax(types.astype(float), axis=-1) / len(mirrorings)
            of_types = share if of_types is None else of_types + share
        activated = expit(logits) if activation == "sigmoid" else softmax(logits, axis=-1)
        probabilities = np.flip(activated, axes)
        total = total + probabilities
        if unions is not None:
            compared = probabilities @ unions.astype(np.float32)
            first = compared if first is None else first
            difference = compared - first
            differences = differences + difference
            squares = squares + np.square(difference, out=difference)
    mean = total / number
    if unions is None:
        return mean, of_types
    variance = np.maximum(squares - np.square(differences) / number, 0) / number
    return np.concatenate([mean, np.sqrt(variance)], axis=-1), of_types
