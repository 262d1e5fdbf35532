"""The model card repeats the tables, leaves out groups of too few cases, and is reproducible."""

import math
import re

import pytest

from pipeline.core.catalogue import CaseEntry, Catalogue
from pipeline.core.folds import Split
from pipeline.report.model_card import model_card
from pipeline.report.run import Run
from pipeline.statistics import bootstrap

CASES = [f"Made_{number:03d}" for number in range(12)]
CARD = {
    "use": "Research use only, not for diagnosis.",
    "preprocess": {"spacing_mm": None, "foreground": "nonzero", "clip_percentiles": [0.5, 99.5]},
    "network": {
        "architecture": "unet",
        "dimensions": 3,
        "depth": 4,
        "filters": 16,
        "max_filters": 100,
        "normalization": "group",
        "output": "regions",
    },
    "patch": [64, 64, 32],
    "spacing_mm": [1.0, 1.0, 1.25],
    "seed": 7,
    "train": {
        "batch_size": 2,
        "epochs": 5,
        "steps_per_epoch": 10,
        "optimizer": "adamw",
        "learning_rate": 0.003,
        "schedule": "cosine",
        "precision": "float32",
        "loss": "dice_ce",
        "dice_weight": 1.0,
        "cross_entropy_weight": 0.5,
    },
    "best_epoch": 4,
    "val_dice": None,
    "weights": 1234567,
    "data_hash": "d" * 64,
    "network_sha256": "a" * 64,
    "backend": "tensorflow",
    "versions": {"python": "3.11", "keras": "3.15"},
}
PROVENANCE = {"commit": "f" * 40, "changed": [], "command": f"git checkout {'f' * 40} && dvc repro"}


def summary(mean: float | None, **changes) -> dict:
    return {
        "mean": mean,
        "median": mean,
        "mean_low": 0.1,
        "mean_high": 0.9,
        "cases": 12,
        "filled": 1,
        "undefined": 2,
    } | changes


def evaluation(schema) -> dict:
    metrics = {name: summary(0.5) for name in ("dice", "hd95_mm", "nsd_2mm")}
    lesions = {name: summary(0.25) for name in ("lesion_dice", "lesion_hd95_mm")}
    instances = {name: summary(0.75) for name in ("f1", "sq", "pq")}
    return {
        "mean_region_dice": {"value": 0.5, "low": 0.25, "high": 0.75},
        "cases": 12,
        "region": {name: dict(metrics) for name in schema.regions},
        "label": {name: dict(metrics) for name in schema.labels},
        "lesionwise": {name: dict(lesions) for name in schema.regions},
        "instances": {name: dict(instances) for name in schema.regions},
        "calibration": {
            name: {key: summary(0.0125) for key in ("ece", "brier", "aurc")}
            for name in schema.regions
        },
    }


def rows_of(schema, cases=CASES) -> list[dict]:
    """Dice rises with the number of the case; ET is neither in the reference nor in the prediction
    of the first.
    """
    rows = []
    for number, case in enumerate(cases):
        for region in schema.regions:
            absent = region == "ET" and number == 0
            dice, volume = (math.nan, 0.0) if absent else (number / 20, 10.0 * (number + 1))
            whose = {"case": case, "patient": case, "kind": "region", "name": region}
            rows.append(whose | {"dice": dice, "reference_ml": volume, "prediction_ml": volume / 2})
        rows.append(
            {
                "case": case,
                "patient": case,
                "kind": "label",
                "name": "edema",
                "dice": 1.0,
                "reference_ml": 1,
                "prediction_ml": 1,
            }
        )
    return rows


def catalogue(schema, **attributes) -> Catalogue:
    """Twelve cases; each attribute has one letter per case, "-" where it is unknown."""
    entries = [
        CaseEntry.model_construct(
            case=case,
            attributes={
                name: text[number] for name, text in attributes.items() if text[number] != "-"
            },
        )
        for number, case in enumerate(CASES)
    ]
    return Catalogue.model_construct(
        cohort=schema, licence="Ask first.", cases=tuple(entries), alike=()
    )


SPLIT = Split(
    train=("T_1", "T_2", "T_3"),
    val=("V_1",),
    test=tuple(CASES),
    folds=(),
    patients={"T_1": "one", "T_2": "one", "T_3": "two", "V_1": "three"}
    | {case: case for case in CASES},
)


@pytest.fixture
def write(schema):
    """The card, any argument replaced."""

    def card_of(**changes) -> str:
        given = {
            "card": CARD,
            "evaluation": evaluation(schema),
            "rows": rows_of(schema),
            "catalogue": catalogue(schema),
            "split": SPLIT,
            "provenance": PROVENANCE,
        }
        unused = {"verify": {}, "history": (), "pictured": (), "thumbnails": b""}
        return model_card(Run(**unused | given | changes))

    return card_of


def part(text: str, title: str) -> str:
    return re.search(rf"^## {title}\n\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def table_rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


def test_the_card_has_its_parts_in_order_and_the_same_bytes_again(write):
    text = write()
    assert re.findall("^## (.*)$", text, re.MULTILINE) == [
        *(
            "Intended use",
            "Not intended",
            "Data",
            "Network and training",
            "Scores",
            "Scores by subgroup",
            "Where it fails",
            "Calibration",
        ),
        *("Limits", "How to use", "Provenance"),
    ]
    assert text == write()
    assert "Research use only, not for diagnosis." in text


def test_cases_and_patients_of_every_part_are_counted(write):
    assert table_rows(part(write(), "Data"))[2:] == [
        ["training", "3", "2"],
        ["validation", "1", "1"],
        ["test", "12", "12"],
    ]
    assert "Terms: Ask first." in write()


def test_the_scores_have_interval_median_and_counts(write):
    (row,) = [
        row for row in table_rows(part(write(), "Scores")) if row[0] == "ET" and len(row) == 9
    ]
    assert row == [
        "ET",
        "0.500 [0.100, 0.900]",
        "0.500",
        "0.5 [0.1, 0.9]",
        "0.5",
        "0.500",
        "12",
        "1, 1",
        "2, 2",
    ]
    assert "Mean region Dice **0.500** [0.250, 0.750] over 12 cases" in write()
    assert ["WT", "0.250 [0.100, 0.900]", "0.2 [0.1, 0.9]"] in table_rows(write())
    assert ["WT", "0.750 [0.100, 0.900]", "0.750 [0.100, 0.900]"] in table_rows(write())


def test_an_undefined_score_is_a_dash(write, schema):
    scores = evaluation(schema)
    scores["region"]["ET"]["dice"] = summary(None, mean_low=None, mean_high=None)
    assert ["ET", "– [–, –]", "–"] in [row[:3] for row in table_rows(write(evaluation=scores))]


def test_thirds_by_tumour_volume_have_means_and_intervals(write, schema):
    small, medium, large = table_rows(part(write(), "Scores by subgroup"))[2:]
    assert [row[:2] for row in (small, medium, large)] == [
        ["small WT, 10.0 to 40.0 ml", "4"],
        ["medium WT, 50.0 to 80.0 ml", "4"],
        ["large WT, 90.0 to 120.0 ml", "4"],
    ]
    low, high = bootstrap.interval([0.0, 0.05, 0.1, 0.15], "mean")
    assert small[2] == f"0.075 [{low:.3f}, {high:.3f}]"
    assert small[4].startswith("0.100 [")
    assert small[4].endswith(", n = 3")


def test_fewer_than_nine_cases_make_no_thirds(write, schema):
    listed = part(write(rows=rows_of(schema, CASES[:8])), "Scores by subgroup")
    assert listed.startswith(
        "None: neither tumour volume nor the attributes of the cases in the cohort give two groups"
        " of 3 test cases."
    )


@pytest.mark.parametrize(
    ("attributes", "groups"),
    [
        ({"grade": "HHHHHHLLLLLL"}, ["grade: H", "grade: L"]),
        ({"sex": "FFFMMM------", "age": "abcdefghijkl"}, ["sex: F", "sex: M"]),
        ({"site": "AAAABBBBCCDD"}, ["site: A", "site: B"]),
        ({"site": "AAAAAAAAAABB"}, []),
        ({"fold": "111111222222"}, []),
        (
            {"year": "AAABBBCCCDDD", "grade": "HHHHHHHHHLLL"},
            ["grade: H", "grade: L", *(f"year: {year}" for year in "ABCD")],
        ),
    ],
)
def test_attributes_make_groups_where_each_of_two_has_three_cases(
    write, schema, attributes, groups
):
    listed = table_rows(
        part(write(catalogue=catalogue(schema, **attributes)), "Scores by subgroup")
    )
    assert [row[0] for row in listed[5:]] == groups


def test_attributes_of_cases_that_were_not_scored_count_for_nothing(write, schema):
    labelled = catalogue(schema, grade="LLLLLLLLLHHH")
    listed = part(write(rows=rows_of(schema, CASES[:9]), catalogue=labelled), "Scores by subgroup")
    assert "grade" not in listed


def test_missed_and_invented_regions_are_counted(write, schema):
    rows = rows_of(schema)
    bare = [row for row in rows if row["name"] == "ET"]
    bare[0]["prediction_ml"], bare[0]["dice"] = 1.0, 0.0
    bare[1]["dice"] = 0.0
    assert table_rows(part(write(rows=rows), "Where it fails"))[2:5] == [
        ["WT", "1 of 12", "0 of 0"],
        ["TC", "1 of 12", "0 of 0"],
        ["ET", "1 of 11", "1 of 1"],
    ]


def test_the_worst_cases_come_first_with_their_volumes(write):
    worst = table_rows(part(write(), "Where it fails"))[7:]
    assert [row[0] for row in worst] == [f"`{case}`" for case in CASES[:5]]
    assert worst[0] == [
        "`Made_000`",
        "0.000",
        "0.000",
        "0.000",
        "–",
        "WT 10.0, 5.0; TC 10.0, 5.0; ET 0.0, 0.0",
    ]


def test_calibration_is_listed_where_it_was_measured(write, schema):
    assert ["WT", *["0.0125 [0.1000, 0.9000]"] * 3] in table_rows(part(write(), "Calibration"))
    scores = evaluation(schema) | {"calibration": {}, "lesionwise": {}}
    assert part(write(evaluation=scores), "Calibration").startswith("Not measured.")


def test_a_cohort_without_rules_says_why_its_lesions_have_no_score(write, schema):
    foreign = schema.model_copy(update={"cohort": "knee", "lesion_rules": None})
    text = write(
        catalogue=catalogue(foreign),
        evaluation=evaluation(schema) | {"lesionwise": {}, "lesion_rules": None},
    )
    assert "No lesion-wise score: the schema of cohort knee names no rules" in part(text, "Scores")
    assert "panoptic quality" in part(text, "Scores")
    assert "names no rules" not in write()


def test_labels_that_are_the_regions_are_scored_once(write, schema):
    alone = schema.model_copy(update={"labels": {"tumour": 1}, "regions": {"WT": ("tumour",)}})
    scores = evaluation(schema) | {"label": {"tumour": {}}}
    text = write(catalogue=catalogue(alone), evaluation=scores)
    assert "| label |" not in text
    assert "| region |" in text


def test_the_command_and_the_changes_of_the_code_are_listed(write):
    text = write(
        provenance=PROVENANCE | {"changed": [f"pipeline/{letter}.py" for letter in "abcdefg"]}
    )
    assert (
        "with changes in pipeline/a.py, pipeline/b.py, pipeline/c.py, pipeline/d.py, pipeline/e.py"
        " and 2 more" in text
    )
    assert f"to reproduce: `git checkout {'f' * 40} && dvc repro`" in text
    assert "with changes" not in write()
    assert "commit `none`" in write(provenance=PROVENANCE | {"commit": ""})


def test_every_table_is_whole_markdown(write):
    for block in re.findall(r"(?:^\|.*\n)+", write(), re.MULTILINE):
        columns = {line.count("|") for line in block.splitlines()}
        assert len(columns) == 1, block
        assert set(block.splitlines()[1]) == {"|", "-", " "}
