"""The model card repeats the tables, leaves out groups of too few cases, and is reproducible."""

import math
import re
from dataclasses import replace

import pytest

from pipeline.report.model_card import model_card
from pipeline.statistics import bootstrap
from tests.report.made_runs import PROVENANCE, catalogued, in_cohort, made_prices, made_run

CASES = [f"Made_{number:05d}" for number in range(12)]


def rows_of(schema, cases=CASES) -> list[dict]:
    """Dice rises with the number of the case; ET is neither in the reference nor in the prediction
    of the first.
    """
    rows = []
    for number, case in enumerate(cases):
        whose = {"case": case, "patient": case}
        for region in schema.regions:
            absent = region == "ET" and number == 0
            dice, volume = (math.nan, 0.0) if absent else (number / 20, 10.0 * (number + 1))
            scores = {"dice": dice, "reference_ml": volume, "prediction_ml": volume / 2}
            rows.append(whose | {"kind": "region", "name": region} | scores)
        rows.append(whose | {"kind": "label", "name": "edema", "dice": 1.0})
    return rows


@pytest.fixture
def run(schema):
    return made_run(schema, 12, rows=rows_of(schema))


@pytest.fixture
def write(run):
    """The card, any field of the run replaced."""
    return lambda **changes: model_card(replace(run, **changes))


def with_attributes(run, **attributes):
    """The catalogue of the run; each attribute has one letter per case, "-" where it is unknown."""
    entries = []
    for number, case in enumerate(CASES):
        letters = {name: text[number] for name, text in attributes.items()}
        known = {name: letter for name, letter in letters.items() if letter != "-"}
        entries.append(catalogued(case, run.schema, **known))
    return run.catalogue.model_copy(update={"cases": tuple(entries)})


def part(text: str, title: str) -> str:
    return re.search(rf"^## {title}\n\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def table_rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


def mean_of(summary: dict, digits: int = 3) -> str:
    low, mean, high = (summary[name] for name in ("mean_low", "mean", "mean_high"))
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def test_the_card_has_its_parts_in_order_and_the_same_bytes_again(write):
    text = write()
    assert re.findall("^## (.*)$", text, re.MULTILINE) == [
        *("Intended use", "Not intended", "Data", "Network and training", "Scores"),
        *("Scores by subgroup", "Where it fails", "Calibration", "Limits", "How to use"),
        "Provenance",
    ]
    assert text == write()
    assert "Research use only, not for diagnosis." in text
    assert "U-Net of 4 levels, 16 to 100 channels" in text
    assert "from which the skull was not removed" in text


def test_the_shape_of_the_network_is_named(run, write):
    shape = run.card["network"] | {"encoder": "residual", "slices": 5}
    text = write(card=run.card | {"network": shape})
    assert "2D residual U-Net of 4 levels" in text
    assert "instance normalisation, 5 slices as its input, " in text


def test_cases_and_patients_of_every_part_are_counted(run, write):
    patients = run.split.patients | {"train_0": "one", "train_1": "one"}
    text = write(split=run.split.model_copy(update={"patients": patients}))
    assert table_rows(part(text, "Data"))[2:] == [
        ["training", "40", "39"],
        ["validation", "5", "5"],
        ["test", "12", "12"],
    ]
    assert "Terms: free & open" in text


def test_the_scores_have_interval_median_and_counts(run, write):
    scores, text = run.evaluation, write()
    (row,) = [row for row in table_rows(part(text, "Scores")) if row[0] == "ET" and len(row) == 9]
    dice, hd95_mm, surface = (
        scores["region"]["ET"][name] for name in ("dice", "hd95_mm", "nsd_2mm")
    )
    assert row == [
        "ET",
        *(mean_of(dice), f"{dice['median']:.3f}", mean_of(hd95_mm, 1), f"{hd95_mm['median']:.1f}"),
        *(f"{surface['mean']:.3f}", "12", f"{dice['filled']}, {hd95_mm['filled']}", "0, 0"),
    ]
    mean = scores["mean_region_dice"]
    between = f"[{mean['low']:.3f}, {mean['high']:.3f}]"
    assert f"Mean region Dice **{mean['value']:.3f}** {between} over 12 cases" in text
    lesions, instances = scores["lesionwise"]["WT"], scores["instances"]["WT"]
    distance = mean_of(lesions["lesion_hd95_mm"], 1)
    assert ["WT", mean_of(lesions["lesion_dice"]), distance] in table_rows(text)
    assert ["WT", mean_of(instances["f1"]), mean_of(instances["pq"])] in table_rows(text)


def test_an_undefined_score_is_a_dash(run, write):
    undefined = dict.fromkeys(("mean", "median", "mean_low", "mean_high"))
    run.evaluation["region"]["ET"]["dice"] |= undefined
    assert ["ET", "– [–, –]", "–"] in [row[:3] for row in table_rows(write())]


def test_thirds_by_tumour_volume_have_means_and_intervals(write):
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
    assert part(write(rows=rows_of(schema, CASES[:8])), "Scores by subgroup").startswith(
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
def test_attributes_make_groups_where_each_of_two_has_three_cases(write, run, attributes, groups):
    text = write(catalogue=with_attributes(run, **attributes))
    assert [row[0] for row in table_rows(part(text, "Scores by subgroup"))[5:]] == groups


def test_attributes_of_cases_that_were_not_scored_count_for_nothing(write, run, schema):
    labelled = with_attributes(run, grade="LLLLLLLLLHHH")
    text = write(rows=rows_of(schema, CASES[:9]), catalogue=labelled)
    assert "grade" not in part(text, "Scores by subgroup")


def test_readers_of_corrected_cases_make_no_groups(write, run):
    readers = with_attributes(run, corrected_by="AAAAAABBBBBB", corrected_at="LLLLLLHHHHHH")
    assert "corrected_" not in write(catalogue=readers)


def test_missed_and_invented_regions_are_counted(write, run):
    bare = [row for row in run.rows if row["name"] == "ET"]
    bare[0]["prediction_ml"], bare[0]["dice"] = 1.0, 0.0
    bare[1]["dice"] = 0.0
    assert table_rows(part(write(), "Where it fails"))[2:5] == [
        ["WT", "1 of 12", "0 of 0"],
        ["TC", "1 of 12", "0 of 0"],
        ["ET", "1 of 11", "1 of 1"],
    ]


def test_the_worst_cases_come_first_with_their_volumes(write):
    worst = table_rows(part(write(), "Where it fails"))[7:]
    assert [row[0] for row in worst] == [f"`{case}`" for case in CASES[:5]]
    volumes = "WT 10.0, 5.0; TC 10.0, 5.0; ET 0.0, 0.0"
    assert worst[0] == ["`Made_00000`", "0.000", "0.000", "0.000", "–", volumes]


def test_calibration_is_listed_where_it_was_measured(write, run):
    listed = table_rows(part(write(), "Calibration"))
    measured = run.evaluation["calibration"]["WT"]
    assert listed[0][1:4] == ["Expected calibration error", "Brier score", "Risk-coverage area"]
    assert ["WT", *(mean_of(measured[name], 4) for name in ("ece", "brier", "aurc"))] in [
        row[:4] for row in listed
    ]
    bare = run.evaluation | {"calibration": {}, "lesionwise": {}}
    assert part(write(evaluation=bare), "Calibration").startswith("Not measured.")


def test_a_cohort_without_rules_says_why_its_lesions_have_no_score(write, run):
    foreign = in_cohort(run, cohort="knee", lesion_rules=None)
    unscored = run.evaluation | {"lesionwise": {}, "lesion_rules": None}
    scores = part(model_card(replace(foreign, evaluation=unscored)), "Scores")
    assert "No lesion-wise score: the schema of cohort knee names no rules" in scores
    assert "panoptic quality" in scores
    assert "names no rules" not in write()


def test_labels_that_are_the_regions_are_scored_once(run):
    alone = in_cohort(run, labels={"tumour": 1}, regions={"WT": ("tumour",)})
    text = model_card(replace(alone, evaluation=run.evaluation | {"label": {"tumour": {}}}))
    assert "| label |" not in text
    assert "| region |" in text


def test_the_command_and_the_changes_of_the_code_are_listed(write):
    text = write(provenance=PROVENANCE | {"changed": [f"{letter}.py" for letter in "abcdefg"]})
    assert "with changes in a.py, b.py, c.py, d.py, e.py and 2 more" in text
    assert f"to reproduce: `{PROVENANCE['command']}`" in text
    assert "with changes" not in write()
    assert "commit `none`" in write(provenance=PROVENANCE | {"commit": ""})


def test_what_a_missing_modality_costs_is_said_or_that_it_was_not_tried(run, write):
    assert "cases that lack one of t1n, t1c, t2w and t2f" in part(write(), "Not intended")
    assert "- missing modalities were not tried\n" in part(write(), "Limits")
    dropout = {"on_the_fly": {"modality_dropout": {"probability": 0.2}}}
    trained = run.card | {"train": run.card["train"] | dropout}
    text = write(card=trained)
    assert "cases that lack all of t1n, t1c, t2w and t2f" in part(text, "Not intended")
    assert "not tried, although the network was trained to miss them" in part(text, "Limits")
    priced = run.evaluation | {"missing_modalities": made_prices(run, "t1c", "t1n t2w")}
    text = write(evaluation=priced, card=trained)
    (row,) = [row for row in table_rows(part(text, "Scores")) if row[0] == "t1n, t2w"]
    assert row[2] == "−0.200 [−0.220, −0.180]"
    assert "missing modalities" not in part(text, "Limits")
    assert "`predict` refuses cases that lack one" in part(write(evaluation=priced), "Limits")


def test_every_table_is_whole_markdown(run, write):
    priced = run.evaluation | {"missing_modalities": made_prices(run, "t1c", "t1n t2w")}
    for block in re.findall(r"(?:^\|.*\n)+", write(evaluation=priced), re.MULTILINE):
        columns = {line.count("|") for line in block.splitlines()}
        assert len(columns) == 1, block
        assert set(block.splitlines()[1]) == {"|", "-", " "}


def test_an_ensemble_lists_its_networks_and_what_was_chosen_on_cases_they_had_not_seen(run, write):
    (member,) = run.card["members"]
    other = member | {"best_epoch": 7, "val_dice": 0.8125}
    gain = {"mean": 0.0126, "mean_low": 0.001, "mean_high": 0.02}
    step = {"key": "ET", "before": 0.5, "after": 0.6, "tried": 9, "gain": 0.0125}
    chosen = {"cases": 4, "before": 0.75, "after": 0.7625, "gain": gain, "steps": [step]}
    unseen = {"cases": 4, "mean_region_dice": {"value": 0.7625, "low": 0.7, "high": 0.8}}
    text = write(
        card=run.card | {"members": [member, other]},
        evaluation=run.evaluation | {"chosen": chosen, "validation": unseen},
    )
    training = part(text, "Network and training")
    assert "\n- kept of network 2, for which fold 1 was left out: epoch 7," in training
    assert "\n- 2 networks, whose logits are averaged\n" in training
    scores = part(text, "Scores")
    assert "Of the 4 validation cases" in scores
    assert "a gain of 0.013 [0.001, 0.020]" in scores
    assert ["threshold of ET", "0.5", "0.6", "9", "0.0125"] in table_rows(scores)
    assert "ensemble" not in write()
    assert "chosen" not in part(write(), "Scores")
