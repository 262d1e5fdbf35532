"""What is written of a case, and where."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..core.errors import InputError
from ..formats.predictions import MAPS

FORMATS = ("nifti", "seg", "sr", "rtstruct")
OBJECTS = FORMATS[1:]
"""The formats that are DICOM objects."""
SegType = Literal["binary", "labelmap", "fractional"]
SEG_TYPES: tuple[str, ...] = get_args(SegType)
SEGMENTS = ("labels", "regions")
SUMMARIES = ("pdf", "png")
"""The formats of a summary."""


def formats_of(text: str) -> tuple[str, ...]:
    """The formats in a list with commas, not checked."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def check_name(path: Path) -> None:
    """Raise an InputError unless a file name ends in .nii or .nii.gz."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: must end in .nii or .nii.gz.")


@dataclass(frozen=True)
class Extras:
    """What is written of a case: its labels, and what beside them.

    Attributes
    ----------
    probabilities, uncertainty : bool
        A file ``<kind>/<stem>_<region>.nii.gz`` for each region, float32, rounded to 1/1024: its
        probability, and the entropy of that in bits.
    overlay : bool
        A picture ``overlays/<stem>.png`` of the labels over the anatomy, in three planes.
    formats : tuple of {"nifti", "seg", "sr", "rtstruct"}
        The labels as ``<stem>.nii.gz``, and of a DICOM study ``<stem>.seg.dcm`` (segmentation),
        ``<stem>.sr.dcm`` (structured report of the measurements) and ``<stem>.rtstruct.dcm``
        (contours). A report refers to the segmentation, so it needs ``seg``.
    seg_type : {"binary", "labelmap", "fractional"}
        The type of the segmentation. "fractional" holds the probabilities of the regions.
    segments : {"labels", "regions"}
        What its segments are: labels, which do not overlap, or regions, of which one contains
        another.
    summary : bool
        One page ``summaries/<stem>.pdf`` and ``.png``: slices, volumes, quality, warnings.

    Raises
    ------
    InputError
        If a format or type is unknown, or they do not fit each other.
    """

    probabilities: bool = False
    uncertainty: bool = False
    overlay: bool = False
    formats: tuple[str, ...] = ("nifti",)
    seg_type: SegType = "binary"
    segments: Literal["labels", "regions"] = "labels"
    summary: bool = False

    def __post_init__(self) -> None:
        for given, known, option in (
            (self.formats, FORMATS, "formats"),
            ((self.seg_type,), SEG_TYPES, "seg-type"),
            ((self.segments,), SEGMENTS, "segments"),
        ):
            if not given or not set(given) <= set(known):
                raise InputError(
                    f"--{option} {','.join(given)}: expected {', '.join(known)}"
                    f"{', one or several of them' if option == 'formats' else ''}."
                )
        if "sr" in self.formats and ("seg" not in self.formats or self.seg_type == "fractional"):
            raise InputError(
                "sr: its measurements refer to the masks in seg. Ask for --formats seg,sr, and for"
                " --seg-type binary or labelmap."
            )
        if self.seg_type == "labelmap" and self.segments == "regions":
            raise InputError(
                "labelmap: holds one number for each voxel, but regions contain each other. Choose"
                " --seg-type binary, or --segments labels."
            )

    @property
    def maps(self) -> tuple[str, ...]:
        """The kinds of maps, which are also names of folders."""
        return tuple(kind for kind in MAPS if getattr(self, kind))

    @property
    def objects(self) -> tuple[str, ...]:
        """The formats that are DICOM objects, in the order in which they refer to each other."""
        return tuple(name for name in OBJECTS if name in self.formats)

    @property
    def nifti(self) -> bool:
        """Whether the labels are written as NIfTI."""
        return "nifti" in self.formats

    def files(self, path: Path, regions: Iterable[str], series: Iterable[str]) -> list[Path]:
        """All files of a case whose labels are at `path`, the record first."""
        return [
            record_of(path),
            *([path, *(series_file(path, name) for name in series)] if self.nifti else []),
            *(object_file(path, name) for name in self.objects),
            *(map_file(path, kind, name) for kind in self.maps for name in regions),
            *([overlay_file(path)] if self.overlay else []),
            *(summary_file(path, kind) for kind in (SUMMARIES if self.summary else ())),
        ]


EVERYTHING = Extras(True, True, True, FORMATS, summary=True)


def record_of(path: Path) -> Path:
    """The file with what made the labels at `path`."""
    return path.with_name(f"{path.name}.json")


def series_file(path: Path, modality: str) -> Path:
    """The file of the labels on the grid of a series."""
    return path.with_name(path.name.replace(_stem(path), f"{_stem(path)}.{modality}", 1))


def object_file(path: Path, name: str) -> Path:
    """The file of a DICOM object."""
    return path.with_name(f"{_stem(path)}.{name}.dcm")


def map_file(path: Path, kind: str, region: str) -> Path:
    """The file of a map of a region."""
    return path.parent / kind / f"{_stem(path)}_{region}.nii.gz"


def overlay_file(path: Path) -> Path:
    """The picture of the labels over the anatomy."""
    return path.parent / "overlays" / f"{_stem(path)}.png"


def summary_file(path: Path, kind: str) -> Path:
    """The page of the case, as "pdf" or "png"."""
    return path.parent / "summaries" / f"{_stem(path)}.{kind}"


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
