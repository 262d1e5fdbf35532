"""Cheng's brain tumour slices (figshare 1512427): T1c, one tumour each, as published in MATLAB
files or as pictures.

About a third of the slices each is axial, coronal and sagittal, which the files do not state. All
get the affine of an axial slice, so that every viewer shows them upright; its directions are right
for axial slices only.
"""

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..core.errors import InputError
from ..core.records import read_csv
from ..core.schema import Schema
from ..formats import images, matlab
from ..formats.raw_cases import Found, with_note
from ..formats.walking import files_below
from .fetching.fetch import Remote
from .source import Source, duplicate, require_folder

SCHEMA = Schema(
    cohort="cheng",
    dimensions=2,
    modalities=("t1c",),
    labels={"meningioma": 1, "glioma": 2, "pituitary": 3},
    regions={"meningioma": ("meningioma",), "glioma": ("glioma",), "pituitary": ("pituitary",)},
    empty_rule="nan",
    types=True,
    lesion_rules=None,  # slices of three kinds of tumour: no challenge scores them
)
_TYPES = {value: name for name, value in SCHEMA.labels.items()}
# 0.49 mm at 512 x 512; 6 mm thick with a gap of 1 mm: Cheng et al. 2015
# (doi:10.1371/journal.pone.0140381, Image Data), and the set's README. Of the few images of 256 x
# 256 they say nothing: the same field of view is assumed.
_FIELD_MM, _DISTANCE_MM = 512 * 0.49, 7.0
_SLICE = re.compile(
    r"^(?P<number>[0-9]{1,6})(\.mat|_(?P<kind>mri|mask)\.(jpe?g|png))$", re.IGNORECASE
)
# By their slices, MR024780B and D are one head, and so are MR053110B and E. Hence one number is one
# patient, also for MR049453 and MR049453B, which are in different published folds.
_SERIES_LETTER = re.compile(r"(?<=^MR[0-9]{6})[A-Z]$")
_TABLE, _COLUMNS = "folds.csv", ("sample_id", "pid", "label", "fold")


class _Row(NamedTuple):
    """What the publishers state of a slice; the fold is empty where none is published."""

    patient: str
    label: int
    fold: str


def find(location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    """Find the slices below a folder, as `Source.find` states, each a case of its own.

    At any depth are either the published ``NNNN.mat`` and ``cvind.mat``, or pictures
    ``NNNN_mri.jpg`` and ``NNNN_mask.jpg`` (or ``.png``) and the table ``folds.csv`` with the
    columns sample_id, pid, label, fold. Attributes are `type`, and `fold` if folds are published.
    """
    require_folder(location, "the slices")
    files = files_below(location)
    slices = _by_number(files)
    if not slices:
        raise InputError(
            f"{location}: holds no slice of the Cheng set (1.mat ... 3064.mat, or 1_mri.jpg and"
            " 1_mask.jpg). Set cohort.location to the folder that holds them, the four zips"
            " unpacked."
        )
    published = [paths["file"] for paths in slices.values() if "file" in paths]
    pictures = [path for paths in slices.values() for kind, path in paths.items() if kind != "file"]
    if published and pictures:
        raise InputError(
            f"{location}: holds both published files, as {published[0]}, and pictures, as"
            f" {pictures[0]}. Keep one of the two forms."
        )
    if pictures:
        found = _pictured(slices, _only(files, _TABLE), location, limit)
    else:
        cvind = _only(files, "cvind.mat")
        folds = matlab.read_folds(cvind) if cvind else None
        found = [
            _matlab_case(number, slices[number]["file"], folds)
            for number in [*slices][: limit or None]
        ]
    return SCHEMA, _noting_mixed_patients(found)


def _by_number(files: list[Path]) -> dict[int, dict[str, Path]]:
    """The published file of each slice, or its picture and mask, in the order of the numbers."""
    slices: dict[int, dict[str, Path]] = defaultdict(dict)
    for path in files:
        if match := _SLICE.match(path.name):
            number, kind = int(match["number"]), (match["kind"] or "file").lower()
            if kind in slices[number]:
                raise duplicate(path, f"the {kind} of slice {number}", slices[number][kind])
            slices[number][kind] = path
    return dict(sorted(slices.items()))


def _pictured(
    slices: dict[int, dict[str, Path]], table: Path | None, location: Path, limit: int
) -> list[Found]:
    if table is None:
        raise InputError(
            f"{location}: holds pictures, but no {_TABLE} ({', '.join(_COLUMNS)}) with their"
            " patients, so that slices of one patient could be in training and test. Add the table,"
            " or use the published .mat files."
        )
    rows = _read_rows(table)
    found = [_picture_case(number, slices[number], rows) for number in [*slices][: limit or None]]
    if absent := sorted(set(rows) - set(slices)):
        note = (
            f"in the whole folder {len(absent)} of {len(rows)} slices of {_TABLE} have no picture,"
            f" such as {absent[0]}"
        )
        return with_note(found, note)
    return found


def _only(files: list[Path], name: str) -> Path | None:
    """The file of that name, None if there is none."""
    paths = [path for path in files if path.name == name]
    if len(paths) > 1:
        raise duplicate(paths[1], name, paths[0])
    return paths[0] if paths else None


def _matlab_case(number: int, path: Path, folds: tuple[int, ...] | None) -> Found:
    description = matlab.describe(path)
    if folds is not None and not 1 <= number <= len(folds):
        raise InputError(
            f"{path}: is slice {number}, but cvind.mat has the folds of 1 to {len(folds)}. Remove"
            " the file, or cvind.mat."
        )
    spacing_mm = _spacing_mm(description.side)
    fold = "" if folds is None else str(folds[number - 1])
    image, mask = matlab.MatlabImage(path, spacing_mm), matlab.MatlabMask(path, spacing_mm)
    return _case(number, _Row(description.patient, description.label, fold), image, mask)


def _picture_case(number: int, files: dict[str, Path], rows: dict[int, _Row]) -> Found:
    if "mri" not in files:
        raise InputError(
            f"{files['mask']}: is a mask without its image {number}_mri. Add the image, or remove"
            " the mask."
        )
    image, row = files["mri"], rows.get(number)
    if row is None:
        raise InputError(
            f"{image}: slice {number} has no row in {_TABLE}. Add the row, or remove the pictures."
        )
    if image.parent.name in SCHEMA.labels and image.parent.name != _TYPES[row.label]:
        raise InputError(
            f"{image}: is in the folder {image.parent.name}, but {_TABLE} says"
            f" {_TYPES[row.label]}. Correct the table or the folder."
        )
    width, height = images.size(image)
    if width != height:
        raise InputError(
            f"{image}: has {width} x {height} pixels, expected a square. Use the slices as"
            " published."
        )
    spacing_mm = _spacing_mm(width)
    mask = files.get("mask")
    drawn = images.MaskSlices(mask, (mask,), spacing_mm, value=row.label) if mask else None
    return _case(number, row, images.Slices(image, (image,), spacing_mm), drawn)


def _read_rows(path: Path) -> dict[int, _Row]:
    rows: dict[int, _Row] = {}
    for line, fields in enumerate(read_csv(path), 2):
        number, patient, label, fold = (fields.get(column, "").strip() for column in _COLUMNS)
        if not (number.isdecimal() and patient and label in map(str, _TYPES)):
            raise InputError(
                f"{path}: line {line} is {fields}, expected {', '.join(_COLUMNS)} with a label of"
                " 1 to 3. Correct it."
            )
        if int(number) in rows:
            raise InputError(
                f"{path}: line {line} repeats slice {number}. Keep one of the two lines."
            )
        rows[int(number)] = _Row(patient, int(label), fold)
    return rows


def _spacing_mm(side: int) -> tuple[float, float, float]:
    return (_FIELD_MM / side, _FIELD_MM / side, _DISTANCE_MM)


def _case(number: int, row: _Row, image: images.Part, mask: images.Part | None) -> Found:
    attributes = {"type": _TYPES[row.label]} | ({"fold": row.fold} if row.fold else {})
    patient, folder = _SERIES_LETTER.sub("", row.patient), image.path.parent
    return Found(f"cheng_{number:04d}", patient, folder, {"t1c": image}, mask, attributes)


def _noting_mixed_patients(found: list[Found]) -> list[Found]:
    """The cases, with a note on each whose patient has several published folds or tumour types."""
    values = defaultdict(set)
    for case in found:
        for name, value in case.attributes.items():
            values[case.patient, name].add(value)
    noting = []
    for case in found:
        several = {name: sorted(values[case.patient, name]) for name in case.attributes}
        notes = tuple(
            f"patient {case.patient} has several of {name}: {', '.join(each)}"
            for name, each in several.items()
            if len(each) > 1
        )
        noting.append(replace(case, notes=case.notes + notes))
    return noting


# as figshare's API lists version 8 of the article
_FILES = (
    ("brainTumorDataPublic_1-766.zip", 3381290, 214401279, "74b949ad33f042e6e103523091cd1428"),
    ("brainTumorDataPublic_767-1532.zip", 3381296, 217848429, "7e8a875500d2c8a346f270538e29890e"),
    ("brainTumorDataPublic_1533-2298.zip", 3381293, 215563856, "8227bf6080cb71f15a88be8d25c79ae7"),
    ("brainTumorDataPublic_2299-3064.zip", 3381302, 231679762, "b378a80d6174e5317d59eb28430c6652"),
    ("cvind.mat", 7005344, 5736, "5ea82eb3212c9fcb84290ccf0beb486d"),
)
SOURCE = Source(
    name="cheng",
    title=(
        "3,064 T1c slices of meningioma, glioma and pituitary tumour, 233 patients, 2D (axial,"
        " coronal and sagittal)"
    ),
    schemas=(SCHEMA,),
    patients=(
        "the field PID, or the column pid of folds.csv, without the letter that follows the number"
        " in MR024780B and the like"
    ),
    licence="CC BY 4.0 (figshare 1512427).",
    citation=(
        "Cheng et al., PLoS ONE 10 (2015) e0140381, doi:10.1371/journal.pone.0140381; data:"
        " doi:10.6084/m9.figshare.1512427."
    ),
    access=(
        "Public: leave cohort.location empty, or fetch the four zips and cvind.mat from"
        " https://doi.org/10.6084/m9.figshare.1512427."
    ),
    find=find,
    remotes=tuple(
        Remote(f"https://ndownloader.figshare.com/files/{identity}", name, size, f"md5:{md5}")
        for name, identity, size, md5 in _FILES
    ),
)
