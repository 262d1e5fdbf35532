"""The section `train` of params.yaml, read without Keras."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..augmentation.on_the_fly import OnTheFly
from ..core.errors import InputError
from ..core.params import Count, Positive, Share
from ..core.schema import Schema
from ..core.strict import Strict
from . import registry, topology
from .params import AtLeastOne, BelowOne, NetworkParams, named_in

NotNegative = Annotated[float, Field(ge=0)]


class TrainParams(Strict):
    """The section `train`; params.yaml explains every key."""

    epochs: AtLeastOne
    steps_per_epoch: AtLeastOne
    batch_size: AtLeastOne
    patch: tuple[AtLeastOne, ...]
    foreground_share: Share
    val_batches: AtLeastOne
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    loss: Annotated[str, named_in(registry.LOSSES)]
    dice_weight: NotNegative
    cross_entropy_weight: NotNegative
    type_weight: NotNegative
    optimizer: Annotated[str, named_in(registry.OPTIMIZERS)]
    learning_rate: Positive
    weight_decay: NotNegative
    momentum: BelowOne
    clip_norm: NotNegative
    schedule: Annotated[str, named_in(registry.SCHEDULES)]
    warmup_epochs: NotNegative
    plateau_factor: Annotated[float, Field(gt=0, lt=1)]
    plateau_patience: AtLeastOne
    ema_momentum: BelowOne
    early_stopping_epochs: Count
    deterministic: bool
    devices: Count
    feed: Literal["auto", "host", "device"]
    steps_per_call: AtLeastOne
    resident_gb: NotNegative
    resident_dtype: Literal["float16", "uint8"]
    on_the_fly: OnTheFly

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.dice_weight + self.cross_entropy_weight == 0:
            raise ValueError("dice_weight and cross_entropy_weight must not both be 0")
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError("adam has no weight decay: choose adamw, or set weight_decay to 0")
        return self


def fitted(
    network: NetworkParams, train: TrainParams, cohort: Schema, spacing_mm: Sequence[float]
) -> NetworkParams:
    """Check that network, patch, precision and cohort fit together; the network with numbers for
    what is ``auto``, as `topology.chosen` finds them.

    Raises
    ------
    InputError
        Names the keys of params.yaml.
    """
    if network.dimensions > cohort.dimensions:
        raise InputError(
            f"params.yaml: network.dimensions is 3, but cohort {cohort.cohort} holds single slices."
            " Set it to 2."
        )
    if network.slices > 1 and cohort.dimensions == 2:
        raise InputError(
            f"params.yaml: network.slices is {network.slices}, but cohort {cohort.cohort} holds"
            " single slices, which have no neighbours. Set it to 1."
        )
    if network.type_head and not cohort.types:
        raise InputError(
            f"params.yaml: network.type_head is true, but the labels of cohort {cohort.cohort} are"
            " no tumour types. Set it to false."
        )
    patched = f"params.yaml: train.patch is {list(train.patch)}, but a network with"
    if len(train.patch) != network.dimensions:
        raise InputError(
            f"{patched} network.dimensions {network.dimensions} needs {network.dimensions} sides."
        )
    network = topology.chosen(network, train.patch, spacing_mm)
    if any(side % divisor for side, divisor in zip(train.patch, network.divisors, strict=True)):
        multiple = str(network.divisors[0])
        if len(set(network.divisors)) > 1:
            multiple = f"its number of {list(network.divisors)}, which network.strides multiply to"
        raise InputError(
            f"{patched} network.depth {network.depth} needs {network.dimensions} sides, each a"
            f" multiple of {multiple}."
        )
    # TensorFlow 2.21 with oneDNN gives wrong bfloat16 gradients of 3D convolutions on maps of 2
    # voxels a side
    coarsest = [
        side // divisor for side, divisor in zip(train.patch, network.divisors, strict=True)
    ]
    if network.dimensions == 3 and train.precision == "mixed_bfloat16" and min(coarsest) < 4:
        raise InputError(
            f"params.yaml: with train.patch {list(train.patch)} and network.depth {network.depth}"
            f" the coarsest level is {coarsest} voxels, too few for train.precision mixed_bfloat16."
            " Choose a larger patch, a smaller depth, or float32."
        )
    return network
