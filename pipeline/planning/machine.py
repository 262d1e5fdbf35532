"""What is planned on: the class of a machine."""

from typing import Annotated

from pydantic import Field

from ..core.strict import Strict

_USABLE_MEMORY = 0.75  # of a computer's; the rest is for the system and the files that are read
_USABLE_DEVICE = 0.9  # of a GPU's


class Machine(Strict):
    """Everything of a machine that a plan depends on, beside what it measured there.

    Attributes
    ----------
    processor : str
        Its model.
    cores : int
        That may be used.
    memory_gb : float
        Of the computer or container, in 10^9 bytes.
    device : str
        Name of the GPU; empty where networks run on the processor.
    device_gb : float
        Memory of the GPU; 0 without one.
    backend : str
        With versions.
    """

    processor: str
    cores: Annotated[int, Field(ge=1)]
    memory_gb: Annotated[float, Field(gt=0)]
    device: str
    device_gb: Annotated[float, Field(ge=0)]
    backend: str

    @property
    def usable_gb(self) -> float:
        """Memory that a training may use, where the network is."""
        if self.device:
            return _USABLE_DEVICE * self.device_gb
        return _USABLE_MEMORY * self.memory_gb

    @property
    def line(self) -> str:
        """Its description in one line."""
        where = f"{self.cores} cores of {self.processor}, {self.memory_gb:.0f} GB"
        gpu = f"{self.device} with {self.device_gb:.0f} GB; " if self.device else ""
        return f"{gpu}{where}; {self.backend}"
