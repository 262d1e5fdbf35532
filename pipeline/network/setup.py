"""What a training consists of, built from the sections `network` and `train` of params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..augmentation.transform import load_own
from ..core.errors import InputError
from ..core.regions import classes_to_outputs
from ..core.schema import Schema
from ..preparation.shards import Shard
from . import architectures, backend, losses, optimizer, registry
from .backend import keras
from .batches.host import HostBatches
from .batches.on_device import DeviceBatches
from .batches.recipes import Recipes, parts_within
from .batches.resident import Resident, Rotation
from .params import NetworkParams
from .schedule import learning_rate
from .train_params import TrainParams
from .training import Batch, Feed, Schedule


@dataclass(frozen=True)
class Setup:
    """The parts of a training; each method builds one.

    Attributes
    ----------
    network : NetworkParams
    train : TrainParams
    schema : Schema
        Of the cohort.
    code : str
        `own_code.train`.
    seed : int
        Of the cohort.
    spacing_mm : tuple of 3 floats
        Voxel edge lengths, the median of the training cases.
    """

    network: NetworkParams
    train: TrainParams
    schema: Schema
    code: str
    seed: int
    spacing_mm: tuple[float, float, float]

    @cached_property
    def values(self) -> dict[str, Any]:
        """The section `train` as plain values."""
        return self.train.model_dump(mode="json")

    def model(self) -> keras.Model:
        """The untrained network."""
        regions, labels = len(self.schema.regions), len(self.schema.labels)
        outputs = regions if self.network.output == "regions" else labels + 1
        channels = len(self.schema.modalities) * self.network.slices
        return architectures.build(self.network, self.train.patch, channels, outputs, self.code)

    def loss(self) -> keras.losses.Loss:
        """The loss."""
        return losses.build(self.network.output, self.values, self.code)

    def optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer."""
        names = ("weight_decay", "momentum", "clip_norm", "ema_momentum")
        settings = {name: getattr(self.train, name) for name in names}
        return optimizer.build(self.train.optimizer, **settings, code=self.code)

    def schedule(self, workers: int) -> Schedule:
        """Length and learning rate, and threads that prepare batches."""
        factor = registry.load(registry.SCHEDULES, self.train.schedule, "train.schedule", self.code)
        return Schedule(
            epochs=self.train.epochs,
            steps_per_epoch=self.train.steps_per_epoch,
            patience=self.train.early_stopping_epochs,
            learning_rate=partial(learning_rate, factor, self.values),
            workers=workers,
        )

    def feed(self, shards: Sequence[Shard]) -> Feed:
        """What the steps are made of.

        Raises
        ------
        InputError
            If own transforms, which are NumPy's, are to run on the device, the devices cannot share
            a batch equally, copy-paste has no other patch to take from, or the cases do not fit
            into their memory.
        """
        train, own = self.train, self._own()
        share = backend.devices_in_all(train.devices)
        if train.batch_size % share:
            raise InputError(
                f"params.yaml: train.batch_size is {train.batch_size}, but {share} devices share a"
                f" batch. Set it to a multiple of {share}."
            )
        if train.batch_size == 1 and train.on_the_fly.copy_paste.probability:
            raise InputError(
                "params.yaml: train.on_the_fly.copy_paste takes tumours from another patch of the"
                " batch, but train.batch_size is 1. Set it to 2 or more, or"
                " train.on_the_fly.copy_paste.probability to 0."
            )
        where = train.feed
        if where == "auto":
            where = "host" if own or not backend.on_accelerator() else "device"
        resident = Resident(shards, train.resident_dtype)
        recipes = self._recipes(shards, resident)
        if where == "host":
            output, types = self.network.output, self.network.type_head
            return Feed(HostBatches(recipes, self.schema, output, own, types).training)
        if own:
            raise InputError(
                f"params.yaml: train.on_the_fly.own names {', '.join(own)}, which run on the host,"
                " but train.feed is device. Set it to host or auto."
            )
        classes = np.arange(len(self.schema.labels) + 1, dtype=np.uint8)
        batches = DeviceBatches(
            train.resident_dtype,
            classes_to_outputs(classes, self.schema, self.network.output),
            train.patch,
            self.spacing_mm,
            train.on_the_fly,
            self.network.slices,
            self.network.type_head,
        )
        rotation = Rotation(resident, recipes, backend.device_memory())
        return Feed(recipes.training, batches, rotation.of_epoch, train.steps_per_call)

    def validation(self, shards: Sequence[Shard]) -> list[Batch]:
        """The batches of every validation."""
        recipes = self._recipes(shards, None)
        batches = HostBatches(recipes, self.schema, self.network.output)
        return batches.validation(self.train.val_batches)

    def _own(self):
        return load_own(self.train.on_the_fly.own, "train.on_the_fly.own", self.code)

    def _recipes(self, shards: Sequence[Shard], resident: Resident | None) -> Recipes:
        limit_gb, parts = self.train.resident_gb, [list(range(len(shards)))]
        if resident and limit_gb:
            voxels = int(limit_gb * 1e9 / resident.bytes_a_voxel())
            parts = parts_within(shards, voxels, self.seed)
        return Recipes(
            shards,
            len(self.schema.labels),
            self.train.patch,
            self.train.batch_size,
            self.train.foreground_share,
            self.seed,
            self.spacing_mm,
            self.train.on_the_fly,
            parts,
            self.network.slices,
        )
