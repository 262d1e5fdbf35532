"""What a viewer shows: a folder with volumes of one grid, and scene.json, which names them."""

import gzip
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from ..core.case import Case
from ..core.grid import canonical_affine, canonical_spacing_mm, to_canonical
from ..core.records import write_bytes, write_json
from ..core.schema import Schema
from ..report.page.viewer import colour_table, label_table, uncertainty_colours
from ..report.plots.planes import DISAGREEMENT, WINDOW_PERCENTILES, busiest_cut, planes_through

SCENE = "scene.json"
TITLES = {"prediction": "Prediction", "reference": "Reference", "correction": "Correction"}
_LEVELS = 100
_UNCERTAINTY = {
    "url": "uncertainty.nii.gz",
    "levels": _LEVELS,
    "colours": uncertainty_colours(_LEVELS),
}
_OPENED_ON = ("t1c", "t2f")
_FILL, _OUTLINE = "fill", "outline"


def write_scene(
    folder: Path,
    case: Case,
    modalities: tuple[str, ...],
    maps: Mapping[str, np.ndarray],
    schema: Schema,
    uncertainty: np.ndarray | None = None,
    titles: Mapping[str, str] = TITLES,
) -> None:
    """Write a scene: every volume on canonical axes (RAS+), uint8, in a gzipped NIfTI file.

    Parameters
    ----------
    folder : Path
        Made if it is not there; scene.json is written last.
    case : Case
        Its image has a channel for each of `modalities`; uint8 are greys, which stay.
    maps : mapping of str to (X, Y, Z) uint8 array
        One or two arrays of class indices on the grid of the case, by names such as
        ``prediction``; the first is shown filled, the second outlined.
    uncertainty : (X, Y, Z) float array, optional
        In bits, 0 to 1.
    titles : mapping of str to str
        Of the maps.
    """
    affine = case.grid.affine
    turned = canonical_affine(case.grid)
    upright = {name: to_canonical(classes, affine) for name, classes in maps.items()}
    volumes = {name: voxels.astype(np.uint8) for name, voxels in upright.items()}
    for channel, name in enumerate(modalities):
        volumes[name] = _grey(to_canonical(case.image[..., channel], affine))
    if uncertainty is not None:
        levels = np.rint(to_canonical(uncertainty, affine) * _LEVELS)
        volumes["uncertainty"] = levels.astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # zlib leaves the lock of Python
        packed = threads.map(lambda voxels: _nifti(voxels, turned), volumes.values())
        for name, file in zip(volumes, packed, strict=True):
            write_bytes(folder / f"{name}.nii.gz", file)
    tumour = np.any([voxels > 0 for voxels in upright.values()], axis=0)
    opened_on = next((name for name in _OPENED_ON if name in modalities), modalities[0])
    looks = (_FILL, *[_OUTLINE] * (len(maps) - 1))
    about: dict[str, Any] = {
        "name": case.name,
        "modalities": [{"name": name, "url": f"{name}.nii.gz"} for name in modalities],
        "opened_on": opened_on,
        "maps": [
            {"name": name, "title": titles.get(name, name), "url": f"{name}.nii.gz", "as": look}
            for name, look in zip(maps, looks, strict=True)
        ],
        "disagreement": differing(maps, titles) if len(maps) == 2 else None,
        "changes": differing(("correction", "prediction"), TITLES),
        "uncertainty": None if uncertainty is None else _UNCERTAINTY,
        "labels": label_table(schema),
        "planes": [(plane.name, plane.axis) for plane in planes_through(tumour.shape, schema)],
        "shape": tumour.shape,
        "spacing_mm": canonical_spacing_mm(affine),
        "start": [busiest_cut(tumour, axis) for axis in range(3)],
        "sides": schema.dimensions == 3,
    }
    write_json(folder / SCENE, about)


def differing(maps: Collection[str], titles: Mapping[str, str]) -> dict[str, Any]:
    """Of which maps, in this order, and the names and colours of where only the first marks tumour,
    only the second, and both with other labels.
    """
    first, second = sorted(maps, key=lambda name: name != "reference")
    names = DISAGREEMENT
    if first != "reference":
        only = (f"only {titles.get(name, name)}" for name in (first, second))
        names = dict(zip((*only, "other label"), DISAGREEMENT.values(), strict=True))
    return {"of": [first, second]} | colour_table(names)


def _grey(voxels: np.ndarray) -> np.ndarray:
    if voxels.dtype == np.uint8:
        return voxels
    brain = voxels[voxels != 0][::8]
    low, high = np.percentile(brain, WINDOW_PERCENTILES) if brain.size else (0.0, 1.0)
    scaled = (voxels.astype(np.float32) - low) * np.float32(255 / max(high - low, 1e-8))
    return (np.clip(scaled, 0, 255) * (voxels != 0)).astype(np.uint8)


def _nifti(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    image = nibabel.Nifti1Image(voxels, affine)
    return gzip.compress(image.to_bytes(), 1, mtime=0)
