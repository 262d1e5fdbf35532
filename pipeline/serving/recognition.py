"""Which series of an upload is which modality, and a picture of each."""

import errno
import gzip
import re
import shutil
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from ..cohorts import dicom
from ..cohorts.fetching import archives
from ..core.errors import InputError
from ..core.grid import Grid
from ..core.layout import counted
from ..core.records import write_bytes
from ..formats import nifti
from ..formats.dicom.header import is_dicom
from ..formats.dicom.study import Stack
from ..formats.inflating import is_gzip
from ..formats.raw_cases import read_volume
from ..formats.volume import Part, Volume
from ..formats.walking import files_below, is_volume
from ..report.plots.series import series_picture
from . import worker
from .limits import MOST_MEMBERS, MOST_SERIES, MOST_TEXT, MOST_VOXELS
from .refusals import for_page, plain
from .store import BODY, UPLOAD

_UNSUSPICIOUS_BYTES, _MOST_RATIO = 2**30, 50  # of an archive when unpacked
_WORDS = {
    "t1c": r"t1c|t1[-_ ]?(gd|ce|km|post|contrast)|t1ce|gad",
    "t2f": r"t2f|fla(ir)?|t2[-_ ]?flair",
    "t2w": r"t2w?",
    "t1n": r"t1n?|t1w?",
}
"""Parts of file names by which a modality is recognised, the more special ones first."""
_MASK = re.compile(r"[-_.]seg\b")
_DETAIL = re.compile(r"(?<=damaged) \([^()]*\)")
_HEADER_BYTES = 352


@dataclass(frozen=True)
class _Series:
    title: str
    facts: str
    modality: str  # empty if it is not recognised
    origin: Path | Part


@dataclass(frozen=True)
class _Upload:
    kind: Literal["dicom", "images"]
    patient: str
    series: dict[str, _Series]
    doubts: dict[str, str]  # why a modality's series is only proposed


def recognise(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """Unpack an upload, if it is an archive, and recognise its series.

    Parameters
    ----------
    values : mapping
        ``folder`` of the case, whose ``upload`` holds what was sent; ``modalities`` of the network;
        ``label``, the name under which it was sent; ``most_unpacked`` and ``reserve_bytes`` as in
        `limits.Limits`.
    report : callable

    Returns
    -------
    dict
        Fields of `store.State`: kind, patient, series, chosen, native, and status: "waiting" if
        every modality of the network has one series, and that without doubt, else "unclear".
    """
    folder = Path(values["folder"])
    report("Reading the files", 0.0)
    place = _unpacked(folder, values)
    modalities: Sequence[str] = values["modalities"]
    found = _found(place)
    series: list[dict[str, str]] = []
    chosen: dict[str, str] = {}
    grids: list[Grid] = []
    for number, (key, one) in enumerate(found.series.items()):
        report("Reading the files", number / len(found.series))
        described, grid = _described(key, one, place, folder / f"{number}.png")
        series.append(described)
        if grid and one.modality in modalities and one.modality not in chosen:
            chosen[one.modality] = key
            grids.append(grid)
    if all(one["fault"] for one in series):
        raise InputError(series[0]["fault"])
    doubts = [found.doubts[name] for name in modalities if name in found.doubts]
    missing = [name for name in modalities if name not in chosen]
    return {
        "kind": found.kind,
        "patient": found.patient,
        "series": series,
        "chosen": chosen,
        "native": any(grid.differs(grids[0]) for grid in grids),
        "status": "unclear" if doubts or missing else "waiting",
        "message": _what_to_choose(doubts, missing),
    }


def _what_to_choose(doubts: Sequence[str], missing: Sequence[str]) -> str:
    words = [f"{doubt[0].upper()}{doubt[1:]}." for doubt in doubts]
    words += [f"No series is recognised as {' or '.join(missing)}."] if missing else []
    return " ".join([*words, "Check or choose the series of each modality."]) if words else ""


def _found(place: Path) -> _Upload:
    files = files_below(place)
    if any(is_dicom(path) for path in files):
        found = _of_study(place)
    else:
        images = [path for path in files if is_volume(path) and path.suffix.lower() != ".mhd"]
        found = _of_images(place, images)
    if len(found.series) > MOST_SERIES:
        raise InputError(
            f"The upload holds {len(found.series)} series, more than {MOST_SERIES}. Drop the files"
            " of one examination."
        )
    return found


def _described(
    key: str, one: _Series, place: Path, picture: Path
) -> tuple[dict[str, str], Grid | None]:
    """A series as in `store.State`, its picture being written; None in place of its grid if it
    cannot be read.
    """
    facts, grid, fault = one.facts, None, ""
    try:
        volume = _read(one.origin)
        facts = ", ".join(filter(None, (_facts(volume), facts)))
        write_bytes(picture, series_picture(volume.voxels, volume.grid.affine))
        grid = volume.grid
    except InputError as error:
        fault = for_page(error, place)
    described = {
        "key": key,
        "title": plain(one.title, MOST_TEXT),
        "facts": plain(facts, MOST_TEXT),
        "thumbnail": picture.name if grid else "",
        "fault": fault,
    }
    return described, grid


def _read(origin: Path | Part) -> Volume:
    """A series with at most `MOST_VOXELS`, counted before anything is read where its header can be
    read alone.
    """
    shape = nifti.shape_of(origin) if isinstance(origin, Path) else ()
    if prod(shape) <= MOST_VOXELS:
        volume = read_volume(origin)
        shape = volume.voxels.shape
    if prod(shape) > MOST_VOXELS:
        size = " × ".join(map(str, shape))
        raise InputError(f"{_name(origin)}: has {size} voxels, more than {MOST_VOXELS:,}.")
    return volume


def _name(origin: Path | Part) -> str:
    return origin.name if isinstance(origin, Path) else "The series"


def _unpacked(folder: Path, values: Mapping[str, Any]) -> Path:
    """The folder with the files of an upload."""
    upload = folder / UPLOAD
    body, place = upload / BODY, upload / "files"
    if not body.is_file():
        return place
    if name := _as_one_file(body, values["label"]):
        place.mkdir(exist_ok=True)
        body.rename(place / name)
        return place
    packed = body.stat().st_size
    room = shutil.disk_usage(upload).free - values["reserve_bytes"]
    most = min(max(_UNSUSPICIOUS_BYTES, _MOST_RATIO * packed), values["most_unpacked"])
    if room < min(most, packed):
        raise OSError(errno.ENOSPC, "no room")
    try:
        archives.unpack(body, place, MOST_MEMBERS, min(most, room) / packed)
    except InputError as error:
        said = _DETAIL.sub("", str(error).removeprefix(f"{body}: "), 1)
        raise InputError(f"The upload{':' * said.startswith('its')} {said}") from None
    body.unlink()
    return place


def _as_one_file(body: Path, label: str) -> str:
    """The name for an upload that is one image file; empty if it is an archive."""
    with body.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    name = re.sub(r"[^\w.-]", "_", label.replace("\\", "/").rsplit("/", 1)[-1])[-100:].lstrip(".")
    if is_gzip(start):
        try:
            with gzip.open(body) as file:
                start = file.read(_HEADER_BYTES)
        except (OSError, EOFError, zlib.error):
            return "image.nii.gz" if name.lower().endswith(".nii.gz") else ""
        if _is_nifti(start):
            return name if name.lower().endswith(".nii.gz") else "image.nii.gz"
        return ""
    if _is_nifti(start):
        return name if name.lower().endswith(".nii") else "image.nii"
    if start[128:132] == b"DICM":
        return "image.dcm"
    if start.startswith((b"PK", b"BZh", b"\xfd7zXZ")) or start[257:262] == b"ustar":
        return ""
    raise InputError(
        "The upload is no zip, tar, NIfTI or DICOM file. Drop the folder or zip of a DICOM study,"
        " or NIfTI files."
    )


def _is_nifti(start: bytes) -> bool:
    return start[344:347] == b"n+1" or start[4:7] == b"n+2"


def _of_study(place: Path) -> _Upload:
    study, table, doubts = dicom.series_of_study(place)
    series = {
        key: _Series(_title(stack), _facts_of_stack(stack), modality, stack.part)
        for key, (stack, modality) in table.items()
    }
    return _Upload("dicom", f"patient-{study.patient}", series, doubts)


def _title(stack: Stack) -> str:
    name = stack.acquisition.description or f"Series {stack.number or 'without a number'}"
    return f"{name} ({stack.kind})" if stack.kind else name


def _facts_of_stack(stack: Stack) -> str:
    number = f"series {stack.number}" if stack.number else ""
    files = counted(len(stack.files), "file")
    return ", ".join(filter(None, (stack.plane, number, stack.time and f"at {stack.time}", files)))


def _of_images(place: Path, files: list[Path]) -> _Upload:
    images = [path for path in files if not _MASK.search(path.name.lower())]
    seen = Counter(path.name for path in images)
    candidates: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        candidates[_modality(path.name)].append(path)
    candidates.pop("", None)
    proposed = {min(paths, key=_length): name for name, paths in candidates.items()}
    series = dict[str, _Series]()
    for path in images:
        key = str(path.relative_to(place))
        title = path.name if seen[path.name] == 1 else key
        series[key] = _Series(title, "", proposed.get(path, ""), path)
    if not series:
        raise InputError(
            "The upload holds no DICOM file of an MR image and no NIfTI file. Drop the folder of a"
            " study, or NIfTI files."
        )
    doubts = {
        name: f"{len(paths)} files may be {name}"
        for name, paths in candidates.items()
        if len(paths) > 1
    }
    return _Upload("images", "", series, doubts)


def _length(path: Path) -> int:
    """Of a name; more words tell of something derived, such as a subtraction."""
    return len(path.name)


def _facts(volume: Volume) -> str:
    sizes = volume.grid.shape, [f"{edge:.3g}" for edge in volume.grid.spacing_mm]
    return "{} voxels of {} mm".format(*(" × ".join(map(str, each)) for each in sizes))


def _modality(name: str) -> str:
    """The modality that a file name tells; empty if it tells none."""
    stem = name.lower().removesuffix(".gz").rsplit(".", 1)[0]
    matched = (
        modality
        for modality, words in _WORDS.items()
        if re.search(rf"(^|[-_. ])({words})($|[-_. ])", stem)
    )
    return next(matched, "")
