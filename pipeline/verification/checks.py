"""The checks of one case, after every byte and voxel was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.case import Case
from ..core.catalogue import CaseEntry, FileEntry
from ..core.errors import InputError
from ..core.grid import rows_of
from ..core.schema import Schema
from ..formats.raw_cases import Found, read_volumes
from ..formats.volume import Part, Volume
from .fingerprints import content_sha256, fingerprint
from .modality_swaps import doubts, relations
from .plausibility import Fault, faults, skull_stripped
from .remark import Remark
from .thumbnail import favourite, thumbnail


@dataclass(frozen=True, eq=False)
class Verified:
    """The result of verifying a case."""

    entry: CaseEntry  # for the catalogue
    fingerprint: np.ndarray  # (P, A, A, B) int8, of the modality that the thumbnail shows
    relations: np.ndarray  # (C, C, 2) float64, see `pipeline.verification.modality_swaps`
    thumbnail: np.ndarray  # (72, 72, 3) uint8
    warnings: tuple[str, ...]  # what the user should know about its files
    faults: tuple[Fault, ...]


def verify(found: Found, schema: Schema) -> Verified:
    """Read a case and check that it is what the schema declares.

    Paths in the entry are ``case/name``, as `download` stores them. If files of the case share a
    name, each is prefixed by its modality or ``seg``: ``case/t1n_image.nii.gz``.
    """
    try:
        case, volumes = read_volumes(found, schema)
    except InputError as error:
        raise InputError(found.in_published_names(str(error))) from None
    shown = favourite(schema.modalities)
    voxels = case.image[..., shown]
    brain_voxels = int(np.count_nonzero(case.image.any(axis=-1)))
    stripped = skull_stripped(voxels, case.grid.spacing_mm)
    images = {name: volumes[name] for name in schema.modalities}
    return Verified(
        entry=_entry(found, schema, case, volumes, brain_voxels, stripped),
        fingerprint=fingerprint(voxels, case.grid),
        relations=relations(case.image, case.grid.spacing_mm),
        thumbnail=thumbnail(case, shown),
        warnings=found.warnings(volumes),
        faults=tuple(faults(images, case.grid, brain_voxels)),
    )


class Noticed(NamedTuple):
    """What is wrong with a case that is to be predicted: warnings about it and its files; and the
    doubts among them, each a sentence, for which its labels cannot be trusted.
    """

    warnings: list[str]
    doubts: list[str]


_SKULL_ON = Remark(
    "the skull is on, or air is not even, but the network was trained on brains alone",
    "",
    "The labels cannot be trusted. Run it again with --native, which extracts the brain.",
)
_SKULL_OFF = Remark(
    "the skull was removed, but the network was trained on heads with it",
    "",
    "The labels cannot be trusted.",
)


def incomplete(case: str, absent: Sequence[str]) -> list[str]:
    """A warning that a case was segmented without some modalities; none if none is absent."""
    if not absent:
        return []
    lacks, them = ("is", "it") if len(absent) == 1 else ("are", "them")
    return [
        f"{case}: {', '.join(absent)} {lacks} missing: segmented without {them}, as the network was"
        f" trained to be. Labels are less accurate than with {them}. Measure by how much with"
        " evaluate.missing_modalities."
    ]


def alone(
    found: Found,
    case: Case,
    volumes: Mapping[str, Volume],
    modalities: Sequence[str],
    trained_stripped: bool | None,
    nonzero: bool,
) -> Noticed:
    """Warnings about a single case that is to be predicted.

    Parameters
    ----------
    case, volumes : Case, mapping of str to Volume
        From `pipeline.formats.raw_cases.read_volumes`, or the same registered to one grid.
    modalities : sequence of str
        Names of the channels.
    trained_stripped : bool or None
        Whether the skull was removed in the training cases; None if that is unknown, or the brain
        of this case was just extracted.
    nonzero : bool
        Whether voxels that differ from 0 count as brain.

    Returns
    -------
    Noticed
        What would make the labels silently wrong: contradictory headers, swapped modalities, a
        skull that training cases did not have or a missing one that they had, air that is not 0,
        masks in place of images.
    """
    spacing_mm = case.grid.spacing_mm
    remarks = doubts(relations(case.image, spacing_mm), modalities)
    stripped = skull_stripped(case.image[..., favourite(modalities)], spacing_mm)
    if trained_stripped and stripped is False:
        nonzero = False  # the skull is why more than a brain differs from 0
        remarks.append(_SKULL_ON)
    if trained_stripped is False and stripped:
        remarks.append(_SKULL_OFF)
    brain_voxels = int(np.count_nonzero(case.image.any(axis=-1))) if nonzero else None
    own = faults({name: volumes[name] for name in modalities}, case.grid, brain_voxels)
    grave = [fault for fault in own if fault.is_grave]
    remarks += [Remark(f"{one.name} ({one.found})", "", f"{one.remedy}.") for one in grave]
    return Noticed(
        [
            *found.warnings(volumes),
            *(remark.about(case.name) for remark in remarks),
            *(f"{case.name} ({one.found}): {one.what}" for one in own if not one.is_grave),
        ],
        [remark.sentence for remark in remarks],
    )


def _entry(
    found: Found,
    schema: Schema,
    case: Case,
    volumes: dict[str, Volume],
    brain_voxels: int,
    stripped: bool | None,
) -> CaseEntry:
    labels = found.labels
    classes = {} if case.classes is None else dict(enumerate(schema.labels, 1))
    return CaseEntry(
        case=found.case,
        patient=found.patient,
        images={
            name: _describe(found, name, found.images[name], volumes[name])
            for name in schema.modalities
        },
        labels=None if labels is None else _describe(found, "seg", labels, volumes["labels"]),
        shape=case.grid.shape,
        affine=rows_of(case.grid.affine),
        spacing_mm=case.grid.spacing_mm,
        orientation=case.grid.orientation,
        brain_ml=round(brain_voxels * float(np.prod(case.grid.spacing_mm)) / 1000, 3),
        attributes=dict(sorted(found.attributes.items())),
        native=f"{found.case}/{found.native.name}" if found.native else None,
        stripped=stripped,
        label_voxels={
            name: int(np.count_nonzero(case.classes == index)) for index, name in classes.items()
        },
    )


def _describe(found: Found, name: str, path: Path | Part, volume: Volume) -> FileEntry:
    voxels = volume.voxels
    names = [file.name.casefold() for file in (*found.images.values(), found.labels) if file]
    are_unique = len(set(names)) == len(names)  # also in file systems that ignore case
    return FileEntry(
        path=f"{found.case}/{'' if are_unique else f'{name}_'}{path.name}",
        sha256=volume.sha256,
        content_sha256=content_sha256(voxels, volume.grid),
        dtype=voxels.dtype.name,
        minimum=float(voxels.min()),
        maximum=float(voxels.max()),
        origin_sha256=found.origins.get(name),
    )
