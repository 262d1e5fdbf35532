"""A case in memory."""

from dataclasses import dataclass

import numpy as np

from .grid import Grid


@dataclass(frozen=True, eq=False)
class Case:
    """Voxels of one examination of one patient.

    Attributes
    ----------
    image : (X, Y, Z, C) int16 or float32 array
        One channel per modality, in the schema's order, on the raw axes; int16 where that holds the
        voxels of every file.
    classes : (X, Y, Z) uint8 array or None
        Class indices of the reference, None where there is none.
    grid : Grid
        Common to all channels and the reference.
    """

    name: str
    image: np.ndarray
    classes: np.ndarray | None
    grid: Grid
