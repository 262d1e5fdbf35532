"""The list of metrics, and that the documentation follows it."""

from pathlib import Path

import pytest

from pipeline.metrics.metric import Metric, described
from pipeline.metrics.registry import TABLES, descriptions, fills, find

DOCS = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
METRICS = [(table, metric) for table, metrics in TABLES.items() for metric in metrics]


def documented():
    """The table of docs/metrics.md."""
    rows = ["| Table | Column | Unit | Better | Definition | Source |", "|---|---|---|---|---|---|"]
    for table, metric in METRICS:
        better = "" if metric.direction == "neither" else metric.direction
        definition = metric.definition.replace("|", "\\|")
        cells = (table, f"`{metric.name}`", metric.unit, better, definition, metric.source)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def test_the_documentation_lists_every_metric_with_its_definition():
    assert documented() in DOCS, f"replace the table of docs/metrics.md by\n{documented()}"


@pytest.mark.parametrize(("table", "metric"), METRICS, ids=lambda part: getattr(part, "name", part))
def test_every_metric_can_be_shown(table, metric):
    assert metric.title
    assert metric.group
    assert metric.definition.endswith(".")
    assert metric.function is not None or metric.name == "accuracy"
    assert metric.name.endswith(("_mm", "_ml")) <= (metric.unit in ("mm", "ml"))
    assert metric.source or metric.group == "Volume"


def test_names_are_unique_within_a_table_and_found_in_the_first():
    for metrics in TABLES.values():
        assert len({metric.name for metric in metrics}) == len(metrics)
    assert find("precision") is TABLES["cases"][2]
    assert find("lesion_dice") is TABLES["lesionwise"][0]
    assert find("nothing") is None


def test_directions_are_those_of_scores_and_errors_and_volumes_have_none():
    signs = {metric.name: metric.sign for _, metric in METRICS}
    assert [signs[name] for name in ("dice", "nsd_1mm", "found", "pq")] == [1] * 4
    assert [signs[name] for name in ("hd95_mm", "false_positives", "ece", "volume_error_ml")] == (
        [-1] * 4
    )
    assert [signs[name] for name in ("reference_ml", "lesions", "aurc_oracle")] == [0] * 3


def test_empty_masks_count_as_the_challenge_says():
    assert fills("cases", "both_empty")["dice"] == 1
    assert fills("cases", "reference_empty") == {
        "sensitivity": 0,
        **dict.fromkeys(("hd_mm", "hd95_mm", "assd_mm"), 373.128664),
    }
    assert fills("lesionwise", "no_lesion")["lesion_hd95_mm"] == 0
    assert fills("cases", "") == {}


def test_a_description_is_read_back_as_the_metric_without_its_function():
    own = Metric("mine_mm", lambda *_: 1.0, "Mine (mm)", "x.", "lower", unit="mm", decimals=1)
    entries = descriptions([own])
    assert [entry["name"] for entry in entries if entry["table"] == "cases"][-1] == "mine_mm"
    back = described(next(entry for entry in entries if entry["name"] == "mine_mm"))
    assert (back.name, back.sign, back.unit, back.decimals, back.function) == (
        *("mine_mm", -1, "mm", 1, None),
    )
