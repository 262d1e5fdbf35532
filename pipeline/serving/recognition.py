"""Which series of an upload is which modality, and a picture of each."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cohorts import dicom
from ..cohorts.fetching import archives
from ..core.errors import InputError
from ..core.grid import Grid
from ..core.records import write_bytes
from ..formats.dicom.header import is_dicom
from ..formats.raw_cases import read_volume
from ..formats.volume import Part, Volume
from ..formats.walking import files_below, is_volume
from ..report.plots.series import series_picture
from . import worker

MOST_MEMBERS = 20_000
MOST_UNPACKED = 2**33
_WORDS = {
    "t1c": r"t1c|t1[-_ ]?(gd|ce|km|post|contrast)|t1ce|gad",
    "t2f": r"t2f|flair|t2[-_ ]?flair",
    "t2w": r"t2w?",
    "t1n": r"t1n?|t1w?",
}
"""Parts of file names by which a modality is recognised, the more special ones first."""


@dataclass(frozen=True)
class _Series:
    title: str
    facts: str
    modality: str  # empty if it is not recognised
    origin: Path | Part


@dataclass(frozen=True)
class _Upload:
    kind: str
    patient: str
    series: dict[str, _Series]


def recognise(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """Unpack an upload, if it is an archive, and recognise its series.

    Parameters
    ----------
    values : mapping
        ``folder`` of the case, whose ``upload`` holds what was sent; ``model``, a folder.
    report : callable

    Returns
    -------
    dict
        Fields of `store.State`: kind, patient, series, chosen, native, and status: "waiting" if
        every modality of the network has one series, else "unclear".
    """
    folder = Path(values["folder"])
    report("Reading the files", 0.0)
    place = _unpacked(folder)
    model = worker.model(values["model"])
    files = files_below(place)
    if any(is_dicom(path) for path in files):
        found = _of_study(place)
    else:
        found = _of_images(place, [path for path in files if is_volume(path)])
    series: list[dict[str, str]] = []
    chosen: dict[str, str] = {}
    grids: dict[str, Grid] = {}
    for number, (key, one) in enumerate(found.series.items()):
        report("Reading the files", number / len(found.series))
        facts, picture = one.facts, ""
        with suppress(InputError):
            volume = read_volume(one.origin)
            grids[key], picture = volume.grid, f"{number}.png"
            facts = facts or _facts(volume)
            write_bytes(folder / picture, series_picture(volume.voxels, volume.grid.affine))
        series.append({"key": key, "title": one.title, "facts": facts, "thumbnail": picture})
        if one.modality in model.modalities:
            chosen.setdefault(one.modality, key)
    is_whole = set(chosen) == set(model.modalities)
    places = [grids[key] for key in chosen.values() if key in grids]
    return {
        "kind": found.kind,
        "patient": found.patient,
        "series": series,
        "chosen": chosen,
        "native": any(grid.differs(places[0]) for grid in places),
        "status": "waiting" if is_whole else "unclear",
        "message": "" if is_whole else "Say which series is which modality.",
    }


def _unpacked(folder: Path) -> Path:
    """The folder with the files of an upload."""
    upload = folder / "upload"
    body = upload / "body"
    if body.is_file():
        archives.unpack(body, upload / "files", MOST_MEMBERS, MOST_UNPACKED / body.stat().st_size)
        body.unlink()
    return upload / "files"


def _of_study(place: Path) -> _Upload:
    study, table = dicom.series_of_study(place)
    series = {
        key: _Series(stack.name, stack.facts, modality, stack.part)
        for key, (stack, modality) in table.items()
    }
    return _Upload("dicom", f"patient-{study.patient}", series)


def _of_images(place: Path, files: list[Path]) -> _Upload:
    series = {
        str(path.relative_to(place)): _Series(path.name, "", _modality(path.name), path)
        for path in files
        if not re.search(r"[-_.]seg\b", path.name.lower())
    }
    if not series:
        raise InputError(
            "The upload holds no DICOM file of an MR image and no NIfTI file. Drop the folder of a"
            " study, or NIfTI files."
        )
    return _Upload("images", "", series)


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
