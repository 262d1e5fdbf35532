"""Compare runs on the cases that all of them scored: is a difference statistically significant?

    python -m pipeline compare RUN_A RUN_B [MORE ...]

RUN is a table of scores such as metrics/cases.csv, a folder that holds one, the word `workspace`
(what the last `dvc repro` made), a DVC experiment or git revision, or the name or id of an MLflow
run; it is looked for in this order. Every other run is compared with the first. A mean difference
comes with its BCa bootstrap interval and the p-values of a permutation test and of Wilcoxon's
signed-rank test; Holm's correction accounts for the number of tests. More than two runs are ranked
as in the BraTS challenge.
"""

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import isclose, isinf, nan
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.layout import WIDTH, aligned, counted, number
from ..core.records import TEXTS, write_bytes, write_json
from ..metrics import registry
from ..metrics.metric import Metric, described
from ..runtime.run_tables import TABLES, find_run
from ..statistics.bootstrap import CONFIDENCE, RESAMPLES, SEED
from ..statistics.paired import LEVEL, PERMUTATIONS, compare_pairs, most_changed, paired_rows
from ..statistics.ranking import ranked

FEW = 10
"""Number of patients below which intervals are clearly too narrow, see docs/metrics.md."""
_SAME_VOLUME = {"rel_tol": 1e-6, "abs_tol": 1e-6}  # ml
_LISTED = 4


@dataclass(frozen=True)
class Run:
    """Scores to compare.

    Attributes
    ----------
    letter : str
        A, B, C ... in what is printed.
    name, origin : str
        As given, and where it was found.
    rows : list of dict
        A row per case and target, numbers as float, NaN for empty fields.
    metrics : mapping of str to Metric
        Columns that are metrics.
    """

    letter: str
    name: str
    origin: str
    rows: list[dict[str, Any]]
    metrics: Mapping[str, Metric]

    @property
    def cases(self) -> list[str]:
        """Each case once, in the order of the table."""
        return list(dict.fromkeys(row["case"] for row in self.rows))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="two or more: file, folder, workspace, DVC experiment, revision, MLflow run",
    )
    parser.add_argument(
        "--table",
        choices=TABLES,
        default="cases",
        help="which table of a run to compare (default: cases)",
    )
    parser.add_argument(
        "--metrics",
        metavar="NAME,NAME",
        help="columns to compare (default: those of dice, hd95_mm, nsd_1mm that all have)",
    )
    parser.add_argument(
        "--labels", action="store_true", help="compare the labels too, not only the regions"
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=5,
        metavar="N",
        help="how many of the cases with the largest changes to list (default: 5)",
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"of bootstrap and permutations (default: {SEED})"
    )
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="draw the differences of all cases, as .png or .svg",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Read, check, compare, print; draw and write where an option says so."""
    if len(arguments.runs) < 2:
        raise InputError(
            f"{arguments.runs[0]}: one run alone cannot be compared. Name two or more."
        )
    if len(set(arguments.runs)) < len(arguments.runs):
        raise InputError(f"{' '.join(arguments.runs)}: a run is named twice. Name different runs.")
    if arguments.figure and arguments.figure.suffix not in (".png", ".svg"):
        raise InputError(f"{arguments.figure}: must end in .png or .svg.")
    runs = [
        read_run(name, chr(ord("A") + place), arguments.table)
        for place, name in enumerate(arguments.runs)
    ]
    metrics = chosen_metrics(runs, arguments.metrics, arguments.table)
    directions = {metric.name: metric.sign for metric in metrics}
    first, *others = runs = chosen_rows(runs, metrics, arguments.labels)
    for run in runs:
        print(f"{run.letter}  {run.name}  ({run.origin}; {counted(len(run.cases), 'case')})")
    comparisons = []
    for other in others:
        require_comparable(first, other)
        rows = compare_pairs(first.rows, other.rows, directions, seed=arguments.seed)
        comparisons.append(rows)
        shown = table(rows, metrics, first.letter, other.letter)
        print("", *differences_of(first, other), "", *shown, sep="\n")
        print("", *changes(first, other, metrics, arguments.cases), sep="\n")
    rows_of = {run.name: run.rows for run in runs}
    ranking = ranked(rows_of, directions, seed=arguments.seed) if len(runs) > 2 else []
    print("", *_ranking(ranking, runs, metrics), *legend(comparisons), sep="\n")
    if arguments.json:
        write_json(arguments.json, record(runs, comparisons, ranking, arguments.seed))
    if arguments.figure:
        _draw(arguments.figure, runs, comparisons)


def read_run(name: str, letter: str, table: str) -> Run:
    """Find a run as `find_run` and check its table: one without ``kind``, ``patient`` or ``filled``
    is of regions, each case a patient. InputError if it cannot be used.
    """
    found = find_run(name, table)
    columns = set(found.table)
    if found.table.empty or not {"case", "name"} <= columns:
        raise InputError(
            f"{name}: found {', '.join(found.table) or 'nothing'}, expected a table with the"
            " columns case and name and a row for each case and region."
        )
    rows = [
        {"kind": "region", "patient": row["case"], "filled": ""} | row
        for row in found.table.to_dict("records")
    ]
    seen = Counter((row["case"], row["kind"], row["name"]) for row in rows)
    for row in rows:
        if seen[row["case"], row["kind"], row["name"]] > 1:
            raise InputError(
                f"{name}: {row['case']} has {row['name']} twice. A table holds each case and region"
                " once."
            )
        for column in columns - TEXTS:
            if isinf(row[column]):
                raise InputError(
                    f"{name}: {column} of {row['case']}, {row['name']} is {row[column]}, expected a"
                    " finite number or an empty field. Write the table again."
                )
    metrics = {column: metric for column in columns if (metric := registry.find(column))}
    unknown = columns - set(metrics) - TEXTS
    text = found.evaluation() if unknown else None
    if text is not None:
        entries = json.loads(text).get("metrics", [])
        metrics |= {each["name"]: described(each) for each in entries if each["name"] in unknown}
    return Run(letter, name, found.origin, rows, metrics)


def chosen_metrics(runs: Sequence[Run], chosen: str | None, table: str) -> list[Metric]:
    """The columns to compare: those named, or the headline metrics that all runs have.

    InputError if a run lacks one, it has no direction, or none is left.
    """
    shared = [column for column in runs[0].rows[0] if all(column in run.rows[0] for run in runs)]
    known = {name: metric for run in runs for name, metric in run.metrics.items()}
    scores = {column: known[column] for column in shared if column in known and known[column].sign}
    if chosen is None:
        own = [metric for name, metric in scores.items() if registry.find(name) is None]
        usual = [
            metric
            for metric in (*registry.TABLES[table], *own)
            if metric.headline and metric.name in scores
        ] or list(scores.values())[:1]
        if not usual:
            raise InputError(
                f"{', '.join(run.name for run in runs)}: share no metric with a direction; all have"
                f" {', '.join(shared)}."
            )
        return usual
    names = list(dict.fromkeys(metric.strip() for metric in chosen.split(",")))
    for name in names:
        if name not in scores:
            lacking = [run.name for run in runs if name not in run.rows[0]]
            reason = "is no metric of which higher or lower values are better"
            reason = f"is not in {', '.join(lacking)}" if lacking else reason
            raise InputError(f"--metrics: {name} {reason}. All runs have {', '.join(scores)}.")
    return [scores[name] for name in names]


def chosen_rows(runs: Sequence[Run], metrics: Sequence[Metric], labels: bool) -> list[Run]:
    """The runs with their regions only, unless labels are wanted or a run has nothing else, and
    with the magnitudes of errors that have a sign.
    """
    signed = [metric.name for metric in metrics if metric.signed]
    labels |= not all(any(row["kind"] == "region" for row in run.rows) for run in runs)
    return [
        replace(
            run,
            rows=[
                row | {name: abs(row[name]) for name in signed}
                for row in run.rows
                if labels or row["kind"] == "region"
            ],
        )
        for run in runs
    ]


def require_comparable(first: Run, second: Run) -> None:
    """Check that two runs share cases and were scored against the same references: InputError if
    not, with cases of both.
    """
    pairs = [pair for pairs in paired_rows(first.rows, second.rows).values() for pair in pairs]
    if not pairs:
        shown = " and ".join(f"{run.name} has {_listed(run.cases)}" for run in (first, second))
        what = "region of the same case" if set(first.cases) & set(second.cases) else "case"
        raise InputError(
            f"no {what} is in both runs: {shown}. Compare runs that scored the same held-out cases."
        )
    other = [
        (row, partner)
        for row, partner in pairs
        if "reference_ml" in row
        and "reference_ml" in partner
        and not isclose(row["reference_ml"], partner["reference_ml"], **_SAME_VOLUME)
    ]
    if other:
        row, partner = other[0]
        raise InputError(
            f"{len({row['case'] for row, _ in other})} of {len({row['case'] for row, _ in pairs})}"
            f" cases have other references in {second.name} than in {first.name}: {row['name']} of"
            f" {row['case']} has {partner['reference_ml']:g} ml against {row['reference_ml']:g} ml."
            " Score both runs against the same references."
        )


def differences_of(first: Run, second: Run) -> Iterator[str]:
    """Lines on cases and regions that two runs share or not, and on other reasons why their scores
    may differ.
    """
    pairs = paired_rows(first.rows, second.rows)
    cases = {row["case"]: row["patient"] for own in pairs.values() for row, _ in own}
    patients = len(set(cases.values()))
    of_patients = f" of {counted(patients, 'patient')}" if patients < len(cases) else ""
    yield f"{first.letter} and {second.letter} share {counted(len(cases), 'case')}{of_patients}."
    if patients < FEW:
        yield (
            f"Warning: with {patients} {'patients' if of_patients else 'cases'} intervals are too"
            f" narrow, and no p can be below {2 / 2**patients:.2g}."
        )
    for one, other in ((first, second), (second, first)):
        alone = [case for case in one.cases if case not in cases]
        if alone:
            yield f"Only in {one.letter}, left out: {_listed(alone)}."
        lacking = sorted({row["name"] for row in one.rows} - {row["name"] for row in other.rows})
        if lacking:
            yield f"Only in {one.letter}, left out: {_listed(lacking, 'regions')}."
    rules = {run.letter: _empty_rule(run.rows) for run in (first, second)}
    if None not in rules.values() and len(set(rules.values())) > 1:
        said = "; ".join(f"{letter} {rule}" for letter, rule in rules.items())
        yield (
            f"Warning: empty masks are scored by different rules: {said}. Means are compared over"
            " cases that both scored."
        )
    if any("reference_ml" not in run.rows[0] for run in (first, second)):
        yield (
            "Warning: without the column reference_ml it cannot be checked that both were scored"
            " against the same references."
        )


def _empty_rule(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """How a run scores two empty masks; None where it has none."""
    empty = [row for row in rows if row.get("reference_ml") == 0 == row.get("prediction_ml")]
    if not empty:
        return None
    ruled = any(row["filled"] for row in empty)
    return f"{'gives scores' if ruled else 'leaves scores undefined'} where both are empty"


def _listed(names: Sequence[str], what: str = "cases") -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {what} ({', '.join(names[:_LISTED])}{more})"


def table(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[Metric], first: str, second: str
) -> Iterator[str]:
    """Lines of a table of comparisons, below a line with the result.

    `rows` are those of `pipeline.statistics.paired.compare_pairs` for `metrics`, `first` and
    `second` the letters of the runs.
    """
    verdicts = [row["verdict"] for row in rows]
    digits = {metric.name: _digits(metric) for metric in metrics}
    tests = sum(row["p_permutation_holm"] == row["p_permutation_holm"] for row in rows)
    yield (
        f"{second} is better than {first} in {verdicts.count(1)} and worse in {verdicts.count(-1)}"
        f" of {tests} comparisons (Holm-corrected p of permutations below {LEVEL})."
    )
    yield ""
    means = f"mean {first}", f"mean {second}", f"{second} - {first}"
    head = ("", "metric", "n", "rule", "undef", *means, f"{CONFIDENCE:.0%} interval", "+/-")
    cells: list[tuple[str, ...]] = [(*head, "p perm", "p Wilc", "Holm", "")]
    for _, own in groupby(rows, lambda row: row["name"]):
        lines = [_cells(row, digits[row["metric"]]) for row in own]
        cells += [lines[0], *(("", *line[1:]) for line in lines[1:])]
    yield from aligned(cells, left=(0, 1, len(cells[0]) - 1))


def _cells(row: Mapping[str, Any], digits: int) -> tuple[str, ...]:
    difference, low, high = (number(row[key], digits, "+") for key in ("difference", "low", "high"))
    return (
        row["name"],
        row["metric"],
        *(str(row[count]) for count in ("cases", "filled", "undefined")),
        *(number(row[mean], digits) for mean in ("mean_first", "mean_second")),
        difference,
        f"[{low}, {high}]",
        f"{row['better']}/{row['worse']}",
        *(_p(row[test]) for test in ("p_permutation", "p_wilcoxon", "p_permutation_holm")),
        {1: "better", -1: "worse", 0: ""}[row["verdict"]],
    )


def _digits(metric: Metric) -> int:
    return 2 if metric.unit else 4


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else number(value, 4)


def changes(first: Run, second: Run, metrics: Sequence[Metric], count: int) -> Iterator[str]:
    """Lines on the cases whose first metric changed most, each in the region with the largest
    change, with its other metrics there.
    """
    leading = metrics[0].name
    changed = most_changed(first.rows, second.rows, leading)
    if not changed:
        yield f"No {leading} changed."
    most = changed[: max(count, 0)]
    if not most:
        return
    yield f"Cases whose {leading} changed most from {first.letter} to {second.letter}:"
    cells = [
        (f"  {row['case']}", row["name"], *(_change(row, partner, metric) for metric in metrics))
        for row, partner in most
    ]
    for kept in range(len(cells[0]), 2, -1):  # as many metrics as fit
        lines = list(aligned([row[:kept] for row in cells], left=range(kept)))
        if max(map(len, lines)) <= WIDTH:
            break
    yield from lines


def _change(row: Mapping[str, Any], partner: Mapping[str, Any], metric: Metric) -> str:
    digits, before, after = _digits(metric), row[metric.name], partner[metric.name]
    change = number(after - before, digits, "+")
    return f"{metric.name} {number(before, digits)} -> {number(after, digits)} ({change})"


def _ranking(
    ranking: Sequence[Mapping[str, Any]], runs: Sequence[Run], metrics: Sequence[Metric]
) -> Iterator[str]:
    if not ranking:
        return
    letters = {run.name: run.letter for run in runs}
    yield (
        f"Ranking as in the BraTS challenge: mean rank over {ranking[0]['cases']} cases in all"
        f" runs, their regions, and {', '.join(metric.name for metric in metrics)}."
    )
    measures = ("mean rank", "rank / runs", "best or equal", "p against the next")
    cells = [("  place", "run", "", *measures)]
    for row in ranking:
        run = (f"  {row['place']}", letters[row["run"]], row["run"])
        share = f"{row['first']} of {row['rankings']}"
        ranks = number(row["mean_rank"], 3), number(row["score"], 3)
        cells.append((*run, *ranks, share, _p(row.get("p_next", nan))))
    yield from aligned(cells, left=(0, 1, 2))
    yield ""


def legend(comparisons: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Lines that explain the columns."""
    patients = any(row["patients"] < row["cases"] for rows in comparisons for row in rows)
    units, whole = ("patients", ", each with all its cases") if patients else ("cases", "")
    yield from textwrap.wrap(
        "n: cases in which both values are defined; rule: those of them in which the empty rule"
        " gave scores; undef: cases left out because a value is undefined. Interval: of the mean"
        f" difference, BCa bootstrap of {RESAMPLES:,} resamples of {units}{whole}. +/-: cases that"
        f" got better and worse. p perm: two-sided, the differences of {units} change sign, in all"
        f" ways if these are few, else in {PERMUTATIONS:,}; p Wilc: Wilcoxon's signed-rank test;"
        " Holm: p perm corrected for all rows of the table.",
        WIDTH,
    )


def record(
    runs: Sequence[Run],
    comparisons: Sequence[Sequence[Mapping[str, Any]]],
    ranking: Sequence[Mapping[str, Any]],
    seed: int,
) -> dict[str, Any]:
    """The results as plain values, with both corrected p."""
    first, *others = runs
    return {
        "runs": [
            {
                "letter": run.letter,
                "name": run.name,
                "found_in": run.origin,
                "cases": len(run.cases),
            }
            for run in runs
        ],
        "comparisons": [
            {
                "first": first.name,
                "second": other.name,
                "notes": list(differences_of(first, other)),
                "rows": list(rows),
            }
            for other, rows in zip(others, comparisons, strict=True)
        ],
        "standing": list(ranking),
        "settings": {
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "permutations": PERMUTATIONS,
            "seed": seed,
        },
    }


def _draw(
    path: Path, runs: Sequence[Run], comparisons: Sequence[Sequence[Mapping[str, Any]]]
) -> None:
    from ..report.plots.comparison import Pair, comparison_plot

    first, *others = runs
    named = {run.letter: f"{run.letter}: {run.name}" for run in runs}
    pairs = [
        Pair(named[first.letter], named[other.letter], paired_rows(first.rows, other.rows), rows)
        for other, rows in zip(others, comparisons, strict=True)
    ]
    png, svg = comparison_plot(pairs, 150)
    write_bytes(path, svg if path.suffix == ".svg" else png)
