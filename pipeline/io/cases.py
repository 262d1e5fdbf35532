"""Raw cases: read every modality and the reference of one case, and check them against each other."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.domain.case import Case
from pipeline.domain.catalogue import CaseEntry, FileEntry
from pipeline.domain.errors import InputError
from pipeline.domain.regions import values_to_classes
from pipeline.domain.schema import Schema
from pipeline.io import nifti


@dataclass(frozen=True)
class Found:
    """Files that a source takes for one case.

    Attributes
    ----------
    case, patient : str
        Identities.
    folder : Path
        Where the case was found, for messages.
    images : dict of str to Path
        One file per modality present.
    labels : Path or None
        The reference.
    """

    case: str
    patient: str
    folder: Path
    images: dict[str, Path]
    labels: Path | None


def read(found: Found, schema: Schema) -> Case:
    """Read a case, refusing what cannot be used.

    Parameters
    ----------
    found : Found
        Its files.
    schema : Schema
        What they must hold.

    Returns
    -------
    Case

    Raises
    ------
    InputError
        As `verify`.
    """
    return _read(found, schema)[0]


def verify(found: Found, schema: Schema) -> CaseEntry:
    """Read a case and describe it for the catalogue.

    Parameters
    ----------
    found : Found
        Its files; a path in the entry is ``case/name``, as `download` lays them out.
    schema : Schema
        What they must hold.

    Returns
    -------
    CaseEntry

    Raises
    ------
    InputError
        If a modality is missing, a file is not readable, grids differ, voxels are NaN, infinite or all
        equal, or a label value is foreign to the schema.
    """
    case, volumes = _read(found, schema)
    counts = {} if case.classes is None else np.bincount(case.classes.ravel(order="K"), minlength=len(schema.labels) + 1)
    brain = np.count_nonzero(case.image.any(axis=-1))
    return CaseEntry(
        case=found.case,
        patient=found.patient,
        images={name: _describe(found, found.images[name], volumes[name]) for name in schema.modalities},
        labels=None if found.labels is None else _describe(found, found.labels, volumes["labels"]),
        shape=case.grid.shape,
        affine=tuple(tuple(float(number) for number in row) for row in case.grid.affine),
        spacing_mm=case.grid.spacing_mm,
        orientation=case.grid.orientation,
        brain_ml=round(brain * float(np.prod(case.grid.spacing_mm)) / 1000, 3),
        label_voxels={name: int(counts[index]) for index, name in enumerate(schema.labels, 1)} if len(counts) else {},
    )


def _read(found: Found, schema: Schema) -> tuple[Case, dict[str, nifti.Volume]]:
    missing = [name for name in schema.modalities if name not in found.images]
    if missing:
        raise InputError(
            f"{found.folder}: modality {', '.join(missing)} of case {found.case} is missing, found {sorted(found.images)}. "
            "Add the file, or remove the case."
        )
    volumes = {name: nifti.read(found.images[name]) for name in schema.modalities}
    first = schema.modalities[0]
    grid = volumes[first].grid
    for name in schema.modalities:
        _refuse_bad_voxels(found.images[name], volumes[name].voxels)
        _refuse_other_grid(found.images[name], volumes[name].grid, found.images[first], grid)
    image = np.empty((*grid.shape, len(volumes)), np.float32, order="F")  # channels apart, as the files lie
    for channel, name in enumerate(schema.modalities):
        image[..., channel] = volumes[name].voxels
    classes = None
    if found.labels is not None:
        volumes["labels"] = nifti.read(found.labels)
        _refuse_other_grid(found.labels, volumes["labels"].grid, found.images[first], grid)
        try:
            classes = values_to_classes(volumes["labels"].voxels, schema)
        except ValueError as error:
            raise InputError(f"{found.labels}: {error}. Mend the mask, or choose the cohort it belongs to.") from None
    return Case(found.case, image, classes, grid), volumes


def _refuse_bad_voxels(path: Path, voxels: np.ndarray) -> None:
    if not np.isfinite(voxels).all():
        raise InputError(f"{path}: {np.count_nonzero(~np.isfinite(voxels))} voxels are NaN or infinite. Repair or remove the case.")
    if voxels.min() == voxels.max():
        raise InputError(f"{path}: every voxel is {voxels.min():g}, the volume is empty. Fetch it again, or remove the case.")


def _refuse_other_grid(path: Path, grid: nifti.Grid, reference: Path, expected: nifti.Grid) -> None:
    difference = grid.differs(expected)
    if difference:
        raise InputError(
            f"{path}: lies on another grid than {reference.name}: {difference}. Resample it onto that grid, or mend its header."
        )


def _describe(found: Found, path: Path, volume: nifti.Volume) -> FileEntry:
    voxels = volume.voxels
    return FileEntry(
        path=f"{found.case}/{path.name}",
        sha256=volume.sha256,
        voxels_sha256=hashlib.sha256(np.asarray(voxels, np.float32).tobytes(order="F")).hexdigest(),
        dtype=voxels.dtype.name,
        minimum=float(voxels.min()),
        maximum=float(voxels.max()),
    )


def found_in(catalogue_folder: Path, entry: CaseEntry) -> Found:
    """The files of a catalogued case, ready for `read`."""
    return Found(
        case=entry.case,
        patient=entry.patient,
        folder=catalogue_folder / entry.case,
        images={name: catalogue_folder / file.path for name, file in entry.images.items()},
        labels=entry.labels and catalogue_folder / entry.labels.path,
    )
