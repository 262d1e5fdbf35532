"""TCGA lower-grade gliomas as Kaggle's kaggle_3m publishes them: a folder of TIFF slices per
patient, three sequences as colours.
"""

import re
from pathlib import Path

from ..core.errors import InputError
from ..core.records import read_csv
from ..core.schema import Schema
from ..formats.images import MaskSlices, Slices, in_order, read_picture
from ..formats.raw_cases import Found, noted
from ..formats.walking import folders_below
from .source import Source, require_folder

SCHEMA = Schema(
    cohort="lgg",
    dimensions=3,
    modalities=("t1n", "t2f", "t1c"),
    labels={"tumour": 1},
    regions={"WT": ("tumour",)},
    empty_rule="nan",
    lesion_rules="brats2023-gli",
)
_FLAIR = SCHEMA.modalities.index("t2f")
_FOLDER = re.compile(r"^(?P<patient>TCGA_[A-Z0-9]{2}_[A-Z0-9]{4})_[0-9]{8}$")
_SLICE = re.compile(
    r"^(?P<case>TCGA_[A-Z0-9]{2}_[A-Z0-9]{4}_[0-9]{8})_(?P<number>[0-9]{1,4})(?P<mask>_mask)?\.tiff?$",
    re.IGNORECASE,
)
# The publishers scaled every slice to 256 x 256 and kept no header (Buda et al. 2019,
# doi:10.1016/j.compbiomed.2019.05.002, Methods). For a head of 256 mm in 20 to 88 slices these are
# of the right order, and no more.
_NOMINAL_MM = (1.0, 1.0, 5.0)
_NOTE = (
    "the spacing was not published: millimetres and millilitres are nominal, of 1 x 1 x 5 mm voxels"
)
_ATTRIBUTES = {
    "neoplasm_histologic_grade": "grade_code",
    "histological_type": "histology_code",
    "tumor_location": "location_code",
}


def find(location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    """Find the patients below a folder, as `Source.find` states, each a case of thick slices.

    There are folders ``TCGA_XX_NNNN_DATE`` at any depth, with ``..._1.tif``, ``..._1_mask.tif`` and
    so on. The second copy in Kaggle's archive is ignored. The attributes `grade_code`,
    `histology_code` and `location_code` are the numbers of the ``data.csv`` beside the folders as
    published; `missing` names the sequences that the publishers replaced by FLAIR.
    """
    require_folder(location, "kaggle_3m")
    folders: dict[str, Path] = {}
    found = [path for path in (location, *folders_below(location)) if _FOLDER.match(path.name)]
    for folder in sorted(found, key=lambda path: (len(path.parts), path)):
        known = folders.setdefault(folder.name, folder)
        if _contents(known) != _contents(folder):
            raise InputError(
                f"{folder}: case {folder.name} is also in {known}, with other files. Keep one of"
                " the two."
            )
    if not folders:
        raise InputError(
            f"{location}: holds no folder of a patient (TCGA_CS_4941_19960909). Set cohort.location"
            " to the folder that holds kaggle_3m."
        )
    return SCHEMA, noted(
        [_found(folder) for _, folder in sorted(folders.items())[: limit or None]], _NOTE
    )


def _contents(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def _found(folder: Path) -> Found:
    images: list[tuple[int, Path]] = []
    masks: list[tuple[int, Path]] = []
    for path in sorted(folder.iterdir()):
        if match := _SLICE.match(path.name):
            if match["case"] != folder.name:
                raise InputError(
                    f"{path}: belongs to case {match['case']}, but is in the folder {folder.name}."
                    " Keep each case in its folder."
                )
            (masks if match["mask"] else images).append((int(match["number"]), path))
    if not images:
        raise InputError(
            f"{folder}: holds no slice ({folder.name}_1.tif). Fetch the folder again, or remove it."
        )
    image_files, mask_files = in_order(images), in_order(masks)
    without = {number for number, _ in images} ^ {number for number, _ in masks}
    if masks and without:
        raise InputError(
            f"{folder}: slice {min(without)} has an image or a mask, but not both. Fetch the folder"
            " again."
        )
    missing, first = _missing(image_files), min(images)[0]
    notes = (
        *((f"the stack begins with slice {first}",) if first != 1 else ()),
        *(f"{name} is a copy of t2f: the sequence was not acquired" for name in missing),
    )
    return Found(
        case=folder.name,
        patient=_patient(folder),
        folder=folder,
        images={
            name: Slices(folder, image_files, _NOMINAL_MM, channel)
            for channel, name in enumerate(SCHEMA.modalities)
        },
        labels=MaskSlices(folder, mask_files, _NOMINAL_MM) if masks else None,
        attributes=_row(folder) | ({"missing": " ".join(missing)} if missing else {}),
        notes=notes,
    )


def _patient(folder: Path) -> str:
    return folder.name.rpartition("_")[0]


def _missing(files: tuple[Path, ...]) -> list[str]:
    """Sequences that equal FLAIR in every voxel; the middle slice, where they differ most, is read
    first.
    """
    candidates = [channel for channel in range(len(SCHEMA.modalities)) if channel != _FLAIR]
    middle = files[len(files) // 2]
    for file in sorted(files, key=lambda file: file != middle):
        if not candidates:
            break
        pixels, _ = read_picture(file)
        if pixels.ndim != 3 or pixels.shape[-1] < len(SCHEMA.modalities):
            raise InputError(
                f"{file}: is gray, expected three sequences as colours. Fetch the slice as its"
                " source publishes it."
            )
        same = (pixels == pixels[..., [_FLAIR]]).all(axis=(0, 1))
        candidates = [channel for channel in candidates if same[channel]]
    return [SCHEMA.modalities[channel] for channel in candidates]


def _row(folder: Path) -> dict[str, str]:
    """Attributes of the patient from data.csv beside the folder."""
    path = folder.parent / "data.csv"
    if not path.is_file():
        return {}
    row = next((row for row in read_csv(path) if row.get("Patient") == _patient(folder)), {})
    return {
        name: value
        for column, name in _ATTRIBUTES.items()
        if (value := row.get(column, "").strip())
    }


SOURCE = Source(
    name="lgg",
    title=(
        "TCGA lower-grade gliomas of Kaggle's kaggle_3m: 110 patients, T1, FLAIR and T1c in thick"
        " slices, skull on, FLAIR abnormality"
    ),
    schemas=(SCHEMA,),
    patients="TCGA_XX_NNNN of the folder's name",
    licence=(
        "CC BY-NC-SA 4.0 (Kaggle lgg-mri-segmentation); images from TCIA's TCGA-LGG under its"
        " terms."
    ),
    citation=(
        "Buda et al., Comput. Biol. Med. 109 (2019), doi:10.1016/j.compbiomed.2019.05.002; "
        "Mazurowski et al., J. Neurooncol. 133 (2017), doi:10.1007/s11060-017-2420-1."
    ),
    access=(
        "kaggle datasets download -d mateuszbuda/lgg-mri-segmentation, then unpack it and set"
        " cohort.location to the folder kaggle_3m."
    ),
    find=find,
)
