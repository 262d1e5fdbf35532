from math import sqrt

import pytest

from pipeline.core.schema import RULES
from pipeline.metrics.lesion_rules import PRESETS, LesionRules, why_unscored

PUBLISHED_2023 = {"gli": (3, 50), "ssa": (3, 50), "ped": (3, 50), "men": (1, 50), "met": (1, 2)}
PUBLISHED_2024 = {
    ("gli", "WT"): (3, 20, 337),
    ("gli", "TC"): (3, 20, 337),
    ("gli", "ET"): (3, 10, 337),
    ("gli", "RC"): (5, 20, 337),
    ("gli", "necrotic"): (5, 20, 337),
    ("ssa", "ET"): (3, 50, 374),
    ("ped", "CC"): (5, 10, 374),
    ("met", "TC"): (1, 2, 374),
    ("menrt", "tumour"): (1, 50, None),
}


@pytest.mark.parametrize("challenge", PUBLISHED_2023)
def test_rules_of_2023_are_as_published(challenge):
    rules = PRESETS[f"brats2023-{challenge}"]
    assert (rules.dilation_voxels, rules.least_volume_mm3) == PUBLISHED_2023[challenge]
    assert (rules.penalty_hd95_mm, rules.merge_prediction) == (374, False)
    assert rules.least_prediction_voxels == 0


@pytest.mark.parametrize(("challenge", "name"), PUBLISHED_2024)
def test_rules_of_2024_are_as_published(challenge, name):
    rules = PRESETS[f"brats2024-{challenge}"].of(name)
    assert (rules.dilation_voxels, rules.least_volume_mm3, rules.penalty_hd95_mm) == PUBLISHED_2024[
        challenge, name
    ]
    assert (rules.merge_prediction, rules.nsd) == (True, "voxels")
    assert max(rules.least_prediction_voxels, rules.least_prediction_mm3) == rules.least_volume_mm3
    assert rules.count_false_positives == (challenge != "menrt")


def test_the_farthest_dilation_is_that_of_any_region():
    assert [
        PRESETS[name].reach_voxels for name in ("brats2023-gli", "brats2024-gli", "brats2024-met")
    ] == [3, 5, 1]


def test_a_penalty_may_be_the_diagonal_in_voxels():
    assert PRESETS["brats2024-menrt"].penalty_mm((3, 4, 12)) == pytest.approx(
        sqrt(3**2 + 4**2 + 12**2)
    )
    assert PRESETS["brats2023-gli"].penalty_mm((3, 4, 12)) == 374


def test_why_there_is_no_score_is_reported_with_the_rules_that_could_be_named():
    said = why_unscored("knee")
    assert "schema of cohort knee names no rules" in said
    assert said.endswith(f"lesion_rules, one of {', '.join(PRESETS)}.")


def test_a_schema_can_name_every_rule_there_is():
    assert tuple(PRESETS) == RULES


def test_what_is_no_rule_is_rejected():
    with pytest.raises(ValueError, match="dilation_mm"):
        LesionRules(dilation_voxels=3, least_volume_mm3=50.0, dilation_mm=3)
