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
from ..following.record import table_of
from ..following.visits import Visit, acquired_on, in_time
from ..formats import nifti
from ..registration.mutual_information import Sampled, resample
from ..report.page.follow_up import follow_up_page, follow_up_parts
from ..segmenting.model import Model
from . import scenes, worker
from .correction_files import CORRECTION
from .refusals import for_page
from .segmentation import found
from .store import NAMED, RESULT, SCENE, UPLOAD
from .visit_labels import fingerprint, labels_of, manifest_of

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
_AGAIN = "A visit was segmented again or corrected meanwhile. Choose the visits again."
_PART = (
    "Days are entered for some visits, and the DICOM headers do not give those of all. Enter the"
    " day of every visit, from any first day, or of none."
)
_HEADERS = "days were entered for some visits alone: the days of the DICOM headers count"
_CORRECTED = (
    "a reader corrected the labels of some visits and not of others: what the correction alone"
    " changed may look like a change of disease"
)
_NETWORKS = "the visits were segmented by different networks, whose errors may differ"
_PREDICTION, _UNCERTAINTY = "prediction", "uncertainty"
_SERIES = "series"
"""Folder for labels on series as acquired, while visits are measured."""


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
        ``visits``, in order of time: the ``place`` in `values`, the ``day`` since the first, and
        ``labels``, the `visit_labels.fingerprint` of those that were measured.
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
    visits, doubts = _visits(model, chosen)
    places = [int(visit.key) for visit in visits]
    results = [Path(chosen[place]["folder"]) / RESULT for place in places]
    measured = [_measured(result) for result in results]
    baseline = next((number for number, at in enumerate(places) if chosen[at]["is_baseline"]), None)
    doubts += [_FIRST] * (baseline is None)
    doubts += [_NETWORKS] * (len({record["network_sha256"] for record, _ in measured}) > 1)
    followed = _measure(folder / f".{_SERIES}", visits, results, baseline or 0, doubts, model)
    report("Drawing the visits", 0.7)
    made = folder / f".{MADE}"
    shutil.rmtree(made, ignore_errors=True)
    _write(made, followed)
    is_native = any(record["native"] for record, _ in measured)
    drawn = [result / SCENE for result in results]
    write_scenes(made, drawn, followed, baseline or 0, is_native, model.card.cohort)
    if measured != [_measured(result) for result in results]:
        raise InputError(_AGAIN)
    shutil.rmtree(folder / MADE, ignore_errors=True)
    made.rename(folder / MADE)
    return {
        "visits": [
            {"place": place, "day": visit.day, "labels": labels}
            for place, visit, (_, labels) in zip(places, visits, measured, strict=True)
        ]
    }


def _visits(model: Model, chosen: Sequence[Mapping[str, Any]]) -> tuple[list[Visit], list[str]]:
    """The visits in order of time, and doubts about it; InputError if days of some are entered
    that nothing completes.
    """
    cases = [found(model, one) for one in chosen]
    known = [
        Visit(str(place), case, acquired=acquired_on(case.found))
        for place, case in enumerate(cases)
    ]
    days = [one["day"] for one in chosen]
    is_part = None in days and any(day is not None for day in days)
    if is_part and not all(visit.acquired for visit in known):
        raise InputError(_PART)
    visits = in_time(known, days)
    return visits, [_UNORDERED] * (visits[0].day is None) + [_HEADERS] * is_part


def _measured(result: Path) -> tuple[dict[str, Any], str]:
    return manifest_of(result), fingerprint(result)


def _measure(
    room: Path,
    visits: Sequence[Visit],
    results: Sequence[Path],
    baseline: int,
    doubts: Sequence[str],
    model: Model,
) -> FollowUp:
    """Follow the visits; `room` is a folder that is gone afterwards."""
    try:
        labels = [
            labels_of(result, model.card.cohort, room / str(number))
            for number, result in enumerate(results)
        ]
        mixed = [_CORRECTED] * (len({one.checked for one in labels}) > 1)
        return follow_up(visits, labels, baseline, [*doubts, *mixed])
    finally:
        shutil.rmtree(room, ignore_errors=True)


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
            _show_labels(target)
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
    shown = _labels_shown(scene)
    classes = resample(_volume(result, shown), grid, matrix, "nearest")
    uncertainty = None
    if levels := scene["uncertainty"]:
        moved = resample(_volume(result, _UNCERTAINTY), grid, matrix, "linear")
        uncertainty = moved / levels["levels"]
    case = Case(scene["name"], np.stack(image, axis=-1), None, grid)
    titles = {_PREDICTION: scenes.TITLES[shown]}
    maps = {_PREDICTION: classes}
    scenes.write_scene(target, case, modalities, maps, schema, uncertainty, titles)


def _labels_shown(scene: Mapping[str, Any]) -> str:
    """The map of a scene whose labels count."""
    names = [one["name"] for one in scene["maps"]]
    return CORRECTION if CORRECTION in names else _PREDICTION


def _show_labels(folder: Path) -> None:
    """Show the labels of a scene that count, and under one name in all scenes, alone."""
    scene = json.loads((folder / scenes.SCENE).read_bytes())
    if (shown := _labels_shown(scene)) == _PREDICTION:
        return
    title = scenes.TITLES[shown]
    only = {"name": _PREDICTION, "title": title, "url": f"{shown}.nii.gz", "as": "fill"}
    write_json(folder / scenes.SCENE, scene | {"maps": [only], "disagreement": None})


def _volume(scene: Path, name: str) -> Sampled:
    volume = nifti.read(scene / f"{name}.nii.gz")
    return Sampled(volume.voxels, volume.grid)
