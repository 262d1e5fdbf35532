"""What a few timed training steps consist of and what they cost, read without Keras."""

from typing import Annotated

from pydantic import Field

from ..core.schema import Schema
from ..core.strict import Strict
from .params import NetworkParams
from .train_params import TrainParams

Seconds = Annotated[float, Field(ge=0)]


class Trial(Strict):
    """A training to take a few steps of, on made-up cases.

    Attributes
    ----------
    network, train : the sections of params.yaml
        Strides and kernels are numbers, not ``auto``.
    cohort : Schema
    shape : tuple of int
        Of a prepared case, in voxels.
    spacing_mm : tuple of float
    code : str
        `own_code.train`.
    """

    network: NetworkParams
    train: TrainParams
    cohort: Schema
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    code: str


class Timing(Strict):
    """What a trial cost.

    Attributes
    ----------
    first_s : float
        From the start of training to the end of compilation.
    step_s : float
        Of one step, its batch included: the fastest of a few.
    batch_s : float
        Of one validated batch, which is a forward pass and its scores.
    peak_gb : float
        Memory of the device, or of the process where it is a CPU.
    """

    first_s: Seconds
    step_s: Seconds
    batch_s: Seconds
    peak_gb: Seconds


class Device(Strict):
    """What networks run on.

    Attributes
    ----------
    backend : str
        With versions, e.g. ``tensorflow 2.21.0, keras 3.15.1``.
    accelerator : bool
        Whether it is a GPU or the like.
    memory_gb : float or None
        That it has for this process; None if it does not say.
    """

    backend: str
    accelerator: bool
    memory_gb: float | None
