"""The task of saving a correction: as a case of the cohort of corrected cases, and for the page."""

import gzip
import json
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.records import write_bytes, write_json
from ..correcting import record
from ..correcting.cohort import labels_name
from ..correcting.images import kept
from ..correcting.saving import Facts, of_canonical, save
from ..formats import nifti
from ..registration.native import Native
from ..segmenting.extras import Extras
from ..segmenting.manifest import volumes_ml
from ..segmenting.segmentation import Segmentation
from ..segmenting.sources import series_of
from . import worker
from .correction_files import ABOUT, CORRECTION, FILES
from .refusals import for_page
from .scenes import SCENE, TITLES
from .segmentation import IMAGE, LABELS, found
from .segmentation import SCENE as SCENE_FOLDER
from .store import RESULT

_HEADER_BYTES = 352
_OTHER_PREDICTION = (
    "The case was segmented again after this correction was begun, so its labels are others now."
    " Reload the page and correct those."
)
_OTHER_LABELS = (
    "The case was segmented by a network with other labels than the present one. Segment it again,"
    " then correct it."
)
_OTHER_GRID = (
    "The images of the case lie on another grid than its labels by now. Segment it again, then"
    " correct it."
)


def correct(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """Save the labels that a reader drew.

    Parameters
    ----------
    values : mapping
        ``folder`` of the case, in it ``drawn``, a file of class indices in the order of the scene;
        ``prediction``, the CRC-32 of the file of the prediction that was drawn upon; ``model`` and
        ``place``, the folders of the network and of the cohort of corrected cases; ``case``,
        ``kind``, ``chosen``, ``native`` and ``patient`` as in `store.State`; ``reader`` and
        ``seconds`` as in `correcting.saving.Facts`.
    report : callable

    Returns
    -------
    dict
        What the page says of it: version, reader, time, volumes in ml of prediction and
        correction, files, and why one of them is lacking.

    Raises
    ------
    InputError
        If the case has another prediction by now, or one of other labels than the network's; and as
        `correcting.saving.save`.
    """
    folder = Path(values["folder"])
    result = folder / RESULT
    upright = gzip.decompress((result / SCENE_FOLDER / "prediction.nii.gz").read_bytes())
    if zlib.crc32(upright) != values["prediction"]:
        raise InputError(_OTHER_PREDICTION)
    manifest = json.loads((result / f"{LABELS}.json").read_bytes())
    drawn = (folder / values["drawn"]).read_bytes()
    report("Reading the case", 0.0)
    segmented = _as_found(values, result, manifest)
    case, schema = segmented.case, segmented.schema
    classes = of_canonical(drawn, case, schema)
    predicted = of_canonical(upright[_HEADER_BYTES:], case, schema)
    facts = Facts(values["reader"], manifest, values["seconds"], values["patient"])
    report("Saving the correction", 0.5)
    saved = save(Path(values["place"]), case, classes, predicted, schema, facts)
    refused = _offer(result, saved, replace(segmented, classes=classes))
    _show(result / SCENE_FOLDER, upright[:_HEADER_BYTES] + drawn)
    after = volumes_ml(classes, schema, case.grid)
    about = _about(record.read(saved / record.NAME), manifest["volumes_ml"], after, result)
    about["refused"] = refused
    write_json(result / CORRECTION / ABOUT, about)
    return about


def _as_found(values: Mapping[str, Any], result: Path, manifest: Mapping[str, Any]) -> Segmentation:
    """The case as it was segmented, without its labels; InputError if network or files make another
    one of it now.
    """
    model = worker.model(values["model"])
    schema = model.card.cohort
    if [*manifest["labels"].items()] != [*schema.labels.items()]:
        raise InputError(_OTHER_LABELS)
    one, native = found(model, values), None
    modalities = model.present(one)
    if values["native"]:
        native = Native.model_validate_json(json.dumps(manifest["native"]))
        case = kept(result / IMAGE, values["case"], schema)
    else:
        case = model.prepare(one).voxels
    if case.grid.differs(nifti.read(result / LABELS).grid):
        raise InputError(_OTHER_GRID)
    images = {name: one.found.images[name] for name in modalities}
    return Segmentation(
        case=replace(case, name=values["case"]),
        classes=np.zeros(case.grid.shape, np.uint8),
        schema=schema,
        modalities=modalities,
        native=native,
        record=dict(manifest),
        region_probabilities=dict,
        series=series_of(images),
    )


def _about(
    stored: record.Correction, before: Mapping[str, float], after: Mapping[str, float], result: Path
) -> dict[str, Any]:
    return {
        "case": stored.case,
        "version": stored.version,
        "reader": stored.reader,
        "corrected": stored.corrected,
        "seconds": stored.seconds,
        "regions": [*after],
        "volumes_ml": {"prediction": before, "correction": after},
        "files": [
            {"name": name, "title": title}
            for name, title in FILES.items()
            if (result / CORRECTION / name).is_file()
        ],
    }


def _offer(result: Path, saved: Path, corrected: Segmentation) -> str:
    """Copy the files of a correction to where the page offers them; why there is no DICOM object,
    if the headers are such that none can repeat them, as in `segmentation.finish`.
    """
    folder = result / CORRECTION
    folder.mkdir(exist_ok=True)
    shutil.copyfile(saved / labels_name(saved.name), folder / "labels.nii.gz")
    shutil.copyfile(saved / record.NAME, folder / "correction.json")
    (folder / "seg.dcm").unlink(missing_ok=True)  # of the correction before
    if not corrected.series:
        return ""
    try:
        objects = corrected.objects(Extras(formats=("seg",)), corrected=True)
    except InputError as error:
        return for_page(error)
    write_bytes(folder / "seg.dcm", objects["seg"])
    return ""


def _show(folder: Path, corrected: bytes) -> None:
    """Add a NIfTI file of the correction to a scene, filled, so that the prediction is outlined."""
    write_bytes(folder / f"{CORRECTION}.nii.gz", gzip.compress(corrected, 1, mtime=0))
    scene = json.loads((folder / SCENE).read_bytes())
    looks = {"correction": "fill", "prediction": "outline"}
    scene["maps"] = [
        {"name": name, "title": TITLES[name], "url": f"{name}.nii.gz", "as": look}
        for name, look in looks.items()
    ]
    scene["disagreement"] = scene["changes"]
    write_json(folder / SCENE, scene)
