"""Many cases in one call: those that are done are skipped, one that fails stops no other."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..core.errors import InputError
from ..core.records import sha256, write_csv
from ..formats import nifti
from ..formats.dicom_objects.segments import kind_of
from ..formats.raw_cases import read_volume
from ..formats.volume import Part
from . import seen
from .extras import EVERYTHING, OBJECTS, Extras, object_file, record_of
from .finding import OneCase, Unusable, distinct, reason

if TYPE_CHECKING:
    from .model import Model, PreparedCase

log = logging.getLogger(__name__)

VOLUMES = "volumes.csv"
_ENDING = ".nii.gz"


@dataclass(frozen=True)
class Outcome:
    """What became of a case of `Model.segment_many`.

    Attributes
    ----------
    case : str
        Its name; of one whose files cannot be used, its place.
    state : {"done", "skipped", "failed"}
    reason : str
        Why it failed.
    record : dict
        Of a case that is done or skipped, as in `Segmentation`.
    """

    case: str
    state: Literal["done", "skipped", "failed"]
    reason: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def failure(self) -> str:
        """Case and reason of one that failed; many a reason names the case itself."""
        named = self.reason.startswith((f"{self.case}: ", f"{self.case} ("))
        return self.reason if named else f"{self.case}: {self.reason}"

    @property
    def summary(self) -> str:
        """Volumes and quality flag of one that is done or skipped; see `summary`."""
        return summary(self.record)


@dataclass(frozen=True, eq=False)
class Job:
    """How cases are segmented and what is written; see `Model.segment_many`."""

    model: "Model"
    out: Path
    native: bool
    label_values: Literal["model", "case"]
    extras: Extras
    overwrite: bool

    def labels_of(self, case: str) -> Path:
        """The file of the labels of a case."""
        return self.out / f"{case}{_ENDING}"

    def clear(self, case: str) -> None:
        """Remove what an earlier call has written of a case, first the record: all files of a case
        are then of one segmentation.
        """
        path = self.labels_of(case)
        record = _read_record(record_of(path)) or {}
        regions = {*self.model.regions, *record.get("volumes_ml", ())}
        for written in EVERYTHING.files(path, regions, _series_of(record)):
            written.unlink(missing_ok=True)

    def ready(self, case: OneCase | Unusable) -> "PreparedCase | dict[str, Any]":
        """The case prepared for the network, or its record if it is done."""
        if isinstance(case, Unusable):
            raise InputError(case.reason)
        done = None if self.overwrite else self._done(case)
        if done:
            return done
        self.model.require(case, self.native, self.extras)
        return self.model.prepare(case, self.native, self.label_values)

    def _done(self, case: OneCase) -> dict[str, Any] | None:
        """The record of a case whose files are complete and made in the same way."""
        path = self.labels_of(case.found.case)
        record = _read_record(record_of(path))
        if record is None:
            return None
        model, modalities = self.model, self.model.present(case)
        wanted = {
            "network_sha256": model.card.network_sha256,
            "settings": model.settings.model_dump(mode="json"),
            "labels": model.written_schema(case, self.label_values).labels,
            "missing_modalities": [name for name in model.modalities if name not in modalities],
        }
        series = _series_of(record)
        if (
            any(record.get(key) != value for key, value in wanted.items())
            or bool(series) != self.native
            or not all(at.is_file() for at in self.extras.files(path, model.regions, series))
            or not self._is_segmented_alike(object_file(path, "seg"))
        ):
            return None
        names = case.found.images if self.native else modalities
        hashes = {name: _hash_of(case.found.images[name]) for name in names}
        known = {name: file["sha256"] for name, file in record["inputs"].items()}
        return record if hashes == known else None

    def _is_segmented_alike(self, path: Path) -> bool:
        """Whether a segmentation object is of the type, and its segments are those, asked for."""
        extras = self.extras
        if "seg" not in extras.formats:
            return True
        regions = extras.segments == "regions" or extras.seg_type == "fractional"
        wanted = self.model.regions if regions else self.model.labels
        with suppress(InputError):
            return kind_of(path) == (extras.seg_type, [*wanted])
        return False


def segment_many(job: Job, cases: Sequence[OneCase | Unusable]) -> Iterator[Outcome]:
    """See `Model.segment_many`: checks at once, segments as the result is iterated."""
    cases = distinct(cases)
    _ = job.model.settings  # unreadable ones are an error, not one of every case
    _check_out(job, [case for case in cases if isinstance(case, OneCase)])
    return _outcomes(job, cases)


def _outcomes(job: Job, cases: Sequence[OneCase | Unusable]) -> Iterator[Outcome]:
    table = _Table(job)
    table.write()
    card = job.model.card
    known = [
        case.name
        for case in cases
        if isinstance(case, OneCase) and seen.trained_on(card, case.found)
    ]
    if known:
        log.warning("warning: %s", seen.summary(known, len(cases)))
    for case in cases:
        outcome = _outcome(job, case)
        if outcome.state == "done":
            table.add(outcome.record)
            table.write()
        yield outcome


def _outcome(job: Job, case: OneCase | Unusable) -> Outcome:
    try:
        ready = job.ready(case)
    except Exception as error:
        return _failed(case.name, error)
    if isinstance(ready, dict):
        return Outcome(case.name, "skipped", record=ready)
    job.model.load_network()
    try:
        result = job.model.predict(ready, [seen.warning(case.name)])
        objects = result.objects(job.extras)
    except Exception as error:
        return _failed(case.name, error)
    with _writing(job.out):
        job.clear(case.name)
        result.write(job.labels_of(case.name), job.extras, objects)
    return Outcome(case.name, "done", record=result.record)


def _failed(name: str, error: Exception) -> Outcome:
    """The outcome of an error of a case; a traceback tells of one that is not its files' fault."""
    if not isinstance(error, InputError | OSError):
        log.error("%s", name, exc_info=error)
    return Outcome(name, "failed", reason(error))


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Report that results cannot be written, which stops all cases: the next would fail as well."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{out}: cannot be written ({error.strerror}). Make room on the disk, or allow writing,"
            " then give the command again: cases that are done are skipped."
        ) from None


def _check_out(job: Job, cases: Sequence[OneCase]) -> None:
    """Raise InputError unless results can be written without touching a case."""
    if job.out.exists() and not job.out.is_dir():
        raise InputError(f"{job.out}: is a file. Name a folder.")
    place = job.out.resolve()
    results = {place / VOLUMES: ""}
    for case in cases:
        if case.in_folder and place.is_relative_to(case.found.folder.resolve()):
            raise InputError(
                f"{job.out}: lies in the folder of case {case.name}, {case.found.folder}. Name a"
                " folder outside of it."
            )
        series = case.found.images if job.native else ()
        written = job.extras.files(job.labels_of(case.name), job.model.regions, series)
        results |= {path.resolve(): case.name for path in written}
    for case in cases:
        for path in case.paths:
            if path.resolve() in results:
                raise InputError(
                    f"{path}: is a file of case {case.name} itself and would be replaced by a"
                    " result. Name another folder."
                )


def summary(record: Mapping[str, Any]) -> str:
    """Volumes and quality flag of a record in a line, with the strongest reason of `check`."""
    volumes = [f"{name} {volume:.1f} ml" for name, volume in record["volumes_ml"].items()]
    quality = record.get("quality") or {"flag": "unknown", "reasons": ()}
    flag, reasons = quality["flag"], quality["reasons"]
    line = f"{', '.join(volumes)}; quality {flag}"
    if flag != "check":
        return line
    more = f" ({len(reasons) - 1} more in the record)" if len(reasons) > 1 else ""
    return f"{line}: {reasons[0]['text']}{more}"


class _Table:
    """The table of the cases in the folder, from their records."""

    def __init__(self, job: Job) -> None:
        self.path, self.regions = job.out / VOLUMES, [*job.model.regions]
        self.rows: dict[str, Mapping[str, Any]] = {}
        for path in sorted(job.out.glob(f"[!.]*{_ENDING}.json")):
            record = _read_record(path)
            labels = path.with_suffix("")
            if record and labels == job.labels_of(record["case"]) and _is_written(labels):
                self.add(record)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a case, or replace its row."""
        self.rows[record["case"]] = record

    def write(self) -> None:
        """Write the table, sorted by case."""
        volumes = {name for row in self.rows.values() for name in row["volumes_ml"]}
        regions = [*self.regions, *sorted(volumes - {*self.regions})]
        rows = [self._row(case, self.rows[case], regions) for case in sorted(self.rows)]
        with _writing(self.path):
            write_csv(self.path, rows)

    @staticmethod
    def _row(case: str, record: Mapping[str, Any], regions: Sequence[str]) -> dict[str, Any]:
        warnings, volumes = record["warnings"], record["volumes_ml"]
        return {
            "case": case,
            **{f"{name}_ml": volumes.get(name) for name in regions},
            "missing_modalities": " ".join(record.get("missing_modalities", ())),
            **_quality_of(record),
            "warnings": len(warnings),
            "warning_texts": " | ".join(warnings),
            "network": record["network_sha256"][:16],
        }


def _is_written(labels: Path) -> bool:
    """Whether the labels of a case are there, as NIfTI or as a DICOM object."""
    return any(at.is_file() for at in (labels, *(object_file(labels, name) for name in OBJECTS)))


def _read_record(path: Path) -> dict[str, Any] | None:
    """The record at a path; None if there is none that `Segmentation.save` wrote."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    needed = {"case", "inputs", "network_sha256", "warnings", "volumes_ml"}
    return record if isinstance(record, dict) and needed <= record.keys() else None


def _quality_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Flag and reasons; empty for a record of an earlier version, which has none."""
    quality = record.get("quality") or {"flag": "", "reasons": ()}
    reasons = " | ".join(reason["text"] for reason in quality["reasons"])
    return {"quality": quality["flag"], "quality_reasons": reasons}


def _series_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The series of a record, by modality; none unless they were registered."""
    return (record.get("native") or {}).get("series", {})


def _hash_of(origin: Path | Part) -> str:
    """sha256 of an image, as `Volume.sha256`."""
    if isinstance(origin, Path) and nifti.is_nifti(origin):
        return sha256(origin)
    return read_volume(origin).sha256
