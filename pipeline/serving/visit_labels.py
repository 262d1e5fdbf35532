"""The labels of a case that is a visit: those a reader corrected, else those of the network."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.schema import Schema
from ..following.labelled import of_record
from ..following.reading import Labels
from ..formats import nifti
from ..registration.native import Native, labels_to_series
from ..segmenting.segmentation import record_of
from .correction_files import ABOUT, CORRECTION, is_corrected
from .store import LABELS


def manifest_of(result: Path) -> dict[str, Any]:
    """The run manifest of a case with this result."""
    return json.loads(record_of(result / LABELS).read_bytes())


def fingerprint(result: Path) -> str:
    """Sha256 of the file of the labels that count; empty where there is none."""
    try:
        return hashlib.sha256(_file(result).read_bytes()).hexdigest()
    except OSError:
        return ""


def _file(result: Path) -> Path:
    return result / CORRECTION / LABELS if is_corrected(result) else result / LABELS


def labels_of(result: Path, schema: Schema, room: Path) -> Labels:
    """The labels of a case, on series as acquired, too, if these were registered.

    Parameters
    ----------
    result : Path
        Of the case.
    schema : Schema
        Of the present network.
    room : Path
        Folder for corrected labels on series as acquired.

    Raises
    ------
    InputError
        If a network with other labels segmented the case.
    """
    manifest = manifest_of(result)
    if manifest["labels"] != schema.labels:
        raise InputError(
            "A visit was segmented by a network with other labels. Segment it again: choose its"
            " series, then start."
        )
    if not is_corrected(result):
        return of_record(result / LABELS, schema, manifest)
    predicted = of_record(result / LABELS, schema, manifest | {"quality": None})
    about = json.loads((result / CORRECTION / ABOUT).read_bytes())
    return replace(
        predicted,
        whole=_file(result),
        series=_on_series(_file(result), manifest, room),
        origin=f"corrected by {about['reader']}, version {about['version']}",
        checked=True,
    )


def _on_series(path: Path, manifest: Mapping[str, Any], room: Path) -> dict[str, Path]:
    """Corrected labels on every series as acquired; empty if these were not registered."""
    if not manifest["native"]:
        return {}
    native = Native.model_validate_json(json.dumps(manifest["native"]))
    labels, written = nifti.read(path).voxels, {}
    for name, place in native.series.items():
        written[name] = room / f"{name}.nii.gz"
        nifti.write(written[name], labels_to_series(labels, native, name), place.grid.affine)
    return written
