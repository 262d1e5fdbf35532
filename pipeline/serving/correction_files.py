"""What the page keeps of the correction of a case, in the folder of its result."""

from pathlib import Path

CORRECTION = "correction"
"""Folder of the files, and name of the map in the scene."""
ABOUT = "about.json"
"""What the page says of it; written last."""
FILES = {
    "labels.nii.gz": "Corrected labels (NIfTI)",
    "seg.dcm": "Corrected labels (DICOM SEG)",
    "correction.json": "Record of the correction",
}
"""Downloads and their titles."""


def is_corrected(result: Path) -> bool:
    """Whether a correction of the case with this result was saved."""
    return (result / CORRECTION / ABOUT).is_file()
