"""Windows of an image and the average of what a network predicts in them, in the memory of the host
or of the device.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..preparation.patches import Size, box_of, cut_slab, importance, overlap_of
from . import backend
from .backend import keras
from .labelling import GRANULE

ops = keras.ops


class HostSums:
    """Weighted sums of blended predictions, in the memory of the host.

    Parameters
    ----------
    planes : (channels + 1, X, Y, Z) float32 array
        The sums, and last the weight.
    """

    def __init__(self, planes: np.ndarray):
        self.planes = planes
        # in memory a channel after the other, as OpenVINO's predictions and `restore`
        self.sums, self.weight = np.moveaxis(planes[:-1], 0, -1), planes[-1, ..., None]

    def sums_and_weight(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted sums (X, Y, Z, channels) and the weight (X, Y, Z, 1) of each voxel, float32."""
        return self.sums, self.weight


class DeviceSums:
    """As `HostSums`, in the memory of the device.

    Parameters
    ----------
    sums : (X', Y', Z', channels + 1) float32 tensor
        The sums, and last the weight, of a volume with margins.
    before : (3,) ints
        Voxels of the margin below the image.
    shape : (3,) ints
        Of the image.
    """

    def __init__(self, sums: Any, before: Sequence[int], shape: Sequence[int]):
        self.sums, self.before = sums, tuple(map(int, before))
        self.inside = tuple(
            slice(low, low + length) for low, length in zip(self.before, shape, strict=True)
        )

    @classmethod
    def of_planes(
        cls, planes: np.ndarray, before: Sequence[int], sides: Sequence[int]
    ) -> "DeviceSums":
        """From `planes` and the sides of the volume with margins, which are filled with zeros."""
        made = cls(None, before, planes.shape[1:])
        padded = np.zeros((*sides, len(planes)), np.float32)
        padded[made.inside] = np.moveaxis(planes, 0, -1)
        made.sums = ops.convert_to_tensor(padded)
        return made

    @property
    def planes(self) -> np.ndarray:
        """As of `HostSums`."""
        return np.moveaxis(ops.convert_to_numpy(self.sums)[self.inside], -1, 0)

    def sums_and_weight(self) -> tuple[np.ndarray, np.ndarray]:
        """As `HostSums.sums_and_weight`."""
        sums = np.array(ops.convert_to_numpy(self.sums)[self.inside])
        return sums[..., :-1], sums[..., -1:]


class OnHost:
    """By NumPy.

    Parameters
    ----------
    image : (X, Y, Z, C) float array
    origins : sequence of (3,) ints
        Of all windows.
    patch : (2,) or (3,) ints
    slices : int
        As in `inference.predict_probabilities`.
    channels : int
        Of the predictions.
    """

    def __init__(
        self,
        image: np.ndarray,
        origins: Sequence[Size],
        patch: Sequence[int],
        slices: int,
        channels: int,
    ):
        self.image, self.patch, self.slices = image, patch, slices
        self.weights = importance(patch)
        self.total = HostSums(np.zeros((channels + 1, *image.shape[:3]), np.float32))

    def cut(self, members: Sequence[Size], count: int) -> Any:
        """Windows (count, *patch, slices * C) float32 at some origins, then zeros."""
        windows = np.zeros((count, *self.patch, self.slices * self.image.shape[-1]), np.float32)
        for window, origin in zip(windows, members, strict=False):
            slab = cut_slab(self.image, origin, self.patch, self.slices)
            window[:] = slab.reshape(window.shape)
        return windows

    def add(self, members: Sequence[Size], predicted: Any) -> None:
        """Blend in the predictions (count, *patch, channels) for the windows of `cut`."""
        predicted = ops.convert_to_numpy(predicted)
        for window, origin in zip(predicted, members, strict=False):
            box = box_of(self.patch)
            inside, covered = overlap_of(self.image.shape[:3], origin, box)
            weights, window = self.weights[covered], window.reshape(*box, -1)[covered]
            for channel in range(window.shape[-1]):
                self.total.planes[channel][inside] += weights * window[..., channel]
            self.total.planes[-1][inside] += weights


class OnDevice:
    """As `OnHost`, in the memory of the device: nothing returns before the last window."""

    def __init__(
        self,
        image: np.ndarray,
        origins: Sequence[Size],
        patch: Sequence[int],
        slices: int,
        channels: int,
    ):
        beyond = np.array([0, 0, slices // 2])  # neighbours that a slice at the border lacks
        lowest = np.array(origins, int).reshape(-1, 3)
        ends = lowest.max(axis=0, initial=0) + box_of(patch)
        self.before = beyond - lowest.min(axis=0, initial=0)
        sides = np.maximum(ends, image.shape[:3]) + self.before + beyond
        sides = -(-sides // GRANULE) * GRANULE
        sums = ops.zeros((*sides.tolist(), channels + 1), "float32")
        self.total = DeviceSums(sums, self.before, image.shape[:3])
        padded = np.zeros(
            (*sides, image.shape[-1]), np.float16 if image.dtype == np.float16 else np.float32
        )
        padded[self.total.inside] = image
        self.image, self.patch, self.slices = ops.convert_to_tensor(padded), tuple(patch), slices
        self.weights = ops.convert_to_tensor(importance(patch)[..., None])

    def cut(self, members: Sequence[Size], count: int) -> Any:
        """As `OnHost.cut`; the last window again instead of zeros."""
        filled = [*members, *[members[-1]] * (count - len(members))]
        # windows reach as far beyond the image as their predictions and the neighbouring slices
        lowest = np.array(filled) + self.before - [0, 0, self.slices // 2]
        return _cutting(self.patch, self.slices)(self.image, lowest.astype(np.int32))

    def add(self, members: Sequence[Size], predicted: Any) -> None:
        """As `OnHost.add`."""
        count = len(predicted)
        lowest = np.zeros((count, 3), np.int32)
        lowest[: len(members)] = np.array(members) + self.before
        share = (np.arange(count) < len(members)).astype(np.float32)
        total = self.total
        total.sums = _adding()(total.sums, predicted, lowest, share, self.weights)


@lru_cache(maxsize=8)
def _cutting(patch: tuple[int, ...], slices: int) -> Any:
    """Program for windows (B, *patch, slices * C) float32 of an image at origins (B, 3)."""

    def cut_all(image, lowest):
        box = (*box_of(patch, slices), image.shape[-1])
        windows = [
            ops.slice(image, (*(lowest[number, axis] for axis in range(3)), 0), box)
            for number in range(lowest.shape[0])
        ]
        return ops.reshape(ops.cast(ops.stack(windows), "float32"), (len(windows), *patch, -1))

    return backend.compiled(cut_all)


@cache
def _adding() -> Any:
    """Program that blends predictions (B, *patch, channels) with their shares (B,) into sums
    (X, Y, Z, channels + 1).
    """

    def add_all(sums, predicted, lowest, share, weights):
        for number in range(predicted.shape[0]):
            window = ops.reshape(predicted[number], (*weights.shape[:3], -1))
            window = ops.concatenate([weights * window, weights], axis=-1) * share[number]
            start = (*(lowest[number, axis] for axis in range(3)), 0)
            before = ops.slice(sums, start, window.shape)
            sums = ops.slice_update(sums, start, before + window)
        return sums

    return backend.compiled(add_all, donated=True)
