"""What models/inference.json keeps of the cases that made a network, for the flag and the errors
that `predict` reports: `quality.known.Known`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.confusion import confusion, dice_of_classes
from ..core.schema import Schema
from ..network.settings import Settings
from ..quality.features import features_of
from ..quality.known import Interval, Known, Region, interval_of
from ..quality.ranges import ranges_of
from .cohort import Cohort

MOST_CASES = 100
"""Of training and validation, so many are looked at for the ranges, spread evenly."""


class Inference(Settings):
    """The content of models/inference.json: how a case is predicted, and what is known."""

    known: Known


@dataclass(frozen=True)
class Measured:
    """A validation case: of each region, the Dice that its probabilities let expect (None where
    none is predicted), the measured one (NaN where reference and prediction are empty), and its
    volumes in ml.
    """

    estimated: Mapping[str, float | None]
    dice: Mapping[str, float]
    predicted_ml: Mapping[str, float]
    reference_ml: Mapping[str, float]


def measured(
    estimated: Mapping[str, float | None],
    reference: np.ndarray,
    prediction: np.ndarray,
    schema: Schema,
    spacing_mm: Sequence[float],
) -> Measured:
    """Measure a case, of class indices (X, Y, Z) uint8 around the tumour."""
    counts = confusion(reference, prediction, len(schema.labels) + 1)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    inside = {region: list(schema.classes_of(region)) for region in schema.regions}
    predicted = {region: int(counts[:, own].sum()) for region, own in inside.items()}
    return Measured(
        {region: value if predicted[region] else None for region, value in estimated.items()},
        {region: dice_of_classes(counts, own) for region, own in inside.items()},
        {region: voxels * voxel_ml for region, voxels in predicted.items()},
        {region: float(counts[own].sum()) * voxel_ml for region, own in inside.items()},
    )


def known_of(cohort: Cohort, validation: Sequence[Measured]) -> Known:
    """What is known of the network of a cohort, of its prepared cases of training and validation,
    and of what was measured on those of validation.
    """
    schema = cohort.card.cohort
    seen: dict[str, list[dict[str, float]]] = defaultdict(list)
    present = set(schema.regions)
    for name in _spread(sorted(cohort.card.seen)):
        shard, about = cohort.prepared(name)
        found = features_of(np.asarray(shard.image), about, schema.modalities)
        for kind, values in found.items():
            seen[kind].append(values)
        there = np.bincount(shard.classes.ravel(), minlength=len(schema.labels) + 1) > 0
        present -= {
            region for region in present if not there[list(schema.classes_of(region))].any()
        }
    confident = [
        {f"{region}.dice": value for region, value in one.estimated.items() if value is not None}
        for one in validation
    ]
    return Known(
        format_version=1,
        ranges={
            **{kind: ranges_of(cases) for kind, cases in seen.items()},
            "confidence": ranges_of(confident, below=True),
        },
        never_empty=tuple(region for region in schema.regions if region in present),
        regions={region: _region(region, validation) for region in schema.regions},
    )


def _spread(names: Sequence[str]) -> list[str]:
    places = np.linspace(0, len(names) - 1, min(len(names), MOST_CASES)).round().astype(int)
    return [names[place] for place in places]


def _region(name: str, validation: Sequence[Measured]) -> Region:
    errors_ml = [one.predicted_ml[name] - one.reference_ml[name] for one in validation]
    return Region(
        volume_error_ml=interval_of(errors_ml),
        volume_error_percent=interval_of(
            [
                100 * error / one.predicted_ml[name]
                for error, one in zip(errors_ml, validation, strict=True)
                if one.predicted_ml[name] > 0
            ]
        ),
        dice_error=_dice_error(name, validation),
    )


def _dice_error(name: str, validation: Sequence[Measured]) -> Interval | None:
    return interval_of(
        [
            one.dice[name] - estimated
            for one in validation
            if (estimated := one.estimated[name]) is not None
        ]
    )
