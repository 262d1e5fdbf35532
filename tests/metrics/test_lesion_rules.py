from math import sqrt

import pytest

from pipeline.core.schema import RULES
from pipeline.metrics.lesion_rules import MATCHING, PRESETS, LesionRules, why_unscored

PUBLISHED = {
    ("brats2023-gli", "WT"): (3, 50, 374),
    ("brats2023-ssa", "WT"): (3, 50, 374),
    ("brats2023-ped", "WT"): (3, 50, 374),
    ("brats2023-men", "WT"): (1, 50, 374),
    ("brats2023-met", "WT"): (1, 2, 374),
    ("brats2024-gli", "WT"): (3, 20, 337),
    ("brats2024-gli", "TC"): (3, 20, 337),
    ("brats2024-gli", "ET"): (3, 10, 337),
    ("brats2024-gli", "RC"): (5, 20, 337),
    ("brats2024-gli", "necrotic"): (5, 20, 337),
    ("brats2024-ssa", "ET"): (3, 50, 374),
    ("brats2024-ped", "CC"): (5, 10, 374),
    ("brats2024-met", "TC"): (1, 2, 374),
    ("brats2024-menrt", "tumour"): (1, 50, None),
}


@pytest.mark.parametrize(("challenge", "name"), PUBLISHED)
def test_rules_are_as_published(challenge, name):
    rules = PRESETS[challenge].of(name)
    found = rules.dilation_voxels, rules.least_volume_mm3, rules.penalty_hd95_mm
    assert found == PUBLISHED[challenge, name]
    of_2024 = "2024" in challenge
    assert (rules.merge_prediction, rules.nsd == "voxels") == (of_2024, of_2024)
    least = max(rules.least_prediction_voxels, rules.least_prediction_mm3)
    assert least == of_2024 * rules.least_volume_mm3
    assert rules.count_false_positives == (challenge != "brats2024-menrt")
    assert (*PRESETS, *MATCHING) == RULES, "what a schema can name"


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
    assert said.endswith(f"lesion_rules, one of {', '.join(RULES)}.")


def test_what_is_no_rule_is_rejected():
    with pytest.raises(ValueError, match="dilation_mm"):
        LesionRules(dilation_voxels=3, least_volume_mm3=50.0, dilation_mm=3)
