"""The worked example of docs/extending/metric.md, as a user follows it, and what can go wrong."""

import argparse
import json
import re
import sys
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.commands import compare
from pipeline.core.errors import InputError
from pipeline.core.records import read_table, write_csv, write_json
from pipeline.metrics.case_scores import headline_of, score_masks, summarise, tables_of
from pipeline.metrics.metric import Metric
from pipeline.metrics.registry import own_metrics

PAGE = (Path(__file__).parents[2] / "docs/extending/metric.md").read_text(encoding="utf-8")
CODE, PARAMS = (
    re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1] for kind in ("python", "yaml")
)
SPACING_MM = (1.0, 1.0, 3.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the module of the page, as the current one."""
    (tmp_path / "my_metrics.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "my_metrics", raising=False)
    yield tmp_path
    sys.modules.pop("my_metrics", None)


def example():
    """The metrics that the page's lines of params.yaml name."""
    values = yaml.safe_load(PARAMS)
    return own_metrics(values["evaluate"]["metrics"], values["own_code"]["evaluate"])


def maps(offset):
    """A block, and the same shifted along z, as class maps; the third case has nothing."""
    reference, prediction = np.zeros((2, 12, 11, 10), np.uint8)
    reference[2:6, 2:6, 2:5] = 2
    prediction[2:6, 2:6, 2 + offset : 5 + offset] = 2
    return reference, prediction


def scored(schema, own, offsets=(0, 1, 2)):
    cases = [{"case": f"c{number}", "patient": f"p{number}"} for number in range(len(offsets))]
    scores = [score_masks(*maps(offset), schema, SPACING_MM, own) for offset in offsets]
    return tables_of(cases, scores, schema)


def test_the_example_is_a_column_of_cases_and_is_summarised_with_an_interval(folder, schema):
    own = example()
    tables = scored(schema, own)
    by_region = [row for row in tables["cases"] if row["name"] == "WT"]
    assert [row["centroid_distance_mm"] for row in by_region] == [0, 3, 6]
    assert list(by_region[0])[-2:] == ["centroid_distance_mm", "filled"]
    assert all(isnan(row["centroid_distance_mm"]) for row in tables["cases"] if row["name"] == "ET")
    summary = summarise(tables, schema, own)
    whole = summary["region"]["WT"]["centroid_distance_mm"]
    assert whole["mean"] == 3
    assert whole["mean_low"] < 3 < whole["mean_high"]
    assert summary["region"]["ET"]["centroid_distance_mm"]["undefined"] == 3
    (entry,) = [each for each in summary["metrics"] if each["name"] == "centroid_distance_mm"]
    assert (entry["table"], entry["unit"], entry["direction"]) == ("cases", "mm", "lower")
    assert summary["definitions"]["centroid_distance_mm"].startswith("Distance between the centres")
    assert headline_of(summary)["centroid_distance_mm"]["WT"] == 3


@pytest.mark.slow  # it imports DVC to look for the runs
def test_the_example_is_compared_by_the_direction_that_evaluate_json_gives(folder, schema, capsys):
    own = example()
    for name, offsets in (("near", [0, 0, 1] * 5), ("far", [3, 3, 4] * 5)):
        tables = scored(schema, own, offsets)
        write_csv(Path(name) / "metrics/cases.csv", tables["cases"])
        write_json(Path(name) / "metrics/evaluate.json", summarise(tables, schema, own))
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    compare.run(parser.parse_intermixed_args(["far", "near", "--json", "numbers.json"]))
    assert "centroid_distance_mm" in capsys.readouterr().out
    rows = json.loads(Path("numbers.json").read_text())["comparisons"][0]["rows"]
    (whole,) = [row for row in rows if (row["name"], row["metric"]) == ("WT", own[0].name)]
    assert (whole["difference"], whole["better"], whole["verdict"]) == (-9, 15, 1)
    assert read_table(Path("far/metrics/cases.csv"))["centroid_distance_mm"].max() == 12


def test_the_empty_rule_of_the_cohort_applies_to_the_values_that_a_metric_declares(schema):
    metric = Metric("near", lambda *_: np.nan, "Near", "x.", "higher", empty={"both_empty": 1.0})
    tables = scored(schema, [metric])
    assert [row["near"] for row in tables["cases"] if row["name"] == "ET"] == [1] * 3
    assert summarise(tables, schema, [metric])["region"]["ET"]["near"]["filled"] == 3
    undefined = scored(schema.model_copy(update={"empty_rule": "nan"}), [metric])
    assert all(isnan(row["near"]) for row in undefined["cases"])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda *_: 1 / 0, r"ZeroDivisionError.*test_extending\.py, line \d+"),
        (lambda *_: "0.5", "returned '0.5', expected a finite float"),
        (lambda *_: None, "returned None"),
        (lambda *_: True, "returned True"),
        (lambda *_: float("inf"), "returned inf"),
        (lambda *_: np.zeros(2), "returned array"),
    ],
)
def test_a_failing_metric_is_named_with_case_and_region(function, said, schema):
    metric = Metric("mine", function, "Mine", "x.", "higher")
    with pytest.raises(InputError, match=f"case c1, label .*: metric mine .*{said}"):
        score_masks(*maps(1), schema, SPACING_MM, [metric], "case c1")


ONE, TWICE = ["my_metrics:MINE"], ["my_metrics:MINE"] * 2


@pytest.mark.parametrize(
    ("value", "names", "said"),
    [
        ("3", ["my_metrics"], "Name your own as package.module:attribute"),
        ("3", ["my_metrics:YOURS"], "has no attribute 'YOURS'"),
        ("3", ONE, "is of type int, expected a Metric"),
        ("1 / 0", ONE, "cannot be imported: ZeroDivisionError"),
        ('Metric("My metric", None, "", "", "higher")', ONE, "lower-case"),
        ('Metric("mine", None, "", "", "up")', ONE, "higher, lower or neither"),
        ('Metric("dice", max, "", "", "higher")', ONE, "column dice exists"),
        ('Metric("mine", max, "", "", "higher")', TWICE, "column mine exists"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_the_key(folder, value, names, said):
    code = f"from pipeline.metrics.metric import Metric\nMINE = {value}\n"
    (folder / "my_metrics.py").write_text(code)
    with pytest.raises(InputError, match=f"params.yaml: evaluate.metrics.*{said}"):
        own_metrics(names, "my_metrics.py")
