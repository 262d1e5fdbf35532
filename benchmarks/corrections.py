"""A reader who makes no mistake: new generated cases are segmented by a network, and their true
labels are saved as corrections; and whether the worklist names the worst predictions first.

    python -m benchmarks.corrections --work WORK --cases 10 --seed 4711 --into data/corrected
    python -m benchmarks.corrections --work WORK --cases 20 --seed 5150

The network is that of --model (models); --seed must not be its own `cohort.seed`. Cases are called
SeedN_001 and so on. Without --into nothing is saved. It prints the cases as the worklist orders
them, with the Dice of each region against the true labels, and rank correlations (Spearman) of the
lowest expected Dice with the true ones, with 95 % intervals by the percentiles of 2,000 bootstrap
samples of cases. Options of `dvc exp run` and `compare` are in docs/how-to/retrain.md.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from pipeline import api
from pipeline.cohorts import phantom
from pipeline.correcting.saving import Facts, save
from pipeline.correcting.worklist import rank
from pipeline.formats import raw_cases
from pipeline.metrics.case_scores import score_case
from pipeline.runtime.errors import reported_errors
from pipeline.segmenting.segmentation import Segmentation

_SAMPLES = 2000


def main() -> None:
    """Parse the arguments, segment, save, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of the generated cases")
    parser.add_argument("--cases", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", default="models")
    parser.add_argument(
        "--into", type=Path, help="folder of corrected cases, such as data/corrected"
    )
    arguments = parser.parse_args()
    raw = arguments.work / f"seed{arguments.seed}"
    with reported_errors():
        records, true = [], {}
        for name, result, truth in _segmented(
            arguments.model, raw, arguments.cases, arguments.seed
        ):
            record = {**result.record, "case": name}
            rows = score_case(truth, result.classes, phantom.SCHEMA, result.case.grid.spacing_mm)
            true[name] = {row["name"]: row["dice"] for row in rows if row["kind"] == "region"}
            if arguments.into:
                case, facts = replace(result.case, name=name), Facts("the true labels", record)
                save(arguments.into, case, truth, result.classes, result.schema, facts)
            records.append(record)
        _print(records, true)


def _segmented(
    model: str, raw: Path, cases: int, seed: int
) -> Iterator[tuple[str, Segmentation, np.ndarray]]:
    """Name, segmentation and true class indices of each new case."""
    network = api.load(model)
    for found in phantom.generate(raw, cases, seed):
        truth = raw_cases.read(found, phantom.SCHEMA).classes
        assert truth is not None
        name = found.case.replace("Phantom", f"Seed{seed}")
        yield name, network.segment(found.folder), truth


def _print(records: list[dict], true: Mapping[str, Mapping[str, float]]) -> None:
    regions = list(phantom.SCHEMA.regions)
    print(
        "case          flag     lowest expected  ", *(f"Dice {name}" for name in regions), " mean"
    )
    expected, means, lowest = [], [], []
    for worth in rank(records):
        dice = [true[worth.case][name] for name in regions]
        shown = "  ".join(f"{value:7.3f}" for value in (*dice, np.mean(dice)))
        found = f"{worth.region} {worth.expected_dice:.3f}" if worth.region else "-"
        print(f"{worth.case:13} {worth.flag:8} {found:17} {shown}")
        expected.append(worth.expected_dice or 0.0)
        means.append(np.mean(dice))
        lowest.append(min(dice))
    for what, values in (("mean", means), ("lowest", lowest)):
        low, high = _interval(np.array(expected), np.array(values))
        agreement = spearmanr(expected, values).statistic
        print(
            f"rank correlation with the true {what} Dice: {agreement:.2f} [{low:.2f}, {high:.2f}]"
        )


def _interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(0, len(one), (_SAMPLES, len(one)))
    found = [spearmanr(one[places], other[places]).statistic for places in drawn]
    low, high = np.nanpercentile(found, (2.5, 97.5))
    return float(low), float(high)


if __name__ == "__main__":
    main()
