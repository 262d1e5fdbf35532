"""BraTS 2018 to 2023, from a local folder: `_t1ce` and `-t1c` naming, `.nii` and `.nii.gz`, enhancing tumour = 4 or 3."""

import re
from itertools import pairwise
from pathlib import Path

from pipeline.domain.errors import InputError
from pipeline.domain.schema import Schema
from pipeline.io.cases import Found

LICENCE = "BraTS data: terms and citations of the challenge year (doi:10.1109/TMI.2014.2377694), not for redistribution."
_MODALITIES = {"t1": "t1n", "t1n": "t1n", "t1ce": "t1c", "t1c": "t1c", "t2": "t2w", "t2w": "t2w", "flair": "t2f", "t2f": "t2f"}
_FILE = re.compile(r"^(?P<case>.+?)(?P<mark>[_-])(?P<kind>t1ce|t1c|t1n|t1|t2w|t2f|t2|flair|seg)\.nii(\.gz)?$", re.IGNORECASE)
# BraTS 2020 training case 355 was published with its mask under the name it had at its hospital
_STRAY_MASK = re.compile(r"^W39_1998\.09\.19_Segm\.nii(\.gz)?$")
_TIMEPOINT = re.compile(r"^(BraTS-[A-Za-z]+-\d+)-\d+$")


def schema(style: str) -> Schema:
    """The cohort schema of a naming style: ``_`` (2018 to 2021, enhancing 4) or ``-`` (2023, enhancing 3)."""
    return Schema(
        cohort={"_": "brats2018-2021", "-": "brats2023"}[style],
        dimensions=3,
        modalities=("t1n", "t1c", "t2w", "t2f"),
        labels={"necrotic": 1, "edema": 2, "enhancing": {"_": 4, "-": 3}[style]},
        regions={"WT": ("necrotic", "edema", "enhancing"), "TC": ("necrotic", "enhancing"), "ET": ("enhancing",)},
        empty_rule="brats",
    )


def find(location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    """Find the cases below a folder.

    Parameters
    ----------
    location : Path
        A folder with one folder per case, at any depth (as the HGG and LGG folders of 2018 to 2020).
    limit : int
        Take only the first so many cases in the order of their names; 0 takes all.

    Returns
    -------
    Schema
        By the naming of the files.
    list of Found
        Sorted by case.

    Raises
    ------
    InputError
        If there is no case, one case stands in two folders, a modality stands twice, or files of both
        naming styles are mixed.
    """
    if not location.is_dir():
        raise InputError(f"{location}: is not a folder. Set cohort.location to the folder that holds the BraTS cases.")
    folders = sorted({path.parent for path in location.rglob("*.nii*") if _FILE.match(path.name)})
    found = sorted((read_folder(folder) for folder in folders), key=lambda entry: entry[1].case)
    if not found:
        raise InputError(
            f"{location}: holds no case in BraTS naming (CASE_t1ce.nii.gz or CASE-t1c.nii.gz). "
            "Set cohort.location to the folder that holds the case folders."
        )
    for (_, one), (_, other) in pairwise(found):
        if one.case == other.case:
            raise InputError(f"{other.folder}: case {one.case} also stands in {one.folder}. Keep one of the two.")
    found = found[: limit or None]
    styles = {style for style, _ in found}
    if len(styles) > 1:
        examples = [next(case.folder for style, case in found if style == wanted) for wanted in sorted(styles)]
        raise InputError(
            f"{location}: mixes names with '_' (BraTS 2018-2021, enhancing tumour 4) and '-' (2023, enhancing tumour 3), "
            f"as in {examples[1]} and {examples[0]}. Keep the years in separate folders."
        )
    return schema(styles.pop()), [case for _, case in found]


def read_folder(folder: Path) -> tuple[str, Found]:
    """Recognise the files of one case folder.

    Parameters
    ----------
    folder : Path
        Holds the files of one case.

    Returns
    -------
    str
        The naming style, ``_`` or ``-``.
    Found
        The case with the modalities and mask that are there.

    Raises
    ------
    InputError
        If the folder holds no such file, files of several cases, or a modality twice.
    """
    style, case, images, labels = "_", "", {}, None
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _FILE.match(path.name)
        if not match and not _STRAY_MASK.match(path.name):
            continue
        kind = match["kind"].lower() if match else "seg"
        name = _MODALITIES.get(kind, kind)
        if name in images or (name == "seg" and labels):
            raise InputError(f"{path}: {name} also stands in {images.get(name, labels)}. Keep one of the two.")
        if match and case and match["case"] != case:
            raise InputError(f"{path}: belongs to case {match['case']}, but the folder also holds {case}. Use one folder per case.")
        if match:
            style, case = match["mark"], match["case"]
        if name == "seg":
            labels = path
        else:
            images[name] = path
    if not images:
        raise InputError(f"{folder}: holds no image in BraTS naming (CASE_t1ce.nii.gz or CASE-t1c.nii.gz). Name the folder of one case.")
    timepoint = _TIMEPOINT.match(case)
    return style, Found(case, timepoint[1] if timepoint else case, folder, images, labels)
