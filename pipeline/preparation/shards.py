"""Shards: one prepared case as memory-mapped `.npy` files, a record of its grid, and its labelled
voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.records import read_csv, read_json, replacing, write_json
from .preprocessing import Geometry, Prepared


@dataclass(frozen=True, eq=False)
class Shard:
    """One prepared case on disk, mapped, not loaded.

    Attributes
    ----------
    name : str
        Case, or case~copy for an augmented copy.
    image : (X, Y, Z, C) float16 or float32 memory map
    classes : (X, Y, Z) uint8 memory map
    """

    name: str
    image: np.ndarray
    classes: np.ndarray

    @property
    def case(self) -> str:
        """The case, of a copy too."""
        return self.name.rpartition("~")[0] or self.name


def write(folder: Path, name: str, image: np.ndarray, classes: np.ndarray) -> None:
    """Write ``name.image.npy`` (float16 or float32) and ``name.classes.npy`` (uint8) into a folder,
    each whole or not at all.
    """
    for kind, array in (("image", image), ("classes", classes)):
        with replacing(folder / f"{name}.{kind}.npy") as sibling, sibling.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def write_prepared(folder: Path, name: str, prepared: Prepared) -> None:
    """Write a prepared case with classes, and ``name.grid.json``, its inverse transform."""
    if prepared.classes is None:
        raise ValueError(f"{name}: a shard needs classes")
    write(folder, name, prepared.image, prepared.classes)
    write_json(folder / f"{name}.grid.json", prepared.geometry)


def read(folder: Path, name: str) -> Shard:
    """Map a shard.

    Raises
    ------
    InputError
        If a file is missing, is not `.npy`, or holds another rank or dtype than a shard's.
    """
    image, classes = (_map(folder / f"{name}.{kind}.npy") for kind in ("image", "classes"))
    if (
        image.ndim != 4
        or image.dtype not in (np.float16, np.float32)
        or classes.dtype != np.uint8
        or classes.shape != image.shape[:3]
    ):
        raise InputError(
            f"{folder / name}: image {image.dtype} {image.shape} and classes {classes.dtype}"
            f" {classes.shape} are not a shard. Run `dvc repro` to make the shards again."
        )
    return Shard(name, image, classes)


def read_copies(folder: Path, cases: Sequence[str]) -> list[Shard]:
    """Map the augmented copies that a folder's table.csv lists.

    Raises
    ------
    InputError
        If there are copies of other cases, which would leak; and as `read`.
    """
    rows = read_csv(folder / "table.csv")
    foreign = sorted({row["case"] for row in rows} - set(cases))
    if foreign:
        raise InputError(
            f"{folder / 'table.csv'}: holds copies of {foreign}, which are not in train. Run `dvc"
            " repro augment`."
        )
    return [read(folder, row["name"]) for row in rows]


def median_spacing_mm(folder: Path, names: Sequence[str]) -> tuple[float, float, float]:
    """Median voxel edge length of shards along each axis."""
    x, y, z = np.median([read_geometry(folder, name).spacing_mm for name in names], axis=0)
    return float(x), float(y), float(z)


def read_geometry(folder: Path, name: str) -> Geometry:
    """The inverse transform of a shard; raises InputError as `records.read_json`."""
    return read_json(folder / f"{name}.grid.json", Geometry)


def _map(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path}: is not a readable .npy array ({error}). Run `dvc repro` to make the shards"
            " again."
        ) from None
