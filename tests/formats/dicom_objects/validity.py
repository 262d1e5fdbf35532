"""What the validators that are installed find wrong with a DICOM object.

`dciodvfy` is of Debian's dicom3tools. `validate_iods` of dicom-validator reads the standard, which
it would download; it is asked where DICOM_STANDARD names a folder that holds the files.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

STANDARD = os.environ.get("DICOM_STANDARD", "")
VALIDATORS = [
    pytest.param(
        "dciodvfy",
        marks=pytest.mark.skipif(
            not shutil.which("dciodvfy"), reason="needs dciodvfy (apt-get install dicom3tools)"
        ),
    ),
    pytest.param(
        "validate_iods",
        marks=pytest.mark.skipif(
            not STANDARD, reason="needs the DICOM standard in the folder that DICOM_STANDARD names"
        ),
    ),
]


def stored(dataset: Dataset, path: Path) -> Path:
    """The file of an object."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def errors_of(path: Path, validator: str) -> list[str]:
    """The errors that a validator reports of a file."""
    command = {
        "dciodvfy": ["dciodvfy", "-new", str(path)],
        "validate_iods": ["validate_iods", "-src", STANDARD, "-e", "local", str(path)],
    }[validator]
    found = subprocess.run(command, capture_output=True, check=False)
    lines = (found.stdout + found.stderr).decode(errors="replace").splitlines()
    if validator == "dciodvfy":
        return [line for line in lines if line.startswith("Error")]
    return lines if found.returncode else []
