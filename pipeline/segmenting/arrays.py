"""A case given as an array of voxels."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.grid import Grid
from ..formats import raw_cases
from ..formats.volume import Part, Volume


@dataclass(frozen=True)
class _Array(Part):
    """A modality that the caller gave as an array."""

    volume: Volume

    def read(self) -> Volume:
        return self.volume


def in_memory(image: np.ndarray, affine: Any, modalities: tuple[str, ...]) -> raw_cases.Found:
    """A case of voxels (X, Y, Z, C)."""
    if image.ndim != 4 or image.shape[3] != len(modalities) or 0 in image.shape:
        raise InputError(
            f"image: expected shape (X, Y, Z, {len(modalities)}) with the channels"
            f" {', '.join(modalities)}, got {image.shape}."
        )
    affine = np.asarray(np.nan if affine is None else affine, np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.linalg.det(affine):
        raise InputError(
            "affine: expected an invertible (4, 4) array from voxel indices to RAS+ mm, got"
            f" {affine.tolist()}."
        )
    grid = Grid(tuple(image.shape[:3]), affine)
    parts: dict[str, Path | Part] = {}
    for channel, name in enumerate(modalities):
        voxels = np.ascontiguousarray(image[..., channel])
        parts[name] = _Array(
            Path(name), Volume(voxels, grid, hashlib.sha256(voxels.tobytes()).hexdigest())
        )
    return raw_cases.Found("array", "array", Path("array"), parts, None)
