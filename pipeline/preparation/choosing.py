"""Postprocessing chosen on cases that the network was not trained on, never on the test part."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..core.boxes import bounding_box
from ..core.confusion import confusion, dice_of_classes
from ..core.regions import classes_to_regions, outputs_to_classes, region_probabilities
from ..core.schema import Schema
from .params import Key, Postprocess
from .postprocess import postprocess, tempered

THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
VOLUMES_ML = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)

MOST_CASES = 40
"""Of all that may be asked, so many choose, spread evenly: it takes seconds a case."""

_LEVELS = 2**16 - 1

Item = TypeVar("Item")


def spread(items: Sequence[Item]) -> list[Item]:
    """At most `MOST_CASES` of some items, evenly spread over their order."""
    places = np.linspace(0, len(items) - 1, min(len(items), MOST_CASES)).round().astype(int)
    return [items[place] for place in places]


@dataclass(frozen=True)
class Example:
    """A case on disk: around the tumour, probabilities of the outputs and the reference.

    Attributes
    ----------
    case, patient : str
    path : Path
        Written by `keep`.
    spacing_mm : tuple of 3 floats
        Of the raw grid.
    """

    case: str
    patient: str
    path: Path
    spacing_mm: tuple[float, float, float]

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (X, Y, Z, O) float32, rounded to 1/65535, and classes (X, Y, Z) uint8."""
        with np.load(self.path, allow_pickle=False) as members:
            return members["probabilities"].astype(np.float32) / _LEVELS, members["reference"]

    def classes(
        self, schema: Schema, output: str, params: Postprocess
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reference and prediction, class indices (X, Y, Z) uint8 around the tumour."""
        probabilities, reference = self.read()
        found = outputs_to_classes(probabilities, schema, output, params.thresholds)
        return reference, postprocess(found, schema, self.spacing_mm, params)


def keep(
    path: Path, probabilities: np.ndarray, reference: np.ndarray, schema: Schema, output: str
) -> None:
    """Write what `Example.read` reads, of probabilities (X, Y, Z, O) and classes (X, Y, Z) on the
    raw grid. Left out is what lies beyond all voxels that reach the lowest threshold.
    """
    likely = region_probabilities(probabilities, schema, output).max(axis=-1) > THRESHOLDS[0]
    box = bounding_box(likely | (reference != 0), margin_voxels=1)
    levels = np.rint(probabilities[box] * _LEVELS).astype(np.uint16)
    np.savez(path, allow_pickle=False, probabilities=levels, reference=reference[box])


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen, and what it changed.

    Attributes
    ----------
    params : Postprocess
    patients : list of str
        Of each case.
    steps : list of dict
        Of every value that was tried: ``key``, ``before`` and ``after``, the number ``tried``, and
        the mean ``gain`` of cases that had no say in it.
    before, after : (N,) float64 array
        Mean region Dice of each case; NaN where no region is defined.
    gain : (N,) float64 array
        Of each case, by the values that all patients but its own would have chosen.
    """

    params: Postprocess
    patients: list[str]
    steps: list[dict[str, Any]]
    before: np.ndarray
    after: np.ndarray
    gain: np.ndarray


def choose(
    examples: Sequence[Example],
    schema: Schema,
    output: str,
    start: Postprocess,
    keys: Iterable[Key],
) -> Choice:
    """Choose values one key after the other, each with those before it.

    The best mean region Dice over all cases wins, for the temperature the best cross-entropy of the
    region probabilities; but only if the same choice, made by all patients but one, on average
    improves that one. Else the value of `start` stays.

    Parameters
    ----------
    examples : sequence of Example
        Of more than `MOST_CASES`, so many are used, evenly spread.
    schema : Schema
    output : {"regions", "labels"}
        Labels have no thresholds: they compete.
    start : Postprocess
    keys : iterable of str
    """
    params, steps = start, []
    examples = spread(examples)
    patients = np.array([example.patient for example in examples])
    before = after = _scores(examples, schema, output, [start])[0]
    total = np.zeros(len(examples))
    for key, name, candidates in _trials(start, schema, output, set(keys)):
        variants = [candidate(params) for candidate in candidates]
        score = _fits if key == "temperature" else _scores
        scores = score(examples, schema, output, [params, *variants])
        best, gain = _best(scores, patients)
        chosen = [params, *variants][best]
        step = {"key": name, "before": _value(params, name), "after": _value(chosen, name)}
        steps.append(step | {"tried": len(variants), "gain": float(np.nanmean(gain))})
        params = chosen
        if key != "temperature":
            after, total = scores[best], total + gain
    return Choice(params, patients.tolist(), steps, before, after, total)


def _trials(
    start: Postprocess, schema: Schema, output: str, keys: set
) -> Iterator[tuple[str, str, list[Callable[[Postprocess], Postprocess]]]]:
    """Key, name and variants of each step, in the order in which postprocessing goes."""

    def changed(name: str, value: Any) -> Callable[[Postprocess], Postprocess]:
        return lambda params: params.model_copy(update={name: value})

    def above(region: str, value: float) -> Callable[[Postprocess], Postprocess]:
        return lambda params: params.model_copy(
            update={"thresholds": {**params.thresholds, region: value}}
        )

    if "thresholds" in keys and output == "regions":
        for region in schema.regions:
            yield "thresholds", region, [above(region, value) for value in THRESHOLDS]
    values = {"min_component_ml": VOLUMES_ML, "fill_holes": (False, True)}
    if any(schema.around[region] for region in schema.innermost):
        values["min_innermost_ml"] = VOLUMES_ML
    values["temperature"] = TEMPERATURES
    for key, tried in values.items():
        if key in keys:
            yield key, key, [changed(key, value) for value in tried]


def _value(params: Postprocess, name: str) -> Any:
    """The value of a key, or the threshold of a region."""
    return getattr(params, name) if hasattr(params, name) else params.thresholds.get(name, 0.5)


def _best(scores: np.ndarray, patients: np.ndarray) -> tuple[int, np.ndarray]:
    """The row of scores (M, N) to take, 0 being that of the present value, and the gain (N,) of
    each case by the choice of all other patients.
    """
    gain = np.zeros(scores.shape[1])
    for patient in dict.fromkeys(patients.tolist()):
        own = patients == patient
        if own.all():
            return 0, gain
        row = _highest(scores[:, ~own])
        gain[own] = scores[row][own] - scores[0][own]
    if np.all(np.isnan(gain)) or not np.nanmean(gain) > 0:
        return 0, np.zeros_like(gain)
    return _highest(scores), gain


def _highest(scores: np.ndarray) -> int:
    """The row with the highest mean; the first within rounding, which the present value is."""
    if np.all(np.isnan(scores)):
        return 0
    means = np.nanmean(scores, axis=1)
    return int(np.flatnonzero(means > means.max() - 1e-9)[0])


def _scores(
    examples: Sequence[Example], schema: Schema, output: str, variants: Sequence[Postprocess]
) -> np.ndarray:
    """Mean region Dice (M, N) of every case by every variant."""
    scores = np.empty((len(variants), len(examples)))
    for column, example in enumerate(examples):
        probabilities, reference = example.read()
        classes: dict[str, np.ndarray] = {}
        for row, params in enumerate(variants):
            above = repr(sorted(params.thresholds.items()))
            if above not in classes:
                classes[above] = outputs_to_classes(
                    probabilities, schema, output, params.thresholds
                )
            found = postprocess(classes[above], schema, example.spacing_mm, params)
            scores[row, column] = mean_region_dice(reference, found, schema)
    return scores


def mean_region_dice(reference: np.ndarray, found: np.ndarray, schema: Schema) -> float:
    """Mean over regions of the Dice of class indices (X, Y, Z), by the cohort's rule for empty
    masks; NaN if none is defined.
    """
    counts = confusion(reference, found, len(schema.labels) + 1)
    dice = [dice_of_classes(counts, schema.classes_of(region)) for region in schema.regions]
    if schema.empty_rule == "brats":
        return float(np.mean([1.0 if math.isnan(value) else value for value in dice]))
    defined = [value for value in dice if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _fits(
    examples: Sequence[Example], schema: Schema, output: str, variants: Sequence[Postprocess]
) -> np.ndarray:
    """Negative cross-entropy (M, N) of the regions' probabilities, in nats a voxel, of every case
    at every temperature.
    """
    fits = np.empty((len(variants), len(examples)))
    for column, example in enumerate(examples):
        probabilities, reference = example.read()
        regions = region_probabilities(probabilities, schema, output)
        inside = classes_to_regions(reference, schema)
        for row, params in enumerate(variants):
            likely = np.clip(tempered(regions, params.temperature), 1e-6, 1 - 1e-6)
            fits[row, column] = np.log(np.where(inside, likely, 1 - likely)).mean()
    return fits


def record(choice: Choice, summarised: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a choice for metrics/evaluate.json, with a summary of its `gain`."""
    return {
        "cases": len(choice.gain),
        "before": float(np.nanmean(choice.before)),
        "after": float(np.nanmean(choice.after)),
        "gain": dict(summarised),
        "steps": choice.steps,
    }
