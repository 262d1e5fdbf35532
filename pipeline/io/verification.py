"""What reading every byte and voxel of a case tells of it."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.domain.case import Case
from pipeline.domain.catalogue import CaseEntry, FileEntry
from pipeline.domain.errors import InputError
from pipeline.domain.fingerprint import content_sha256, fingerprint
from pipeline.domain.oddities import skull_stripped
from pipeline.domain.schema import Schema
from pipeline.domain.swaps import relations
from pipeline.domain.thumbnail import favourite, thumbnail
from pipeline.io.cases import Found, read_volumes
from pipeline.io.volume import Volume


@dataclass(frozen=True, eq=False)
class Verified:
    """What reading a case tells of it.

    Attributes
    ----------
    entry : CaseEntry
        For the catalogue.
    fingerprint : (P, A, A, B) int8 array
        Of the modality that `pipeline.domain.thumbnail` shows.
    relations : (C, C, 2) float64 array
        How the modalities look beside each other (`pipeline.domain.swaps`).
    stripped : bool
        Whether the skull was removed.
    thumbnail : (72, 72, 3) uint8 array
    warnings : tuple of str
        What the user should know of its files.
    """

    entry: CaseEntry
    fingerprint: np.ndarray
    relations: np.ndarray
    stripped: bool
    thumbnail: np.ndarray
    warnings: tuple[str, ...]


def verify(found: Found, schema: Schema) -> Verified:
    """Read a case and describe it.

    Parameters
    ----------
    found : Found
        Its files; a path in the entry is ``case/name``, as `download` lays them out. Where files of the case share a name,
        each has its modality or ``seg`` in front: ``case/t1n_image.nii.gz``.
    schema : Schema
        What they must hold.

    Returns
    -------
    Verified

    Raises
    ------
    InputError
        As `pipeline.io.cases.read`.
    """
    try:
        case, volumes = read_volumes(found, schema)
    except InputError as error:
        raise InputError(found.in_published_names(str(error))) from None
    shown = favourite(schema.modalities)
    voxels = case.image[..., shown]
    return Verified(
        entry=_entry(found, schema, case, volumes),
        fingerprint=fingerprint(voxels, case.grid),
        relations=relations(case.image, case.grid.spacing_mm),
        stripped=skull_stripped(voxels, case.grid.spacing_mm),
        thumbnail=thumbnail(case, shown),
        warnings=(*found.notes, *_warnings(found, volumes)),
    )


def _warnings(found: Found, volumes: dict[str, Volume]) -> list[str]:
    """What reading the files told, once for all of which it holds; without their folders, which may bear the patient's name."""
    told: dict[str, list[str]] = defaultdict(list)
    for name, volume in volumes.items():
        path = found.labels if name == "labels" else found.images[name]
        for said in volume.warnings:
            told[said.removeprefix(f"{path}: ").replace(str(path), path.name)].append(path.name)
    return [f"{', '.join(names)}: {said}" for said, names in told.items()]


def _entry(found: Found, schema: Schema, case: Case, volumes: dict[str, Volume]) -> CaseEntry:
    classes = {} if case.classes is None else dict(enumerate(schema.labels, 1))
    brain = np.count_nonzero(case.image.any(axis=-1))
    return CaseEntry(
        case=found.case,
        patient=found.patient,
        images={name: _describe(found, name, found.images[name], volumes[name]) for name in schema.modalities},
        labels=None if found.labels is None else _describe(found, "seg", found.labels, volumes["labels"]),
        shape=case.grid.shape,
        affine=tuple(tuple(float(number) for number in row) for row in case.grid.affine),
        spacing_mm=case.grid.spacing_mm,
        orientation=case.grid.orientation,
        brain_ml=round(brain * float(np.prod(case.grid.spacing_mm)) / 1000, 3),
        attributes=dict(sorted(found.attributes.items())),
        native=found.native and f"{found.case}/{found.native.name}",
        label_voxels={name: int(np.count_nonzero(case.classes == index)) for index, name in classes.items()},
    )


def _describe(found: Found, name: str, path: Path, volume: Volume) -> FileEntry:
    voxels = volume.voxels
    return FileEntry(
        path=f"{found.case}/{_stored_name(found, name, path)}",
        sha256=volume.sha256,
        content_sha256=content_sha256(voxels, volume.grid),
        dtype=voxels.dtype.name,
        minimum=float(voxels.min()),
        maximum=float(voxels.max()),
        origin_sha256=found.origins.get(name),
    )


def _stored_name(found: Found, name: str, path: Path) -> str:
    """Name of a file in the folder of its case; letters of either case are one to some file systems."""
    names = [file.name.casefold() for file in (*found.images.values(), found.labels) if file]
    return path.name if len(set(names)) == len(names) else f"{name}_{path.name}"
