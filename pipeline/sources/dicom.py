"""DICOM examinations: a folder per patient or study, its series recognised by their headers.

Who the patient is does not leave this source: cases and patients are named by pseudonyms (see `pseudonym` in
pipeline/io/dicom_header.py), the same patient alike in every study. Folder names do not enter them.
"""

import re
from itertools import chain
from pathlib import Path

from pipeline.domain.errors import InputError
from pipeline.domain.schema import Schema
from pipeline.domain.sequences import MODALITIES, Recognised, choose, overridden, recognise
from pipeline.io.cases import Found
from pipeline.io.dicom_study import Stack, Study, studies
from pipeline.params import read_yaml
from pipeline.sources.source import Source

TABLE = "modalities.yaml"
_MASKS = ("seg.nii.gz", "seg.nii")


def schema(modalities: tuple[str, ...]) -> Schema:
    """The cohort schema of examinations that have these modalities in common, and a mask of the whole tumour."""
    return Schema(
        cohort="dicom",
        dimensions=3,
        modalities=modalities,
        labels={"tumour": 1},
        regions={"WT": ("tumour",)},
        empty_rule="nan",
        lesion_rules=None,  # the files do not tell the kind of tumour
    )


def find(location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    """Find the examinations below a folder.

    Parameters
    ----------
    location : Path
        Holds the DICOM files of each examination in folders of their own, at any depth; with `modalities.yaml`, if
        the user corrects how series are recognised, and ``seg.nii.gz`` beside the series of an examination.
    limit : int
        Take only the first so many cases in the order of their names; 0 takes all.

    Returns
    -------
    Schema
        With the modalities that all cases have, in the order t1n, t1c, t2w, t2f.
    list of Found
        Sorted by case.

    Raises
    ------
    InputError
        If there is no MR examination, a file is damaged, a folder mixes patients or examinations, several series may
        be the same modality, or no modality is in all examinations.
    """
    table = read_table(location)
    every = _studies(location)
    taken = every[: limit or None]
    assigned, refused = [], []
    for study in taken:
        try:
            assigned.append(_assign(study, table))
        except InputError as error:
            refused.append(str(error))
    if refused:
        raise InputError("\n".join([*refused[:5], *([f"… and {len(refused) - 5} more examinations"] if len(refused) > 5 else [])]))
    common = tuple(name for name in MODALITIES if all(name in images for images in assigned))
    if not common:
        listed = "\n".join(f"{study.folder}: {', '.join(images)}" for study, images in zip(taken[:8], assigned, strict=False))
        raise InputError(f"{location}: no modality is in all {len(taken)} examinations:\n{listed}\nRemove those that lack what you need.")
    return schema(common), [
        _found(study, images, common, _mask(study, location, every)) for study, images in zip(taken, assigned, strict=True)
    ]


def read_study(folder: Path) -> Found:
    """Read which series of one examination are which modality.

    Parameters
    ----------
    folder : Path
        Holds the DICOM files of one examination, at any depth, and `modalities.yaml` if the user corrects it.

    Returns
    -------
    Found
        With all modalities recognised.

    Raises
    ------
    InputError
        As `find`; and if the folder holds several examinations.
    """
    found = _studies(folder)
    if len(found) > 1:
        listed = ", ".join(str(study.folder) for study in found[:5])
        raise InputError(f"{folder}: holds {len(found)} examinations ({listed}). Name the folder of one.")
    images = _assign(found[0], read_table(folder))
    return _found(found[0], images, tuple(images), _mask(found[0], folder, found))


def read_table(location: Path) -> dict[str, str | None]:
    """The user's `modalities.yaml`: pattern of a series description, or SeriesInstanceUID, to modality or null.

    Parameters
    ----------
    location : Path
        Folder that may hold it.

    Returns
    -------
    dict
        In the order of the file; empty where there is none.

    Raises
    ------
    InputError
        If it is no YAML, no such table, a pattern is no regular expression, or a modality is unknown.
    """
    path = location / TABLE
    if not path.is_file():
        return {}
    table = read_yaml(path, "Write one line for each kind of series, such as '^AX T1 POST$': t1c, or remove the file.") or {}
    if not isinstance(table, dict):
        raise InputError(f"{path}: must be a table of lines such as '^AX T1 POST$': t1c, got {type(table).__name__}. Write it so.")
    for pattern, modality in table.items():
        if modality is not None and modality not in MODALITIES:
            raise InputError(f"{path}: {pattern!r}: must be one of {', '.join(MODALITIES)} or null, got {modality!r}.")
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise InputError(f"{path}: {pattern!r}: is no regular expression ({error}). Put it in quotes.") from None
    return table


def _studies(location: Path) -> list[Study]:
    if not location.is_dir():
        raise InputError(f"{location}: is not a folder. Name the folder that holds the DICOM files of an examination.")
    found = [study for study in studies(location) if study.stacks]
    if not found:
        raise InputError(f"{location}: holds no DICOM file of an MR image. Name the folder that holds the examinations.")
    return found


def _assign(study: Study, table: dict[str, str | None]) -> dict[str, Stack]:
    """Modality -> series."""
    told = [overridden(stack.acquisition, stack.kind, stack.series, table) for stack in study.stacks]
    recognised = [
        (by_user or recognise(stack.acquisition), by_user is not None, stack.acquisition.derived)
        for by_user, stack in zip(told, study.stacks, strict=True)
    ]
    chosen = choose(recognised)
    for modality, candidates in chosen.items():
        if len(candidates) > 1:
            raise InputError(_ambiguity(study, modality, [study.stacks[index] for index in candidates]))
    if not chosen:
        raise InputError(_nothing(study, [found for found, _, _ in recognised]))
    return {modality: study.stacks[candidates[0]] for modality, candidates in chosen.items()}


def _ambiguity(study: Study, modality: str, candidates: list[Stack]) -> str:
    listed = [f"  {stack.name}, {len(stack.files)} files in {stack.part.path}, {stack.series}" for stack in candidates]
    last = candidates[-1]
    description = last.acquisition.description
    alike = sum(stack.acquisition.description == description for stack in candidates) > 1
    pattern = (re.escape(last.kind) if alike and last.kind else last.series) if alike else f"^{re.escape(description)}$"
    return "\n".join(
        [
            f"{study.folder}: {len(candidates)} series may be {modality}:",
            *listed,
            f"Choose one: in {TABLE} in the folder that holds the examinations (cohort.location), leave out the others, as by the line",
            f"'{pattern.replace(chr(92) + ' ', ' ')}': null",
        ]
    )


def _nothing(study: Study, recognised: list[Recognised]) -> str:
    listed = [f"  {stack.name}: {found.reason}" for stack, found in zip(study.stacks, recognised, strict=True)]
    return "\n".join(
        [
            f"{study.folder}: no series is recognised as one of {', '.join(MODALITIES)}:",
            *listed[:40],
            f"Say what they are in {TABLE} in the folder that holds the examinations, as by the line",
            "'^AX T1 POST$': t1c",
        ]
    )


def _found(study: Study, images: dict[str, Stack], wanted: tuple[str, ...], mask: Path | None) -> Found:
    surplus = [name for name in images if name not in wanted]
    notes = (f"{', '.join(surplus)} is not used, since not all examinations have it",) if surplus else ()
    return Found(
        case=f"study-{study.study}",
        patient=f"patient-{study.patient}",
        folder=study.folder,
        images={name: images[name].part for name in wanted},
        labels=mask,
        notes=notes,
    )


def _mask(study: Study, location: Path, every: list[Study]) -> Path | None:
    """``seg.nii.gz`` in the folder of the examination, or above it where no other examination lies below."""
    others = [other.folder for other in every if other is not study]
    inside = [folder for folder in (study.folder, *study.folder.parents) if folder == location or location in folder.parents]
    own = [folder for folder in inside if not any(folder == other or folder in other.parents for other in others)]
    return next((path for path in chain.from_iterable([folder / name for name in _MASKS] for folder in own) if path.is_file()), None)


SOURCE = Source(
    name="dicom",
    title="DICOM examinations: a folder per patient or study, series recognised by their headers, 3D",
    schemas=(schema(MODALITIES),),
    patients="one per PatientID, named by a pseudonym; where that is empty, one per StudyInstanceUID",
    licence="That of your data. Identities stay in the DICOM files: cases and patients are named by hashes.",
    citation="NEMA PS3 / ISO 12052, Digital Imaging and Communications in Medicine (DICOM) Standard",
    access=f"Export the examinations from your archive, one folder each, with seg.nii.gz beside the series; {TABLE} corrects modalities.",
    find=find,
)
