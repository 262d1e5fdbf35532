"""What each batch holds, as a pure function of (epoch, step): cases, places, changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...augmentation.on_the_fly import OnTheFly
from ...core.rng import generator
from ...preparation.patches import Size, box_of, draw_origin
from ...preparation.shards import Shard

_VOXELS_PER_CLASS = 4096

Recipe = dict[str, np.ndarray]
"""What a batch of B patches holds: case (B,) int32, the number of the shard, origin (B, 3) int32,
the lowest voxel of the patch in it, and the arrays of `OnTheFly.draw`."""


@dataclass(frozen=True)
class Recipes:
    """Draws what batches hold.

    Attributes
    ----------
    shards : sequence of Shard
        Cases and copies, each drawn as often as any other.
    labels : int
        Number of labels, which are the classes from 1 on.
    patch : tuple of int
        (X, Y) or (X, Y, Z) in voxels.
    foreground_share : float
        Share of the patches that are centred on a tumour voxel.
    spacing_mm : tuple of 3 floats
        The median of the training cases.
    on_the_fly : OnTheFly
    parts : sequence of sequences of int
        Shards that the epochs draw from, in turn.
    slices : int
        Neighbouring slices whose modalities are the channels of an image of two dimensions, each
        slice after the one below it; the target is that of the middle one. They are augmented as
        one box.
    """

    shards: Sequence[Shard]
    labels: int
    patch: tuple[int, ...]
    batch_size: int
    foreground_share: float
    seed: int
    spacing_mm: tuple[float, float, float]
    on_the_fly: OnTheFly
    parts: Sequence[Sequence[int]]
    slices: int = 1
    _foreground: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def box(self) -> Size:
        """Sides of a patch's box."""
        return box_of(self.patch, self.slices)

    def part(self, epoch: int) -> Sequence[int]:
        """Numbers of the shards that an epoch, from 1, draws from."""
        return self.parts[(epoch - 1) % len(self.parts)]

    def training(self, epoch: int, step: int) -> Recipe:
        """What the batch of a step, from 0, of an epoch, from 1, holds."""
        rng = generator(self.seed, "batch", epoch, step)
        part = np.asarray(self.part(epoch), np.int32)
        cases = part[rng.integers(len(part), size=self.batch_size)]
        recipe = {"case": cases, "origin": self._origins(rng, cases)}
        channels = self.shards[0].image.shape[-1]
        return recipe | self.on_the_fly.draw(
            rng, self.batch_size, self.box, channels, self.spacing_mm
        )

    def validation(self, batches: int) -> list[Recipe]:
        """What a fixed list of batches holds: no changes, every case in turn."""
        rng = generator(self.seed, "validation")
        numbers = np.arange(batches * self.batch_size, dtype=np.int32) % len(self.shards)
        rows = numbers.reshape(batches, -1)
        return [{"case": row, "origin": self._origins(rng, row)} for row in rows]

    def _origins(self, rng: np.random.Generator, cases: np.ndarray) -> np.ndarray:
        drawn = [
            draw_origin(
                rng, shard.classes.shape, self.patch, self._voxels(shard), self.foreground_share
            )
            for shard in (self.shards[case] for case in cases)
        ]
        return np.array(drawn, np.int32) - np.array([0, 0, self.slices // 2], np.int32)

    def _voxels(self, shard: Shard) -> np.ndarray:
        """At most 4096 voxels (class, x, y, z) of each class, cached."""
        if shard.name not in self._foreground:
            rng = generator(self.seed, "foreground", shard.name)
            classes = np.asarray(shard.classes)
            rows = []
            for index in range(1, self.labels + 1):
                found = np.flatnonzero(classes == index)
                kept = rng.choice(found, min(len(found), _VOXELS_PER_CLASS), replace=False)
                voxels = np.unravel_index(np.sort(kept), classes.shape)
                rows.append(np.column_stack([np.full(len(kept), index), *voxels]))
            self._foreground[shard.name] = np.concatenate(rows).astype(np.int16)
        return self._foreground[shard.name]


def parts_within(shards: Sequence[Shard], voxels: int, seed: int) -> list[list[int]]:
    """Shards in an order of chance, in parts of so many voxels at most, but one shard at least.

    A single part holds them in the given order.
    """
    sizes = [shard.classes.size for shard in shards]
    if sum(sizes) <= voxels:
        return [list(range(len(shards)))]
    parts: list[list[int]] = [[]]
    for number in generator(seed, "parts").permutation(len(shards)).tolist():
        if parts[-1] and sum(sizes[member] for member in parts[-1]) + sizes[number] > voxels:
            parts.append([])
        parts[-1].append(number)
    return parts
