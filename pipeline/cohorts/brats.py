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
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..core.errors import InputError
from ..core.schema import RulesName, Schema
from ..formats.raw_cases import Found, few, noted, noting_passed_over
from ..formats.volume import Part
from ..formats.walking import files_below, is_volume, of_one_file
from .brats_patients import Tables, patient_of, timepoint_of
from .nnunet import nnunet_hint
from .source import (
    GLIOMA,
    MODALITY_OF,
    Source,
    challenge_schema,
    duplicate,
    require_folder,
    require_plain_name,
)

log = logging.getLogger(__name__)

LICENCE = (
    "BraTS data: terms and citations of the challenge year (doi:10.1109/TMI.2014.2377694), not for"
    " redistribution."
)
_FILE = re.compile(
    r"^((?P<case>[^.].*?)(?P<mark>[_-])"
    r"(?P<kind>t1ce|t1c|t1n|t1|t2w|t2f|t2|flair|seg|gtv|tumor_segmentation)"  # the last: UCSF-PDGM
    r"|W39_1998\.09\.19_Segm)"  # the mask of BraTS20_Training_355, as its hospital called it
    r"\.nii(\.gz)?$",
    re.IGNORECASE,
)
_KINDS = {
    "brats-gli2024": "GLI",
    "brats-men": "MEN",
    "brats-met": "MET",
    "brats-met2025": "MET",
    "brats-ssa": "SSA",
    "brats-ped": "PED",
    "brats-ped2023": "PED",
    "brats-menrt": "MEN-RT",
}
_CASES = {"brats": r"^(?!BraTS-(MEN|MET|PED|SSA)-|BraTS-GLI-\d+-[1-9]\d\d$)"} | {
    name: rf"^BraTS-{kind}-\d+-\d+$" for name, kind in _KINDS.items()
}
"""Names of the cases of each source."""


def _adult(cohort: str, rules: RulesName, enhancing: int = 3) -> Schema:
    labels = {"necrotic": 1, "edema": 2, "enhancing": enhancing}
    return challenge_schema(cohort, labels, rules=rules)


def _treated(cohort: str, rules: tuple[RulesName, RulesName]) -> Schema:
    """Labels after surgery: the cavity is a region apart from the tumour."""
    labels = {"necrotic": 1, "edema": 2, "enhancing": 3, "cavity": 4}
    return challenge_schema(cohort, labels, GLIOMA | {"RC": ("cavity",)}, rules)


_SCHEMAS = {
    "_": _adult("brats2018-2021", "brats2023-gli", enhancing=4),
    "-": _adult("brats2023", "brats2023-gli"),
    "brats-gli2024": _treated("brats-gli2024", ("brats2024-gli", "brats2025-gli")),
    "brats-men": _adult("brats-men", "brats2023-men"),
    "brats-met": _adult("brats-met", "brats2023-met"),
    "brats-met2025": _treated("brats-met2025", ("brats2024-met", "brats2025-mets")),
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
        ("brats2024-ped", "brats2025-ped"),
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
    """The schema of a naming style: ``_`` (2017-2021, enhancing 4) or ``-`` (2023, enhancing 3)."""
    return _SCHEMAS[style]


def find(location: Path, limit: int = 0, name: str = "brats") -> tuple[Schema, list[Found]]:
    """Find the cases of a source, in one folder each at any depth, as `Source.find` states.

    Tables of the challenge beside the cases (survival and name mapping, as CSV) give attributes,
    and join the identifiers that one patient had in several years. The schema of the source
    `brats`, 2017 to 2021 or gliomas of 2023, is that of the naming style, which must not be mixed.
    """
    require_folder(location, "the BraTS cases")
    files = files_below(location)
    known: dict[str, tuple[str, Found]] = {}
    for folder in sorted({path.parent for path in files if _FILE.match(path.name)}):
        style, case = read_folder(folder)
        _, other = known.setdefault(case.case, (style, case))
        if not other.folder.samefile(folder):  # it is if found again through a link
            raise duplicate(folder, f"case {case.case}", other.folder)
    if not known:
        raise InputError(
            f"{location}: holds no case in BraTS naming (CASE_t1ce.nii.gz or CASE-t1c.nii.gz). Set"
            " cohort.location to the folder that holds the case folders."
            + f" {nnunet_hint(location)}".rstrip()
        )
    found = [known[case] for case in sorted(known)[: limit or None]]
    folders: dict[str, Path] = {}
    for style, case in found:
        require_plain_name(case.case, case.folder)
        if not re.search(_CASES[name], case.case):
            others = [other for other, names in _CASES.items() if re.search(names, case.case)]
            raise InputError(
                f"{case.folder}: case {case.case} is not of source {name}. Set cohort.source:"
                f" {' or '.join(others)} (see python -m pipeline sources), and keep kinds in"
                " separate folders."
            )
        folders.setdefault(style, case.folder)
    if len(folders) > 1:
        raise InputError(
            f"{location}: mixes names with '_' (BraTS 2017-2021, enhancing tumour 4) and '-' (2023,"
            f" enhancing tumour 3), as in {folders['_']} and {folders['-']}. Keep the years in"
            " separate folders."
        )
    tables = Tables(location)
    described = noting_passed_over(
        [_described(case, location, tables) for _, case in found],
        [path for path in files if not _FILE.match(path.name)],
    )
    if name in _AMBIGUOUS:
        described = noted(described, _AMBIGUOUS[name])
        log.warning("%s: %s.", location, _AMBIGUOUS[name])
    return _SCHEMAS[found[0][0] if name == "brats" else name], described


def holds_images(folder: Path) -> bool:
    """Whether a folder itself contains images in BraTS naming."""
    return any(
        _kind(match) != "seg" for path in folder.iterdir() if (match := _FILE.match(path.name))
    )


def case_folders(folder: Path) -> list[Path]:
    """The folders, sorted, that contain images in BraTS naming: `folder` alone, or those below."""
    if holds_images(folder):
        return [folder]
    named = ((path.parent, _FILE.match(path.name)) for path in files_below(folder))
    return sorted({parent for parent, match in named if match and _kind(match) != "seg"})


def _kind(match: re.Match) -> str:
    return MODALITY_OF.get((match["kind"] or "").lower(), "seg")


def read_folder(folder: Path) -> tuple[str, Found]:
    """Recognise the naming style, ``_`` or ``-``, and the files of the one case in a folder;
    InputError if it has no such file, files of several cases, or a modality twice.
    """
    style, case = "_", ""
    files: dict[str, Path | Part] = {}
    others: list[str] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _FILE.match(path.name)
        if not match:
            others += [path.name] if is_volume(path) and not path.name.startswith(".") else []
            continue
        kind = _kind(match)
        if kind in files:
            raise duplicate(path, kind, files[kind])
        if match["case"]:
            if case and match["case"] != case:
                raise InputError(
                    f"{path}: belongs to case {match['case']}, but the folder also holds {case}."
                    " Use one folder per case."
                )
            style, case = match["mark"], match["case"]
        files[kind] = of_one_file(path)
    labels = files.pop("seg", None)
    if not files:
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
        case, patient_of(case), folder, files, labels, attributes, passed_over=tuple(others)
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
    name: str, title: str, project: str, citation: str, licence: str = LICENCE, access: str = ""
) -> Source:
    return Source(
        name=name,
        title=title,
        schemas=(_SCHEMAS[name],),
        patients=_PATIENTS.format(_KINDS[name]),
        licence=licence,
        citation=f"{citation}; {_MENZE}",
        access=_SYNAPSE.format(project) + access,
        find=partial(find, name=name),
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
        "2024: syn53708249",
        "de Verdier et al. 2024, arXiv:2405.18368",
    ),
    _since_2023(
        "brats-men",
        "BraTS 2023 MEN: meningiomas, 3D",
        "2023: syn51156910",
        "LaBella et al. 2023, arXiv:2305.07642",
    ),
    _since_2023(
        "brats-met",
        "BraTS 2023-2024 MET: metastases, 3D",
        "2023: syn51156910",
        "Moawad et al. 2023, arXiv:2306.00838",
    ),
    _since_2023(
        "brats-met2025",
        "BraTS 2025 MET: metastases before and after treatment, with resection cavity, 3D",
        "2025: syn64153130",
        "Maleki et al. 2025, arXiv:2504.12527",
    ),
    _since_2023(
        "brats-ssa",
        "BraTS 2023-2024 SSA: gliomas from Sub-Saharan Africa, 3D",
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
        "2024: syn53708249",
        "Fathi Kazerooni et al. 2024, arXiv:2404.15009",
    ),
    _since_2023(
        "brats-ped2023",
        "BraTS 2023 PED: tumours of children, three labels, 3D",
        "2023: syn51156910",
        "Fathi Kazerooni et al. 2023, arXiv:2305.17033",
    ),
    _since_2023(
        "brats-menrt",
        "BraTS 2024 MEN-RT: meningiomas before radiotherapy, T1c alone, native space, 3D",
        "2024: syn53708249",
        "LaBella et al. 2024, arXiv:2405.18383",
    ),
)
