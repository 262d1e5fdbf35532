"""The section `train` of params.yaml, read without Keras."""

from collections.abc import Iterator, Sequence
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
    faults = [f"params.yaml: {fault}" for fault in misfits(network, train, cohort, spacing_mm)]
    if faults:
        raise InputError("\n".join(faults))
    return topology.chosen(network, train.patch, spacing_mm)


def misfits(
    network: NetworkParams,
    train: TrainParams,
    cohort: Schema | None,
    spacing_mm: Sequence[float] | None,
) -> Iterator[str]:
    """What does not fit together, one message each; None stands for a cohort or a spacing that is
    not known yet.
    """
    if cohort and network.dimensions > cohort.dimensions:
        yield (
            f"network.dimensions is 3, but cohort {cohort.cohort} holds single slices. Set it to 2."
        )
    if cohort and network.slices > 1 and cohort.dimensions == 2:
        yield (
            f"network.slices is {network.slices}, but cohort {cohort.cohort} holds single slices,"
            " which have no neighbours. Set it to 1."
        )
    if cohort and network.type_head and not cohort.types:
        yield (
            f"network.type_head is true, but the labels of cohort {cohort.cohort} are no tumour"
            " types. Set it to false."
        )
    patched = f"train.patch is {list(train.patch)}, but a network with"
    if len(train.patch) != network.dimensions:
        yield (
            f"{patched} network.dimensions {network.dimensions} needs {network.dimensions} sides."
        )
    elif spacing_mm or network.strides != "auto":
        yield from _unfit_patch(network, train, spacing_mm or (1.0,) * network.dimensions)


def _unfit_patch(
    network: NetworkParams, train: TrainParams, spacing_mm: Sequence[float]
) -> Iterator[str]:
    """Why a network cannot be trained with patches of as many sides as it has dimensions."""
    try:
        network = topology.chosen(network, train.patch, spacing_mm)
    except InputError as error:
        yield str(error).removeprefix("params.yaml: ")
        return
    if any(side % divisor for side, divisor in zip(train.patch, network.divisors, strict=True)):
        multiple = str(network.divisors[0])
        if len(set(network.divisors)) > 1:
            multiple = f"its number of {list(network.divisors)}, which network.strides multiply to"
        yield (
            f"train.patch is {list(train.patch)}, but a network with network.depth {network.depth}"
            f" needs {network.dimensions} sides, each a multiple of {multiple}."
        )
        return
    # TensorFlow 2.21 with oneDNN gives wrong bfloat16 gradients of 3D convolutions on maps of 2
    # voxels a side
    coarsest = [
        side // divisor for side, divisor in zip(train.patch, network.divisors, strict=True)
    ]
    if network.dimensions == 3 and train.precision == "mixed_bfloat16" and min(coarsest) < 4:
        yield (
            f"with train.patch {list(train.patch)} and network.depth {network.depth}"
            f" the coarsest level is {coarsest} voxels, too few for train.precision mixed_bfloat16."
            " Choose a larger patch, a smaller depth, or float32."
        )
