"""The task of a follow-up: visits registered, their lesions measured, their scenes on one grid."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.case import Case
from ..core.errors import InputError
from ..core.grid import Grid
from ..core.records import write_bytes, write_csv, write_json
from ..core.schema import Schema
from ..following.aligning import align
from ..following.follow_up import FollowUp, follow_up
from ..following.labelled import of_record
from ..following.reading import Labels
from ..following.record import table_of
from ..following.visits import Visit, acquired_on, in_time
from ..formats import nifti
from ..registration.mutual_information import Sampled, resample
from ..report.page.follow_up import follow_up_page, follow_up_parts
from ..segmenting.model import Model
from ..segmenting.segmentation import record_of
from . import scenes, worker
from .refusals import for_page
from .segmentation import found
from .store import LABELS, NAMED, RESULT, SCENE, UPLOAD

MADE = "made"
VERDICT, REST = "verdict.html", "rest.html"
"""Parts of the page of a follow-up."""
NAME = "follow_up"
_UNORDERED = (
    "the days of the visits are not known: they are in the order in which they were given, and"
    " intervals are not considered"
)
_FIRST = (
    "the first visit was taken as the baseline: RANO 2.0 asks for the first MRI after radiotherapy"
)
_AGAIN = "A visit was segmented again meanwhile. Choose the visits again."
_NETWORKS = "the visits were segmented by different networks, whose errors may differ"
_PREDICTION, _UNCERTAINTY = "prediction", "uncertainty"


def follow(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """Follow a patient into the folder ``made``, which appears when it is complete.

    Parameters
    ----------
    values : mapping
        ``folder`` of the follow-up; ``model``, a folder; ``visits``, for each the values of
        `segmentation.segment`, ``day`` (number or None) and ``is_baseline``.
    report : callable

    Returns
    -------
    dict
        ``visits``, in order of time: the ``place`` in `values`, and the ``day`` since the first.
    """
    folder, model = Path(values["folder"]), worker.model(values["model"])
    chosen = values["visits"]
    try:
        return _followed(folder, model, chosen, report)
    except InputError as error:
        places = [place for one in chosen for place in _places(Path(one["folder"]))]
        raise InputError(for_page(error, *places)) from None


def _places(case: Path) -> list[Path]:
    """Folders of a case that no message shall name, the innermost first."""
    upload = case / UPLOAD
    return [upload / "files", *(upload / NAMED).glob("*"), case / RESULT, case]


def _followed(
    folder: Path, model: Model, chosen: Sequence[Mapping[str, Any]], report: worker.Report
) -> dict[str, Any]:
    report("Reading and registering the visits", 0.1)
    cases = [found(model, one) for one in chosen]
    known = [
        Visit(str(place), case, acquired=acquired_on(case.found))
        for place, case in enumerate(cases)
    ]
    visits = in_time(known, [one["day"] for one in chosen])
    places = [int(visit.key) for visit in visits]
    records = [_record(chosen[place]) for place in places]
    baseline = next(
        (number for number, place in enumerate(places) if chosen[place]["is_baseline"]), None
    )
    doubts = [_UNORDERED] * (visits[0].day is None) + [_FIRST] * (baseline is None)
    doubts += [_NETWORKS] * (len({record["network_sha256"] for record in records}) > 1)
    labels = [
        _of_network(model, _labels(chosen[place]), record)
        for place, record in zip(places, records, strict=True)
    ]
    followed = follow_up(visits, labels, baseline or 0, doubts)
    report("Drawing the visits", 0.7)
    made = folder / f".{MADE}"
    shutil.rmtree(made, ignore_errors=True)
    _write(made, followed)
    results = [Path(chosen[place]["folder"]) / RESULT / SCENE for place in places]
    is_native = any(record["native"] for record in records)
    write_scenes(made, results, followed, baseline or 0, is_native, model.card.cohort)
    if records != [_record(chosen[place]) for place in places]:
        raise InputError(_AGAIN)
    shutil.rmtree(folder / MADE, ignore_errors=True)
    made.rename(folder / MADE)
    return {
        "visits": [
            {"place": place, "day": visit.day} for place, visit in zip(places, visits, strict=True)
        ]
    }


def _record(values: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(record_of(_labels(values)).read_bytes())


def _labels(values: Mapping[str, Any]) -> Path:
    return Path(values["folder"]) / RESULT / LABELS


def _of_network(model: Model, path: Path, record: Mapping[str, Any]) -> Labels:
    cohort = model.card.cohort
    if record["labels"] != cohort.labels:
        raise InputError(
            "A visit was segmented by a network with other labels. Segment it again: choose its"
            " series, then start."
        )
    return of_record(path, cohort, record)


def _write(folder: Path, followed: FollowUp) -> None:
    record, pictures = followed.record, followed.pictures
    for name, part in zip((VERDICT, REST), follow_up_parts(record, pictures), strict=True):
        write_bytes(folder / name, part.encode())
    write_bytes(folder / f"{NAME}.html", follow_up_page(record, pictures).encode())
    write_csv(folder / f"{NAME}.csv", table_of(record))
    write_json(folder / f"{NAME}.json", record)


def write_scenes(
    folder: Path,
    results: Sequence[Path],
    followed: FollowUp,
    baseline: int,
    is_native: bool,
    schema: Schema,
) -> None:
    """Write the scene of each visit, as ``scene-<number>``, on the grid of the baseline's.

    Parameters
    ----------
    results : sequence of Path
        Folders of the scenes of the visits as they are, in order of time.
    is_native : bool
        Whether series were registered to a template, so that scenes lie elsewhere than the images
        by which the visits were registered: they are then registered to each other.
    """
    anatomy = followed.anatomy
    fixed = _volume(results[baseline], anatomy)
    for number, (result, way) in enumerate(zip(results, followed.aligned, strict=True)):
        target = folder / f"scene-{number + 1}"
        if number == baseline:
            shutil.copytree(result, target, copy_function=os.link)
            continue
        matrix = way.matrix
        if is_native:
            matrix = align(_volume(result, anatomy), fixed, f"visit {number + 1}").matrix
        _write_moved(target, result, fixed.grid, matrix, schema)


def _write_moved(
    target: Path, result: Path, grid: Grid, matrix: np.ndarray, schema: Schema
) -> None:
    """Write a scene through a transform on another grid."""
    scene = json.loads((result / scenes.SCENE).read_bytes())
    modalities = tuple(one["name"] for one in scene["modalities"])
    image = [
        np.rint(resample(_volume(result, name), grid, matrix, "linear")).astype(np.uint8)
        for name in modalities
    ]
    classes = resample(_volume(result, _PREDICTION), grid, matrix, "nearest")
    uncertainty = None
    if levels := scene["uncertainty"]:
        moved = resample(_volume(result, _UNCERTAINTY), grid, matrix, "linear")
        uncertainty = moved / levels["levels"]
    case = Case(scene["name"], np.stack(image, axis=-1), None, grid)
    scenes.write_scene(target, case, modalities, {_PREDICTION: classes}, schema, uncertainty)


def _volume(scene: Path, name: str) -> Sampled:
    volume = nifti.read(scene / f"{name}.nii.gz")
    return Sampled(volume.voxels, volume.grid)
