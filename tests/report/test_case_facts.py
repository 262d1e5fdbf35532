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


def test_facts_are_json_and_those_of_an_old_record_say_unknown(classes, schema):
    known = json.loads(json.dumps(facts(classes, schema)))
    assert (known["quality"]["flag"], known["quality"]["reasons"]) == ("unknown", [])
    assert "could not be compared" in known["quality"]["meaning"]
    assert known["made_by"][1] == ["Trained and validated on", "not known"]
    assert known["use"] == "Research use only, not for diagnosis."
