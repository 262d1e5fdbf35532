"""The catalogue: what a cohort holds, as verified."""

from collections.abc import Sequence

from .errors import InputError
from .schema import Schema
from .strict import Strict

_USUAL = 0.8  # share of the cases that makes something a habit of the cohort


class FileEntry(Strict):
    """One file of a case.

    Attributes
    ----------
    path : str
        Relative to the folder of the catalogue, with forward slashes.
    sha256 : str
        Of the file's bytes.
    content_sha256 : str
        Of the voxel values whatever the file format, axes, dtype or empty margin
        (`pipeline.verification.fingerprints`).
    dtype : str
        Of the voxels in the file.
    minimum, maximum : float
        Of the voxels.
    origin_sha256 : str or None
        Of the published files that the voxels were taken from, None where the file is as published.
    """

    path: str
    sha256: str
    content_sha256: str
    dtype: str
    minimum: float
    maximum: float
    origin_sha256: str | None


class CaseEntry(Strict):
    """One verified case.

    Attributes
    ----------
    case, patient : str
        Identities; several cases may belong to one patient.
    images : dict of str to FileEntry
        One per modality of the schema, in its order.
    labels : FileEntry or None
        The reference, None for a case without one.
    shape : tuple of int
        Voxels along the axes of the files.
    affine : tuple of 4 rows
        Voxel indices to RAS+ millimetres.
    spacing_mm : tuple of float
        Along the axes of the files.
    orientation : str
        Axis codes, e.g. ``LPS``.
    brain_ml : float
        Volume where any modality differs from 0.
    label_voxels : dict of str to int
        Voxels of each label of the schema; empty without a reference.
    attributes : dict of str to str
        What the source tells of the case, such as ``grade`` or the published ``fold``.
    native : str or None
        Path of the way back to the series as acquired (`pipeline.registration.native.Native`), None
        where they were taken as they are.
    stripped : bool or None
        Whether the skull was removed; None of single slices, which do not show it, and in
        catalogues written before it was recorded.
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
    """Everything `download` found out about a cohort.

    Attributes
    ----------
    cohort : Schema
        What the voxels mean.
    licence : str
        Terms of the cohort and how to cite it.
    cases : tuple of CaseEntry
        Sorted by case.
    alike : tuple of (str, str, float)
        Pairs of cases that look like one examination, and their similarity
        (`pipeline.verification.fingerprints`).
    """

    cohort: Schema
    licence: str
    cases: tuple[CaseEntry, ...]
    alike: tuple[tuple[str, str, float], ...]

    def stripped(self, cases: Sequence[str]) -> bool | None:
        """Whether the skull was removed in some of the cases: as at least four of five have it,
        None where that is not known.
        """
        known = [
            entry.stripped
            for entry in self.cases
            if entry.case in set(cases) and entry.stripped is not None
        ]
        return next(
            (kind for kind in (True, False) if known and known.count(kind) >= _USUAL * len(known)),
            None,
        )

    def entry(self, case: str) -> CaseEntry:
        """The entry of a case; InputError if there is none."""
        found = next((entry for entry in self.cases if entry.case == case), None)
        if found is None:
            raise InputError(
                f"case {case} stands in the split, but not in the catalogue of"
                f" {self.cohort.cohort}. Run `dvc repro split`."
            )
        return found
