"""The images of a segmented case, kept until it is corrected: registering series as acquired again
takes minutes.
"""

from pathlib import Path

from ..core.case import Case
from ..core.schema import Schema
from ..formats import nifti, raw_cases


def keep(folder: Path, case: Case, modalities: tuple[str, ...]) -> None:
    """Write the image of a segmented case (`Segmentation.case`) as a NIfTI file for each of its
    modalities, to the last bit.
    """
    for channel, name in enumerate(modalities):
        nifti.write(_path(folder, name), case.image[..., channel], case.grid.affine)


def kept(folder: Path, case: str, schema: Schema) -> Case:
    """The case of a name whose image was kept; InputError if a modality of the schema is missing or
    cannot be read.
    """
    paths = {name: _path(folder, name) for name in schema.modalities}
    there = {name: path for name, path in paths.items() if path.is_file()}
    return raw_cases.read(raw_cases.Found(case, case, folder, {**there}, None), schema)


def _path(folder: Path, modality: str) -> Path:
    return folder / f"{modality}.nii.gz"
