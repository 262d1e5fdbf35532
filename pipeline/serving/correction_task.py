"""The task of saving a correction: as a case of the cohort of corrected cases, and for the page."""

import gzip
import json
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
_STORED = "The correction is stored for training as {}; do not save it again. This case {}."
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
        correction, files, why one of them is lacking, and whether an earlier version had other
        images; ``other_case``, whether it is the next version of a case of another name;
        ``unshown``, if it is stored, but the page cannot show it.

    Raises
    ------
    InputError
        If the case has another prediction by now, or one of other labels than the network's; and as
        `correcting.saving.save`.
    """
    folder, place = Path(values["folder"]), Path(values["place"])
    result = folder / RESULT
    upright = _prediction(result)
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
    try:
        saved = save(place, case, classes, predicted, schema, facts)
    except InputError as error:
        raise InputError(for_page(error, place)) from None
    stored = record.read(saved / record.NAME)
    about = _about(stored, manifest["volumes_ml"], volumes_ml(classes, schema, case.grid))
    about["other_case"] = stored.case != values["case"]
    try:
        if zlib.crc32(_prediction(result)) != values["prediction"]:
            return about | {"unshown": _STORED.format(stored.case, "was segmented again meanwhile")}
        about["refused"] = _offer(result, saved, replace(segmented, classes=classes))
        _show(result / SCENE_FOLDER, upright[:_HEADER_BYTES] + drawn)
        about["files"] = _files(result)
        write_json(result / CORRECTION / ABOUT, about)
    except OSError as error:
        gone = not (result / SCENE_FOLDER).is_dir()
        why = "was deleted meanwhile" if gone else f"cannot show it: {for_page(error)}"
        return about | {"unshown": _STORED.format(stored.case, why)}
    return about


def _prediction(result: Path) -> bytes:
    return gzip.decompress((result / SCENE_FOLDER / "prediction.nii.gz").read_bytes())


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
    stored: record.Correction, before: Mapping[str, float], after: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "case": stored.case,
        "version": stored.version,
        "reader": stored.reader,
        "corrected": stored.corrected,
        "seconds": stored.seconds,
        "regions": [*after],
        "volumes_ml": {"prediction": before, "correction": after},
        "other_images": bool(stored.earlier and stored.earlier[-1].images),
        "files": [],
        "refused": "",
    }


def _files(result: Path) -> list[dict[str, str]]:
    """What the page offers of the correction."""
    return [
        {"name": name, "title": title}
        for name, title in FILES.items()
        if (result / CORRECTION / name).is_file()
    ]


def _offer(result: Path, saved: Path, corrected: Segmentation) -> str:
    """Copy the files of a correction to where the page offers them; why there is no DICOM object,
    if the headers are such that none can repeat them, as in `segmentation.finish`.
    """
    folder = result / CORRECTION
    folder.mkdir(exist_ok=True)
    write_bytes(folder / "labels.nii.gz", (saved / labels_name(saved.name)).read_bytes())
    write_bytes(folder / "correction.json", (saved / record.NAME).read_bytes())
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
