"""The voxels of a cohort in device memory, all of them or a part after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...core.errors import InputError
from ...preparation.shards import Shard
from ..backend import keras
from .recipes import Recipes

Storage = Literal["float16", "uint8"]
CODES_PER_SD = 25
"""Of uint8: 0 is outside the brain, 128 its mean; z-scores within +-5.08 are kept to 0.02."""
MOST_VOXELS = 2**31 - 1  # places are int32
SHARE = 0.6


@dataclass(frozen=True)
class Resident:
    """Shards one after the other in flat arrays.

    Attributes
    ----------
    shards : sequence of Shard
        Of the whole cohort.
    storage : {"float16", "uint8"}
        Of the images. float16 keeps shards of float16 as they are.
    """

    shards: Sequence[Shard]
    storage: Storage

    def bytes_a_voxel(self) -> int:
        """Of image and classes."""
        return self.shards[0].image.shape[-1] * np.dtype(self.storage).itemsize + 1

    def load(self, part: Sequence[int], voxels: int) -> dict[str, Any]:
        """Copy shards into device memory.

        Parameters
        ----------
        part : sequence of int
            Numbers of the shards.
        voxels : int
            Length of the arrays, so that parts of different size look alike.

        Returns
        -------
        dict of str to tensor
            images (voxels, C) of the storage type, classes (voxels,) uint8, starts (N,) int32, the
            first voxel of each shard, and shapes (N, 3) int32.

        Raises
        ------
        InputError
            If there are more voxels than can be counted.
        """
        if voxels > MOST_VOXELS:
            raise InputError(
                f"params.yaml: the training cases have {voxels:,} voxels, and at most"
                f" {MOST_VOXELS:,} can be in device memory at once. Set train.resident_gb to"
                f" {MOST_VOXELS * self.bytes_a_voxel() / 1e9:.0f} or less."
            )
        channels = self.shards[0].image.shape[-1]
        images = np.zeros((voxels, channels), self.storage)
        classes, starts = np.zeros(voxels, np.uint8), np.zeros(len(self.shards), np.int32)
        first = 0
        for number in part:
            shard = self.shards[number]
            last = first + shard.classes.size
            images[first:last] = encoded(np.asarray(shard.image), self.storage).reshape(
                -1, channels
            )
            classes[first:last] = np.asarray(shard.classes).reshape(-1)
            starts[number], first = first, last
        shapes = np.array([shard.classes.shape for shard in self.shards], np.int32)
        named = {"images": images, "classes": classes, "starts": starts, "shapes": shapes}
        return {name: keras.ops.convert_to_tensor(array) for name, array in named.items()}


class Rotation:
    """The part of a cohort that an epoch draws from, copied to the device when it changes.

    Raises
    ------
    InputError
        If a part takes more than `SHARE` of the memory of the device.
    """

    def __init__(self, resident: Resident, recipes: Recipes, memory: int | None):
        self.resident, self.recipes = resident, recipes
        sizes = [shard.classes.size for shard in resident.shards]
        self.voxels = max(sum(sizes[number] for number in part) for part in recipes.parts)
        taken = self.voxels * resident.bytes_a_voxel()
        if memory and taken > SHARE * memory:
            raise InputError(
                f"params.yaml: the training cases take {taken / 1e9:.1f} GB of device memory, which"
                f" is {memory / 1e9:.1f} GB, and the network needs some. Set train.resident_gb to"
                f" {SHARE * memory / 1e9:.1f} or less, or train.resident_dtype to uint8."
            )
        self._held: tuple[Sequence[int], dict[str, Any]] | None = None

    def of_epoch(self, epoch: int) -> dict[str, Any]:
        """What `Resident.load` returns for the part of an epoch."""
        part = self.recipes.part(epoch)
        if self._held is None or self._held[0] is not part:
            self._held = None  # frees its memory before the next part is copied
            self._held = part, self.resident.load(part, self.voxels)
        return self._held[1]


def encoded(image: np.ndarray, storage: Storage) -> np.ndarray:
    """z-scores (..., C), exactly 0 in all modalities outside the brain, as they are stored."""
    if storage == "float16":
        return image.astype(np.float16)
    codes = np.clip(np.rint(image.astype(np.float32) * CODES_PER_SD) + 128, 1, 255)
    return np.where((image != 0).any(axis=-1, keepdims=True), codes, 0).astype(np.uint8)
