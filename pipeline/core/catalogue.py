"""The catalogue of a verified cohort."""

from collections.abc import Sequence

from .errors import InputError
from .schema import Schema
from .strict import Strict

_USUAL = 0.8  # least share of the cases for a property of the cohort


class FileEntry(Strict):
    """One file of a case.

    Attributes
    ----------
    path : str
        Relative to the folder of the catalogue, with forward slashes.
    sha256 : str
        Of the file's bytes.
    content_sha256 : str
        Of the voxel values, independent of file format, axes, dtype and empty margin
        (`pipeline.verification.fingerprints`).
    dtype, minimum, maximum
        Of the voxels in the file.
    origin_sha256 : str or None
        Of the published files that the voxels were taken from, None if the file is as published.
    """

    path: str
    sha256: str
    content_sha256: str
    dtype: str
    minimum: float
    maximum: float
    origin_sha256: str | None


class CaseEntry(Strict):
    """One verified case; several may belong to one patient.

    Attributes
    ----------
    images : dict of str to FileEntry
        One per modality of the schema, in its order.
    labels : FileEntry or None
        The reference, None for a case without one.
    shape, spacing_mm : tuple
        Along the axes of the files.
    affine : tuple of 4 rows
        Voxel indices to RAS+ millimetres.
    orientation : str
        Axis codes, e.g. ``LPS``.
    brain_ml : float
        Volume where any modality differs from 0.
    label_voxels : dict of str to int
        Voxels of each label of the schema; empty without a reference.
    attributes : dict of str to str
        Attributes that the source publishes, such as ``grade`` or ``fold``.
    native : str or None
        Path of the record of the inverse transform to the series as acquired
        (`pipeline.registration.native.Native`), None if they were not registered.
    stripped : bool or None
        Whether the skull was removed; None for single slices, and in catalogues written before it
        was recorded.
    """

    case: str
    patient: str
    images: dict[str, FileEntry]
    labels: FileEntry | None
    shape: tuple[int, int, int]
    affine: tuple[tuple[float, float, float, float], ...]
    spacing_mm: tuple[float, float, float]
    orientation: str
    brain_ml: float
    label_voxels: dict[str, int]
    attributes: dict[str, str]
    native: str | None
    stripped: bool | None = None

    def region_ml(self, schema: Schema, region: str) -> float:
        """Volume of a region of the reference, in millilitres."""
        x, y, z = self.spacing_mm
        return sum(self.label_voxels[label] for label in schema.regions[region]) * x * y * z / 1000


class Catalogue(Strict):
    """The results of `download` for a cohort.

    Attributes
    ----------
    licence : str
        Terms of the cohort and how to cite it.
    cases : tuple of CaseEntry
        Sorted by case.
    alike : tuple of (str, str, float)
        Pairs of cases that look like one examination, and their similarity
        (`pipeline.verification.fingerprints`).
    corrections : tuple of str
        Corrected cases that joined the cohort for training alone (`pipeline.core.corrected`).
    """

    cohort: Schema
    licence: str
    cases: tuple[CaseEntry, ...]
    alike: tuple[tuple[str, str, float], ...]
    corrections: tuple[str, ...] = ()  # catalogues written before it was there lack it

    def stripped(self, cases: Sequence[str]) -> bool | None:
        """Whether the skull was removed in at least four of five of the cases; None if it was in
        some, or that is unknown.
        """
        wanted = set(cases)
        known = [entry.stripped for entry in self.cases if entry.case in wanted]
        known = [stripped for stripped in known if stripped is not None]
        usual = [kind for kind in (True, False) if known.count(kind) >= _USUAL * len(known)]
        return usual[0] if known and usual else None

    def persons(self) -> dict[str, str]:
        """Patient to one name for all ids of a person: ids whose cases look like one examination
        are merged under the first.
        """
        patient = {entry.case: entry.patient for entry in self.cases}
        person = {name: name for name in patient.values()}
        for one, other, _ in self.alike:
            merged = {person[patient[one]], person[patient[other]]}
            if len(merged) > 1:
                person = {
                    name: min(merged) if known in merged else known
                    for name, known in person.items()
                }
        return person

    def entry(self, case: str) -> CaseEntry:
        """The entry of a case; InputError if there is none."""
        found = next((entry for entry in self.cases if entry.case == case), None)
        if found is None:
            raise InputError(
                f"case {case} is in the split, but not in the catalogue of"
                f" {self.cohort.cohort}. Run `dvc repro split`."
            )
        return found
