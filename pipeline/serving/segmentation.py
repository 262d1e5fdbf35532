"""The task of the network: a case of the page segmented, and all that is offered of it."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ..cohorts.dicom_choice import TABLE
from ..core.errors import InputError
from ..core.records import write_bytes, write_json
from ..correcting.images import keep
from ..segmenting.extras import OBJECTS, Extras
from ..segmenting.finding import OneCase
from ..segmenting.model import Model
from ..segmenting.segmentation import Segmentation
from . import worker
from .refusals import for_page
from .scenes import write_scene
from .store import LABELS, NAMED, RESULT, SCENE, UPLOAD

FACTS = "summary.json"
IMAGE = "image"
EXTRAS = "extras"
REFUSED = "refused.txt"
"""Below the result of a case: its facts; the image of registered series, which takes long to make;
what `finish` adds, and why that has no DICOM objects."""
_DICOM = Extras(formats=OBJECTS, uncertainty=True, summary=True)
_last: dict[str, Segmentation] = {}
"""The segmentation of the last case, by its folder, for `finish`."""


def load(values: Mapping[str, Any], report: worker.Report) -> None:
    """Load the network in the folder ``model``, so that the first case need not wait for it."""
    worker.model(values["model"]).load_network()


def segment(values: Mapping[str, Any], report: worker.Report) -> None:
    """Segment a case into its folder ``result``, which appears when it is complete: labels, run
    manifest, facts, scene.

    Parameters
    ----------
    values : mapping
        ``folder`` of the case; ``model``, a folder; ``case``, its name; ``kind``, ``chosen`` and
        ``native`` as in `store.State`.
    report : callable
    """
    folder = Path(values["folder"])
    _last.clear()
    made = folder / f".{RESULT}"
    shutil.rmtree(made, ignore_errors=True)  # of a process that was killed
    try:
        result = _segmented(values, report)
        report("Writing the results", 0.8)
        _write(made, result)
        shutil.rmtree(folder / RESULT, ignore_errors=True)
        made.rename(folder / RESULT)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    _last[values["folder"]] = result


def _write(made: Path, result: Segmentation) -> None:
    """Write what is shown of a case into a folder."""
    result.save(made / LABELS)
    if result.native:
        keep(made / IMAGE, result.case, result.modalities)
    write_json(made / FACTS, result.facts)
    uncertainty = np.max(list(result.uncertainty.values()), axis=0)
    write_scene(
        made / SCENE,
        result.case,
        result.modalities,
        {"prediction": result.classes},
        result.schema,
        uncertainty,
    )


def finish(values: Mapping[str, Any], report: worker.Report) -> None:
    """Write what else is offered of a case that was segmented, into its folder ``result/extras``,
    which appears when it is complete: DICOM objects of a DICOM study, uncertainty maps, the page.

    Parameters
    ----------
    values, report
        As for `segment`. A case that another process segmented is segmented again.
    """
    result = _last.pop(values["folder"], None) or _segmented(values, report)
    report("Preparing the downloads", 0.9)
    folder = Path(values["folder"])
    made = folder / f".{EXTRAS}"
    shutil.rmtree(made, ignore_errors=True)
    extras = _DICOM if values["kind"] == "dicom" else replace(_DICOM, formats=("nifti",))
    try:
        _write_extras(made, result, extras)
        made.rename(folder / RESULT / EXTRAS)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write_extras(made: Path, result: Segmentation, extras: Extras) -> None:
    try:
        result.save(made / LABELS, extras)
    except InputError as error:  # headers that no object can repeat
        if not extras.objects:
            raise
        result.save(made / LABELS, replace(extras, formats=("nifti",)))
        write_bytes(made / REFUSED, for_page(error).encode())


def _segmented(values: Mapping[str, Any], report: worker.Report) -> Segmentation:
    """The segmentation of a case under the name that its files have at the page, which for a DICOM
    study is not that of its record.
    """
    model = worker.model(values["model"])
    report("Reading and checking", 0.0)
    case = found(model, values)
    prepared = model.prepare(case, values["native"])
    report("The network looks at it", 0.3)
    model.load_network()
    result = model.predict(prepared)
    return replace(result, case=replace(result.case, name=values["case"]))


def found(model: Model, values: Mapping[str, Any]) -> OneCase:
    """The case with the series that were chosen; values as for `segment`."""
    upload, chosen = Path(values["folder"]) / UPLOAD, values["chosen"]
    place = upload / "files"
    if values["kind"] == "dicom":
        with FileLock(upload / ".lock"):  # other processes may look for other series
            if (place / TABLE).is_dir():
                shutil.rmtree(place / TABLE)
            write_json(place / TABLE, {key: name for name, key in chosen.items()})  # JSON is YAML
            return model.find(place, source="dicom")
    choice = json.dumps(sorted(chosen.items())).encode()
    named = upload / NAMED / hashlib.sha256(choice).hexdigest()[:16]
    named.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, key in chosen.items():
        path = place / key
        suffix = ".nii.gz" if path.name.lower().endswith(".gz") else path.suffix.lower()
        files[name] = named / f"{values['case']}.{name}{suffix}"
        with suppress(FileExistsError):
            files[name].hardlink_to(path)
    return model.find(None, files)
