"""Sections of the report on where its numbers come from: data, verification, definitions,
provenance, model.
"""

from collections.abc import Mapping
from typing import Any

from ...core.layout import counted
from ...verification.thumbnail_sheet import cut
from ..corrections import sentence
from ..plots.planes import convention
from ..rendering import flat, plain
from ..results import Run
from .scores import presentations

_PARTS = ("train", "val", "test")
_PREFIXES = {
    "lesionwise": "By lesions: ",
    "matched": "By matched lesions: ",
    "instances": "By instances: ",
}
_THUMBNAILS = 300
_TITLES = {
    "files": "Inputs, with their MD5 as in dvc.lock",
    "changed": "Changed since that commit",
    "commit": "Git commit",
}


def data(run: Run) -> dict[str, Any]:
    """Facts of sections/data.html.j2."""
    verify, schema = run.verify, run.schema

    def of_regions(values: Mapping[str, float], unit: str = "") -> str:
        return ", ".join(f"{region} {values[region]:g}{unit}" for region in schema.regions)

    said = sentence(run.catalogue, run.split)
    cases, patients = counted(verify["cases"], "case"), counted(verify["patients"], "patient")
    train, val, test = (len(getattr(run.split, name)) for name in _PARTS)
    return {
        "facts": {
            "Cohort": verify["cohort"],
            "Verified": f"{cases} of {patients}, {counted(verify['files'], 'file')}",
            "Parts": f"train {train}, val {val}, test {counted(test, 'case')}",
            **({"Corrected cases": said} if said else {}),
            "Modalities": ", ".join(schema.modalities),
            "Labels": ", ".join(f"{name} = {value}" for name, value in schema.labels.items()),
            "Shapes (voxels)": plain(verify["shapes"]),
            "Voxel sizes (mm)": plain(verify["spacings_mm"]),
            "Orientations": plain(verify["orientations"]),
            "Cases without a region": of_regions(verify["without"]),
            "Mean volume in the reference": of_regions(verify["mean_ml"], " ml"),
            "Terms": run.catalogue.licence,
        }
    }


def verification(run: Run) -> dict[str, Any]:
    """Checks, findings and thumbnails of sections/verification.html.j2; cases with a finding come
    first.
    """
    warnings, names = run.verify["warnings"], [entry.case for entry in run.catalogue.cases]
    found = {name for name in names if any(warning.startswith(f"{name}:") for warning in warnings)}
    shown = sorted(names, key=lambda name: name not in found)[:_THUMBNAILS]
    places = {name: number for number, name in enumerate(names)}
    thumbnails = cut(run.thumbnails, [places[name] for name in shown])
    part = {case: name for name in _PARTS for case in getattr(run.split, name)}
    glances = [
        {
            "case": name,
            "part": part.get(name, "in no part"),
            "volumes": _volumes(run, name),
            "png": thumbnail,
        }
        for name, thumbnail in zip(shown, thumbnails, strict=True)
    ]
    return {
        "files": run.verify["files"],
        "checks": run.verify["checks"],
        "warnings": warnings,
        "convention": convention(run.schema),
        "glances": glances,
        "not_shown": len(names) - len(shown),
    }


def _volumes(run: Run, case: str) -> str:
    entry, regions = run.catalogue.entry(case), run.schema.regions
    volumes = {name: entry.region_ml(run.schema, name) for name in regions if entry.label_voxels}
    return ", ".join(f"{name} {volume:.1f} ml" for name, volume in volumes.items())


def definitions(run: Run) -> dict[str, Any]:
    """Definitions of the metrics that the report shows; those in metrics/evaluate.json come before
    our own.
    """
    given, texts = dict(run.evaluation["definitions"]), {}
    for part in ("region", "lesionwise", "matched", "instances", "calibration"):
        summaries = run.evaluation.get(part, {}).values()
        measured = {name for summary in summaries for name in summary}
        for name, shown in presentations(run.evaluation, part, measured).items():
            text = given.pop(name, f"{shown.definition} {shown.source}".strip())
            if text:
                texts[_PREFIXES.get(part, "") + shown.title] = text
    return {"metrics": texts | {_title(name): text for name, text in given.items()}}


def provenance(run: Run) -> dict[str, Any]:
    """Command and facts of sections/provenance.html.j2."""
    known = dict(run.provenance)
    command = known.pop("command", "") or "dvc repro"
    groups = {
        name: known.pop(name)
        for name, value in run.provenance.items()
        if isinstance(value, Mapping)
    }
    return {
        "command": command,
        "facts": {_title(name): plain(value) for name, value in known.items()},
        "groups": {_title(name): dict(flat(value)) for name, value in groups.items() if value},
    }


def _title(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def model(run: Run) -> dict[str, Any]:
    """Intended use and facts of sections/model.html.j2."""
    return {"use": run.card.get("use", ""), "facts": dict(flat(run.card))}
