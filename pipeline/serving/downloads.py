"""What of a case that is done can be downloaded, and why the rest cannot."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from ..segmenting.extras import SUMMARIES, summary_file
from .correction_files import CORRECTION, FILES, is_corrected
from .segmentation import EXTRAS, REFUSED
from .store import LABELS, State

UNFINISHED = "unfinished.txt"
"""Why `segmentation.finish` made nothing: in the result of a case."""
ALL = "all.zip"
_STEM = LABELS.removesuffix(".nii.gz")
_OBJECTS = {
    "seg": "DICOM segmentation",
    "sr": "DICOM report of the measurements",
    "rtstruct": "DICOM contours",
}
_NO_STUDY = "The case is no DICOM study, whose series these would refer to."
_PENDING = "Being prepared."
_CHUNK = 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Download:
    """A file that is complete.

    Attributes
    ----------
    name : str
        In its address.
    title : str
        For a person.
    saved_as : str
        Its name for who saves it: by the pseudonym of the case, as `predict` names it.
    path : Path
    """

    name: str
    title: str
    saved_as: str
    path: Path


def is_complete(result: Path) -> bool:
    """Whether all that will ever be offered of a result is there."""
    return (result / EXTRAS).is_dir() or (result / UNFINISHED).is_file()


def offered(result: Path, case: str) -> list[Download]:
    """The complete files in the result of a case, which appear as a whole."""
    extras = result / EXTRAS
    known = [("labels.nii.gz", "Labels (NIfTI)", ".nii.gz", result / LABELS)]
    for path in sorted(result.glob(f"{_STEM}.*.nii.gz")):
        own = path.name.removeprefix(_STEM)
        title = f"Labels on {own.split('.')[1]} as acquired (NIfTI)"
        known.append((f"labels{own}", title, own, path))
    for name, title in _OBJECTS.items():
        known.append((f"{name}.dcm", title, f".{name}.dcm", extras / f"{_STEM}.{name}.dcm"))
    for path in sorted((extras / "uncertainty").glob("*.nii.gz")):
        region = path.name.removeprefix(f"{_STEM}_").removesuffix(".nii.gz")
        name, title = f"uncertainty_{region}.nii.gz", f"Uncertainty of {region} (NIfTI)"
        known.append((name, title, f"_{name}", path))
    for kind in SUMMARIES:
        path = summary_file(extras / LABELS, kind)
        title = f"Summary on one page ({kind.upper()})"
        known.append((f"summary.{kind}", title, f"_summary.{kind}", path))
    known.append(
        ("manifest.json", "Run manifest (JSON)", ".nii.gz.json", result / f"{LABELS}.json")
    )
    return [
        Download(name, title, f"{case}{ending}", path)
        for name, title, ending, path in known
        if path.is_file()
    ]


def corrected(result: Path, case: str) -> list[Download]:
    """The files of the correction of a case, for the archive, in a folder that says so."""
    folder = result / CORRECTION
    return [
        Download(name, title, f"corrected/{case}.corrected.{name}", folder / name)
        for name, title in FILES.items()
        if is_corrected(result) and (folder / name).is_file()
    ]


def lacking(result: Path, state: State) -> list[dict[str, str]]:
    """What is not offered: ``title`` and ``reason``, in words for a person."""
    extras, note = result / EXTRAS, result / UNFINISHED
    names = ", ".join(_OBJECTS.values())
    if not extras.is_dir():
        awaited = [names] * (state.kind == "dicom") + ["uncertainty", "summary"]
        reason = note.read_text(encoding="utf-8") if note.is_file() else _PENDING
        return [{"title": ", ".join(awaited), "reason": reason}]
    if state.kind != "dicom":
        return [{"title": names, "reason": _NO_STUDY}]
    refused = extras / REFUSED
    if refused.is_file():
        return [{"title": names, "reason": refused.read_text(encoding="utf-8")}]
    return []


def described(result: Path, state: State) -> dict[str, Any]:
    """The downloads of a case for the page: ``files``, a list of ``name`` (the last part of the
    address; of all in one archive it is `ALL`), ``title`` and ``bytes``; ``lacking``, see there;
    ``is_complete``, whether a later look will find the same.
    """
    is_whole = is_complete(result)  # first: what is offered may grow meanwhile
    files = [
        {"name": one.name, "title": one.title, "bytes": one.path.stat().st_size}
        for one in offered(result, state.case)
    ]
    return {"files": files, "lacking": lacking(result, state), "is_complete": is_whole}


def zipped(files: Iterable[Download]) -> Iterator[bytes]:
    """The files as one zip archive, part by part: nothing is written, and no file is read whole.
    They are compressed already, and the bytes depend on them alone.
    """
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for one in files:
            about = ZipInfo(one.saved_as, _EPOCH)
            about.external_attr = 0o600 << 16
            with one.path.open("rb") as source, archive.open(about, "w") as target:
                while part := source.read(_CHUNK):
                    target.write(part)
                    yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._written += part
        return len(part)

    def taken(self) -> bytes:
        """What was written since the last call."""
        part = bytes(self._written)
        self._written.clear()
        return part
