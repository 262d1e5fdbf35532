"""Voxels of one modality or mask, and where they come from when that is not a file of their own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.grid import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels of one file and the grid they lie on.

    Attributes
    ----------
    voxels : (X, Y, Z) array
        In the file's dtype, or float32 where the header scales it.
    grid : Grid
        On the axes of the file.
    sha256 : str
        Of the bytes of the file, compressed or not; of several files, of their sums one after the
        other.
    warnings : tuple of str
        What the user should know of the file.
    scaling : tuple of 2 float or None
        Slope and intercept by which the header scales the stored numbers (scl_slope, scl_inter of
        NIfTI), None where it does not.
    air : float
        The constant around the brain (`pipeline.formats.background`), which is taken off before
        anything is told from it; 0 of masks.
    """

    voxels: np.ndarray
    grid: Grid
    sha256: str
    warnings: tuple[str, ...] = ()
    scaling: tuple[float, float] | None = None
    air: float = 0.0


@dataclass(frozen=True)
class Part(ABC):
    """A modality or mask that is a channel, a slice, a field or a series; `download` makes it a
    NIfTI file.

    Attributes
    ----------
    path : Path
        The file or folder that holds it, for messages.
    """

    path: Path

    @property
    def name(self) -> str:
        """Name of the file or folder, for messages."""
        return self.path.name

    def __str__(self) -> str:
        return str(self.path)

    @abstractmethod
    def read(self) -> Volume:
        """Read the voxels.

        Raises
        ------
        InputError
            If the file is missing, damaged, or not what it should be.
        """
