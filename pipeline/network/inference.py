"""A network over a whole volume: sliding windows, blended, in bounded memory."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from scipy.special import expit, softmax
from tqdm import tqdm

from ..preparation.patches import Size, box_of, cut, importance, overlap_of, window_origins
from .backend import keras


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
        From (B, *patch, C) to logits (B, *patch, O), as `saving.load_model` returns it.
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
        Turns logits into probabilities.
    describe : str, optional
        Text of a progress bar; none is shown without it.

    Returns
    -------
    (X, Y, Z, O) float32 array
        Probabilities of the windows around each voxel, averaged with `patches.importance`.
        Background where every window around the voxel holds nothing but zeros: such windows are not
        predicted.
    """
    forward = _ForwardPass(model, mirror, activation, None)
    return _blended(forward, image, patch, overlap, batch_size, describe)


def predict_with_disagreement(
    model: keras.Model,
    image: np.ndarray,
    patch: Sequence[int],
    overlap: float,
    mirror: bool,
    batch_size: int,
    activation: Literal["sigmoid", "softmax"],
    unions: np.ndarray,
    describe: str | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Probabilities, and their disagreement between the mirror images of a window.

    It takes as many forward passes as `predict_probabilities` and returns the same probabilities
    bit by bit. It needs 4 bytes more per union and voxel of the image, and 16 more per union and
    voxel of the batch.

    Parameters
    ----------
    model, image, patch, overlap, mirror, batch_size, activation, describe
        As in `predict_probabilities`.
    unions : (O, U) bool array
        Outputs whose summed probability is compared: the identity for each output by itself, for a
        region of several labels the column that holds them. The deviation of a sum does not follow
        from those of its parts.

    Returns
    -------
    probabilities : (X, Y, Z, O) float32 array
        As from `predict_probabilities`.
    disagreement : (X, Y, Z, U) float32 array or None
        Standard deviation over the mirror images (divided by their number, not by one less) in each
        window, in [0, 0.5], averaged over windows as the probabilities are; 0 where nothing was
        predicted. None without mirroring.
    """
    forward = _ForwardPass(model, mirror, activation, unions if mirror else None)
    both = _blended(forward, image, patch, overlap, batch_size, describe)
    outputs = len(unions)
    return both[..., :outputs], both[..., outputs:] if mirror else None


def _blended(forward: "_ForwardPass", image, patch, overlap, batch_size, describe) -> np.ndarray:
    """Forward passes of all windows, averaged at every voxel: (X, Y, Z, O), and U more channels
    where unions are compared.
    """
    weights = importance(patch)
    summed = np.zeros((*image.shape[:3], forward.channels), np.float32)
    weight = np.zeros(image.shape[:3], np.float32)
    origins = window_origins(image.shape[:3], patch, overlap)
    with tqdm(
        total=len(origins), desc=describe, unit="window", leave=False, disable=describe is None
    ) as bar:
        for members, windows, seen in _batches(image, origins, patch, batch_size):
            probabilities = forward(windows).reshape(-1, *weights.shape, forward.channels)
            for origin, window in zip(members, probabilities, strict=False):
                inside, covered = overlap_of(image.shape[:3], origin, box_of(patch))
                summed[inside] += (weights[..., None] * window)[covered]
                weight[inside] += weights[covered]
            bar.update(seen)
    np.divide(summed, weight[..., None], out=summed, where=weight[..., None] > 0)
    if forward.activation == "softmax":
        summed[weight == 0, 0] = 1  # background where nothing was predicted
    return summed


def _batches(image, origins, patch, batch_size) -> Iterator[tuple[list[Size], np.ndarray, int]]:
    """Origins of windows that are not empty, the windows, and how many origins this consumed.

    All batches have one size, padded with zeros, so that the network is compiled once.
    """
    members: list[Size] = []
    windows, seen = np.zeros((batch_size, *patch, image.shape[-1]), np.float32), 0
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


class _ForwardPass:
    """From windows (B, *patch, C) to probabilities (B, *patch, channels), the mean over mirror
    images.
    """

    def __init__(
        self, model: keras.Model, mirror: bool, activation: str, unions: np.ndarray | None
    ) -> None:
        self.model, self.mirror, self.activation = model, mirror, activation
        self.unions = None if unions is None else unions.astype(np.float32)
        self.channels = model.outputs[0].shape[-1] + (0 if unions is None else unions.shape[1])

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        activate = (
            expit if self.activation == "sigmoid" else (lambda logits: softmax(logits, axis=-1))
        )
        mirrorings = self._mirrorings(windows.ndim - 2)
        total, spread = np.zeros((), np.float32), _Spread()
        for axes in mirrorings:
            logits = self.model.predict_on_batch(np.flip(windows, axes))
            probabilities = np.flip(activate(logits), axes)
            total = total + probabilities
            if self.unions is not None:
                spread.add(probabilities @ self.unions)
        mean = total / np.float32(len(mirrorings))
        return mean if self.unions is None else np.concatenate([mean, spread.deviation()], axis=-1)

    def _mirrorings(self, dimensions: int) -> list[tuple[int, ...]]:
        counts = range(dimensions + 1) if self.mirror else [0]
        return [
            axes
            for count in counts
            for axes in itertools.combinations(range(1, dimensions + 1), count)
        ]


class _Spread:
    """The standard deviation of a stream of arrays.

    Sums are of the differences to the first, which are small where all agree, so that float32 is
    enough (Chan, Golub and LeVeque, The American Statistician 37, 1983, eq. 1.5: shifted
    data).
    """

    def __init__(self) -> None:
        self.first: np.ndarray | None = None
        self.count, self.total, self.squares = 0, np.zeros((), np.float32), np.zeros((), np.float32)

    def add(self, values: np.ndarray) -> None:
        if self.first is None:
            self.first = values
        difference = values - self.first
        self.count += 1
        self.total = self.total + difference
        self.squares = self.squares + np.square(difference, out=difference)

    def deviation(self) -> np.ndarray:
        count = np.float32(self.count)
        return np.sqrt(np.maximum(self.squares - np.square(self.total) / count, 0) / count)
