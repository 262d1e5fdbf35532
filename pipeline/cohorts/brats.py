"""BraTS 2017 to 2025, from a local folder: one folder per case, NIfTI, one file per modality.

Naming and label values by year, as the challenges documented them (see the citations below):

=============  ======================================================  =============================
source         cases                                                   label values
=============  ======================================================  =============================
brats          2017-2021: ``Brats17_...`` to ``BraTS2021_...``         1 necrotic or non-enhancing
                                                                       core, 2 edema, 4 enhancing
brats          2023: ``BraTS-GLI-NNNNN-0TT``                           1 necrotic core, 2 edema
                                                                       (SNFH), 3 enhancing
brats-gli2024  2024-2025: ``BraTS-GLI-NNNNN-TTT``                      as 2023, 4 resection cavity
brats-men      2023: ``BraTS-MEN-NNNNN-TTT``                           as gliomas of 2023
brats-ssa      2023-2024: ``BraTS-SSA-NNNNN-TTT``                      as gliomas of 2023
brats-met      2023-2024: ``BraTS-MET-NNNNN-TTT``                      as gliomas of 2023
brats-met2025  2025: ``BraTS-MET-NNNNN-TTT``                           as 2023, 4 resection cavity
brats-ped2023  2023: ``BraTS-PED-NNNNN-TTT``                           1 non-enhancing component,
                                                                       2 edema, 3 enhancing
brats-ped      2024-2025: ``BraTS-PED-NNNNN-TTT``                      1 enhancing, 2 non-enhancing,
                                                                       3 cystic, 4 edema
brats-menrt    2024: ``BraTS-MEN-RT-NNNN-T``, ``_t1c`` alone           1 gross tumour (``_gtv``)
=============  ======================================================  =============================

Names do not distinguish PED of 2023 from later years, nor MET of 2025 from earlier ones: the user
chooses the source. The values 1 to 3 of PED have other meanings in 2023, so that a wrong choice
shows in a value 4 only; a warning says so. Published post-treatment gliomas have timepoints from
100 on, those of 2023 below; `brats` rejects what another source reads, and verification rejects
values that a schema does not have. Read with real cases of 2018, 2021 and 2023 (GLI), and of MET
without a mask; everything else with files made in the published layout.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from ..core.errors import InputError
from ..core.schema import RulesName, Schema
from ..formats.raw_cases import Found, few, noted, noting_passed_over
from ..formats.volume import Part
from ..formats.walking import files_below, is_volume, of_one_file
from .brats_patients import Tables, patient_of, timepoint_of
from .nnunet import nnunet_hint
from .source import GLIOMA, Source, challenge_schema, duplicate, require_folder, require_plain_name

log = logging.getLogger(__name__)

LICENCE = (
    "BraTS data: terms and citations of the challenge year (doi:10.1109/TMI.2014.2377694), not for"
    " redistribution."
)
_MODALITIES = {
    "t1": "t1n",
    "t1n": "t1n",
    "t1ce": "t1c",
    "t1c": "t1c",
    "t2": "t2w",
    "t2w": "t2w",
    "flair": "t2f",
    "t2f": "t2f",
    "gtv": "seg",
    "tumor_segmentation": "seg",  # UCSF-PDGM
}
_FILE = re.compile(
    r"^(?P<case>[^.].*?)(?P<mark>[_-])(?P<kind>t1ce|t1c|t1n|t1|t2w|t2f|t2|flair|seg|gtv|tumor_segmentation)\.nii(\.gz)?$",
    re.IGNORECASE,
)
# BraTS 2020 training case 355 was published with its mask under the name it had at its hospital
_STRAY_MASK = re.compile(r"^W39_1998\.09\.19_Segm\.nii(\.gz)?$", re.IGNORECASE)
_FAMILIES = {
    "brats": r"^(?!BraTS-(MEN|MET|PED|SSA)-|BraTS-GLI-\d+-[1-9]\d\d$)",
    "brats-gli2024": r"^BraTS-GLI-\d+-\d+$",
    "brats-men": r"^BraTS-MEN-\d+-\d+$",
    "brats-met": r"^BraTS-MET-\d+-\d+$",
    "brats-met2025": r"^BraTS-MET-\d+-\d+$",
    "brats-ssa": r"^BraTS-SSA-\d+-\d+$",
    "brats-ped": r"^BraTS-PED-\d+-\d+$",
    "brats-ped2023": r"^BraTS-PED-\d+-\d+$",
    "brats-menrt": r"^BraTS-MEN-RT-\d+-\d+$",
}


def _adult(cohort: str, rules: RulesName, enhancing: int = 3) -> Schema:
    labels = {"necrotic": 1, "edema": 2, "enhancing": enhancing}
    return challenge_schema(cohort, labels, rules=rules)


def _treated(cohort: str, rules: RulesName) -> Schema:
    """Labels after surgery: the cavity is a region apart from the tumour."""
    labels = {"necrotic": 1, "edema": 2, "enhancing": 3, "cavity": 4}
    return challenge_schema(cohort, labels, GLIOMA | {"RC": ("cavity",)}, rules)


_SCHEMAS = {
    "_": _adult("brats2018-2021", "brats2023-gli", enhancing=4),
    "-": _adult("brats2023", "brats2023-gli"),
    "brats-gli2024": _treated("brats-gli2024", "brats2024-gli"),
    "brats-men": _adult("brats-men", "brats2023-men"),
    "brats-met": _adult("brats-met", "brats2023-met"),
    "brats-met2025": _treated("brats-met2025", "brats2024-met"),
    "brats-ssa": _adult("brats-ssa", "brats2023-ssa"),
    "brats-ped": challenge_schema(
        "brats-ped",
        {"enhancing": 1, "nonenhancing": 2, "cystic": 3, "edema": 4},
        {
            "WT": ("enhancing", "nonenhancing", "cystic", "edema"),
            "TC": ("enhancing", "nonenhancing", "cystic"),
            "ET": ("enhancing",),
            "CC": ("cystic",),
        },
        "brats2024-ped",
    ),
    "brats-ped2023": challenge_schema(
        "brats-ped2023",
        {"nonenhancing": 1, "edema": 2, "enhancing": 3},
        {
            "WT": ("nonenhancing", "edema", "enhancing"),
            "TC": ("nonenhancing", "enhancing"),
            "ET": ("enhancing",),
        },
        "brats2023-ped",
    ),
    "brats-menrt": challenge_schema(
        "brats-menrt", {"tumour": 1}, {"tumour": ("tumour",)}, "brats2024-menrt", ("t1c",)
    ),
}
_AMBIGUOUS = {
    "brats-ped": (
        "PED of 2024 and later was assumed (1 enhancing, 4 edema), which names do not show. "
        "If no case has label 4, it may be of 2023: set cohort.source to brats-ped2023"
    ),
    "brats-ped2023": (
        "PED of 2023 was assumed (1 non-enhancing, 3 enhancing), which names do not show. "
        "If it is of 2024 or later, set cohort.source to brats-ped"
    ),
}


def schema(style: str) -> Schema:
    """The cohort schema of a naming style: ``_`` (2017 to 2021, enhancing 4) or ``-`` (2023,
    enhancing 3).
    """
    return _SCHEMAS[style]


def find(location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    """Find the cases of 2017 to 2021, or the gliomas of 2023, below a folder.

    Tables of the challenge beside the cases (survival and name mapping, as CSV) give attributes,
    and join the identifiers that one patient had in several years.

    Parameters
    ----------
    location : Path
        A folder with one folder per case, at any depth (as the HGG and LGG folders of 2017 to
        2019).
    limit : int
        Largest number of cases, in the order of their names; 0 for all.

    Returns
    -------
    Schema
        By the naming of the files.
    list of Found
        Sorted by case.

    Raises
    ------
    InputError
        If there is no case, a case or a modality is found twice, both naming styles are mixed, or
        a case belongs to another source.
    """
    return _find("brats", location, limit)


def _find(name: str, location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    require_folder(location, "the BraTS cases")
    files = files_below(location)
    folders = sorted({path.parent for path in files if _FILE.match(path.name)})
    found = sorted((read_folder(folder) for folder in folders), key=lambda entry: entry[1].case)
    if not found:
        raise InputError(
            f"{location}: holds no case in BraTS naming (CASE_t1ce.nii.gz or CASE-t1c.nii.gz). Set"
            " cohort.location to the folder that holds the case folders."
            + f" {nnunet_hint(location)}".rstrip()
        )
    found = [
        entry
        for place, entry in enumerate(found)
        if not place or not _is_same_folder(entry[1], found[place - 1][1])
    ]
    for (_, one), (_, other) in pairwise(found):
        if one.case == other.case:
            raise duplicate(other.folder, f"case {one.case}", one.folder)
    found = found[: limit or None]
    _check_family(name, [case for _, case in found])
    styles = {style for style, _ in found}
    if len(styles) > 1:
        examples = [
            next(case.folder for style, case in found if style == wanted)
            for wanted in sorted(styles)
        ]
        raise InputError(
            f"{location}: mixes names with '_' (BraTS 2017-2021, enhancing tumour 4) and '-' (2023,"
            f" enhancing tumour 3), as in {examples[1]} and {examples[0]}. Keep the years in"
            " separate folders."
        )
    tables = Tables(location)
    others = [
        path for path in files if not _FILE.match(path.name) and not _STRAY_MASK.match(path.name)
    ]
    described = noting_passed_over(
        [_described(case, location, tables) for _, case in found], others
    )
    if name in _AMBIGUOUS:
        described = noted(described, _AMBIGUOUS[name])
        log.warning("%s: %s.", location, _AMBIGUOUS[name])
    return _SCHEMAS[styles.pop() if name == "brats" else name], described


def _is_same_folder(one: Found, other: Found) -> bool:
    """Whether a case is found again through a link."""
    return one.case == other.case and one.folder.samefile(other.folder)


def _check_family(name: str, found: Iterable[Found]) -> None:
    for case in found:
        require_plain_name(case.case, case.folder)
        if not re.search(_FAMILIES[name], case.case):
            others = [other for other, names in _FAMILIES.items() if re.search(names, case.case)]
            raise InputError(
                f"{case.folder}: case {case.case} is not of source {name}. Set cohort.source:"
                f" {' or '.join(others)} (see python -m pipeline sources), and keep kinds in"
                " separate folders."
            )


def holds_images(folder: Path) -> bool:
    """Whether a folder itself contains images in BraTS naming."""
    return any(
        _kind(match) != "seg"
        for match in map(_FILE.match, (path.name for path in folder.iterdir()))
        if match
    )


def _kind(match: re.Match) -> str:
    kind = match["kind"].lower()
    return _MODALITIES.get(kind, kind)


def read_folder(folder: Path) -> tuple[str, Found]:
    """Recognise the files of one case.

    Parameters
    ----------
    folder : Path
        The folder of the case.

    Returns
    -------
    str
        The naming style, ``_`` or ``-``.
    Found
        The case with its modalities and, if present, its mask.

    Raises
    ------
    InputError
        If the folder has no such file, files of several cases, or a modality twice.
    """
    style, case, labels = "_", "", None
    images: dict[str, Path | Part] = {}
    others: list[str] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _FILE.match(path.name)
        if not match and not _STRAY_MASK.match(path.name):
            others += [path.name] if is_volume(path) and not path.name.startswith(".") else []
            continue
        name = _kind(match) if match else "seg"
        if name in images or (name == "seg" and labels):
            raise duplicate(path, name, images.get(name, labels))
        if match and case and match["case"] != case:
            raise InputError(
                f"{path}: belongs to case {match['case']}, but the folder also holds {case}. Use"
                " one folder per case."
            )
        if match:
            style, case = match["mark"], match["case"]
        if name == "seg":
            labels = of_one_file(path)
        else:
            images[name] = of_one_file(path)
    if not images:
        named = f", but {few(others, 8)}" if others else ""
        raise InputError(
            f"{folder}: holds no image in BraTS naming (CASE_t1ce.nii.gz or"
            f" CASE-t1c.nii.gz){named}. Name the folder of one case, its files one by one"
            " (`predict` --t1n FILE --t1c FILE --t2w FILE --t2f FILE), or let a cohort.yaml name"
            " them (source folder)."
        )
    timepoint = timepoint_of(case)
    attributes = {"timepoint": timepoint} if timepoint else {}
    return style, Found(
        case, patient_of(case), folder, images, labels, attributes, passed_over=tuple(others)
    )


def _described(case: Found, location: Path, tables: Tables) -> Found:
    patient, attributes = tables.of(case.patient)
    folders = (part.upper() for part in (location.name, *case.folder.relative_to(location).parts))
    grade = next((part for part in folders if part in ("HGG", "LGG")), None)
    notes = case.notes
    if grade and attributes.get("grade", grade) != grade:
        notes += (
            f"{case.case}: is in the {grade} folder, but the table gives grade"
            f" {attributes['grade']}; the folder was used",
        )
    attributes |= case.attributes | ({"grade": grade} if grade else {})
    return replace(case, patient=patient, attributes=attributes, notes=notes)


_MENZE = "Menze et al. 2015, doi:10.1109/TMI.2014.2377694"
_YEARS = (
    f"{_MENZE}; Bakas et al. 2017, doi:10.1038/sdata.2017.117; Bakas et al. 2018, arXiv:1811.02629;"
    " Baid et al. 2021, arXiv:2107.02314"
)
_SYNAPSE = (
    "Make an account on synapse.org, join the BraTS data access team of the year ({}) and accept"
    " its terms there; download the training data by hand or with Synapse's own client, unpack it,"
    " and set cohort.location to the folder."
)
_PATIENTS = "the name without its timepoint: BraTS-{0}-00005-000 and -001 are one patient"


def _since_2023(
    name: str,
    title: str,
    kind: str,
    project: str,
    citation: str,
    licence: str = LICENCE,
    access: str = "",
) -> Source:
    return Source(
        name=name,
        title=title,
        schemas=(_SCHEMAS[name],),
        patients=_PATIENTS.format(kind),
        licence=licence,
        citation=f"{citation}; {_MENZE}",
        access=_SYNAPSE.format(project) + access,
        find=partial(_find, name),
    )


SOURCES = (
    Source(
        name="brats",
        title="BraTS 2017-2021 and 2023: gliomas before treatment, four modalities, 3D",
        schemas=(_SCHEMAS["_"], _SCHEMAS["-"]),
        patients=(
            "one per name; Brats17_X_1 to BraTS19_X_1 are one patient, name_mapping.csv joins 2020,"
            " and a mapping to TCIA 2021; "
        )
        + _PATIENTS.format("GLI"),
        licence=LICENCE,
        citation=_YEARS,
        access=_SYNAPSE.format("2023: syn51156910, 2021: syn25829067")
        + " BraTS 2021 is also on TCIA (doi:10.7937/jc8x-9874). The years 2017 to 2020 were given"
        " out by the University of Pennsylvania (ipp.cbica.upenn.edu) on registration.",
        find=find,
    ),
    _since_2023(
        "brats-gli2024",
        "BraTS 2024-2025 GLI: gliomas after treatment, with resection cavity, 3D",
        "GLI",
        "2024: syn53708249",
        "de Verdier et al. 2024, arXiv:2405.18368",
    ),
    _since_2023(
        "brats-men",
        "BraTS 2023 MEN: meningiomas, 3D",
        "MEN",
        "2023: syn51156910",
        "LaBella et al. 2023, arXiv:2305.07642",
    ),
    _since_2023(
        "brats-met",
        "BraTS 2023-2024 MET: metastases, 3D",
        "MET",
        "2023: syn51156910",
        "Moawad et al. 2023, arXiv:2306.00838",
    ),
    _since_2023(
        "brats-met2025",
        "BraTS 2025 MET: metastases before and after treatment, with resection cavity, 3D",
        "MET",
        "2025: syn64153130",
        "Maleki et al. 2025, arXiv:2504.12527",
    ),
    _since_2023(
        "brats-ssa",
        "BraTS 2023-2024 SSA: gliomas from Sub-Saharan Africa, 3D",
        "SSA",
        "2023: syn51156910",
        "Adewole et al. 2023, arXiv:2305.19369",
        licence=(
            "CC BY 4.0 in the edition of TCIA (doi:10.7937/v8h6-8x67); from Synapse, the terms of"
            " the challenge year."
        ),
        access=" TCIA gives the same cases as BraTS-Africa (doi:10.7937/v8h6-8x67).",
    ),
    _since_2023(
        "brats-ped",
        "BraTS 2024-2025 PED: tumours of children, four labels, 3D",
        "PED",
        "2024: syn53708249",
        "Fathi Kazerooni et al. 2024, arXiv:2404.15009",
    ),
    _since_2023(
        "brats-ped2023",
        "BraTS 2023 PED: tumours of children, three labels, 3D",
        "PED",
        "2023: syn51156910",
        "Fathi Kazerooni et al. 2023, arXiv:2305.17033",
    ),
    _since_2023(
        "brats-menrt",
        "BraTS 2024 MEN-RT: meningiomas before radiotherapy, T1c alone, native space, 3D",
        "MEN-RT",
        "2024: syn53708249",
        "LaBella et al. 2024, arXiv:2405.18383",
    ),
)
