"""The facts of a case: plain values that a page can show without knowing of networks."""

import json

import numpy as np
import pytest

from pipeline.report.case_facts import case_facts, lesions_of

SPREAD = {"cases": 4, "median": 0.0, "low": -1.0, "high": 2.0, "coverage": 0.6}


@pytest.fixture
def classes():
    """Edema of 10 x 10 x 10 voxels around an enhancing bar, and a speck far from it."""
    voxels = np.zeros((40, 40, 20), np.uint8)
    voxels[5:15, 5:15, 5:15] = 2
    voxels[6:14, 8:12, 8:12] = 3
    voxels[30, 30, 10] = 3
    return voxels


def facts(classes, schema, **changes):
    spacing_mm = (1.0, 2.0, 1.0)
    record = {"network_sha256": "a" * 64, "volumes_ml": {"WT": 2.002, "TC": 0.3, "ET": 0.3}}
    return case_facts(
        classes, schema, spacing_mm, record | changes, lesions_of(classes, schema, spacing_mm)
    )


def test_lesions_are_counted_and_the_largest_is_measured_in_mm(classes, schema):
    whole, _, enhancing = facts(classes, schema)["regions"]
    assert whole["lesions"] == enhancing["lesions"] == 1  # a speck of 2 mm3 is none
    assert np.isclose(enhancing["long_axis_mm"], np.hypot(8, 7), atol=0.8)
    assert 10 <= whole["short_axis_mm"] <= whole["long_axis_mm"] <= np.hypot(10, 20)


def test_labels_that_are_no_region_have_their_volume(classes, schema):
    volumes = {one["name"]: one["volume_ml"] for one in facts(classes, schema)["labels"]}
    assert volumes == {"necrotic": 0.0, "edema": pytest.approx((1000 - 128) * 2 / 1000)}


def test_intervals_are_those_of_the_manifest_and_null_where_it_has_none(classes, schema):
    errors = {
        "WT": {"error_ml": SPREAD, "error_percent": SPREAD, "low_ml": 1.9, "high_ml": 2.1},
        "TC": {"error_ml": SPREAD, "error_percent": None, "low_ml": None, "high_ml": None},
        "ET": None,
    }
    quality = {"flag": "ok", "reasons": []}
    found = facts(classes, schema, volume_errors=errors, quality=quality)
    assert "on 4 validation cases" in found["ranges"]
    assert "with a probability of 60 %." in found["ranges"]
    whole, core, enhancing = found["regions"]
    assert (whole["likely_ml"], whole["coverage"], whole["cases"]) == ((1.9, 2.1), 0.6, 4)
    assert (core["likely_ml"], core["error_ml"], core["coverage"]) == (None, (-1.0, 2.0), 0.6)
    assert [enhancing[key] for key in ("likely_ml", "error_ml", "coverage", "dice")] == [None] * 4


def test_a_case_not_known_to_be_like_those_of_the_training_has_no_intervals(classes, schema):
    errors = {"WT": {"error_ml": SPREAD, "error_percent": SPREAD, "low_ml": 1.9, "high_ml": 2.1}}
    expected = {"WT": {"dice": 0.9, "low": 0.8, "high": 0.95}}
    quality = {"flag": "ok", "reasons": [], "expected_dice": expected}
    keys = ("likely_ml", "error_ml", "coverage", "dice")
    whole = facts(classes, schema, volume_errors=errors, quality=quality)["regions"][0]
    assert None not in [whole[key] for key in keys]
    for flag, why in (("check", "is unlike those"), ("unknown", "it is not known whether")):
        quality["flag"] = flag
        found = facts(classes, schema, volume_errors=errors, quality=quality)
        assert [found["regions"][0][key] for key in keys] == [None] * 4
        assert why in found["ranges"]


def test_probabilities_that_differ_are_said_of_the_region_and_the_column(classes, schema):
    def error(coverage):
        spread = SPREAD | {"coverage": coverage}
        return {"error_ml": spread, "error_percent": spread, "low_ml": 1.0, "high_ml": 2.0}

    def dice(coverage):
        return {"dice": 0.9, "low": 0.8, "high": 0.95, "coverage": coverage}

    expected = {"WT": dice(0.6), "TC": dice(0.5), "ET": None}
    found = facts(
        classes,
        schema,
        volume_errors={"WT": error(0.6), "TC": error(0.6), "ET": error(0.5)},
        quality={"flag": "ok", "reasons": [], "expected_dice": expected},
    )
    assert found["ranges"].endswith("with a probability of 60 % (WT, TC) and 50 % (ET).")
    assert found["dice_ranges"].endswith("with a probability of 60 % (WT) and 50 % (TC).")


def test_a_region_has_the_colours_of_all_its_labels_and_none_that_is_anothers_alone(
    classes, schema
):
    found = facts(classes, schema)
    colours = {one["name"]: one["colours"] for one in (*found["regions"], *found["labels"])}
    (necrotic,), (edema,), (enhancing,) = (colours[name] for name in ("necrotic", "edema", "ET"))
    assert sorted(colours["WT"]) == sorted([necrotic, edema, enhancing])
    assert sorted(colours["TC"]) == sorted([necrotic, enhancing])


def test_doubts_about_the_input_are_reasons_and_withhold_the_ranges(classes, schema):
    doubt = {"code": "input", "text": "T1n and t1c seem exchanged."}
    far = {"code": "histogram", "text": "t1c: far."}
    errors = {"WT": {"error_ml": SPREAD, "error_percent": SPREAD, "low_ml": 1.9, "high_ml": 2.1}}
    found = facts(
        classes,
        schema,
        case="study-1",
        volume_errors=errors,
        quality={"flag": "check", "reasons": [doubt, far], "expected_dice": {}},
        warnings=[
            "study-1: t1n and t1c seem exchanged (distance 1.0 that way, 64.0 as declared). Check"
            " them, and rename the files if so."
        ],
    )
    quality = found["quality"]
    assert (quality["flag"], quality["words"], quality["is_input_doubtful"]) == (
        *("check", "Check", True),
    )
    assert quality["reasons"] == [doubt["text"], far["text"]]
    assert "Correct the input" in quality["meaning"]
    assert found["regions"][0]["likely_ml"] is None
    assert "doubtful input" in found["ranges"]
    assert found["warnings"] == []  # the reason says it


def test_warnings_name_neither_the_case_nor_what_only_a_command_line_can_do(classes, schema):
    warnings = [
        "study-1: t2w is missing: segmented without it, as the network was trained to be. Labels"
        " are less accurate than with it. Measure by how much with evaluate.missing_modalities.",
        "study-1: modalities may be swapped: t1n like t1c, t1c like t1n (distance 14.8 that way,"
        " 63.9 as declared). Check them, and rename the files if so.",
        "a.nii.gz: qform and sform differ. The sform is used.",
        "study-1: was a training case of this network: its labels look better than on new cases",
    ]
    assert facts(classes, schema, case="study-1", warnings=warnings)["warnings"] == [
        "T2w is missing: segmented without it, as the network was trained to be. Labels are less"
        " accurate than with it.",
        "Modalities may be swapped: t1n like t1c, t1c like t1n (distance 14.8 that way, 63.9 as"
        " declared).",
        "a.nii.gz: qform and sform differ. The sform is used.",
        "Was a training case of this network: its labels look better than on new cases",
    ]


def test_facts_are_json_and_those_of_an_old_record_say_unknown(classes, schema):
    known = json.loads(json.dumps(facts(classes, schema)))
    assert (known["quality"]["flag"], known["quality"]["reasons"]) == ("unknown", [])
    assert "could not be compared" in known["quality"]["meaning"]
    assert known["made_by"][1] == ["Trained and validated on", "not known"]
    assert known["use"] == "Research use only, not for diagnosis."
