"""The task of the network: a case of the page segmented, and all that is offered of it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..cohorts.dicom_choice import TABLE
from ..core.records import write_json
from ..segmenting.extras import Extras
from ..segmenting.finding import OneCase
from ..segmenting.model import Model
from . import worker
from .scenes import write_scene
from .store import RESULT, UPLOAD

LABELS = "labels.nii.gz"
SCENE = "scene"


def load(values: Mapping[str, Any], report: worker.Report) -> None:
    """Load the network in the folder ``model``, so that the first case need not wait for it."""
    worker.model(values["model"]).load_network()


def segment(values: Mapping[str, Any], report: worker.Report) -> None:
    """Segment a case into its folder ``result``, which appears when it is complete.

    Parameters
    ----------
    values : mapping
        ``folder`` of the case; ``model``, a folder; ``case``, its name; ``kind``, ``chosen`` and
        ``native`` as in `store.State`.
    report : callable
    """
    folder = Path(values["folder"])
    model = worker.model(values["model"])
    report("Reading and checking", 0.0)
    case = found_case(model, folder / UPLOAD / "files", values)
    prepared = model.prepare(case, values["native"])
    report("The network looks at it", 0.3)
    model.load_network()
    result = model.predict(prepared)
    report("Writing the results", 0.8)
    made = folder / f".{RESULT}"
    shutil.rmtree(made, ignore_errors=True)
    formats = ("nifti", "seg", "sr", "rtstruct") if values["kind"] == "dicom" else ("nifti",)
    result.save(made / LABELS, Extras(formats=formats))
    uncertainty = np.max(list(result.uncertainty.values()), axis=0)
    write_scene(
        made / SCENE,
        result.case,
        result.modalities,
        {"prediction": result.classes},
        result.schema,
        uncertainty,
    )
    shutil.rmtree(folder / RESULT, ignore_errors=True)
    made.rename(folder / RESULT)


def found_case(model: Model, place: Path, values: Mapping[str, Any]) -> OneCase:
    """The case with the series that were chosen."""
    chosen = values["chosen"]
    if values["kind"] == "dicom":
        write_json(place / TABLE, {key: name for name, key in chosen.items()})  # JSON is YAML
        return model.find(place, source="dicom")
    named = place.parent / "named"
    shutil.rmtree(named, ignore_errors=True)
    named.mkdir()
    files = {}
    for name, key in chosen.items():
        path = place / key
        suffix = ".nii.gz" if path.name.lower().endswith(".gz") else path.suffix.lower()
        files[name] = named / f"{values['case']}.{name}{suffix}"
        files[name].hardlink_to(path)
    return model.find(None, files)
