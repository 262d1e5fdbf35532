"""Batches made where the network is, from voxels in device memory: `host` in `keras.ops`.

Shapes: B patches of a box (X, Y, Z), C modalities, O outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...augmentation import fade
from ...augmentation.on_the_fly import OnTheFly, across_patches, splines
from ...core.hashed_noise import standard_normal
from ...preparation.patches import box_of
from ..backend import keras
from .resident import CODES_PER_SD, Storage
from .softening import softened

ops = keras.ops
VOXELS = (1, 2, 3)


@dataclass(frozen=True)
class DeviceBatches:
    """Makes batches of the voxels of `Resident.load` and of the arrays of `Recipes.training`.

    Attributes
    ----------
    storage : {"float16", "uint8"}
    targets : (classes, O) uint8 array
        Target of each class.
    patch : tuple of int
    spacing_mm : tuple of 3 floats
    on_the_fly : OnTheFly
    slices : int
        As in `Recipes`.
    one_type : bool
        As in `HostBatches`.
    """

    storage: Storage
    targets: np.ndarray
    patch: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    on_the_fly: OnTheFly
    slices: int = 1
    one_type: bool = False

    def __call__(self, voxels: dict[str, Any], recipe: dict[str, Any]) -> tuple[Any, Any]:
        """Image (B, *patch, C) float32 and target (B, *patch, O) uint8 tensors."""
        image, brain, classes = self._moved(voxels, recipe)
        elsewhere = {"case", "origin", "flip", "matrix", "elastic", "knots", "kept", "paste"}
        if not recipe.keys() <= elsewhere:
            image = self._recoloured(image, brain, classes, recipe)
        image, classes = across_patches(ops, image, brain[..., 0], classes, recipe, self.one_type)
        if len(self.patch) == 2:
            classes = classes[..., self.slices // 2]
        target = ops.take(ops.convert_to_tensor(self.targets), ops.cast(classes, "int32"), axis=0)
        shape = (-1, *self.patch)
        return (
            ops.reshape(image, (*shape, self.slices * image.shape[-1])),
            ops.reshape(target, (*shape, self.targets.shape[-1])),
        )

    def _moved(self, voxels, recipe):
        """Image, brain (B, X, Y, Z, 1) bool and classes (B, X, Y, Z) after the spatial changes."""
        box = box_of(self.patch, self.slices)
        places = []  # of each voxel, in the patch before its flip, (B, X, 1, 1) and so on
        for axis, side in enumerate(box):
            along = ops.arange(side, dtype="int32")[None]
            if "flip" in recipe:
                flipped = ops.cast(recipe["flip"][:, axis, None], "bool")
                along = ops.where(flipped, side - 1 - along, along)
            shape = [-1, 1, 1, 1]
            shape[axis + 1] = side
            places.append(ops.reshape(along, shape))
        shapes = ops.take(voxels["shapes"], recipe["case"], axis=0)
        starts = ops.take(voxels["starts"], recipe["case"], axis=0)
        source = _Source(self.storage, voxels, starts, shapes)
        corners = [recipe["origin"][:, axis, None, None, None] for axis in range(3)]
        if "matrix" not in recipe:
            where = [place + corner for place, corner in zip(places, corners, strict=True)]
            image, brain = source.image(where)
            return image, brain, source.classes(where)
        offsets = [
            ops.cast(place, "float32") - (side - 1) / 2
            for place, side in zip(places, box, strict=True)
        ]
        field = self._field(recipe, places) if "knots" in recipe else None
        where = []
        for axis, (corner, side) in enumerate(zip(corners, box, strict=True)):
            rows = recipe["matrix"][:, axis, :, None, None, None]
            turned = sum(rows[:, column] * offsets[column] for column in range(3))
            place = turned + (side - 1) / 2 + ops.cast(corner, "float32")
            where.append(place if field is None else place + field[axis])
        nearest = [ops.cast(ops.round(place), "int32") for place in where]
        brain = source.image(nearest)[1]
        image = ops.where(brain, source.interpolated(where), 0.0)
        return image, brain, source.classes(nearest)

    def _field(self, recipe, places):
        """Elastic displacement (B, X, Y, Z) along each axis, in voxels."""
        box = box_of(self.patch, self.slices)
        operators = splines(box, tuple(self.spacing_mm), self.on_the_fly.elastic.knots_mm)
        x, y, z = (np.asarray(operator.todense(), np.float32) for operator in operators)
        field = ops.einsum("xi,yj,zk,bnijk->nbxyz", x, y, z, recipe["knots"])
        peak = ops.max(ops.abs(field), (2, 3, 4), keepdims=True)
        sizes = ops.transpose(recipe["elastic"])[..., None, None, None]
        field = field / peak * sizes
        if "flip" in recipe:  # the field lies in the patch before its flip
            for axis in range(3):
                flipped = ops.cast(recipe["flip"][:, axis], "bool")[None, :, None, None, None]
                field = ops.where(flipped, ops.flip(field, axis + 2), field)
        return [field[axis] for axis in range(3)]

    def _recoloured(self, image, brain, classes, recipe):
        """Intensities inside the brain."""
        inside = ops.cast(brain, "float32")
        count = ops.maximum(ops.sum(inside, VOXELS, keepdims=True), 1.0)

        def each(name):
            return ops.cast(recipe[name], "float32")[:, None, None, None]

        def moments(values):
            mean = ops.sum(values * inside, VOXELS, keepdims=True) / count
            squares = ops.sum(ops.square(values - mean) * inside, VOXELS, keepdims=True) / count
            return mean, ops.sqrt(squares)

        if "fade" in recipe:
            tumour = inside * ops.cast(classes[..., None] > 0, "float32")
            rest = inside - tumour
            voxels = [ops.sum(part, VOXELS, keepdims=True) for part in (tumour, rest)]
            means = [
                ops.sum(image * part, VOXELS, keepdims=True) / ops.maximum(number, 1.0)
                for part, number in zip((tumour, rest), voxels, strict=True)
            ]
            both = ops.cast(ops.minimum(*voxels) > 0, "float32")
            soft = fade.soft_edge(ops, tumour, VOXELS) * inside * both
            image = image - soft * each("fade") * (means[0] - means[1])
        if "exponent" in recipe:
            low = ops.min(ops.where(brain, image, np.inf), VOXELS, keepdims=True)
            high = ops.max(ops.where(brain, image, -np.inf), VOXELS, keepdims=True)
            span = high - low
            acts = ops.logical_and(each("exponent") != 1, ops.logical_and(brain, span > 0))
            unit = ops.clip((image - low) / ops.where(span > 0, span, 1.0), 0.0, 1.0)
            bent = ops.power(ops.where(brain, unit, 1.0), each("exponent"))
            (mean, sd), (bent_mean, bent_sd) = moments(image), moments(bent)
            scaled = (bent - bent_mean) * (sd / ops.where(bent_sd > 0, bent_sd, 1.0)) + mean
            image = ops.where(acts, scaled, image)
        if "factor" in recipe:
            mean, _ = moments(image)
            image = ops.where(brain, (image - mean) * each("factor") + mean, 0.0)
        if "shift" in recipe:
            image = image + each("shift") * inside
        if "coarse" in recipe:
            image = softened(
                image,
                inside,
                recipe["blur_mm"],
                recipe["coarse"],
                self.spacing_mm,
                self.on_the_fly.blur.sigma_mm[1],
            )
        if "sd" in recipe:
            box = box_of(self.patch, self.slices)
            place = ops.cast(ops.arange(int(np.prod(box)), dtype="int32"), "uint32")
            place = ops.reshape(place, (1, *box, 1))
            seed = ops.cast(recipe["seed"], "uint32")[:, None, None, None]
            image = image + standard_normal(ops, seed, place) * each("sd") * inside
        return image


class _Source:
    """Voxels of the cases of a batch, by their places (B, X, Y, Z) along each axis."""

    def __init__(self, storage: Storage, voxels: dict[str, Any], starts: Any, shapes: Any):
        self.storage, self.voxels = storage, voxels
        self.start = starts[:, None, None, None]
        self.shape = [shapes[:, axis, None, None, None] for axis in range(3)]

    def image(self, where: Sequence[Any]) -> tuple[Any, Any]:
        """Intensities and brain (..., 1); 0 outside the volume."""
        index, within = self._index(where)
        stored = ops.take(self.voxels["images"], index, axis=0)
        values = ops.cast(stored, "float32")
        brain = ops.logical_and(ops.any(values != 0, -1, keepdims=True), within[..., None])
        if self.storage == "uint8":
            values = (values - 128) / CODES_PER_SD
        return ops.where(brain, values, 0.0), brain

    def classes(self, where: Sequence[Any]) -> Any:
        """Class indices; 0 outside the volume."""
        index, within = self._index(where)
        return ops.where(within, ops.take(self.voxels["classes"], index, axis=0), 0)

    def interpolated(self, where: Sequence[Any]) -> Any:
        """Mean of the up to eight brain voxels around each place, by their linear weights."""
        clipped = [
            ops.clip(place, 0.0, ops.cast(size - 1, "float32"))
            for place, size in zip(where, self.shape, strict=True)
        ]
        lowest = [ops.floor(place) for place in clipped]
        total, share = 0.0, 0.0
        for corner in np.ndindex(2, 2, 2):
            weight: Any = 1.0
            for step, place, low in zip(corner, clipped, lowest, strict=True):
                weight = weight * (place - low if step else 1 - (place - low))
            values, brain = self.image(
                [ops.cast(low, "int32") + step for low, step in zip(lowest, corner, strict=True)]
            )
            weight = weight[..., None]
            total = total + weight * values
            share = share + weight * ops.cast(brain, "float32")
        return total / ops.where(share > 0, share, 1.0)

    def _index(self, where):
        within = True
        clipped = []
        for place, size in zip(where, self.shape, strict=True):
            within = ops.logical_and(within, ops.logical_and(place >= 0, place < size))
            clipped.append(ops.clip(place, 0, size - 1))
        x, y, z = clipped
        return self.start + (x * self.shape[1] + y) * self.shape[2] + z, within
