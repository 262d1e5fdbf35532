"""Categories whose arithmetic can be checked by hand."""

import pytest

from pipeline.following.rano import (
    PRODUCT,
    PRODUCT_WITH_MINOR,
    VOLUME,
    Burden,
    categories,
    confirmation,
    overall,
)
from pipeline.following.visits import Clinical


def course(
    *values, rule=PRODUCT, baseline=0, new=(), left=(), measurable=True, unmatched=(), unseen=()
):
    """Categories of burdens; `new` and `left` are visits with a new lesion, or another one left;
    `unmatched` those that were not registered, `unseen` those whose images miss a target lesion.
    """
    burdens = [
        Burden(
            value,
            value > 0 or number in left,
            ("CE9",) * (number in new),
            measurable,
            "not registered" * (number in unmatched),
            ("CE1",) * (number in unseen),
        )
        for number, value in enumerate(values)
    ]
    return categories(burdens, baseline, rule)


def names(*values, **how):
    return [each.category for each in course(*values, **how)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1000, 1249), "SD"),
        ((1000, 1250), "PD"),
        ((1000, 501), "SD"),
        ((1000, 500), "PR"),
        ((1000, 400, 500), "PD"),  # 25 % above the nadir of 400, though half of the baseline
        ((1000, 400, 499), "PR"),
        ((1000, 800, 990), "SD"),
        ((1000, 0), "CR"),
        ((1000, 0, 100), "PD"),
    ],
)
def test_products_are_judged_from_baseline_and_nadir(values, expected):
    assert names(*values)[-1] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [((10, 13.9), "SD"), ((10, 14), "PD"), ((10, 3.6), "SD"), ((10, 3.5), "PR"), ((10, 0), "CR")],
)
def test_volumes_have_their_own_limits(values, expected):
    assert names(*values, rule=VOLUME)[-1] == expected


def test_a_minor_response_exists_only_where_disease_does_not_enhance():
    assert names(1000, 750, rule=PRODUCT_WITH_MINOR)[-1] == "MR"
    assert names(1000, 751, rule=PRODUCT_WITH_MINOR)[-1] == "SD"
    assert names(1000, 750)[-1] == "SD"


def test_visits_before_the_baseline_have_no_category_and_no_nadir():
    assert names(100, 1000, 900, baseline=1) == ["", "baseline", "SD"]


def test_a_new_measurable_lesion_is_progression_whatever_the_sum():
    found = course(1000, 100, new=(1,))[-1]
    assert (found.category, found.reason) == ("PD", "new and measurable: CE9")


def test_a_lesion_that_is_no_target_prevents_complete_response():
    assert names(1000, 0, left=(1,))[-1] == "PR"


def test_without_measurable_disease_at_the_baseline_no_response_is_stated():
    found = course(0, 0)[-1]
    assert found.category == "not stated"
    assert "no response can be stated" in found.reason
    assert (found.from_baseline, found.from_nadir) == (None, None)


def test_a_visit_that_was_not_registered_has_no_category_and_no_changes():
    found = course(1000, 0, new=(1,), unmatched=(1,))[-1]
    assert (found.category, found.reason) == ("not stated", "not registered")
    assert (found.from_baseline, found.from_nadir) == (None, None)


def test_a_target_outside_the_images_of_a_visit_is_no_response_and_no_nadir():
    found = course(1000, 0, 900, left=(1,), unseen=(1,))
    assert [each.category for each in found] == ["baseline", "not stated", "SD"]
    assert found[1].reason == "outside the images of this visit: CE1"
    assert course(1000, 0, new=(1,), unseen=(1,))[-1].category == "PD"


def test_a_response_is_confirmed_over_a_visit_without_category():
    found = course(1000, 400, 0, 390, unseen=(2,))
    said = confirmation(found, [0, 30, 60, 90], 1, Clinical())
    assert said == "confirmed at visit 4, after 60 days"


def test_worse_clinical_status_is_progression_where_images_state_no_category():
    worse = Clinical(clinical_status="worse")
    assert overall("not stated", worse, Clinical()) == ("PD", "clinical status is worse")
    assert overall("not stated", Clinical(2, "stable"), Clinical(2)) == ("", "")


def test_a_target_that_returns_too_small_to_measure_is_no_progression():
    assert names(1000, 0, 20, measurable=False)[-1] == "SD"


def test_changes_are_relative_to_baseline_and_nadir():
    last = course(1000, 400, 600)[-1]
    assert last.from_baseline == pytest.approx(-0.4)
    assert last.from_nadir == pytest.approx(0.5)


def test_a_response_is_confirmed_by_a_visit_four_weeks_later():
    found, known = course(1000, 400, 390, 900), Clinical()
    assert confirmation(found, [0, 30, 60, 90], 1, known) == "confirmed at visit 3, after 30 days"
    soon = confirmation(found[:3], [0, 30, 50], 1, known)
    assert soon == "to be confirmed by a scan at least 4 weeks later"
    assert confirmation(found, [0, 30, 50, 90], 1, known) == "not sustained: PD at visit 4"
    assert confirmation(found[:3], [None] * 3, 1, known) == soon


@pytest.mark.parametrize(
    ("weeks", "said"),
    [(8, "within 12 weeks of radiotherapy"), (20, ""), (None, "not known when radiotherapy ended")],
)
def test_progression_soon_after_radiotherapy_needs_confirmation(weeks, said):
    text = confirmation(course(100, 200), [0, 50], 1, Clinical(weeks_since_radiotherapy=weeks))
    assert text.startswith(said)
    assert bool(text) == bool(said)


@pytest.mark.parametrize(
    ("category", "steroid", "status", "expected"),
    [
        ("SD", 2, "stable", "SD"),
        ("SD", 2, "worse", "PD"),
        ("PR", 4, "stable", "not evaluable"),
        ("PD", 0, "improved", "PD"),
        ("CR", 0, "stable", "CR"),
        ("CR", 1, "stable", "PR"),
    ],
)
def test_the_fields_of_the_clinic_complete_the_category(category, steroid, status, expected):
    assert overall(category, Clinical(steroid, status), Clinical(2.0))[0] == expected


def test_without_the_fields_of_the_clinic_the_category_is_the_imaging_part_and_names_them():
    name, reason = overall("SD", Clinical(), Clinical())
    assert name == ""
    assert reason == (
        "imaging part only: steroid_mg, clinical_status, steroid_mg of the baseline not known"
    )
    assert overall("baseline", Clinical(), Clinical()) == ("", "")
