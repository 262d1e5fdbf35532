"""The task of the network for two models: both segment a case, and their labels are compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.case import Case
from ..core.catalogue import Catalogue
from ..core.errors import InputError
from ..core.records import read_json, sha256
from ..core.regions import classes_to_regions, regions_to_classes, values_to_classes
from ..core.schema import Schema
from ..formats import nifti, raw_cases
from ..metrics.overlap import overlap
from ..report.case_facts import quality_facts, warnings_of
from ..segmenting.finding import OneCase
from ..segmenting.manifest import volumes_ml
from ..segmenting.model import Model
from . import worker
from .scenes import write_scene
from .segmentation import LABELS
from .segmentation import found as found_upload
from .store import RESULT

_FIRST, _SECOND = "first", "second"
_SETTINGS = "card", "inference"  # card.json names the network by its hash


@dataclass(frozen=True, eq=False)
class _Map:
    """Class indices (X, Y, Z) uint8 in the order of a schema."""

    classes: np.ndarray
    schema: Schema

    def within(self, shared: Schema) -> np.ndarray:
        """Class indices in the order of another schema, whose regions this one has."""
        if list(self.schema.labels) == list(shared.labels):
            return self.classes
        columns = [list(self.schema.regions).index(name) for name in shared.regions]
        masks = classes_to_regions(self.classes, self.schema)[..., columns]
        return regions_to_classes(masks, shared)


def compare_models(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """Segment a case with two models, and write the scene of both into the folder ``made``.

    Parameters
    ----------
    values : mapping
        ``folder`` of the uploaded case, or of the project if ``held_out`` names a case of it;
        ``case``, ``kind``, ``chosen`` and ``native`` of an upload, as in `store.State`;
        ``models``, the folders of two by their names; ``made``.
    report : callable

    Returns
    -------
    dict
        ``case``; ``models``, their names; ``notes`` on both; ``quality``, of each model
        `report.case_facts.quality_facts` and the ``warnings``; ``order``, names of the regions
        from the outermost on; ``regions``, of each the ``volumes_ml`` by both, the ``dice`` between
        them and, if the case has a reference, ``reference_ml`` and ``reference_dice`` of both. Dice
        of two empty masks is null.

    Raises
    ------
    InputError
        If a model cannot segment the case, or they have no region in common.
    """
    names = list(values["models"])
    models = [worker.model(folder) for folder in values["models"].values()]
    shared = shared_schema(*(model.card.cohort for model in models))
    found, case, quality = list[_Map](), None, list[dict[str, Any]]()
    for place, (name, model) in enumerate(zip(names, models, strict=True)):
        report(f"{name} looks at it", place * 0.45)
        own, case, record = _segmented(values, model)
        found.append(own)
        quality.append(quality_facts(record) | {"warnings": warnings_of(record)})
    assert case
    report("Comparing", 0.9)
    first, second = (one.within(shared) for one in found)
    modalities = models[1].modalities
    maps = {_FIRST: first, _SECOND: second}
    titles = dict(zip(maps, names, strict=True))
    write_scene(Path(values["made"]), case, modalities, maps, shared, titles=titles)
    reference = _reference(values, case)
    known = reference and set(shared.regions) <= set(reference.schema.regions)
    return {
        "case": values.get("held_out") or values["case"],
        "models": names,
        "notes": _notes(names, [model.card.cohort for model in models], shared),
        "quality": quality,
        "order": list(shared.regions),
        "regions": _compared(
            shared, case, maps, reference.within(shared) if reference and known else None
        ),
    }


def shared_schema(one: Schema, other: Schema) -> Schema:
    """The schema in which labels of both can be compared.

    The first itself if both have the same labels and regions; else one whose regions are those that
    both have by name, each with a label of its name for what no smaller one holds.

    Raises
    ------
    InputError
        If no region has a name in both, or regions lie within each other in one alone.
    """
    if (list(one.labels), one.regions) == (list(other.labels), other.regions):
        return one
    names = [name for name in one.regions if name in other.regions]
    if not names:
        raise InputError(
            "The two models have no region in common:"
            f" {', '.join(one.regions)} against {', '.join(other.regions)}. Choose two models of"
            " the same regions."
        )
    within = {name: [inner for inner in names if _holds(one, name, inner)] for name in names}
    if within != {name: [inner for inner in names if _holds(other, name, inner)] for name in names}:
        raise InputError(
            f"The regions {', '.join(names)} lie within each other in one of the two models, and"
            " not in the other, so their labels cannot be compared."
        )
    labels = {name: place for place, name in enumerate(names, 1)}
    regions = {name: tuple(inner) for name, inner in within.items()}
    changes = {"labels": labels, "regions": regions, "types": False, "lesion_rules": None}
    return Schema.model_validate(one.model_dump() | changes)


def _holds(schema: Schema, outer: str, inner: str) -> bool:
    return set(schema.regions[inner]) <= set(schema.regions[outer])


def _segmented(values: Mapping[str, Any], model: Model) -> tuple[_Map, Case, Mapping[str, Any]]:
    """What a model makes of the case, of an upload that it has segmented already its result; and
    its run manifest.
    """
    prepared = model.prepare(_found(values, model), values.get("native", False))
    if kept := _result(values, model):
        classes, record = kept
    else:
        model.load_network()
        result = model.predict(prepared)
        classes, record = result.classes, result.record
    return _Map(classes, model.card.cohort), prepared.voxels, record


def _found(values: Mapping[str, Any], model: Model) -> OneCase:
    if name := values.get("held_out"):
        raw = Path(values["folder"]) / "data/raw"
        entry = read_json(raw / "catalogue.json", Catalogue).entry(name)
        return OneCase(model.card.cohort, raw_cases.found_in(raw, entry))
    chosen = {name: key for name, key in values["chosen"].items() if name in model.modalities}
    return found_upload(model, {**values, "chosen": chosen})


def _result(values: Mapping[str, Any], model: Model) -> tuple[np.ndarray, Mapping[str, Any]] | None:
    """Class indices that this model gave for an upload, and their run manifest; None if another one
    segmented it.
    """
    labels = Path(values["folder"]) / RESULT / LABELS
    if values.get("held_out") or not labels.is_file():
        return None
    record = json.loads(labels.with_name(f"{LABELS}.json").read_bytes())
    own = {f"{name}_sha256": sha256(model.folder / f"{name}.json") for name in _SETTINGS}
    if not own.items() <= record["model"].items():
        return None
    return values_to_classes(nifti.read(labels).voxels, model.card.cohort), record


def _reference(values: Mapping[str, Any], case: Case) -> _Map | None:
    """The reference of a held-out case; None of an upload."""
    if not (name := values.get("held_out")):
        return None
    raw = Path(values["folder"]) / "data/raw"
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    labels = raw_cases.found_in(raw, catalogue.entry(name)).labels
    if labels is None:
        return None
    mask = raw_cases.on_grid_of(labels, raw_cases.read_mask(labels), labels, case.grid, "")
    classes = raw_cases.classes_of(labels, mask, catalogue.cohort, str)
    return _Map(classes, catalogue.cohort)


def _notes(names: Sequence[str], schemas: Sequence[Schema], shared: Schema) -> list[str]:
    if shared is schemas[0]:
        return []
    return [
        f"Compared by the regions that both models have: {', '.join(shared.regions)}."
        f" Those of {name} are {', '.join(schema.regions)}."
        for name, schema in zip(names, schemas, strict=True)
        if set(schema.regions) != set(shared.regions)
    ] or [f"The labels of both models differ; compared by regions: {', '.join(shared.regions)}."]


def _compared(
    shared: Schema, case: Case, maps: Mapping[str, np.ndarray], reference: np.ndarray | None
) -> dict[str, Any]:
    """Of each region the volumes and the Dice."""
    own = [volumes_ml(classes, shared, case.grid) for classes in maps.values()]
    true = None if reference is None else volumes_ml(reference, shared, case.grid)
    found: dict[str, Any] = {}
    for region in shared.regions:
        inside = shared.classes_of(region)
        first, second = (np.isin(classes, inside) for classes in maps.values())
        found[region] = {
            "volumes_ml": [volumes[region] for volumes in own],
            "dice": _defined(overlap(first, second).dice),
        }
        if reference is not None and true is not None:
            mask = np.isin(reference, inside)
            found[region] |= {
                "reference_ml": true[region],
                "reference_dice": [_defined(overlap(mask, one).dice) for one in (first, second)],
            }
    return found


def _defined(value: float) -> float | None:
    return None if value != value else value
