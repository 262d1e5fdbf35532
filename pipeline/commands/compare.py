"""Compare two runs, or more, on the cases that all of them scored: is one better, or is it chance?

    python -m pipeline compare RUN_A RUN_B [MORE ...]

RUN is a table of scores such as metrics/cases.csv, a folder that holds one, the word `workspace`
(what the last `dvc repro` made), a DVC experiment or git revision, or the name or id of an MLflow
run; it is looked for in this order. Every other run is compared with the first. A mean difference
comes with its BCa bootstrap interval; two tests, of permutations and Wilcoxon's, with how likely
chance alone is to make such a difference; Holm's correction accounts for the number of tests. With
more than two runs, they are ranked as in the BraTS challenge.
"""

import argparse
import csv
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isinf, nan
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.records import read_csv, write_bytes, write_json
from ..runtime import tracking, workspace
from ..statistics.bootstrap import CONFIDENCE, RESAMPLES, SEED
from ..statistics.paired import PERMUTATIONS, compare_pairs, direction, paired_rows, value_of
from ..statistics.ranking import standing

WORKSPACE = "workspace"
TABLES = {
    "cases": "cases.csv",
    "lesionwise": "tables/lesionwise.csv",
    "instances": "tables/instances.csv",
}
METRICS = {
    "cases": ("dice", "hd95_mm", "nsd_1mm"),
    "lesionwise": ("lesion_dice", "lesion_hd95_mm", "lesion_nsd_1mm"),
    "instances": ("f1", "pq"),
}
_ABSENT = {
    "lesionwise": (
        " A run whose cohort names no lesion_rules has no such table: compare it by --table cases"
        " or instances, or name rules as docs/metrics.md says and evaluate again."
    ),
    "instances": (
        " A run of an earlier version has F1, SQ and PQ in its lesionwise.csv: evaluate it again"
        " (dvc repro evaluate)."
    ),
}
TEXTS = {"case", "patient", "kind", "name", "filled"}
LEVEL = 0.05
FEW = 10
"""Patients below which intervals hold the true difference clearly less often than they say, see
docs/metrics.md.
"""
_WIDTH = 118
_SAME_VOLUME = 1e-6
_LISTED = 4


@dataclass(frozen=True)
class Run:
    """Scores to be compared.

    Attributes
    ----------
    letter : str
        A, B, C ... in what is printed.
    name : str
        As it was asked for.
    origin : str
        Where it was found.
    rows : list of dict
        A row per case and target, numbers as float, NaN for empty fields.
    """

    letter: str
    name: str
    origin: str
    rows: list[dict[str, Any]]

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
        choices=METRICS,
        default="cases",
        help="which table of a run to compare (default: cases)",
    )
    parser.add_argument(
        "--metrics",
        metavar="NAME,NAME",
        help="columns to compare (default: those of dice, hd95_mm, nsd_1mm that all have)",
    )
    parser.add_argument(
        "--labels", action="store_true", help="compare the labels too, not the regions alone"
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=5,
        metavar="N",
        help="how many of the cases that moved most to list (default: 5)",
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers for machines")


def run(arguments: argparse.Namespace) -> None:
    """Read, check, compare, print; draw and write where asked."""
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
    runs = of_kind(runs, arguments.labels)
    first, *others = runs
    print(
        "\n".join(
            f"{run.letter}  {run.name}  ({run.origin}; {len(run.cases)} cases)" for run in runs
        )
    )
    comparisons = []
    for other in others:
        refuse_incomparable(first, other)
        rows = compare_pairs(first.rows, other.rows, metrics, seed=arguments.seed)
        comparisons.append(rows)
        print("", *differing(first, other), "", *table(rows, first.letter, other.letter), sep="\n")
        print("", *moved(first, other, metrics, arguments.cases), sep="\n")
    ranked = _ranked(runs, metrics, arguments.seed) if len(runs) > 2 else []
    print("", *_ranking(ranked, runs, metrics), *legend(comparisons), sep="\n")
    if arguments.json:
        write_json(arguments.json, record(runs, comparisons, ranked, arguments.seed))
    if arguments.figure:
        _draw(arguments.figure, runs, comparisons)


def read_run(name: str, letter: str, table: str) -> Run:
    """Find a run by what it is called.

    Parameters
    ----------
    name : str
        As the command line takes it.
    letter : str
        What to call it.
    table : {"cases", "lesionwise", "instances"}
        Which of its tables.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If there is no such run, or its table cannot be used.
    """
    path = Path("metrics") if name == WORKSPACE else Path(name)
    if path.is_dir():
        path = _table_in(path, table)
    if path.is_file():
        return Run(
            letter,
            name,
            "workspace" if name == WORKSPACE else "file",
            _numbers(read_csv(path), name),
        )
    if path.suffix == ".csv" or name == WORKSPACE:
        raise InputError(
            f"{path}: no such file. Name a table of scores, or run the stages that make one: dvc"
            " repro."
        )
    text, reason = _of_revision(name, table)
    if text is not None:
        return Run(letter, name, "DVC", _numbers(list(csv.DictReader(io.StringIO(text))), name))
    try:
        path = tracking.evaluation_table(name, TABLES[table])
    except InputError as fault:
        raise InputError(
            f"{name}: no such run. It is no file or folder here. DVC: {reason}. MLflow: {fault}\n"
            f"`dvc exp show` lists experiments, `mlflow ui` runs.{_ABSENT.get(table, '')}"
        ) from None
    return Run(letter, name, "MLflow", _numbers(read_csv(path), name))


def _table_in(folder: Path, table: str) -> Path:
    file = TABLES[table]
    found = next(
        (
            path
            for path in (folder / "metrics" / file, folder / file, folder / Path(file).name)
            if path.is_file()
        ),
        None,
    )
    if found is None:
        remedy = f"Name the folder of a run that was evaluated.{_ABSENT.get(table, '')}"
        raise InputError(f"{folder}: holds neither metrics/{file} nor {file}. {remedy}")
    return found


def _of_revision(name: str, table: str) -> tuple[str | None, str]:
    """The text of a table as a git revision or DVC experiment has it, or None and why there is
    none.
    """
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    try:
        return (
            dvc.api.read(
                f"metrics/{TABLES[table]}",
                repo=str(workspace.root()),
                rev=name,
                encoding="utf-8-sig",
            ),
            "",
        )
    except RevError:
        return None, "no experiment or revision of this name"
    except (DvcException, OSError):  # Git LFS, caches and remote storage fail in ways of their own
        return (
            None,
            f"metrics/{TABLES[table]} of this revision is not in the cache (dvc pull may fetch it)",
        )


def _numbers(texts: list[dict[str, str]], name: str) -> list[dict[str, Any]]:
    """Typed rows of a table; a table without ``kind``, ``patient`` or ``filled`` is of regions,
    each case a patient.
    """
    if not texts or not {"case", "name"} <= set(texts[0]):
        found = ", ".join(map(str, texts[0])) if texts else "nothing"
        raise InputError(
            f"{name}: a table with the columns case and name and a row per case and region is"
            f" needed; found {found}."
        )
    rows = [
        {"kind": "region", "patient": text["case"], "filled": ""} | _typed(text, name)
        for text in texts
    ]
    seen = set()
    for row in rows:
        key = (row["case"], row["kind"], row["name"])
        if key in seen:
            raise InputError(
                f"{name}: {row['case']} has {row['name']} twice. A table holds each case and region"
                " once."
            )
        seen.add(key)
    return rows


def _typed(text: Mapping[str, Any], name: str) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column, field in text.items():
        if column is None or field is None:
            raise InputError(
                f"{name}: the row of {text['case']}, {text['name']} has more or fewer fields than"
                " the header. Write it again."
            )
        row[column] = field if column in TEXTS else _number(field, column, text, name)
    return row


def _number(field: str, column: str, text: Mapping[str, Any], name: str) -> float:
    try:
        value = float(field) if field else nan
    except ValueError:
        value = float("inf")
    if isinf(value):
        raise InputError(
            f"{name}: {column} of {text['case']}, {text['name']} is {field!r}; a finite number or"
            " an empty field is due."
        )
    return value


def chosen_metrics(runs: Sequence[Run], asked: str | None, table: str) -> list[str]:
    """The columns to compare: those asked for, or the usual ones that all runs have.

    Raises
    ------
    InputError
        If a run lacks one, it is no score, or none is left.
    """
    shared = [column for column in runs[0].rows[0] if all(column in run.rows[0] for run in runs)]
    scores = [column for column in shared if _is_score(column)]
    if asked is None:
        usual = [metric for metric in METRICS[table] if metric in scores] or scores[:1]
        if not usual:
            raise InputError(
                f"{', '.join(run.name for run in runs)}: share no column that is a score; all have"
                f" {', '.join(shared)}."
            )
        return usual
    metrics = list(dict.fromkeys(metric.strip() for metric in asked.split(",")))
    for metric in metrics:
        if metric not in scores:
            lacking = [run.name for run in runs if metric not in run.rows[0]]
            reason = (
                f"is not in {', '.join(lacking)}"
                if lacking
                else "is no score, so none of its values is better than another"
            )
            raise InputError(f"--metrics: {metric} {reason}. All runs have {', '.join(scores)}.")
    return metrics


def _is_score(column: str) -> bool:
    try:
        return bool(direction(column))
    except KeyError:
        return False


def of_kind(runs: Sequence[Run], labels: bool) -> list[Run]:
    """The runs with their regions alone, unless labels are wanted or a run has nothing else."""
    if labels or not all(any(row["kind"] == "region" for row in run.rows) for run in runs):
        return list(runs)
    return [
        Run(run.letter, run.name, run.origin, [row for row in run.rows if row["kind"] == "region"])
        for run in runs
    ]


def refuse_incomparable(first: Run, second: Run) -> None:
    """Refuse two runs that share nothing, or that were scored against different references.

    Raises
    ------
    InputError
        Naming cases of both.
    """
    pairs = [pair for pairs in paired_rows(first.rows, second.rows).values() for pair in pairs]
    if not pairs:
        shown = " and ".join(f"{run.name} has {_listed(run.cases)}" for run in (first, second))
        what = "region of the same case" if set(first.cases) & set(second.cases) else "case"
        raise InputError(
            f"no {what} is in both runs: {shown}. Compare runs that scored the same held-out cases."
        )
    other = [pair for pair in pairs if not _same_reference(*pair)]
    if other:
        row, partner = other[0]
        raise InputError(
            f"{len({row['case'] for row, _ in other})} of {len({row['case'] for row, _ in pairs})}"
            f" cases have other references in {second.name} than in {first.name}: {row['name']} of"
            f" {row['case']} has {partner['reference_ml']:g} ml against {row['reference_ml']:g} ml."
            " Score both runs against the same references."
        )


def _same_reference(row: Mapping[str, Any], partner: Mapping[str, Any]) -> bool:
    if "reference_ml" not in row or "reference_ml" not in partner:
        return True
    volumes = row["reference_ml"], partner["reference_ml"]
    return abs(volumes[0] - volumes[1]) <= _SAME_VOLUME * max(1.0, *volumes)


def differing(first: Run, second: Run) -> Iterator[str]:
    """Lines on what two runs share and do not share, and on what makes their scores differ by more
    than the predictions.
    """
    pairs = paired_rows(first.rows, second.rows)
    cases = {row["case"]: row["patient"] for own in pairs.values() for row, _ in own}
    patients = len(set(cases.values()))
    of_patients = f" of {patients} patients" if patients < len(cases) else ""
    yield f"{first.letter} and {second.letter} share {len(cases)} cases{of_patients}."
    if patients < FEW:
        yield (
            f"Warning: {patients} {'patients' if of_patients else 'cases'} are few: their intervals"
            f" are too narrow, and no p can be below {2 / 2**patients:.2g}."
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
            f"Warning: empty masks are not scored by one rule: {said}. Means are compared over"
            " cases that both scored."
        )
    if any("reference_ml" not in run.rows[0] for run in (first, second)):
        yield (
            "Warning: without the column reference_ml it is not known whether both were scored"
            " against the same references."
        )


def _empty_rule(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """What a run does with two empty masks; None where it has none."""
    empty = [row for row in rows if row.get("reference_ml") == 0 == row.get("prediction_ml")]
    if not empty:
        return None
    return (
        "gives scores where both are empty"
        if any(row["filled"] for row in empty)
        else "leaves scores undefined where both are empty"
    )


def _listed(names: Sequence[str], what: str = "cases") -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {what} ({', '.join(names[:_LISTED])}{more})"


def table(rows: Sequence[Mapping[str, Any]], first: str, second: str) -> Iterator[str]:
    """Lines of a table of comparisons, under a head that says what came out.

    Parameters
    ----------
    rows : sequence of mapping
        As `pipeline.statistics.paired.compare_pairs` gives them.
    first, second : str
        Letters of the runs.

    Yields
    ------
    str
        Lines.
    """
    verdicts = [_verdict(row) for row in rows]
    tests = sum(row["p_permutation_holm"] == row["p_permutation_holm"] for row in rows)
    yield (
        f"{second} is better than {first} in {verdicts.count(1)} and worse in {verdicts.count(-1)}"
        f" of {tests} comparisons (Holm-corrected p of permutations below {LEVEL})."
    )
    yield ""
    head = (
        "",
        "metric",
        "n",
        "rule",
        "undef",
        f"mean {first}",
        f"mean {second}",
        f"{second} - {first}",
        f"{CONFIDENCE:.0%} interval",
        "+/-",
    )
    cells = [(*head, "p perm", "p Wilc", "Holm", "")]
    before = ""
    for row, verdict in zip(rows, verdicts, strict=True):
        cells.append(
            (
                *_cells(row, "" if row["name"] == before else row["name"]),
                {1: "better", -1: "worse", 0: ""}[verdict],
            )
        )
        before = row["name"]
    yield from _aligned(cells, left=(0, 1, len(cells[0]) - 1))


def _verdict(row: Mapping[str, Any]) -> int:
    """1 if the second run is better beyond chance, -1 if it is worse, else 0."""
    if not row["p_permutation_holm"] < LEVEL:
        return 0
    return 1 if row["difference"] * direction(row["metric"]) > 0 else -1


def _cells(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    digits = _digits(row["metric"])
    low, high = _shown(row["low"], digits, "+"), _shown(row["high"], digits, "+")
    return (
        name,
        row["metric"],
        *(str(row[count]) for count in ("cases", "filled", "undefined")),
        *(_shown(row[mean], digits) for mean in ("mean_first", "mean_second")),
        _shown(row["difference"], digits, "+"),
        f"[{low}, {high}]",
        f"{row['better']}/{row['worse']}",
        *(_p(row[test]) for test in ("p_permutation", "p_wilcoxon", "p_permutation_holm")),
    )


def _digits(metric: str) -> int:
    return 2 if metric.endswith(("_mm", "_ml", "false_positives", "found")) else 4


def _shown(value: float, digits: int, sign: str = "") -> str:
    return f"{value:{sign}.{digits}f}" if value == value else "-"


def _p(value: float) -> str:
    return "-" if value != value else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _aligned(cells: Sequence[Sequence[str]], left: Sequence[int]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    gap = " " if sum(widths) + 2 * (len(widths) - 1) > _WIDTH else "  "
    for row in cells:
        padded = (
            f"{text:<{wide}}" if column in left else f"{text:>{wide}}"
            for column, (text, wide) in enumerate(zip(row, widths, strict=True))
        )
        yield gap.join(padded).rstrip()


def moved(first: Run, second: Run, metrics: Sequence[str], count: int) -> Iterator[str]:
    """Lines on the cases whose first metric changed most, each in the region where it did, with its
    other metrics there.
    """
    changes: dict[str, tuple[float, str, Mapping, Mapping]] = {}
    for (_, name), pairs in paired_rows(first.rows, second.rows).items():
        for row, partner in pairs:
            size = abs(value_of(partner, metrics[0]) - value_of(row, metrics[0]))
            if size > changes.get(row["case"], (0.0,))[0]:
                changes[row["case"]] = size, name, row, partner
    most = sorted(changes.values(), key=lambda change: (-change[0], change[2]["case"]))[
        : max(count, 0)
    ]
    if not changes:
        yield f"No {metrics[0]} moved."
    if not most:
        return
    yield f"Cases whose {metrics[0]} moved most from {first.letter} to {second.letter}:"
    for kept in range(len(metrics), 0, -1):  # as many metrics as fit
        cells = [
            (
                f"  {row['case']}",
                name,
                *(f"{metric} {_change(row, partner, metric)}" for metric in metrics[:kept]),
            )
            for _, name, row, partner in most
        ]
        lines = list(_aligned(cells, left=range(2 + kept)))
        if max(map(len, lines)) <= _WIDTH:
            break
    yield from lines


def _change(row: Mapping[str, Any], partner: Mapping[str, Any], metric: str) -> str:
    digits, before, after = _digits(metric), value_of(row, metric), value_of(partner, metric)
    return (
        f"{_shown(before, digits)} -> {_shown(after, digits)}"
        f" ({_shown(after - before, digits, '+')})"
    )


def _ranked(runs: Sequence[Run], metrics: Sequence[str], seed: int) -> list[dict[str, Any]]:
    try:
        return standing({run.name: run.rows for run in runs}, metrics, seed=seed)
    except ValueError as fault:
        raise InputError(f"{fault}. Compare runs that scored the same held-out cases.") from None


def _ranking(
    ranked: Sequence[Mapping[str, Any]], runs: Sequence[Run], metrics: Sequence[str]
) -> Iterator[str]:
    if not ranked:
        return
    letters = {run.name: run.letter for run in runs}
    yield (
        f"Ranking as in the BraTS challenge: mean rank over {ranked[0]['cases']} cases in all runs,"
        f" their regions, and {', '.join(metrics)}."
    )
    cells = [
        ("  place", "run", "", "mean rank", "rank / runs", "best or equal", "p against the next")
    ]
    for row in ranked:
        share = f"{row['first']} of {row['rankings']}"
        numbers = (
            f"{row['mean_rank']:.3f}",
            f"{row['score']:.3f}",
            share,
            _p(row.get("p_next", nan)),
        )
        cells.append((f"  {row['place']}", letters[row["run"]], row["run"], *numbers))
    yield from _aligned(cells, left=(0, 1, 2))
    yield ""


def legend(comparisons: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Lines that say what the columns are."""
    patients = any(row["patients"] < row["cases"] for rows in comparisons for row in rows)
    units, whole = ("patients", ", each with all its cases") if patients else ("cases", "")
    yield from textwrap.wrap(
        "n: cases in which both values are defined; rule: of these, those in which the empty rule"
        " gave scores; undef: cases left out because a value is undefined. Interval: of the mean"
        f" difference, BCa bootstrap of {RESAMPLES:,} resamples of {units}{whole}. +/-: cases that"
        f" got better and worse. p perm: two-sided, the differences of {units} change sign, in all"
        f" ways if these are few, else in {PERMUTATIONS:,}; p Wilc: Wilcoxon's signed-rank test;"
        " Holm: p perm corrected for all rows of the table.",
        _WIDTH,
    )


def record(
    runs: Sequence[Run],
    comparisons: Sequence[Sequence[Mapping[str, Any]]],
    ranked: Sequence[Mapping[str, Any]],
    seed: int,
) -> dict[str, Any]:
    """All that is printed, and both corrected p, as plain values."""
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
                "notes": list(differing(first, other)),
                "rows": list(rows),
            }
            for other, rows in zip(others, comparisons, strict=True)
        ],
        "standing": list(ranked),
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
    pairs = [
        Pair(
            f"{first.letter}: {first.name}",
            f"{other.letter}: {other.name}",
            paired_rows(first.rows, other.rows),
            rows,
        )
        for other, rows in zip(others, comparisons, strict=True)
    ]
    png, svg = comparison_plot(pairs, 150)
    write_bytes(path, svg if path.suffix == ".svg" else png)
