"""The quality flag: what each kind of unlikeness gives, in numbers and words."""

import pytest

from pipeline.quality.flag import assess
from pipeline.quality.known import Interval, Known, Region
from pipeline.quality.ranges import ranges_of

FEATURES = {
    "histogram": {"t1c.p95": 1.5, "t1c.p50": 0.0},
    "texture": {"t1c.roughness_x": 0.2},
    "correlation": {"t1n~t1c.correlation": 0.6},
    "geometry": {"spacing_x_mm": 1.0, "extent_z_mm": 140.0, "brain_ml": 1300.0, "tilt_deg": 0.0},
}
ESTIMATED = {"WT": 0.95, "TC": 0.9, "ET": None}
ERROR = Interval(cases=19, median=-0.02, low=-0.1, high=0.03, coverage=0.9)


def around(values, share=0.02):
    return [
        {name: value * (1 + share * (number - 5)) for name, value in values.items()}
        for number in range(11)
    ]


@pytest.fixture
def known() -> Known:
    confident = {f"{name}.dice": value for name, value in ESTIMATED.items() if value}
    return Known(
        format_version=1,
        ranges={
            **{kind: ranges_of(around(values)) for kind, values in FEATURES.items()},
            "confidence": ranges_of(around(confident, 0.005), below=True),
        },
        never_empty=("WT", "TC"),
        regions={
            "WT": Region(volume_error_ml=None, volume_error_percent=None, dice_error=ERROR),
            "TC": Region(volume_error_ml=None, volume_error_percent=None, dice_error=None),
        },
    )


def test_a_case_like_the_others_is_ok(known):
    found = assess(known, FEATURES, ESTIMATED)
    assert (found.flag, found.reasons) == ("ok", ())
    assert {kind: one.cases for kind, one in found.compared.items()} == dict.fromkeys(
        [*FEATURES, "confidence"], 11
    )


@pytest.mark.parametrize(
    ("changed", "code", "feature", "said"),
    [
        (
            {"t1c.p95": 3.0},
            "histogram",
            "t1c.p95",
            "t1c: percentile 95 of the brain, in standard deviations from its mean, is 3, in the 11"
            " cases of the training 1.35 to 1.65.",
        ),
        (
            {"t1n~t1c.correlation": -0.6},
            "correlation",
            "t1n~t1c.correlation",
            "t1n and t1c: correlation of the two over the brain is -0.6, in",
        ),
        (
            {"t1c.roughness_x": 0.9},
            "texture",
            "t1c.roughness_x",
            "t1c: difference of neighbouring voxels along x, which noise raises and blur lowers, is"
            " 0.9, in",
        ),
        (
            {"spacing_x_mm": 3.0},
            "geometry",
            "spacing_x_mm",
            "Length in mm of the voxels along x is 3, in the 11 cases of the training 0.9 to 1.1.",
        ),
        ({"brain_ml": 4000.0}, "geometry", "brain_ml", "Volume in ml of the brain is 4e+03, in"),
        ({"tilt_deg": 30.0}, "geometry", "tilt_deg", "Angle in degrees between the axes of the"),
        (
            {"WT": 0.5},
            "confidence",
            "WT.dice",
            "WT: Dice that the network expects of itself is 0.5, in the 11 validation cases 0.926",
        ),
        ({"TC": None}, "empty", "TC", "TC: the network finds none, but every case of the training"),
    ],
)
def test_an_unlike_case_is_to_be_checked_for_a_reason_in_numbers_and_words(
    known, changed, code, feature, said
):
    features = {
        kind: {name: changed.get(name, value) for name, value in values.items()}
        for kind, values in FEATURES.items()
    }
    estimated = {name: changed.get(name, value) for name, value in ESTIMATED.items()}
    found = assess(known, features, estimated)
    assert found.flag == "check"
    (reason,) = found.reasons
    assert (reason.code, reason.feature) == (code, feature)
    assert reason.text.startswith(said)
    assert reason.text.endswith(".")


def test_a_modality_gives_one_reason_the_strongest_first(known):
    changed = FEATURES | {
        "histogram": {"t1c.p95": 3.0, "t1c.p50": 9.0},
        "correlation": {"t1n~t1c.correlation": -0.2},
    }
    found = assess(known, changed, ESTIMATED)
    assert [one.feature for one in found.reasons] == ["t1c.p50", "t1n~t1c.correlation"]
    assert found.compared["histogram"].deviation == found.reasons[0].deviation


def test_a_network_that_is_surer_than_on_validation_cases_is_no_reason(known):
    assert assess(known, FEATURES, ESTIMATED | {"WT": 0.999}).flag == "ok"


def test_the_dice_to_expect_is_the_estimate_with_the_errors_of_validation(known):
    found = assess(known, FEATURES, ESTIMATED | {"WT": 0.99}).expected_dice
    wt = found["WT"]
    assert (wt.dice, wt.low, wt.high) == (0.97, 0.89, 1.0)
    assert (wt.coverage, wt.cases) == (0.9, 19)
    assert (found["TC"].estimated, found["TC"].dice, found["TC"].cases) == (0.9, None, 0)
    assert found["ET"] is None


def test_a_missing_modality_is_not_compared(known):
    assert assess(known, FEATURES | {"correlation": {}}, ESTIMATED).flag == "ok"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_doubt_about_the_input_is_the_first_reason_to_check_whatever_else_is_known(
    known, is_known
):
    unlike = FEATURES | {"histogram": {"t1c.p95": 3.0, "t1c.p50": 0.0}}
    doubt = "T1n and t1c seem exchanged."
    for features in (FEATURES, unlike):
        found = assess(known if is_known else None, features, ESTIMATED, [doubt])
        assert found.flag == "check"
        assert (found.reasons[0].code, found.reasons[0].text) == ("input", doubt)
        assert len(found.reasons) == 2 - (is_known and features is FEATURES)


def test_what_cannot_be_compared_is_unknown():
    found = assess(None, FEATURES, ESTIMATED)
    assert found.flag == "unknown"
    assert [one.code for one in found.reasons] == ["not_known"]
    assert set(found.compared.values()) == {None}
    assert found.expected_dice["WT"].dice is None
