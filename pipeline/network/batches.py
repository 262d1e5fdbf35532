"""Training batches as a pure function of (epoch, step): patches of shards, augmented on the fly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..augmentation.on_the_fly import OnTheFly, augment_patch
from ..augmentation.transform import Transform
from ..core.regions import classes_to_outputs
from ..core.rng import generator
from ..core.schema import Schema
from ..preparation.patches import cut, cut_slab, draw_origin
from ..preparation.shards import Shard

_VOXELS_PER_CLASS = 4096


@dataclass(frozen=True)
class Sampler:
    """Draws batches of patches.

    Attributes
    ----------
    shards : sequence of Shard
        Cases and copies, each drawn as often as any other.
    output : {"regions", "labels"}
        Target channels: one per region, or background and one per label.
    patch : tuple of int
        (X, Y) or (X, Y, Z) in voxels.
    foreground_share : float
        Share of the patches that are centred on a tumour voxel.
    spacing_mm : tuple of 3 floats
        The median of the training cases.
    own : mapping of str to Transform
        Own transforms of `train.on_the_fly`.
    slices : int
        Neighbouring slices whose modalities are the channels of an image of two dimensions, each
        slice after the one below it; the target is that of the middle one. They are augmented as
        one box.
    """

    shards: Sequence[Shard]
    schema: Schema
    output: str
    patch: tuple[int, ...]
    batch_size: int
    foreground_share: float
    seed: int
    spacing_mm: tuple[float, float, float]
    own: Mapping[str, Transform] = field(default_factory=dict)
    slices: int = 1
    _foreground: dict[str, np.ndarray] = field(default_factory=dict)

    def training(
        self, epoch: int, step: int, on_the_fly: OnTheFly
    ) -> tuple[np.ndarray, np.ndarray]:
        """One augmented batch: image (B, *patch, C) float32 and target (B, *patch, O) uint8."""
        rng = generator(self.seed, "batch", epoch, step)
        chosen = rng.integers(len(self.shards), size=self.batch_size)
        augmented = partial(
            augment_patch,
            ranges=on_the_fly,
            own=self.own,
            spacing_mm=self.spacing_mm,
            modalities=self.schema.modalities,
        )
        return self._stacked(
            [augmented(rng, *self._patch(rng, self.shards[index])) for index in chosen]
        )

    def validation(self, batches: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """A fixed list of batches without augmentation, every case in turn."""
        rng = generator(self.seed, "validation")
        numbers = np.arange(batches * self.batch_size).reshape(batches, -1) % len(self.shards)
        return [
            self._stacked([self._patch(rng, self.shards[index]) for index in row])
            for row in numbers
        ]

    def _patch(self, rng: np.random.Generator, shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        origin = draw_origin(
            rng, shard.classes.shape, self.patch, self._foreground_of(shard), self.foreground_share
        )
        if self.slices > 1:
            image, classes = (
                cut_slab(volume, origin, self.patch, self.slices)
                for volume in (shard.image, shard.classes)
            )
            return image.astype(np.float32), classes
        image = cut(shard.image, origin, self.patch).astype(np.float32)
        return image, cut(shard.classes, origin, self.patch)

    def _foreground_of(self, shard: Shard) -> np.ndarray:
        """At most 4096 voxels (class, x, y, z) of each class, cached."""
        if shard.name not in self._foreground:
            rng = generator(self.seed, "foreground", shard.name)
            classes = np.asarray(shard.classes)
            rows = []
            for index in range(1, len(self.schema.labels) + 1):
                found = np.flatnonzero(classes == index)
                kept = rng.choice(found, min(len(found), _VOXELS_PER_CLASS), replace=False)
                voxels = np.unravel_index(np.sort(kept), classes.shape)
                rows.append(np.column_stack([np.full(len(kept), index), *voxels]))
            self._foreground[shard.name] = np.concatenate(rows).astype(np.int16)
        return self._foreground[shard.name]

    def _stacked(
        self, patches: list[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        images, classes = (np.stack(arrays) for arrays in zip(*patches, strict=True))
        if self.slices > 1:
            images = images.reshape(*images.shape[:3], -1)
            classes = classes[..., self.slices // 2]
        return images, classes_to_outputs(classes, self.schema, self.output)
