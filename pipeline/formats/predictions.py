"""Predicted labels of a case, as ``<case>.nii.gz`` in a folder: label values on the raw grid.
Beside them, as ``uncertainty/<case>.nii.gz``, how uncertain each voxel is.
"""

from pathlib import Path

import numpy as np

from ..core.case import Case
from ..core.errors import InputError
from ..core.regions import classes_to_values, values_to_classes
from ..core.schema import Schema
from . import nifti
from .volume import Volume

MAPS = ("probabilities", "uncertainty")
"""Folders beside predicted labels, whose volumes are no labels."""

MAPS = ("probabilities", "uncertainty")
"""Folders beside predicted labels, whose volumes are no labels."""


def write(
    folder: Path, name: str, classes: np.ndarray, schema: Schema, affine: np.ndarray, origin: str
) -> None:
    """Write class indices (X, Y, Z) uint8 as label values; `origin` goes into the header."""
    values = classes_to_values(classes, schema)
    nifti.write(folder / f"{name}.nii.gz", values, affine, origin)


def read(folder: Path, name: str, case: Case, schema: Schema) -> np.ndarray:
    """Class indices (X, Y, Z) uint8 of a prediction on the grid of its case.

    Raises
    ------
    InputError
        If the file is not readable, lies on another grid, or holds values that are no labels.
    """
    path = folder / f"{name}.nii.gz"
    volume = _on_grid_of(case, path)
    try:
        return values_to_classes(volume.voxels, schema)
    except ValueError as error:
        raise InputError(f"{path}: {error}. Run `dvc repro evaluate`.") from None


def write_uncertainty(
    folder: Path, name: str, percent: np.ndarray, affine: np.ndarray, origin: str
) -> None:
    """Write the uncertainty of each voxel, (X, Y, Z) uint8 in percent of a bit."""
    nifti.write(folder / "uncertainty" / f"{name}.nii.gz", percent, affine, origin)


def read_uncertainty(folder: Path, name: str, case: Case) -> np.ndarray | None:
    """The uncertainty of each voxel on the grid of its case, (X, Y, Z) uint8 in percent of a
    bit; None where there is no file, as in runs of earlier versions. InputError as of `read`.
    """
    path = folder / "uncertainty" / f"{name}.nii.gz"
    return _on_grid_of(case, path).voxels if path.exists() else None


def _on_grid_of(case: Case, path: Path) -> Volume:
    volume = nifti.read(path)
    difference = volume.grid.differs(case.grid)
    if difference:
        raise InputError(
            f"{path}: lies on another grid than case {case.name}: {difference}. Run `dvc repro"
            " evaluate`."
        )
    return volume
