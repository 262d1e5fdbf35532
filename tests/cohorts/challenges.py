"""Functions that write a small case as the challenges name its files."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from pipeline.formats import nifti
from tests.conftest import LPS, case_arrays

OF_2012 = {"FLAIR": "flair", "T1": "t1", "T1C": "t1ce", "T2": "t2"}
SINCE_2023 = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}


def write_2023(folder: Path, case: str, seed: int = 0, **changes) -> Path:
    """Write the arrays of `case_arrays`, enhancing tumour 3; `changes` replace some, None omits."""
    images, values = case_arrays(seed)
    arrays = images | {"seg": np.where(values == 4, np.uint8(3), values)} | changes
    for kind, array in arrays.items():
        if array is not None:
            nifti.write(folder / case / f"{case}-{SINCE_2023.get(kind, kind)}.nii.gz", array, LPS)
    return folder / case


def write_metaimage(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(voxels.astype(np.int16).transpose(2, 1, 0)), path)


def write_2012(
    folder: Path, case: str, seed: int = 0, suffix: str = ".mha", truth_folder: Path | None = None
) -> None:
    """Write the arrays of `case_arrays`, with the core 2 and edema 1."""
    images, values = case_arrays(seed)
    for ending, name in OF_2012.items():
        write_metaimage(folder / case / f"{case}_{ending}{suffix}", images[name])
    truth = (truth_folder or folder / case) / f"{case}_truth{suffix}"
    write_metaimage(truth, np.minimum(values, 2))


def write_2013(case_folder: Path, reference: str = "VSD.Brain_3more.XX.XX.OT", **changes) -> None:
    """The arrays of `case_arrays`, or `changes`, as the Virtual Skeleton Database names them."""
    images, values = case_arrays()
    arrays = images | {"seg": values} | changes
    stems = {f"VSD.Brain.XX.O.MR_{ending.capitalize()}": name for ending, name in OF_2012.items()}
    for number, (stem, name) in enumerate((stems | {reference: "seg"}).items(), 684):
        write_metaimage(case_folder / stem / f"{stem}.{number}.mha", arrays[name])
