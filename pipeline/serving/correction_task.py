"""The task of saving a correction: as a case of the cohort of corrected cases, and for the page."""

import gzip
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.records import write_bytes, write_json
from ..correcting import record
from ..correcting.cohort import labels_name
from ..correcting.saving import Facts, of_canonical, save
from ..segmenting.extras import Extras
from ..segmenting.manifest import volumes_ml
from ..segmenting.model import PreparedCase
from ..segmenting.segmentation import Segmentation
from . import worker
from .correction_files import ABOUT, CORRECTION, FILES
from .scenes import SCENE, TITLES
from .segmentation import LABELS, found
from .segmentation import SCENE as SCENE_FOLDER
from .store import RESULT

_HEADER_BYTES = 352


def correct(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """Save the labels that a reader drew.

    Parameters
    ----------
    values : mapping
        ``folder`` of the case, in it ``drawn``, a file of class indices in the order of the scene;
        ``model`` and ``place``, the folders of the network and of the cohort of corrected cases;
        ``case``, ``kind``, ``chosen``, ``native`` and ``patient`` as in `store.State`; ``reader``
        and ``seconds`` as in `correcting.saving.Facts`.
    report : callable

    Returns
    -------
    dict
        What the page says of it: version, reader, time, volumes in ml of prediction and
        correction, and files.

    Raises
    ------
    InputError
        As `correcting.saving.save`.
    """
    folder = Path(values["folder"])
    result, place = folder / RESULT, Path(values["place"])
    model = worker.model(values["model"])
    drawn = (folder / values["drawn"]).read_bytes()
    report("Reading the case", 0.0)
    prepared = model.prepare(found(model, values), values["native"])
    case = replace(prepared.voxels, name=values["case"])
    upright = gzip.decompress((result / SCENE_FOLDER / "prediction.nii.gz").read_bytes())
    schema = prepared.schema
    classes = of_canonical(drawn, case, schema)
    predicted = of_canonical(upright[_HEADER_BYTES:], case, schema)
    manifest = json.loads((result / f"{LABELS}.json").read_bytes())
    facts = Facts(values["reader"], manifest, values["seconds"], values["patient"])
    report("Saving the correction", 0.5)
    saved = save(place, case, classes, predicted, schema, facts)
    _offer(result, saved, prepared, classes, manifest)
    write_bytes(
        result / SCENE_FOLDER / f"{CORRECTION}.nii.gz",
        gzip.compress(upright[:_HEADER_BYTES] + drawn, 1, mtime=0),
    )
    _show(result / SCENE_FOLDER / SCENE)
    stored = record.read(saved / record.NAME)
    about = {
        "case": stored.case,
        "version": stored.version,
        "reader": stored.reader,
        "corrected": stored.corrected,
        "seconds": stored.seconds,
        "volumes_ml": {
            "prediction": manifest["volumes_ml"],
            "correction": volumes_ml(classes, schema, case.grid),
        },
        "files": [
            {"name": name, "title": title}
            for name, title in FILES.items()
            if (result / CORRECTION / name).is_file()
        ],
    }
    write_json(result / CORRECTION / ABOUT, about)
    return about


def _offer(
    result: Path,
    saved: Path,
    prepared: PreparedCase,
    classes: np.ndarray,
    manifest: Mapping[str, Any],
) -> None:
    """Copy the files of a correction to where the page offers them."""
    folder = result / CORRECTION
    folder.mkdir(exist_ok=True)
    shutil.copyfile(saved / labels_name(saved.name), folder / "labels.nii.gz")
    shutil.copyfile(saved / record.NAME, folder / "correction.json")
    if prepared.series:
        corrected = Segmentation(
            case=prepared.voxels,
            classes=classes,
            schema=prepared.schema,
            modalities=prepared.modalities,
            native=prepared.native,
            record=dict(manifest),
            region_probabilities=dict,
            series=prepared.series,
        )
        objects = corrected.objects(Extras(formats=("seg",)), corrected=True)
        write_bytes(folder / "seg.dcm", objects["seg"])


def _show(path: Path) -> None:
    """Add the correction to a scene, filled, so that the prediction is outlined."""
    scene = json.loads(path.read_bytes())
    looks = {"correction": "fill", "prediction": "outline"}
    scene["maps"] = [
        {"name": name, "title": TITLES[name], "url": f"{name}.nii.gz", "as": look}
        for name, look in looks.items()
    ]
    scene["disagreement"] = scene["changes"]
    write_json(path, scene)
