"""DICOM examinations: a folder per patient or study, its series recognised by their headers.

The identity of the patient does not leave this source: cases and patients are named by pseudonyms
(`pseudonym` in pipeline/formats/dicom/header.py), which are the same in every study of a patient
and do not depend on folder names.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError
from ..core.params import read_yaml
from ..core.schema import Schema
from ..formats.dicom.sequences import MODALITIES, choose, is_exact, overridden, recognise
from ..formats.dicom.study import Stack, Study, studies
from ..formats.dicom_objects.matching import SegmentationMask
from ..formats.dicom_objects.segments import MANUFACTURER, origin_of
from ..formats.raw_cases import Found
from ..formats.volume import Part
from ..formats.walking import of_one_file
from .dicom_choice import TABLE, Sorting, key_of, question
from .source import Source, require_folder

_MASKS = ("seg.nii.gz", "seg.nii")


def schema(modalities: tuple[str, ...]) -> Schema:
    """The cohort schema of examinations that have these modalities in common, and a mask of the
    whole tumour.
    """
    return Schema(
        cohort="dicom",
        dimensions=3,
        modalities=modalities,
        labels={"tumour": 1},
        regions={"WT": ("tumour",)},
        empty_rule="nan",
        lesion_rules=None,  # the files do not state the kind of tumour
    )


def find(location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    """Find the examinations below a folder, as `Source.find` states.

    There is a folder with the DICOM files of each examination, at any depth, among them a DICOM
    segmentation of one series or ``seg.nii.gz`` beside the series, which is taken if both are
    there; and, where the user corrects modalities, `modalities.yaml`. The schema has the modalities
    that all cases have, in the order t1n, t1c, t2w, t2f.

    Raises
    ------
    InputError
        Also if a folder mixes patients or examinations, several series may be the same modality,
        no modality is in all examinations, or one has several DICOM segmentations and no
        ``seg.nii.gz``.
    """
    table = read_table(location)
    every = _studies(location)
    sortings = [_sort(study, table) for study in every[: limit or None]]
    if undecided := [sorting for sorting in sortings if not sorting.decided(())]:
        native = "set native.enabled: true in params.yaml"
        raise InputError(question(location, undecided, table, (), native))
    common = tuple(
        name for name in MODALITIES if all(name in sorting.images for sorting in sortings)
    )
    if not common:
        listed = "\n".join(
            f"{sorting.study.folder}: {', '.join(sorting.images)}" for sorting in sortings[:8]
        )
        raise InputError(
            f"{location}: no modality is in all {len(sortings)} examinations:\n{listed}\nRemove"
            " those that lack what you need."
        )
    cohort = schema(common)
    found = []
    for sorting in sortings:
        masks = _objects(sorting.study, cohort)
        found.append(_found(sorting, common, location, every, masks))
        _require_one(masks, found[-1].labels)
    return cohort, found


def study_folders(location: Path) -> list[Path]:
    """The folders of the examinations below a folder.

    If some file is damaged, each folder in `location` is read by itself, unless an examination is
    in several of them. One that cannot be read is listed itself, since reading it reports why.
    """
    try:
        return [study.folder for study in _studies(location)]
    except InputError:
        inner = [path for path in sorted(location.iterdir()) if path.is_dir()]
    listed: list[Path] = []
    known: list[str] = []
    for folder in inner:
        try:
            found = [study for study in studies(folder) if study.stacks]
        except InputError:
            listed.append(folder)
        else:
            listed += [study.folder for study in found]
            known += [study.study for study in found]
    return listed if known and len({*known}) == len(known) else [location]


def read_study(
    folder: Path, needed: Sequence[str] = (), incomplete: bool = False, location: Path | None = None
) -> Found:
    """Read which series of one examination are which modality, all that one series alone is
    recognised as, also where `needed` names the modalities that the examination must have.

    Parameters
    ----------
    folder : Path
    needed : sequence of str
    incomplete : bool
        Whether needed modalities may be missing.
    location : Path, optional
        Holds the `modalities.yaml` of an examination without its own.

    Raises
    ------
    InputError
        As `find`; if the folder has several examinations; and if a needed modality is missing or
        may be several series. Modalities that are not needed may stay undecided then.
    """
    if strangers := [name for name in needed if name not in MODALITIES]:
        raise InputError(
            f"{folder}: {', '.join(strangers)} is needed, but DICOM series are only recognised as"
            f" {', '.join(MODALITIES)}. Convert the series to NIfTI, and describe them in a"
            " cohort.yaml."
        )
    found = _studies(folder)
    if len(found) > 1:
        raise _several(folder, found)
    table = read_table(folder) or read_table(location or folder)
    sorting = _sort(found[0], table)
    undecided = not sorting.decided(needed)
    if incomplete and needed:
        undecided, needed = not sorting.groups.keys().isdisjoint(needed), ()
    if undecided:
        native = "give `python -m pipeline predict` the option --native"
        raise InputError(question(folder, [sorting], table, needed, native))
    masks = _objects(found[0], schema(MODALITIES))
    return _found(sorting, tuple(sorting.images), folder, found, masks)


def read_table(location: Path) -> dict[str, str | None]:
    """The user's `modalities.yaml` in a folder: pattern of a series description, SeriesInstanceUID,
    or both UID and kind, to modality or null; in the order of the file, empty if there is none.

    Raises
    ------
    InputError
        If it is not YAML or not such a table, a pattern is not a regular expression, or a modality
        is unknown.
    """
    path = location / TABLE
    if not path.is_file():
        return {}
    line = "for each kind of series, such as '^AX T1 POST$': t1c"
    table = read_yaml(path, f"Write one line {line}, or remove the file.") or {}
    if not isinstance(table, dict):
        raise InputError(
            f"{path}: must be a table with a line {line}; got {type(table).__name__}. Write it so."
        )
    for pattern, modality in table.items():
        if modality is not None and modality not in MODALITIES:
            raise InputError(
                f"{path}: {pattern!r}: must be one of {', '.join(MODALITIES)} or null, got"
                f" {modality!r}."
            )
        try:
            is_exact(pattern) or re.compile(pattern)
        except (re.error, TypeError) as error:
            raise InputError(
                f"{path}: {pattern!r}: is not a regular expression ({error}). Put it in quotes."
            ) from None
    return table


def series_of_study(folder: Path) -> tuple[Study, dict[str, tuple[Stack, str]], dict[str, str]]:
    """The one examination in a folder; each of its series by the key that names it in
    modalities.yaml, with its modality, which is empty where it is none, or not the proposed series
    of it; and the modalities whose series is only proposed, with the reason in words.

    Raises
    ------
    InputError
        If the folder has no examination or several.
    """
    found = _studies(folder)
    if len(found) > 1:
        raise _several(folder, found)
    sorting = _sort(found[0], read_table(folder))
    chosen = sorting.images | {name: stacks[0] for name, stacks in sorting.groups.items()}
    chosen = sorting.assumed(MODALITIES) | chosen
    modality = {id(stack): name for name, stack in chosen.items()}
    table = {key_of(stack, found[0]): stack for stack in found[0].stacks}
    series = {key: (stack, modality.get(id(stack), "")) for key, stack in table.items()}
    return found[0], series, sorting.doubts(MODALITIES)


def _several(folder: Path, found: list[Study]) -> InputError:
    listed = ", ".join(str(study.folder) for study in found[:5])
    return InputError(
        f"{folder}: holds {len(found)} examinations ({listed}). Name the folder of one."
    )


def _studies(location: Path) -> list[Study]:
    require_folder(location, "the DICOM files of an examination")
    found = [study for study in studies(location) if study.stacks]
    if not found:
        raise InputError(
            f"{location}: holds no DICOM file of an MR image. Name the folder that holds the"
            " examinations."
        )
    return found


def _sort(study: Study, table: dict[str, str | None]) -> Sorting:
    found = [
        overridden(stack.acquisition, stack.kind, stack.series, table)
        or recognise(stack.acquisition)
        for stack in study.stacks
    ]
    chosen = choose(found, [stack.acquisition.derived for stack in study.stacks])
    stacks = {name: [study.stacks[index] for index in those] for name, those in chosen.items()}
    return Sorting(study, tuple(found), stacks)


def _found(
    sorting: Sorting,
    wanted: tuple[str, ...],
    location: Path,
    every: list[Study],
    masks: list[SegmentationMask],
) -> Found:
    study, images = sorting.study, sorting.images
    surplus = ", ".join(name for name in images if name not in wanted)
    passed_over = len(study.segmentations) - len(masks)
    notes = {
        f"{surplus} is not used, since not all examinations have it": surplus,
        f"{passed_over} DICOM segmentations are not used: TumorFlow made them, or they refer to no"
        " series of the examination": passed_over,
    }
    return Found(
        case=f"study-{study.study}",
        patient=f"patient-{study.patient}",
        folder=study.folder,
        images={name: images[name].part for name in wanted},
        labels=_mask(study, location, every) or (masks[0] if len(masks) == 1 else None),
        notes=tuple(note for note, is_due in notes.items() if is_due),
    )


def _objects(study: Study, schema: Schema) -> list[SegmentationMask]:
    """The segmentation objects that refer to a series of the examination, but those that TumorFlow
    made, which are predictions.
    """
    series = {stack.series: stack.part for stack in reversed(study.stacks)}
    found = []
    for path in study.segmentations:
        origin = origin_of(path)
        parts = [series[uid] for uid in sorted(origin.series) if uid in series]
        if parts and origin.manufacturer != MANUFACTURER:
            found.append(SegmentationMask(path, schema, parts[0]))
    return found


def _require_one(masks: list[SegmentationMask], labels: Path | Part | None) -> None:
    if len(masks) > 1 and not isinstance(labels, Path):
        listed = ", ".join(mask.name for mask in masks)
        raise InputError(
            f"{masks[0]}: is one of {len(masks)} DICOM segmentations of the examination ({listed})."
            f" Keep the reference alone, or give it as {_MASKS[0]} beside the series."
        )


def _mask(study: Study, location: Path, every: list[Study]) -> Path | None:
    """``seg.nii.gz`` in the folder of the examination, or in one above it that contains no other
    examination.
    """
    others = [other.folder for other in every if other is not study]
    for folder in (study.folder, *study.folder.parents):
        is_shared = any(other.is_relative_to(folder) for other in others)
        if is_shared or not folder.is_relative_to(location):
            break
        named = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True)}
        for name in _MASKS:
            if name in named:
                return of_one_file(named[name])
    return None


SOURCE = Source(
    name="dicom",
    title=(
        "DICOM examinations: a folder per patient or study, series recognised by their headers, 3D"
    ),
    schemas=(schema(MODALITIES),),
    patients=(
        "one per PatientID, named by a pseudonym; where that is empty, one per StudyInstanceUID"
    ),
    licence=(
        "That of your data. Identities stay in the DICOM files: cases and patients are named by"
        " hashes."
    ),
    citation=(
        "NEMA PS3 / ISO 12052, Digital Imaging and Communications in Medicine (DICOM) Standard"
    ),
    access=(
        "Export the examinations from your archive, one folder each, with their DICOM"
        f" segmentation or with seg.nii.gz beside the series; {TABLE} corrects modalities."
    ),
    find=find,
)
