"""A network over a whole volume: sliding windows, blended, in bounded memory."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from scipy.special import expit, softmax
from tqdm import tqdm

from pipeline.domain.patches import Size, box_of, cut, importance, overlap_of, window_origins
from pipeline.nn.backend import keras


def predict_probabilities(
    model: keras.Model,
    image: np.ndarray,
    patch: Sequence[int],
    overlap: float,
    mirror: bool,
    batch_size: int,
    activation: Literal["sigmoid", "softmax"],
    describe: str | None = None,
) -> np.ndarray:
    """Probabilities of every voxel of an image.

    Parameters
    ----------
    model : keras.Model
        From (B, *patch, C) to logits (B, *patch, O), as `archive.load_model` gives it.
    image : (X, Y, Z, C) float16 or float32 array
        Prepared; zero outside the brain in every channel. Possibly memory-mapped.
    patch : (2,) or (3,) ints
        In voxels; two sides for networks of slices.
    overlap : float
        Least share that neighbouring windows have in common, in [0, 1).
    mirror : bool
        Whether to average the predictions for all mirror images of each window (4 in 2D, 8 in 3D).
    batch_size : int
        Windows that are predicted at once.
    activation : {"sigmoid", "softmax"}
        Turns logits into probabilities.
    describe : str, optional
        Text of a progress bar; none is shown without it.

    Returns
    -------
    (X, Y, Z, O) float32 array
        Probabilities of the windows around each voxel, averaged with `patches.importance`. Background
        where every window around the voxel holds nothing but zeros: such windows are not predicted.
    """
    outputs = model.outputs[0].shape[-1]
    weights = importance(patch)
    summed = np.zeros((*image.shape[:3], outputs), np.float32)
    weight = np.zeros(image.shape[:3], np.float32)
    origins = window_origins(image.shape[:3], patch, overlap)
    with tqdm(total=len(origins), desc=describe, unit="window", leave=False, disable=describe is None) as bar:
        for members, windows, seen in _batches(image, origins, patch, batch_size):
            probabilities = _probabilities(model, windows, mirror, activation).reshape(-1, *weights.shape, outputs)
            for origin, window in zip(members, probabilities, strict=False):
                inside, covered = overlap_of(image.shape[:3], origin, box_of(patch))
                summed[inside] += (weights[..., None] * window)[covered]
                weight[inside] += weights[covered]
            bar.update(seen)
    np.divide(summed, weight[..., None], out=summed, where=weight[..., None] > 0)
    if activation == "softmax":
        summed[weight == 0, 0] = 1  # what was not predicted is background
    return summed


def _batches(image, origins, patch, batch_size) -> Iterator[tuple[list[Size], np.ndarray, int]]:
    """Origins of windows that hold something, the windows, and how many origins this used up.

    Batches all have one size, filled up with zeros, for which the network is compiled once.
    """
    members, windows, seen = [], np.zeros((batch_size, *patch, image.shape[-1]), np.float32), 0
    for origin in origins:
        seen += 1
        window = cut(image, origin, patch)
        if not window.any():
            continue
        windows[len(members)] = window
        members.append(origin)
        if len(members) == batch_size:
            yield members, windows, seen
            members, windows, seen = [], np.zeros_like(windows), 0
    if members:
        yield members, windows, seen


def _probabilities(model, windows, mirror, activation):
    """Probabilities (B, *patch, O) of a batch of windows (B, *patch, C)."""
    spatial = range(1, windows.ndim - 1)
    counts = range(len(spatial) + 1) if mirror else [0]
    mirrorings = [axes for count in counts for axes in itertools.combinations(spatial, count)]
    activate = expit if activation == "sigmoid" else (lambda logits: softmax(logits, axis=-1))
    total = 0
    for axes in mirrorings:
        logits = model.predict_on_batch(np.flip(windows, axes))
        total = total + np.flip(activate(logits), axes)
    return total / np.float32(len(mirrorings))
