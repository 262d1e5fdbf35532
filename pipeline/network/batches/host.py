"""Batches made by NumPy from memory-mapped shards: the least memory, and the user's transforms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...augmentation.on_the_fly import across_patches, apply_own, augment_patch, margin
from ...augmentation.transform import Transform, brain_mask
from ...core.regions import classes_to_outputs
from ...core.rng import generator
from ...core.schema import Schema
from ...preparation.patches import cut
from .recipes import Recipe, Recipes

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class HostBatches:
    """Makes batches: image (B, *patch, C) float32 and target (B, *patch, O) uint8.

    Attributes
    ----------
    output : {"regions", "labels"}
        Target channels: one per region, or background and one per label.
    own : mapping of str to Transform
        Own transforms of `train.on_the_fly`; a slice is (X, Y, 1, C) to them.
    one_type : bool
        Whether a patch has tumour of one label only, see `copy_paste.pasted`.
    """

    recipes: Recipes
    schema: Schema
    output: str
    own: Mapping[str, Transform] = field(default_factory=dict)
    one_type: bool = False

    def training(self, epoch: int, step: int) -> Batch:
        """The augmented batch of a step."""
        recipe = self.recipes.training(epoch, step)
        if not self.own:
            return self._made(recipe, None)
        rngs = [
            generator(self.recipes.seed, "own", epoch, step, number)
            for number in range(len(recipe["case"]))
        ]
        return self._made(recipe, rngs)

    def validation(self, batches: int) -> list[Batch]:
        """The fixed batches of every validation."""
        return [self._made(recipe, None) for recipe in self.recipes.validation(batches)]

    def _made(self, recipe: Recipe, rngs) -> Batch:
        patches = []
        for number in range(len(recipe["case"])):
            row = {name: values[number] for name, values in recipe.items()}
            patches.append(self._patch(row, rngs and rngs[number]))
        images, classes = (np.stack(arrays) for arrays in zip(*patches, strict=True))
        brain = brain_mask(images) if "paste" in recipe else None
        images, classes = across_patches(np, images, brain, classes, recipe, self.one_type)
        shape = (len(images), *self.recipes.patch)
        if len(shape) == 3:
            classes = classes[..., self.recipes.slices // 2]
        target = classes_to_outputs(classes.reshape(shape), self.schema, self.output)
        return images.reshape(*shape, -1), target

    def _patch(self, row, rng) -> Batch:
        recipes = self.recipes
        shard, box = recipes.shards[row["case"]], recipes.box
        around = margin(row, box)
        x, y, z = (row["origin"] - around).tolist()
        sides = tuple((np.array(box) + 2 * around).tolist())
        image = cut(shard.image, (x, y, z), sides).astype(np.float32)
        classes = cut(shard.classes, (x, y, z), sides)
        image, classes = augment_patch(
            image, classes, row, recipes.on_the_fly, box, recipes.spacing_mm
        )
        if rng is None:
            return image, classes
        modalities = self.schema.modalities
        return apply_own(self.own, rng, image, classes, recipes.spacing_mm, modalities)
