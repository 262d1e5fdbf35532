"""What a training consists of, built from the sections `network` and `train` of params.yaml."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from ..augmentation.transform import load_own
from ..core.schema import Schema
from ..preparation.shards import Shard
from . import architectures, losses, optimizer, registry
from .backend import keras
from .batches import Sampler
from .params import NetworkParams
from .schedule import learning_rate
from .train_params import TrainParams
from .training import Batch, Schedule


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

    def training(self, shards: Sequence[Shard]) -> Callable[[int, int], Batch]:
        """The function from epoch and step to a batch."""
        return partial(self._sampler(shards).training, on_the_fly=self.train.on_the_fly)

    def validation(self, shards: Sequence[Shard]) -> list[Batch]:
        """The batches of every validation."""
        return self._sampler(shards).validation(self.train.val_batches)

    def _sampler(self, shards: Sequence[Shard]) -> Sampler:
        return Sampler(
            shards,
            self.schema,
            self.network.output,
            self.train.patch,
            self.train.batch_size,
            self.train.foreground_share,
            self.seed,
            self.spacing_mm,
            load_own(self.train.on_the_fly.own, "train.on_the_fly.own", self.code),
            self.network.slices,
        )
