"""The visits of a patient: their order, their days, and what the clinic knows about them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..cohorts.brats_patients import patient_of, timepoint_of
from ..core.errors import InputError
from ..core.layout import counted
from ..core.records import read_csv
from ..formats.dicom.header import read_header
from ..formats.dicom.series import DicomSeries
from ..formats.raw_cases import Found
from ..segmenting.finding import OneCase

log = logging.getLogger(__name__)

TABLE = "visits.csv"
STATUSES = ("improved", "stable", "worse")
_COLUMNS = ("visit", "date", "day", "steroid_mg", "clinical_status", "weeks_since_radiotherapy")


@dataclass(frozen=True)
class Clinical:
    """What RANO 2.0 needs beside images, None where it is not known.

    Attributes
    ----------
    steroid_mg : float or None
        Dexamethasone equivalent per day.
    clinical_status : str or None
        One of `STATUSES`, compared with the baseline.
    weeks_since_radiotherapy : float or None
    """

    steroid_mg: float | None = None
    clinical_status: str | None = None
    weeks_since_radiotherapy: float | None = None

    @property
    def missing(self) -> list[str]:
        """Names of the fields that are not known."""
        return [name for name, value in vars(self).items() if value is None]


@dataclass(frozen=True)
class Visit:
    """One examination of the patient.

    Attributes
    ----------
    key : str
        Its folder below that of the patient; it may hold a name, so it is in no output.
    number : int
        From 1, in order of time.
    day : int or None
        Days since the first visit, None where dates are unknown.
    case : OneCase
    clinical : Clinical
    acquired : date or None
    """

    key: str
    case: OneCase
    number: int = 0
    day: int | None = None
    clinical: Clinical = Clinical()
    acquired: date | None = None

    @property
    def name(self) -> str:
        """For outputs."""
        return f"visit {self.number}"


def ordered(
    place: Path, cases: Sequence[OneCase], one_patient: bool = False
) -> tuple[list[Visit], list[str]]:
    """The visits of a patient in order of time, and warnings.

    Dates are those of `TABLE` in the folder of the patient, else those of the DICOM headers. Where
    a visit has neither, the order is that of the folders, and no visit has a day.

    Parameters
    ----------
    place : Path
        Folder of the patient.
    cases : sequence of OneCase
        Found in it.
    one_patient : bool
        Whether differing identifiers are of the same patient.

    Raises
    ------
    InputError
        If there are fewer than two visits, identifiers of several patients, or a row or field of
        the table is not valid.
    """
    if len(cases) < 2:
        raise InputError(
            f"{place}: holds {counted(len(cases), 'visit')}; follow-up compares at least two. Put"
            " each visit into a folder of its own below that of the patient."
        )
    if not one_patient:
        _require_one_patient(place, cases)
    keys, path = _keys(place, cases), place / TABLE
    rows = _rows(path, keys)
    known, days, warnings = [], [], []
    for key, case in zip(keys, cases, strict=True):
        row = rows.get(key, {})
        acquired, written = acquired_on(case.found), _date(row, path)
        if acquired and written and acquired != written:
            apart = counted(abs((acquired - written).days), "day")
            warnings.append(
                f"the date of a visit in {TABLE} is {apart} from that in its DICOM headers;"
                f" {TABLE} was used"
            )
        days.append(_number(row, "day", path))
        known.append(Visit(key, case, clinical=_clinical(row, path), acquired=written or acquired))
    visits = in_time(known, days)
    if visits[0].day is None:
        warnings.append(
            "the dates of the visits are not known: they are in the order of their folders, and"
            f" intervals are not considered. Give them in {TABLE}"
        )
    return visits, warnings


def in_time(visits: Sequence[Visit], days: Sequence[float | None]) -> list[Visit]:
    """Number the visits in order of time, and count days from the first.

    Parameters
    ----------
    visits : sequence of Visit
    days : sequence of float or None
        Of each visit, from any first day. Where one is None, dates count, and where one of these is
        not known either, the order stays and no visit gets a day.
    """
    dates = [visit.acquired for visit in visits]
    since: list[int | None]
    if all(day is not None for day in days):
        since = [round(day) for day in days if day is not None]
    elif all(dates):
        since = [each.toordinal() for each in dates if each]
    else:
        since = [None] * len(visits)
    first = min((day for day in since if day is not None), default=0)
    order = sorted(range(len(visits)), key=lambda place: (since[place] or 0, place))
    numbered = []
    for number, place in enumerate(order, 1):
        day = since[place]
        day = None if day is None else day - first
        numbered.append(replace(visits[place], number=number, day=day))
    return _distinct(numbered)


def _distinct(visits: Sequence[Visit]) -> list[Visit]:
    """The visits with the number in the name of each case where two have one name, as if files are
    named by the patient alone: results are named by cases.
    """
    names = [visit.case.name for visit in visits]
    return [
        visit if names.count(visit.case.name) == 1 else replace(visit, case=_numbered(visit))
        for visit in visits
    ]


def _numbered(visit: Visit) -> OneCase:
    found = visit.case.found
    return replace(visit.case, found=replace(found, case=f"{found.case}_visit{visit.number}"))


def _keys(place: Path, cases: Sequence[OneCase]) -> list[str]:
    """The first folder below `place` of every case, its whole path where several share it."""
    paths = [case.found.folder.relative_to(place) for case in cases]
    firsts = [path.parts[0] if path.parts else "." for path in paths]
    return [
        first if firsts.count(first) == 1 else path.as_posix()
        for first, path in zip(firsts, paths, strict=True)
    ]


def _require_one_patient(place: Path, cases: Sequence[OneCase]) -> None:
    patients = {case.found.case: _patient(case.found) for case in cases}
    named = sorted({patient for patient in patients.values() if patient})
    if len(named) > 1:
        raise InputError(
            f"{place}: holds visits of {len(named)} patients ({', '.join(named)}). Keep one patient"
            " per folder; if the identifiers differ although it is one, use --one-patient."
        )


def _patient(found: Found) -> str:
    """The patient by an identifier that several visits share; empty where there is none."""
    if any(isinstance(origin, DicomSeries) for origin in found.images.values()):
        return found.patient
    return patient_of(found.case) if timepoint_of(found.case) else ""


def acquired_on(found: Found) -> date | None:
    """The earliest day in the headers of DICOM series, None where there is none."""
    series = (origin for origin in found.images.values() if isinstance(origin, DicomSeries))
    days = [read_header(part.files[0]).acquired[0] for part in series]
    valid = [day for day in map(_from_digits, days) if day]
    return min(valid, default=None)


def _from_digits(digits: str) -> date | None:
    try:
        return date.fromisoformat(digits) if digits else None
    except ValueError:
        return None


def _rows(path: Path, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """The rows of the table by visit; none without a table."""
    if not path.is_file():
        return {}
    listed = read_csv(path)
    columns = list(listed[0]) if listed else ["visit"]
    if unknown := [name for name in columns if name not in _COLUMNS]:
        raise InputError(
            f"{path}: has the column {', '.join(unknown)}, which is not known. Its columns are"
            f" {', '.join(_COLUMNS)}; all but the first may be left out."
        )
    rows: dict[str, dict[str, str]] = {}
    for row in listed:
        key = row.get("visit", "").strip()
        if key not in keys or key in rows:
            found = "is listed twice" if key in rows else f"is not among {', '.join(keys)}"
            raise InputError(f"{path}: visit {key!r} {found}. Name each folder once.")
        rows[key] = row
    return rows


def _date(row: Mapping[str, str], path: Path) -> date | None:
    text = row.get("date", "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InputError(f"{path}: date {text!r} is not a date. Write it as 2024-03-31.") from None


def _number(row: Mapping[str, str], name: str, path: Path) -> float | None:
    text = row.get(name, "").strip()
    try:
        value = float(text) if text else None
    except ValueError:
        value = float("nan")
    if value is not None and not 0 <= value < float("inf"):
        raise InputError(f"{path}: {name} {text!r} is not a number of at least 0. Fix the field.")
    return value


def _clinical(row: Mapping[str, str], path: Path) -> Clinical:
    status = row.get("clinical_status", "").strip().lower() or None
    if status not in (None, *STATUSES):
        raise InputError(
            f"{path}: clinical_status {status!r} is not known. Write {', '.join(STATUSES)}, or"
            " leave it empty."
        )
    steroid, weeks = (
        _number(row, name, path) for name in ("steroid_mg", "weeks_since_radiotherapy")
    )
    return Clinical(steroid, status, weeks)


def named(visits: Sequence[Visit], wanted: str | None, option: str) -> int:
    """Index of the visit that an option names by its folder or number; 0, the first, for None."""
    if wanted is None:
        return 0
    names = [(visit.key, str(visit.number)) for visit in visits]
    for position in (0, 1):
        for index, name in enumerate(names):
            if name[position] == wanted:
                return index
    raise InputError(
        f"{option} {wanted}: is no visit. Name one of {', '.join(key for key, _ in names)}, or its"
        f" number from 1 to {len(visits)}."
    )
