"""The scores of many cases as lines of a terminal."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.layout import WIDTH, aligned, interval, number
from ..core.schema import Schema
from .case_scores import Tables
from .lesion_rules import why_unscored
from .multiclass import exchanged_labels

_DICE_HEADER = ("Dice", "md", "HD95 mm", "md")
_REGION_HEADER = ("region", "n", *_DICE_HEADER, "NSD 1 mm", "2 mm", "3 mm", "filled", "undef.")
_LESION_HEADER = ("region", "lesions", "found", "false", *_DICE_HEADER)
_MATCHED_HEADER = ("region", "TP", "FP", "FN", "F1", *_DICE_HEADER, "all Dice")
_INSTANCE_HEADER = ("region", "F1", "PQ")


def score_lines(summary: Mapping[str, Any], tables: Tables, schema: Schema) -> Iterator[str]:
    """Tables of regions, of lesions and of connected components, with what they show.

    Parameters
    ----------
    summary : dict
        Of `pipeline.metrics.case_scores.summarise`.
    tables : dict of str to list of dict
        "lesionwise" and "matched" of `pipeline.metrics.case_scores.tables_of`.
    schema : Schema
    """
    rows = [_region_row(name, summary["region"][name]) for name in schema.regions]
    yield from aligned([_REGION_HEADER, *rows])
    yield ""
    if schema.lesion_rules is None:
        yield from textwrap.wrap(why_unscored(schema.cohort), WIDTH, break_on_hyphens=False)
        yield ""
    if schema.merging_rules:
        yield from _lesion_by_lesion(summary, tables["lesionwise"], schema)
        yield ""
    if schema.matching_rules:
        yield from _matched(summary["matched"], tables["matched"], schema.matching_rules)
        yield ""
    yield "connected components, matched by IoU above 0.5"
    means = [
        (name, *(number(summary["instances"][name][key]["mean"], 3) for key in ("f1", "pq")))
        for name in schema.regions
    ]
    yield from aligned([_INSTANCE_HEADER, *means])
    yield ""
    yield (
        "Means over n cases [95 % interval], medians (md). filled: how many Dice and HD95 the"
        " cohort's rule for empty regions gave;"
    )
    by_lesion = "Lesion by lesion, missed and false lesions enter the means. "
    yield (
        "undef.: how many are undefined and left out."
        f" {by_lesion if schema.merging_rules else ''}See docs/metrics.md."
    )


def _lesion_by_lesion(
    summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], schema: Schema
) -> Iterator[str]:
    yield f"lesion by lesion, rules {schema.merging_rules}"
    cells: list[tuple[str, ...]] = [_LESION_HEADER]
    for name in schema.regions:
        own = [row for row in rows if row["name"] == name]
        totals = [
            sum(row[count] for row in own) for count in ("lesions", "found", "false_positives")
        ]
        of = summary["lesionwise"][name]
        means = _mean_and_median(of["lesion_dice"], 3), _mean_and_median(of["lesion_hd95_mm"], 1)
        cells.append((name, *map(str, totals), *means[0], *means[1]))
    yield from aligned(cells)


def _matched(
    summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], rules: str
) -> Iterator[str]:
    yield f"lesions matched one to one, rules {rules} (all Dice: missed and false lesions count 0)"
    cells: list[tuple[str, ...]] = [_MATCHED_HEADER]
    for name, of in summary.items():
        own = [row for row in rows if row["name"] == name]
        totals = (str(sum(row[count] for row in own)) for count in ("tp", "fp", "fn"))
        f1, penalised = (
            number(of[column]["mean"], 3) for column in ("matched_f1", "penalised_dice")
        )
        dice, distance = of["matched_dice"], of["matched_hd95_mm"]
        means = *_mean_and_median(dice, 3), *_mean_and_median(distance, 1)
        cells.append((name, *totals, f1, *means, penalised))
    yield from aligned(cells)


def _region_row(name: str, summary: Mapping[str, Any]) -> tuple[str, ...]:
    dice, distance = summary["dice"], summary["hd95_mm"]
    return (
        name,
        str(dice["cases"]),
        *_mean_and_median(dice, 3),
        *_mean_and_median(distance, 1),
        *(number(summary[f"nsd_{tolerance}mm"]["mean"], 3) for tolerance in (1, 2, 3)),
        *(f"{dice[count]}, {distance[count]}" for count in ("filled", "undefined")),
    )


def exchanged_lines(counts: Sequence[Mapping[str, Any]], schema: Schema) -> Iterator[str]:
    """A warning where the predictions agree far better with the references under other names of
    their labels.
    """
    names = exchanged_labels(counts, list(schema.labels))
    if names:
        called = ", ".join(f"{one} is mostly called {other}" for one, other in names.items())
        yield ""
        yield f"Warning: {called}. Were the predictions written with the values of another cohort?"


def _mean_and_median(summary: Mapping[str, Any], digits: int) -> tuple[str, str]:
    mean, low, high = (summary[f"mean{end}"] for end in ("", "_low", "_high"))
    return interval(mean, low, high, digits), number(summary["median"], digits)
