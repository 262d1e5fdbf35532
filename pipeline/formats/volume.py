"""Voxels of one modality or mask, and parts of files that hold them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.grid import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels of one file and their grid."""

    voxels: np.ndarray  # (X, Y, Z), in the file's dtype, or float32 where the header scales it
    grid: Grid  # on the axes of the file
    sha256: str  # of the bytes as stored; of several files, of their concatenated checksums
    warnings: tuple[str, ...] = ()  # what the user should know about the file
    scaling: tuple[float, float] | None = None  # scl_slope, scl_inter of NIfTI if not 1 and 0
    air: float = 0.0  # constant around the brain, to be subtracted before use; 0 of masks


@dataclass(frozen=True)
class Part(ABC):
    """A modality or mask that is a channel, slice, field or series; `download` converts it to
    NIfTI.
    """

    path: Path  # the file or folder that holds it, for messages

    @property
    def name(self) -> str:
        """Name of the file or folder."""
        return self.path.name

    def __str__(self) -> str:
        return str(self.path)

    @abstractmethod
    def read(self) -> Volume:
        """Read the voxels; InputError if the file is missing, damaged, or of another kind."""
