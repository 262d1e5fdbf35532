"""BraTS 2012 to 2015, MetaImage, from a local folder.

Layouts: ``BRATS_HG0001/BRATS_HG0001_{FLAIR,T1,T1C,T2}.mha`` with ``BRATS_HG0001_truth.mha`` in the
same or another folder (2012; HG and LG are high and low grade, names of generated cases start with
``SimBRATS``), the same with endings of later years (``_t1ce``, ``_seg``), and the Virtual Skeleton
Database's (2013 to 2015): ``HG/0001/VSD.Brain.XX.O.MR_Flair/VSD.Brain.XX.O.MR_Flair.684.mha`` with
``VSD.Brain_3more.XX.XX.OT`` for the reference, generated cases below ``Synthetic_Data``. Of 2012
one real case with the endings of later years was read; everything else was tested on files made in
these layouts.

Label values (Menze et al. 2015; the challenge's pages of 2012 and 2014): 1 edema and 2 core in 2012
and, by assumption, in generated cases of 2013, which have only these two; 1 necrosis, 2 edema, 3
non-enhancing, 4 enhancing in patients since 2013. In the latter each region adds one label: WT adds
edema to TC, and TC adds the non-enhancing tumour to ET and necrosis, which are disjoint.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.errors import InputError
from ..core.schema import Schema
from ..formats import metaimage
from ..formats.raw_cases import Found, noting_passed_over
from ..formats.volume import Part
from ..formats.walking import files_below, is_volume, of_one_file
from .source import (
    MODALITY_OF,
    Source,
    challenge_schema,
    duplicate,
    require_folder,
    require_plain_name,
)

_FLAT = re.compile(
    r"^(?P<case>(?P<sim>Sim)?BRATS_(?P<grade>HG|LG)\d+)_(?P<kind>FLAIR|T1CE|T1C|T1|T2|SEG|truth)\.mh[ad]$",
    re.IGNORECASE,
)
_SKELETON = re.compile(
    r"^(?P<stem>VSD\.Brain(_\dmore)?(\.X+){1,2}(\.O)?\.(MR_)?(?P<kind>Flair|T1c|T1|T2|OT))\.\d+\.mh[ad]$",
    re.IGNORECASE,
)
_GRADES = {"HG": "HGG", "HGG": "HGG", "LG": "LGG", "LGG": "LGG"}
_VISIT = re.compile(r"^(.*brats_(tcia_pat\d+|2013_pat\d+))_\d+$", re.IGNORECASE)


_SCHEMAS = {
    "brats2012": challenge_schema(
        "brats2012", {"edema": 1, "core": 2}, {"WT": ("edema", "core"), "TC": ("core",)}
    ),
    "brats2013": challenge_schema(
        "brats2013",
        {"necrotic": 1, "edema": 2, "nonenhancing": 3, "enhancing": 4},
        {
            "WT": ("necrotic", "edema", "nonenhancing", "enhancing"),
            "TC": ("necrotic", "nonenhancing", "enhancing"),
            "ET": ("enhancing",),
            "necrotic": ("necrotic",),
        },
    ),
}


@dataclass(frozen=True)
class _File:
    """A file of the challenge, with what its name and folders state."""

    path: Path
    case: str
    kind: str
    year: str
    grade: str
    synthetic: bool


def _find(name: str, location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    require_folder(location, "the cases of BraTS 2012 to 2015")
    cases: dict[str, dict[str, _File]] = {}
    others: dict[Path, list[Path]] = defaultdict(list)
    for path in files_below(location):
        file = _recognised(path)
        if file is None:
            others[path.parent].append(path)
            continue
        other = cases.setdefault(file.case, {}).setdefault(file.kind, file).path
        if other != path and not other.samefile(path):  # it is the same through a link
            raise duplicate(path, f"{file.kind} of case {file.case}", other)
    if not cases:
        raise InputError(
            f"{location}: holds no case in the naming of BraTS 2012 to 2015"
            " (BRATS_HG0001_FLAIR.mha, VSD.Brain.XX.O.MR_Flair.1.mha). Set cohort.location to the"
            " folder that holds the case folders."
        )
    found = [
        _found(name, case, files, others[next(iter(files.values())).path.parent])
        for case, files in sorted(cases.items())[: limit or None]
    ]
    return _SCHEMAS[name], noting_passed_over(
        found, [path for paths in others.values() for path in paths]
    )


def _recognised(path: Path) -> _File | None:
    match = _FLAT.match(path.name) or _SKELETON.match(path.name)
    if not match:
        return None
    kind = MODALITY_OF.get(match["kind"].lower(), "seg")
    if match.re is _FLAT:
        grade = match["grade"].upper()
        return _File(path, match["case"], kind, "brats2012", grade, bool(match["sim"]))
    folder = path.parent.parent if path.parent.name.startswith("VSD.") else path.parent
    # also above the location, which may be the folder of one grade
    above = [folder.name, *(parent.name for parent in folder.absolute().parents)]
    grade = next((part for part in above if part.upper() in _GRADES), "")
    synthetic = any(part.lower() == "synthetic_data" for part in above)
    mark = "_" if grade and not folder.name.isdecimal() else ""
    case = f"{'Sim' * synthetic}{grade}{mark}{folder.name}"
    year = "brats2012" if synthetic else "brats2013"  # what the label values mean
    return _File(path, case, kind, year, grade.upper(), synthetic)


def _found(name: str, case: str, files: dict[str, _File], others: Sequence[Path]) -> Found:
    first = next(iter(files.values()))
    if first.year != name:
        raise InputError(
            f"{first.path}: case {case} has the label values of {first.year}, not of {name}. "
            f"Set cohort.source: {first.year}, and keep the two in separate folders."
        )
    require_plain_name(case, first.path)
    images: dict[str, Path | Part] = {
        kind: metaimage.whole(of_one_file(file.path)) for kind, file in files.items()
    }
    labels = images.pop("seg", None)
    grade = {"grade": _GRADES[first.grade]} if first.grade else {}
    return Found(
        case,
        _VISIT.sub(r"\1", case),
        first.path.parent,
        images,
        labels,
        grade | {"origin": "synthetic" if first.synthetic else "patient"},
        passed_over=tuple(path.name for path in others if is_volume(path)),
    )


def _source(name: str, title: str, patients: str) -> Source:
    return Source(
        name=name,
        title=title,
        schemas=(_SCHEMAS[name],),
        patients=patients,
        licence="BraTS 2012-2015: non-commercial use, to be cited, not for redistribution.",
        citation=(
            "Menze et al. 2015, doi:10.1109/TMI.2014.2377694; Kistler et al. 2013,"
            " doi:10.2196/jmir.2930"
        ),
        access=(
            "The Virtual Skeleton Database gave the data out on registration (smir.ch); it is"
            " closed to new users, so ask the challenge's organisers or use a copy you have. Unpack"
            " it and set cohort.location to its folder."
        ),
        find=partial(_find, name),
    )


SOURCES = (
    _source(
        "brats2012",
        "BraTS 2012 and generated cases of 2013: gliomas, two labels, MetaImage, 3D",
        "one per case",
    ),
    _source(
        "brats2013",
        "BraTS 2013-2015: gliomas, four labels, MetaImage, 3D",
        "one per case of 2013; brats_tcia_pat153_0001 and _0109 of 2015 are one patient",
    ),
)
