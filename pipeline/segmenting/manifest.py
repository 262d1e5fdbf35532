"""The run manifest: what a prediction was made from and by, what it gave, and how sure that is."""

import json
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core.grid import Grid, Matrix, canonical_affine, rows_of
from ..core.records import sha256
from ..core.schema import Schema
from ..core.strict import Strict
from ..network.card import Card
from ..network.settings import Settings
from ..preparation.preprocessing import Geometry
from ..quality.flag import Flag, Quality
from ..quality.known import Interval, Known
from ..registration.native import Native
from ..runtime import requirements
from ..runtime.code import code_hash
from ..runtime.costs import own_peak_bytes
from ..runtime.version import version

FORMAT_VERSION: Literal[1] = 1


class Described(Strict, use_attribute_docstrings=True):
    """A part of the manifest, whose keys are described in its schema."""


class Input(Described):
    """A file that was read."""

    file: str
    """Name without folder; of a DICOM series, CASE_MODALITY."""
    sha256: str
    """Of the file as it is on disk; of a DICOM series, of its files together."""


class Trained(Described):
    """The network."""

    card_sha256: str
    """Of card.json."""
    inference_sha256: str
    """Of inference.json."""
    cohort: str
    """Name of the cohort of the training."""
    modalities: tuple[str, ...]
    """Channels of its input."""
    regions: dict[str, tuple[str, ...]]
    """Name of each region and the labels that it unites."""
    architecture: str
    """As network.architecture of params.yaml."""
    dimensions: int
    """2 for slices, 3 for volumes."""
    patch: tuple[int, ...]
    """Voxels of a window on the prepared grid."""
    weights: int
    """Number of trained weights, of all members."""
    members: int
    """Networks whose outputs are averaged."""
    cases: int
    """Number of cases that it was trained and validated on."""
    stripped: bool | None
    """Whether these had no skull; null if unknown."""
    versions: dict[str, str]
    """Of the packages of the training."""


class GridFacts(Described):
    """A grid of voxels."""

    shape: tuple[int, int, int]
    """Voxels along each axis."""
    spacing_mm: tuple[float, float, float]
    """Length of a voxel along each axis, in mm."""
    affine: Matrix
    """4 rows of 4: voxel indices to RAS+ coordinates in mm."""
    orientation: str
    """Direction in which each axis runs, such as LPS."""


class Grids(Described):
    """Grids of a case."""

    source: GridFacts
    """Of the labels, which is that of the images; of registered series, their common grid."""
    prepared: GridFacts
    """Of what the network sees: cropped to the brain, and resampled."""


class VolumeError(Described):
    """The error of the volume of a region on validation cases, which the network was not trained
    on."""

    error_ml: Interval
    """Predicted minus reference volume, in ml."""
    error_percent: Interval | None
    """The same in percent of the predicted volume; null where no case had one."""
    low_ml: float | None
    """The predicted volume of this case less `error_percent.high` of it, in ml; null unless
    `quality.flag` is ok."""
    high_ml: float | None
    """The same with `error_percent.low`. The true volume of a case like those of validation lies
    between the two with the probability `error_percent.coverage`."""


class Engine(Described):
    """What ran the network."""

    name: str
    """keras, openvino or onnx."""
    backend: str
    """Of Keras: tensorflow or jax."""
    precision: str
    """Of the activations."""


class Seconds(Described):
    """Wall-clock time of each step, in s. The network is loaded before."""

    read: float
    """Reading the files; with --native also registration."""
    check: float
    """Looking for what is wrong with them."""
    prepare: float
    """Cropping, resampling and normalising."""
    network: float
    """The network in all windows; the first case also compiles it."""
    postprocess: float
    """Labels on the grid of the case; on a GPU also the rest of the network's work."""
    quality: float
    """The quality flag."""
    write: float
    """Writing all files but this one; what was asked for beside labels is computed here."""


class Run(Described):
    """What differs from one run to the next; all else is equal if inputs, network, settings,
    versions and machine are."""

    created: str
    """Time of writing, ISO 8601 in UTC."""
    device: str
    """Keras, its backend, and the processor or GPU."""
    seconds: Seconds
    """Wall-clock time of each step."""
    peak_memory_mb: float
    """Largest resident memory of the process until then, in 10^6 bytes; not of a GPU."""


class Manifest(Described):
    """What a prediction was made from and by, what it gave, and how sure that is."""

    format_version: Literal[1]
    """Of this record; it grows by one where a key changes its meaning or goes."""
    use: str
    """What the result may be used for."""
    case: str
    """Name of the case."""
    inputs: dict[str, Input]
    """Files that were read, by modality."""
    missing_modalities: tuple[str, ...]
    """Modalities of the network that the case lacks."""
    native: Native | None
    """Transforms to the series as acquired; null unless they were registered."""
    network_sha256: str
    """Of the file of the network."""
    data_hash: str
    """Of the data of its training: sha256 of catalogue and split."""
    model: Trained
    """The network."""
    settings: Settings
    """How the case was predicted, as section evaluate of params.yaml."""
    engine: Engine
    """What ran the network."""
    versions: dict[str, str]
    """Of Python and its packages; as tumorflow of this project, with the commit of a clone, and as
    tumorflow_code the sha256 of its code."""
    geometry: Grids
    """Grids of the case."""
    labels: dict[str, int]
    """Name and value of each label in the file; 0 is background."""
    volumes_ml: dict[str, float]
    """Volume of each region, in ml."""
    volume_errors: dict[str, VolumeError | None]
    """Error of the volume of each region; null where it is not known."""
    quality: Quality
    """Whether the case is unlike those that the network was made of."""
    warnings: tuple[str, ...]
    """What looks wrong with the case, such as exchanged modalities."""
    run: Run
    """What differs from one run to the next."""


def manifest(facts: Mapping[str, Any]) -> Manifest:
    """The manifest of plain values."""
    return Manifest.model_validate_json(json.dumps(facts))


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Enter the wall-clock seconds of the block."""
    started = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - started, 4)


def run(device: str, seconds: Mapping[str, float]) -> dict[str, Any]:
    """What differs from one run to the next."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "seconds": dict(seconds),
        "peak_memory_mb": round(own_peak_bytes() / 1e6, 1),
    }


def trained(card: Card, folder: Path) -> dict[str, Any]:
    """Facts of a network in a folder."""
    return {
        "card_sha256": sha256(folder / "card.json"),
        "inference_sha256": sha256(folder / "inference.json"),
        "cohort": card.cohort.cohort,
        "modalities": card.cohort.modalities,
        "regions": card.cohort.regions,
        "architecture": card.network.architecture,
        "dimensions": card.network.dimensions,
        "patch": card.patch,
        "weights": card.weights,
        "members": len(card.members),
        "cases": len(card.seen),
        "stripped": card.stripped,
        "versions": card.versions,
    }


@cache
def own_versions() -> dict[str, str]:
    """Versions of this code, of Python, and of the packages that read and prepare a case."""
    packages = requirements.installed("numpy", "scipy", "nibabel", "pydicom")
    own = {"tumorflow": version(), "tumorflow_code": code_hash(".")}
    return packages | own | {"python": platform.python_version()}


def geometry(grid: Grid, prepared: Geometry) -> dict[str, Any]:
    """The grid of a case and that of its prepared image."""
    return {"source": _facts(grid), "prepared": _facts(_prepared_grid(grid, prepared))}


def _facts(grid: Grid) -> dict[str, Any]:
    return {
        "shape": grid.shape,
        "spacing_mm": grid.spacing_mm,
        "affine": rows_of(grid.affine),
        "orientation": grid.orientation,
    }


def _prepared_grid(grid: Grid, prepared: Geometry) -> Grid:
    """The grid on canonical axes: a crop, resampled so that its outer faces stay."""
    start, stop = np.array(prepared.box).T
    factor = (stop - start) / prepared.shape
    onto_crop = np.diag([*factor, 1.0])
    onto_crop[:3, 3] = start + (factor - 1) / 2
    return Grid(prepared.shape, canonical_affine(grid) @ onto_crop)


def volumes_ml(classes: np.ndarray, cohort: Schema, grid: Grid) -> dict[str, float]:
    """Volume of each region in ml, of class indices (X, Y, Z)."""
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    masks = {name: np.isin(classes, cohort.classes_of(name)) for name in cohort.regions}
    return {name: round(float(mask.sum()) * voxel_ml, 3) for name, mask in masks.items()}


def volume_errors(known: Known | None, volumes: Mapping[str, float], flag: Flag) -> dict[str, Any]:
    """The error of each volume in ml, as far as it is known, with a range if the flag is "ok"."""
    return {name: _volume_error(known, name, ml, flag == "ok") for name, ml in volumes.items()}


def _volume_error(
    known: Known | None, name: str, ml: float, is_usual: bool
) -> dict[str, Any] | None:
    about = known.regions.get(name) if known else None
    if about is None or about.volume_error_ml is None:
        return None
    percent = about.volume_error_percent
    range_of = percent if is_usual else None
    return {
        "error_ml": about.volume_error_ml.model_dump(),
        "error_percent": percent and percent.model_dump(),
        "low_ml": range_of and round(max(0.0, ml * (1 - range_of.high / 100)), 3),
        "high_ml": range_of and round(max(0.0, ml * (1 - range_of.low / 100)), 3),
    }
