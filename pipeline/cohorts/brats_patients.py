"""Patients in BraTS: the part of an identifier that is the same over timepoints and years, and the
tables that join identifiers.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from ..formats.walking import files_below
from .source import read_table

_FOLLOWED_UP = re.compile(r"^(?P<patient>UCSF-PDGM-\d+)_(?P<timepoint>FU\d+d)$")
_SINCE_2023 = re.compile(r"^(?P<patient>BraTS-[A-Za-z]+(-RT)?-\d+)-(?P<timepoint>\d+)$")
_UNTIL_2019 = re.compile(r"^Brats1[789]_(?P<patient>.+)_\d+$", re.IGNORECASE)
_SCAN = re.compile(r"^(UPENN-GBM-\d+)_\d+$")
_PUBLISHED = re.compile(
    r"(?<![A-Za-z0-9])("
    r"BraTS-[A-Z]{2,4}(-RT)?-\d{4,5}-\d{3}"
    r"|Bra[tT][sS]1[789]_(CBICA|TCIA\d{0,2}|2013|TMC|UAB|WashU)_[A-Z0-9]{1,5}_\d"
    r"|BraTS20_(Training|Validation)_\d{3}|BraTS2021_\d{5}"
    r"|UCSF-PDGM-\d{3,4}(_FU\d{3}d)?"
    r")(?![A-Za-z0-9])"
)
"""Identifiers that the challenges published, wherever they are in a name."""
_ATTRIBUTES = {
    "grade": "grade",
    "age": "age",
    "survival": "survival_days",
    "survivaldays": "survival_days",
    "resectionstatus": "resection",
    "extentofresection": "resection",
    "datacollectionasontciaadditional": "collection",
    "siteid": "site",
    "mgmtvalue": "mgmt",
}


def patient_of(identifier: str) -> str:
    """The patient of an identifier, the same over timepoints and, from 2017 to 2019, over years:
    ``Brats17_CBICA_AAB_1`` is ``CBICA_AAB``.
    """
    match = (
        _SINCE_2023.match(identifier)
        or _UNTIL_2019.match(identifier)
        or _FOLLOWED_UP.match(identifier)
    )
    return match["patient"] if match else identifier


def published_patient(names: Iterable[str]) -> str:
    """The patient whose published identifier is in names of files or folders; empty if there is
    none, or several. Other names may be those of persons, and give nothing.
    """
    found = (patient_of(match[0]) for name in names for match in _PUBLISHED.finditer(name))
    patients = set(found)
    return patients.pop() if len(patients) == 1 else ""


def timepoint_of(identifier: str) -> str | None:
    """The timepoint in a name: ``100`` of ``BraTS-GLI-00005-100``, ``FU003d`` of
    ``UCSF-PDGM-0429_FU003d``.
    """
    match = _SINCE_2023.match(identifier) or _FOLLOWED_UP.match(identifier)
    return match and match["timepoint"]


class Tables:
    """Survival and name mapping of 2017 to 2021, where the cases come with them as CSV.

    Columns, ignoring case and punctuation: Grade, BraTS_2017_subject_ID to BraTS_2020_subject_ID
    and TCGA_TCIA_subject_ID (name_mapping.csv of 2019, 2020); Brats17ID, BraTS18ID, BraTS19ID or
    Brats20ID, Age, Survival or Survival_days, ResectionStatus or Extent_of_Resection
    (survival_data.csv, survival_info.csv, survival_evaluation.csv); BraTS2021 ID, PatientID on TCIA
    Radiology Portal, Data Collection, Site ID and MGMT value (BraTS2021_MappingToTCIA.xlsx of TCIA,
    saved as CSV by the user). Tables are found at any depth; one that cannot be read is an
    InputError.
    """

    _FILES = re.compile(r"^(?!\.).*(mapping|survival).*\.csv$", re.IGNORECASE)
    _IDENTIFIER = re.compile(
        r"^(brats(20)?\d\d(subject)?id|tcgatciasubjectid|patientidontciaradiologyportal)$"
    )
    _UNKNOWN = ("", "na", "n/a", "nan", "none", "new-not-previously-in-tcia")

    def __init__(self, location: Path) -> None:
        self._groups: dict[str, set[str]] = {}
        self._attributes: dict[str, dict[str, str]] = {}
        for path in files_below(location):
            if self._FILES.match(path.name):
                for row in read_table(path, "Fetch it again, or move it away.")[1]:
                    self._add(row)

    def of(self, patient: str) -> tuple[str, dict[str, str]]:
        """The name of a patient in all years, TCGA's if there is one, and its attributes."""
        group = sorted(
            self._groups.get(patient, {patient}),
            key=lambda name: (not name.startswith("TCGA"), name),
        )
        attributes: dict[str, str] = {}
        for name in group:
            attributes |= self._attributes.get(name, {})
        return group[0], attributes

    def _add(self, published: dict[str, str]) -> None:
        row = {
            re.sub(r"[^a-z0-9]", "", column.lower()): field.strip()
            for column, field in published.items()
            if column and field.strip().lower() not in self._UNKNOWN
        }
        collection = row.get("datacollectionasontciaadditional", "TCIA")
        identifiers = {
            # a mere number (UCSF-PDGM) is one within its collection
            _SCAN.sub(r"\1", patient_of(f"{collection}-{value}" if value.isdecimal() else value))
            for key, value in row.items()
            if self._IDENTIFIER.match(key)
        }
        group = identifiers.union(*(self._groups.get(name, set()) for name in identifiers))
        attributes = {_ATTRIBUTES[key]: row[key] for key in row if key in _ATTRIBUTES}
        survival = attributes.get("survival_days", "0")
        if not survival.replace(".", "", 1).isdecimal():  # as "ALIVE (361 days later)" in 2020
            attributes["survival"] = attributes.pop("survival_days")
        for name in group:
            self._groups[name] = group
            self._attributes[name] = self._attributes.get(name, {}) | attributes
