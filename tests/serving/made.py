"""A network that finds the tumours of `tests.export.made`, and cases to drop on the page."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.formats import nifti
from tests.export import made

KINDS = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}


def model(folder: Path) -> Path:
    """A folder like models/, of a network that was trained for seconds."""
    changes = {"filters": 8, "patch": (48, 48), "settings": {"mirror": False}}
    changes["preprocess"] = {"spacing_mm": (1.0, 1.5, 2.0)}  # takes studies of other sizes, too
    return made.model(folder, precision="mixed_bfloat16", steps=150, **changes)


def case(folder: Path, seed: int = 0, name: str = "BraTS2021_00001") -> list[Path]:
    """Four .nii.gz files of a brain with a tumour, 48 x 48 x 12 voxels, in a folder of the case."""
    image, _ = made.tumour(seed)
    files = [folder / name / f"{name}_{kind}.nii.gz" for kind in KINDS.values()]
    for channel, file in enumerate(files):
        nifti.write(file, np.ascontiguousarray(image[..., channel]), made.AFFINE)
    return files


def zipped(path: Path, folder: Path, files: Sequence[Path] = ()) -> Path:
    """A zip archive of files below a folder, by default of all."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files or sorted(one for one in folder.rglob("*") if one.is_file()):
            archive.write(file, file.relative_to(folder))
    return path
