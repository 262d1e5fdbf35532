"""Voxels of one modality or mask, and parts of files that hold them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.grid import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels of one file and their grid.

    Attributes
    ----------
    voxels : (X, Y, Z) array
        In the file's dtype, or float32 where the header scales it.
    grid
        On the axes of the file.
    sha256
        Of the bytes as stored; for several files, of their concatenated checksums.
    warnings
        What the user should know about the file.
    scaling
        Slope and intercept by which the header scales stored values (scl_slope, scl_inter of
        NIfTI), None if it does not.
    air
        The constant around the brain (`pipeline.formats.background`), to be subtracted before use;
        0 for masks.
    """

    voxels: np.ndarray
    grid: Grid
    sha256: str
    warnings: tuple[str, ...] = ()
    scaling: tuple[float, float] | None = None
    air: float = 0.0


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
