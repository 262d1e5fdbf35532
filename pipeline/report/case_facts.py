"""The facts of a segmented case for a reader, as plain values: one source for its page on paper and
for the page in the browser.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.advice import without_commands
from ..core.schema import Schema
from ..metrics.diameters import Lesion, lesions
from .plots.palette import label_colours

USE = "Research use only, not for diagnosis."
LEAST_MM3 = 50.0
"""Smaller connected parts of a region are not counted as lesions, as in the DICOM report."""
_DICE = ("dice", "low", "high", "coverage")
FLAG_WORDS = {"ok": "Nothing unusual", "check": "Check", "unknown": "Not known"}
"""What the quality flag is called, on paper and in the browser."""
_MEANING = {
    "ok": (
        "The images and the result look like those of the training. A case like them may still be"
        " segmented badly: compare the outlines with the images."
    ),
    "check": "This case is unlike those of the training. Look closely before you use the result.",
    "unknown": (
        "The files of the network do not say what its cases were like, so that this one could not"
        " be compared with them."
    ),
    "input": (
        "The images may not be what the network takes them for, and then the labels are wrong."
        " Correct the input and segment it again."
    ),
}
_NO_RANGES = {
    "check": (
        "No ranges: errors on validation cases say nothing of a case that is unlike those of the"
        " training."
    ),
    "unknown": "No ranges: it is not known whether this case is like those of validation.",
    "input": "No ranges: errors on validation cases say nothing of a case of doubtful input.",
}


def lesions_of(
    classes: np.ndarray, schema: Schema, spacing_mm: tuple[float, float, float]
) -> dict[str, list[Lesion]]:
    """The lesions of each region, measured in axial slices, the largest first; of single slices,
    whose thickness is not known, none.

    Parameters
    ----------
    classes : (X, Y, Z) uint8 array
        Class indices on canonical axes (RAS+).
    schema : Schema
    spacing_mm : tuple of 3 floats
    """
    found: dict[str, list[Lesion]] = {name: [] for name in schema.regions}
    for name in schema.regions if schema.dimensions == 3 else ():
        mask = np.isin(classes, schema.classes_of(name))
        if mask.any():
            found[name] = lesions(mask, spacing_mm, least_mm3=LEAST_MM3)
    return found


def case_facts(
    classes: np.ndarray,
    schema: Schema,
    spacing_mm: tuple[float, float, float],
    record: Mapping[str, Any],
    found: Mapping[str, Sequence[Lesion]],
) -> dict[str, Any]:
    """The facts of a case.

    Parameters
    ----------
    classes, schema, spacing_mm
        As for `lesions_of`, which gives `found`.
    record : mapping
        The run manifest; of an earlier version, what that has.

    Returns
    -------
    dict
        ``regions``, a list of: ``name``; ``colours`` of its labels (``#RRGGBB``), since the colour
        of a single one would be taken for that label; ``volume_ml``; ``likely_ml``,
        the two ends of the interval in which the true volume lies by the errors on validation
        cases, and ``error_ml``, those of the error (predicted minus reference); ``coverage``, the
        probability of these intervals, and ``cases``, the number of validation cases; ``dice``, the
        Dice to expect, its interval and the probability of that; ``lesions``, their number, and
        ``long_axis_mm`` and ``short_axis_mm`` of the largest one. What is not known is null.
        The intervals hold for cases like those of validation, so those of a case whose flag is
        not "ok" are null as well; ``ranges`` says in words what those of the volumes mean, or why
        there are none, and ``dice_ranges`` what those of the Dice mean.
        ``labels``, a list of ``name``, ``colours`` and ``volume_ml`` of labels that are no region.
        ``quality``, see `quality_facts`; ``warnings``, see `warnings_of`;
        ``missing_modalities``; ``made_by``, a list of pairs of texts; ``use``.
    """
    quality = quality_facts(record)
    if quality["flag"] != "ok":
        own = record.get("quality") or {}
        record = {**record, "volume_errors": {}, "quality": {**own, "expected_dice": {}}}
    regions = [_region(name, schema, record, found) for name in record["volumes_ml"]]
    return {
        "regions": regions,
        "ranges": _NO_RANGES.get(_kind(quality)) or _ranges(regions),
        "dice_ranges": _dice_ranges(regions),
        "labels": list(_labels(classes, schema, spacing_mm)),
        "quality": quality,
        "warnings": warnings_of(record),
        "missing_modalities": list(record.get("missing_modalities") or ()),
        "made_by": _made_by(record),
        "use": USE,
    }


def quality_facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """The quality flag of a run manifest: the ``flag`` ("ok", "check", "unknown") and its name in
    ``words``; its ``meaning``; the texts of the ``reasons``, the strongest first; whether the input
    is one, ``is_input_doubtful``.
    """
    quality = record.get("quality") or {"flag": "unknown", "reasons": ()}
    reasons = [one for one in quality["reasons"] if one["code"] != "not_known"]
    found = {
        "flag": quality["flag"],
        "words": FLAG_WORDS[quality["flag"]],
        "reasons": [one["text"] for one in reasons],
        "is_input_doubtful": any(one["code"] == "input" for one in reasons),
    }
    return found | {"meaning": _MEANING[_kind(found)]}


def _kind(quality: Mapping[str, Any]) -> str:
    return "input" if quality["is_input_doubtful"] else quality["flag"]


def warnings_of(record: Mapping[str, Any]) -> list[str]:
    """The warnings of a run manifest for who reads them beside the case: without its name, without
    advice for a command line, and without those that are reasons of the quality flag.
    """
    doubts = tuple(
        one["text"].rstrip(".").casefold()
        for one in (record.get("quality") or {}).get("reasons", ())
        if one["code"] == "input"
    )
    own = f"{record.get('case')}: "
    found = []
    for warning in record.get("warnings") or ():
        text = warning.removeprefix(own)
        if not text.casefold().startswith(doubts):
            said = without_commands(text)
            found.append(said if text == warning else said[0].upper() + said[1:])
    return found


def _region(
    name: str, schema: Schema, record: Mapping[str, Any], found: Mapping[str, Sequence[Lesion]]
) -> dict[str, Any]:
    error = (record.get("volume_errors") or {}).get(name) or {}
    expected = ((record.get("quality") or {}).get("expected_dice") or {}).get(name)
    spread = error.get("error_percent") or error.get("error_ml") or {}
    likely, absolute = (error.get("low_ml"), error.get("high_ml")), error.get("error_ml")
    mine = found.get(name, ())
    lines = mine[0].measured if mine else None
    return {
        "name": name,
        "colours": [label_colours(schema)[label] for label in schema.regions[name]],
        "volume_ml": record["volumes_ml"][name],
        "likely_ml": None if likely[0] is None else likely,
        "error_ml": absolute and (absolute["low"], absolute["high"]),
        "coverage": spread.get("coverage"),
        "cases": spread.get("cases"),
        "dice": expected
        and {key: expected.get(key) for key in ("dice", "low", "high", "coverage")},
        "lesions": len(mine) if schema.dimensions == 3 else None,
        "long_axis_mm": lines and round(lines.long_axis_mm, 2),
        "short_axis_mm": lines and round(lines.short_axis_mm, 2),
    }


def _ranges(regions: Sequence[Mapping[str, Any]]) -> str:
    """What the intervals of the volumes mean of a case whose flag is "ok"."""
    known = [row for row in regions if row["cases"]]
    if not any(row["volume_ml"] for row in regions):
        return "No ranges: no region was found."
    if not known:
        return "No ranges: the network was not tried on validation cases."
    chances = _chances({row["name"]: row["coverage"] for row in known if row["volume_ml"]})
    return (
        f"Ranges: by the errors on {max(row['cases'] for row in known)} validation cases. Of a case"
        f" like them, the true volume is within its range with a probability of {chances}."
    )


def _dice_ranges(regions: Sequence[Mapping[str, Any]]) -> str:
    """What the intervals of the Dice mean; empty where there are none."""
    chances = _chances(
        {
            row["name"]: row["dice"]["coverage"]
            for row in regions
            if row["volume_ml"] and row["dice"] and row["dice"]["coverage"]
        }
    )
    return f"The Dice is within its range with a probability of {chances}." if chances else ""


def _chances(coverages: Mapping[str, float]) -> str:
    """Probabilities in percent, with the regions of each where they differ."""
    of: dict[str, list[str]] = {}
    for name, coverage in coverages.items():
        of.setdefault(f"{100 * coverage:.0f} %", []).append(name)
    if len(of) < 2:
        return "".join(of)
    return " and ".join(f"{chance} ({', '.join(names)})" for chance, names in of.items())


def _labels(
    classes: np.ndarray, schema: Schema, spacing_mm: tuple[float, float, float]
) -> Iterator[dict[str, Any]]:
    """Labels that are no region of their own."""
    alone = {members[0] for members in schema.regions.values() if len(members) == 1}
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    for index, (name, colour) in enumerate(label_colours(schema).items(), 1):
        if name not in alone:
            volume_ml = round(float((classes == index).sum()) * voxel_ml, 3)
            yield {"name": name, "colours": [colour], "volume_ml": volume_ml}


def _made_by(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Network, training, program and day, as far as the record says."""
    model, versions = record.get("model") or {}, record.get("versions") or {}
    network = f"sha256 {record['network_sha256'][:16]}"
    if model:
        network += f", {model['architecture']}, {model['dimensions']}D"
        network += f", {model['weights'] / 1e6:.1f} million weights"
        network += f", {model['members']} members" if model["members"] > 1 else ""
    trained = f"{model['cohort']}, {model['cases']} cases" if model else "not known"
    day = (record.get("run") or {}).get("created", "")[:10]
    program = f"TumorFlow {versions.get('tumorflow', '')}".strip()
    return [
        ("Network", network),
        ("Trained and validated on", trained),
        ("Segmented", f"{day}, {program}" if day else program),
    ]
