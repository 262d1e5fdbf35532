"""The MNI152 template that nilearn ships."""

from importlib.resources import as_file, files

import nibabel
import numpy as np


def read_template(tissue: str) -> np.ndarray:
    """One map of the template as stored: uint8 (197, 233, 189), 255 = certain."""
    name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    with as_file(files("nilearn") / "datasets" / "data" / name) as path:
        return np.asanyarray(nibabel.Nifti1Image.from_filename(path).dataobj)
