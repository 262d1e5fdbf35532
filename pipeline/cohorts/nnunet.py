"""Folders of nnU-Net v2: not a source, but described for the source `folder`, whose patterns fit
their layout.

``dataset.json`` names the channels (``channel_names``), the label values (``labels``: a value, or
for region-based training the values that a region unites) and the format (``file_ending``); the
files are ``imagesTr/CASE_0000.nii.gz``, one per channel, and ``labelsTr/CASE.nii.gz``. Keys as
documented in nnU-Net's documentation/dataset_format.md and region_based_training.md.
"""

import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from io import StringIO
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError

from ..core.errors import InputError
from ..core.params import explain
from ..core.schema import Schema
from ..formats.walking import ENDINGS
from .source import MODALITIES, MODALITY_OF

_NOT_OURS = {*MODALITY_OF, "seg", "mask"} - {*MODALITIES}
_BRATS = {"WT": "edema", "TC": "necrotic", "ET": "enhancing"}
# A kind, a part of its names, and words that mean it alone; the first that fits. BraTS calls edema
# non-enhancing hyperintensity too.
_Kinds = tuple[tuple[str | None, str, set[str]], ...]
_LABEL_KINDS: _Kinds = (
    ("edema", "edema", {"ed", "snfh"}),
    ("necrotic", "necro|nonenhanc", {"ncr", "net", "netc"}),
    ("enhancing", "enhanc", {"et"}),
)
_REGION_KINDS: _Kinds = (
    ("WT", "whole", {"wt"}),
    ("TC", "core", {"tc"}),
    (None, "nonenhanc", set()),
    ("ET", "enhanc", {"et"}),
)


class _Dataset(BaseModel):
    channels: dict[int, str] = Field(
        validation_alias=AliasChoices("channel_names", "modality"), min_length=1
    )
    labels: dict[
        str,
        Annotated[
            list[int], BeforeValidator(lambda value: value if isinstance(value, list) else [value])
        ],
    ]
    file_ending: str


def nnunet_hint(location: Path) -> str:
    """How the cases of an nnU-Net v2 folder are read, for the errors of sources that cannot read
    them: what the folder is and what to do, ending with the content of a ``cohort.yaml``; if none
    can describe the folder, the reason. Empty if the folder is not of nnU-Net v2.

    Parameters
    ----------
    location : Path
        Has a ``dataset.json``, or one folder in nnU-Net's naming that has one
        (``Dataset001_NAME``), as in nnUNet_raw.
    """
    path = location / "dataset.json"
    below = sorted(location.glob("Dataset[0-9][0-9][0-9]_*/dataset.json"))
    if not path.is_file() and len(below) == 1:
        (path,) = below
    values = _read(path)
    if not values:
        return ""
    folder = path.parent
    try:
        description = _description(folder, values)
    except ValidationError as error:
        return (
            f"{explain(error, str(path))}\nIt is the dataset.json of nnU-Net v2: correct it"
            " as nnU-Net's documentation shows."
        )
    except InputError as obstacle:
        return f"{path}: is the dataset.json of nnU-Net v2, and {obstacle}"
    return (
        f"{path}: is the dataset.json of nnU-Net v2, whose folders the source `folder` reads. Write"
        f" the lines below to {folder / 'cohort.yaml'}, set cohort.source to folder and"
        f" cohort.location to {folder}: python -m pipeline preset NAME cohort.source=folder"
        f" {shlex.quote(f'cohort.location={folder}')}\nEvery case becomes a patient of its own: add"
        " `patient` or `table` if a patient has several (docs/data.md). Set dimensions to 2 if"
        f" each file is one slice.\n\n{_yaml(description)}"
    )


def _read(path: Path) -> dict[str, Any] | None:
    """The content of a dataset.json of nnU-Net v2; None of any other file."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    is_ours = isinstance(values, dict) and {"channel_names", "file_ending"} & set(values)
    return values if is_ours else None


def _description(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a cohort.yaml for the folder; InputError if none can describe it."""
    dataset = _Dataset.model_validate(values)
    _check_supported(dataset, values)
    stated = {name: members for name, said in dataset.labels.items() if (members := {*said} - {0})}
    are_regions = any(len(members) > 1 for members in stated.values())
    labels, regions = (_from_regions if are_regions else _from_labels)(stated)
    channels = _modalities(dataset.channels)
    terms = {
        "licence": values.get("licence") or values.get("license"),
        "citation": values.get("citation") or values.get("reference"),
    }
    description = {
        "cohort": _word(folder.resolve().name, "nnunet", ()),
        "dimensions": 3,
        "modalities": {
            name: f"imagesTr/{{case}}_{number:04d}{dataset.file_ending}"
            for number, name in channels.items()
        },
        "mask": f"labelsTr/{{case}}{dataset.file_ending}",
        "labels": labels,
        "regions": regions,
        "empty_rule": "brats" if set(_BRATS) <= set(regions) else "nan",
        **{key: " ".join(text.split()) for key, text in terms.items() if isinstance(text, str)},
    }
    meaning = {key: description[key] for key in Schema.model_fields if key in description} | {
        "modalities": list(channels.values())
    }
    try:
        Schema.model_validate_json(json.dumps(meaning))
    except ValidationError as error:
        said = "; ".join(
            finding["msg"].removeprefix("Value error, ")
            for finding in error.errors(include_url=False)
        )
        raise InputError(
            f"its labels {values['labels']} cannot be described as they are: {said}. Write a"
            " cohort.yaml as docs/data.md shows."
        ) from None
    return description


def _check_supported(dataset: _Dataset, values: Mapping[str, Any]) -> None:
    """Raise InputError about what no cohort.yaml can express."""
    if dataset.file_ending.lower() not in ENDINGS:
        raise InputError(
            f"its files end with {dataset.file_ending!r}, but only {', '.join(ENDINGS)} are read."
            " Convert them and set file_ending."
        )
    if isinstance(values.get("dataset"), dict):
        raise InputError(
            "it lists the files of each case, but only imagesTr and labelsTr are read. Copy or link"
            " the files there."
        )
    if "ignore" in dataset.labels:
        raise InputError(
            f"voxels of value {values['labels']['ignore']} are to be ignored, which is not"
            " supported. Remove the cases that have them, or set these voxels to another label,"
            " and remove `ignore` from the file."
        )


def _modalities(channels: Mapping[int, str]) -> dict[int, str]:
    """Our names of the channels, by number: a known contrast, or the channel's own name in
    lower-case letters and digits.
    """
    named: dict[int, str] = {}
    for number, published in sorted(channels.items()):
        plain = re.sub(r"[^a-z0-9]", "", published.lower())
        name = MODALITY_OF.get(plain, plain) or "channel"
        named[number] = _apart(name, {*named.values(), *_NOT_OURS})
    return named


def _from_labels(stated: Mapping[str, set[int]]) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Labels and regions of plain labels: one region each, or those of BraTS where its three labels
    are among them.
    """
    tumour = _kinds(stated, _LABEL_KINDS, _BRATS.values())
    labels: dict[str, int] = {}
    for name, (value,) in sorted(stated.items(), key=lambda item: sorted(item[1])):
        labels[tumour.get(name) or _word(name, f"label_{value}", labels)] = value
    if not tumour:
        return labels, {name: [name] for name in labels}
    within = {"WT": set(_BRATS.values()), "TC": {"necrotic", "enhancing"}, "ET": {"enhancing"}}
    regions = {
        region: [name for name in labels if name in members] for region, members in within.items()
    }
    return labels, regions | {name: [name] for name in labels if name not in _BRATS.values()}


def _from_regions(stated: Mapping[str, set[int]]) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Regions as stated, the larger first, and a label for the values that each adds to those
    within it.

    Where a region adds several values, all but the first become regions of their own, for each
    region adds one label.
    """
    kinds = _kinds(stated, _REGION_KINDS, _BRATS)
    names: dict[str, str] = {}
    for name in sorted(stated, key=lambda name: (-len(stated[name]), min(stated[name]))):
        names[name] = kinds.get(name) or _word(name, "region", {*names.values(), *kinds.values()})
    labels: dict[str, int] = {}
    alone: list[str] = []
    for name in names:
        within = [other for other in names if stated[other] < stated[name]]
        added = sorted(
            stated[name].difference(labels.values(), *(stated[other] for other in within))
        )
        direct = [
            names[other]
            for other in within
            if not any(stated[other] < stated[between] for between in within)
        ]
        label = (
            _BRATS[kinds[name]]
            if name in kinds
            else "_".join([names[name], *(["without", *direct] if direct else [])])
        )
        for value in added:
            own = _apart(label if len(added) == 1 else f"{label}_{value}", labels)
            labels[own] = value
            alone += [own] if value != added[0] else []
    labels = dict(sorted(labels.items(), key=lambda item: item[1]))
    regions = {
        ours: [label for label, value in labels.items() if value in stated[name]]
        for name, ours in names.items()
    }
    return labels, regions | {_apart(label, regions): [label] for label in alone}


def _kinds(names: Iterable[str], known: _Kinds, wanted: Collection[str]) -> dict[str, str]:
    """Kind of each name that has one; empty unless every wanted kind has one name."""
    kinds = {}
    for name in names:
        plain = re.sub(r"[^a-z]", "", name.lower())
        words = set(re.findall(r"[a-z]+", name.lower()))
        fits = (kind for kind, part, whole in known if re.search(part, plain) or words & whole)
        if kind := next(fits, None):
            kinds[name] = kind
    return kinds if sorted(kinds.values()) == sorted(wanted) else {}


def _word(name: str, otherwise: str, taken: Collection[str]) -> str:
    """A name that is valid in cohort.yaml (letters, digits, _ and -) and not yet taken."""
    return _apart(re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or otherwise, taken)


def _apart(name: str, taken: Collection[str]) -> str:
    """The name, with the least number from 2 on appended if it is already taken."""
    numbered = chain([name], (f"{name}{number}" for number in count(2)))
    return next(apart for apart in numbered if apart not in taken)


def _yaml(description: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    writer, text = YAML(), StringIO()
    writer.default_flow_style = None  # innermost mappings and lists take one line each
    writer.width = 1000
    modalities = CommentedMap(description["modalities"])
    modalities.fa.set_block_style()
    writer.dump({**description, "modalities": modalities}, text)
    return text.getvalue()
