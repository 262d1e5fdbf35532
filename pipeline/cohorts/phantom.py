"""Generated cases: deformed MNI152 anatomy with a tumour, written in BraTS naming."""

import functools
import shutil
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.records import write_bytes
from ..core.regions import classes_to_values
from ..core.rng import generator
from ..formats import nifti
from ..formats.raw_cases import Found
from ..formats.template import read_template
from ..phantom.anatomy import Anatomy
from ..phantom.growth import draw_tumour
from ..phantom.phantoms import phantom
from ..runtime.code import code_hash
from ..runtime.parallel import over_cases
from .source import Source, challenge_schema

SCHEMA = challenge_schema("phantom", {"necrotic": 1, "edema": 2, "enhancing": 4})
_NAMES = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
LATERAL_VENTRICLE = (73, 89, 82)
"""A voxel of the template's left lateral ventricle, MNI (-25, -45, 10) mm."""
_LPS = np.array([[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]], float)
_CODE = ("core", "formats", "phantom", "cohorts/phantom.py")
_MARK = "phantom"


def generate(raw: Path, cases: int, seed: int) -> list[Found]:
    """Generate phantoms into `raw`, a complete folder per case; those already there are kept.

    Case `i` of a seed does not depend on the number of cases.
    """
    _remove_outdated(raw, f"{code_hash(*_CODE)} seed {seed}\n")
    names = [f"Phantom_{number:03d}" for number in range(1, cases + 1)]
    missing = [
        (name, _enhances(number, seed))
        for number, name in enumerate(names)
        if not _is_whole(raw / name)
    ]
    over_cases(partial(_make, raw=raw, seed=seed), missing, "generate")
    found = []
    for folder in (raw / name for name in names):
        images, labels = _files(folder)
        found.append(Found(folder.name, folder.name, folder, {**images}, labels))
    return found


def _files(folder: Path) -> tuple[dict[str, Path], Path]:
    """The images of a phantom by modality, and its mask."""
    images = {
        modality: folder / f"{folder.name}_{name}.nii.gz" for modality, name in _NAMES.items()
    }
    return images, folder / f"{folder.name}_seg.nii.gz"


def _remove_outdated(raw: Path, made_by: str) -> None:
    """Remove phantoms of other code or another seed; the record of both is beside `raw`, since no
    out may depend on code.
    """
    record = raw.with_name(f".{raw.name}-made-by")
    if record.is_file() and record.read_text(encoding="utf-8") == made_by:
        return
    for folder in raw.glob("Phantom_*"):
        shutil.rmtree(folder)
    write_bytes(record, made_by.encode())


def _is_whole(folder: Path) -> bool:
    images, labels = _files(folder)
    try:
        for path in (*images.values(), labels):
            nifti.read(path)
        return nifti.read_description(labels) == _MARK
    except InputError:
        return False


def _enhances(number: int, seed: int) -> bool:
    """One randomly drawn case of every five does not enhance."""
    group, place = divmod(number, 5)
    return place != generator(seed, "without enhancement", group).integers(5)


def _make(drawn: tuple[str, bool], raw: Path, seed: int) -> None:
    name, enhancing = drawn
    made = phantom(
        generator(seed, name, "phantom"),
        load_anatomy(),
        draw_tumour(generator(seed, name, "tumour"), enhancing),
    )
    partial_folder = raw / f".partial-{name}"
    shutil.rmtree(partial_folder, ignore_errors=True)
    images, labels = _files(partial_folder / name)
    for modality, path in images.items():
        nifti.write(path, made.images[modality][::-1, ::-1], _LPS, _MARK)
    nifti.write(labels, classes_to_values(made.classes, SCHEMA)[::-1, ::-1], _LPS, _MARK)
    shutil.rmtree(raw / name, ignore_errors=True)
    (partial_folder / name).rename(raw / name)
    partial_folder.rmdir()


@functools.cache  # once in every process
def load_anatomy() -> Anatomy:
    """Tissue maps of the ICBM 2009a symmetric template (Fonov et al. 2011), cropped to the brain.

    Returns
    -------
    Anatomy
        1 mm, RAS+; cerebrospinal fluid is the brain without gray and white matter.
    """
    brain = ndimage.binary_fill_holes(read_template("t1") > 0)
    gray, white = (
        np.where(brain, read_template(tissue) / np.float32(255), 0) for tissue in ("gm", "wm")
    )
    csf = np.where(brain, 1 - gray - white, 0)
    pools, _ = ndimage.label(csf > 0.5)
    ventricles = (pools == pools[LATERAL_VENTRICLE]).astype(np.float32)
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    return Anatomy(
        *(np.ascontiguousarray(tissue[box]) for tissue in (gray, white, csf, ventricles))
    )


SOURCE = Source(
    name="phantom",
    title="generated tumours in the MNI152 anatomy",
    schemas=(SCHEMA,),
    patients="one per case",
    licence=(
        "Generated. Anatomy: MNI ICBM152 2009 (c) Louis Collins, McConnell Brain Imaging Centre,"
        " free use with this notice."
    ),
    citation="Anatomy: Fonov et al., NeuroImage 54 (2011), doi:10.1016/j.neuroimage.2010.07.033.",
    access="Nothing to download: the cases are generated.",
    find=None,
    generate=generate,
)
