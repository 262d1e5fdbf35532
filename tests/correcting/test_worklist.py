"""Predictions are ranked by what their manifests expect, in words."""

import json

import pytest

from pipeline import __main__ as command_line
from pipeline.core.errors import InputError
from pipeline.correcting import cohort
from pipeline.correcting.worklist import rank, read_manifests
from tests.correcting.made import corrected, manifest


def expected(dice: float | None, estimated: float = 0.95) -> dict:
    """An entry of `quality.expected_dice`."""
    near = (
        {"low": None, "high": None, "coverage": None}
        if dice is None
        else {"low": dice - 0.05, "high": dice + 0.02, "coverage": 0.6}
    )
    return {"estimated": estimated, "dice": dice, **near}


def predicted(case: str, flag: str = "ok", reasons=(), **dice) -> dict:
    """A run manifest with these Dice values to expect."""
    return manifest(
        case=case,
        volumes_ml={"WT": 40.0},
        quality={
            "flag": flag,
            "reasons": [{"text": text} for text in reasons],
            "expected_dice": {name: each and expected(each) for name, each in dice.items()},
        },
        inputs={"t1c": {"file": "a.nii.gz", "sha256": case * 8}},
    )


def test_the_lowest_expected_dice_of_a_region_comes_first():
    ranked = rank(
        [predicted("a", WT=0.90, ET=0.85), predicted("b", WT=0.95, ET=0.70), predicted("c", WT=0.8)]
    )
    assert [(worth.case, worth.region) for worth in ranked] == [
        ("b", "ET"),
        ("c", "WT"),
        ("a", "ET"),
    ]
    assert ranked[0].reason == (
        "ET has the lowest expected Dice, 0.70 (0.65 to 0.72 with a probability of 60 %)."
    )


def test_a_case_unlike_those_of_the_training_comes_before_all_others():
    reasons = ["t1c: percentile 95 is 9.", "T2 is odd."]
    ranked = rank([predicted("a", WT=0.5), predicted("b", "check", reasons, WT=0.95)])
    assert [worth.case for worth in ranked] == ["b", "a"]
    assert ranked[0].reason == "t1c: percentile 95 is 9. (1 more reason)"


def test_no_interval_is_given_of_a_case_whose_page_gives_none():
    """Errors on validation cases say nothing of a case that is not known to be like them."""
    for flag, said in (("check", "odd."), ("unknown", "WT has the lowest expected Dice, 0.50.")):
        (worth,) = rank([predicted("a", flag, ["odd."], WT=0.5)])
        assert worth.reason == said
        assert worth.expected_dice == 0.5


def test_a_flagged_case_without_tumour_comes_first_and_one_that_is_ok_last():
    flagged = predicted("lost", "check", ["WT: the network finds none."], WT=None)
    ranked = rank(
        [predicted("none", WT=None), flagged, predicted("a", "check", ["x"], WT=0.4),
         predicted("b", WT=0.9)]
    )  # fmt: skip
    assert [worth.case for worth in ranked] == ["lost", "a", "b", "none"]
    assert ranked[0].reason == "WT: the network finds none."
    assert "finds no tumour" in ranked[-1].reason


def test_without_validation_cases_the_own_estimate_of_the_network_counts():
    one = predicted("a", "unknown")
    one["quality"]["expected_dice"] = {"WT": expected(None, 0.81)}
    (worth,) = rank([one])
    assert worth.expected_dice == 0.81
    assert "own probabilities alone" in worth.reason


def test_a_manifest_of_an_earlier_version_is_ranked_last():
    old = predicted("old")
    old["quality"] = None
    assert [worth.case for worth in rank([old, predicted("new", WT=0.99)])] == ["new", "old"]


def test_cases_that_were_corrected_are_left_out_whatever_their_name(tmp_path, schema):
    one, other = predicted("a", WT=0.5), predicted("b", WT=0.9)
    corrected(tmp_path, schema, "renamed", manifest=one)
    assert [worth.case for worth in rank([one, other], cohort.corrections(tmp_path))] == ["b"]


def test_manifests_are_read_from_a_folder_of_predictions(tmp_path):
    for case in ("b", "a"):
        (tmp_path / f"{case}.nii.gz.json").write_text(json.dumps(predicted(case)))
    (tmp_path / "c.nii.gz.json").write_text("{}")
    (tmp_path / "d.nii.gz.json").write_text("not JSON")
    assert [each["case"] for each in read_manifests(tmp_path)] == ["a", "b"]
    with pytest.raises(InputError, match="holds no prediction"):
        read_manifests(tmp_path / "nowhere")


def test_the_command_prints_the_list_and_writes_it_as_a_table(tmp_path, capsys):
    for case, dice in (("a", 0.9), ("b", 0.7)):
        (tmp_path / f"{case}.nii.gz.json").write_text(json.dumps(predicted(case, WT=dice)))
    table = tmp_path / "list.csv"
    with pytest.raises(SystemExit) as ended:
        command_line.main(["worklist", str(tmp_path), "--csv", str(table)])
    assert not ended.value.code
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("  1  b: WT has the lowest expected Dice, 0.70")
    assert second.startswith("  2  a: ")
    assert table.read_text().splitlines()[1].startswith("b,ok,WT,0.7,")
