"""Where the labels of visits come from: files beside the images, of `predict`, or a network."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cohorts.registry import SOURCES
from ..core.errors import InputError
from ..core.layout import counted
from ..core.schema import Schema
from ..formats.walking import of_one_file
from ..segmenting.finding import OneCase
from ..segmenting.segmentation import record_of
from .reading import Labels

_TREATED = "brats-gli2024"


def known(case: OneCase, folder: Path | None) -> Labels | None:
    """The labels beside the images of a case, else those in a folder that `predict` wrote; None
    where there are none.
    """
    labels = case.found.labels
    if labels is not None:
        return Labels(case.schema, labels, {}, "file beside the images")
    return _predicted(folder, case) if folder else None


def _predicted(folder: Path, case: OneCase) -> Labels | None:
    """The labels of a case in a folder that `predict` wrote, None where there are none.

    Raises
    ------
    InputError
        If no known schema has the label values that the record beside them names.
    """
    path = folder / f"{case.name}.nii.gz"
    if not path.is_file():
        return None
    path = of_one_file(path)
    try:
        record = json.loads(record_of(path).read_bytes())
    except (OSError, ValueError):
        return Labels(case.schema, path, {}, "file named by --labels")
    return of_record(path, _schema(record, path), record)


def by_network(folder: Path, case: OneCase, schema: Schema, record: Mapping[str, Any]) -> Labels:
    """The labels that a network has just written, with their record."""
    path = folder / f"{case.name}.nii.gz"
    return of_record(path, schema, record)


def of_record(path: Path, schema: Schema, record: Mapping[str, Any]) -> Labels:
    """Labels by a network in a file that `Segmentation.save` wrote, with their record; on the
    series as acquired, too, if they were registered.
    """
    native, stem = record.get("native") or {}, path.name.removesuffix(".nii.gz")
    series = {name: path.with_name(f"{stem}.{name}.nii.gz") for name in native.get("series", {})}
    origin = f"network {str(record.get('network_sha256', ''))[:16]}".strip()
    return Labels(schema, path, series, origin, (*_doubts(record), *record.get("warnings", ())))


def _doubts(record: Mapping[str, Any]) -> list[str]:
    """What the quality flag says against the labels of a case."""
    quality = record.get("quality") or {}
    if quality.get("flag") != "check":
        return []
    first, *more = [reason["text"] for reason in quality["reasons"]] or ["no reason is recorded."]
    rest = f" And {counted(len(more), 'more reason')}." if more else ""
    return [f"its quality flag says check, so look at its labels first: {first}{rest}"]


def _schema(record: Mapping[str, Any], path: Path) -> Schema:
    labels = record.get("labels")
    fitting = [
        schema
        for source in SOURCES.values()
        for schema in source.schemas
        if schema.labels == labels and not schema.types
    ]
    if not fitting:
        raise InputError(
            f"{record_of(path)}: names the labels {labels}, which no known cohort has. Name the"
            " network by --model instead of its labels."
        )
    return fitting[0]


def source_of(place: Path, source: str | None) -> str | None:
    """The source of the visits: that of gliomas after treatment, whose names `brats` rejects, where
    their names say so.
    """
    if source is None and any(place.glob("**/BraTS-GLI-*-[1-9][0-9][0-9]")):
        return _TREATED
    return source


def missing(cases: Sequence[OneCase], place: Path) -> InputError:
    """The error about visits without labels in the folder of a patient."""
    listed = ", ".join(str(case.found.folder.relative_to(place)) for case in cases)
    return InputError(
        f"{place}: {listed}: no labels. Put CASE_seg.nii.gz beside the images, name a folder that"
        " `predict` wrote by --labels, or a network by --model."
    )
