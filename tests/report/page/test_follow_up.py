"""The page of a follow-up says what is missing, escapes what it shows, and needs no picture."""

import html

import pytest

from pipeline.report.page.follow_up import follow_up_page

NAN = float("nan")


def visit(number, **clinical):
    known = {"steroid_mg": None, "clinical_status": None, "weeks_since_radiotherapy": None}
    known |= clinical
    measures = ("shift_mm", "turn_deg", "nmi_before", "nmi_after", "dice_before", "dice_after")
    return {
        "visit": number,
        "day": 30 * (number - 1),
        "date": None,
        "labels": "<b>network</b>",
        "checked": False,
        "clinical": known,
        "missing": [name for name, value in known.items() if value is None],
        "registration": dict.fromkeys(measures, NAN),
    }


def state(number, product_mm2, category, lesions=()):
    judged = {"category": category, "reason": "why", "confirmation": ""}
    judged |= {"from_baseline": None, "from_nadir": product_mm2 / 100 - 1}
    return {
        "visit": number,
        "plane": "axial",
        "lesions": list(lesions),
        "product_sum_mm2": product_mm2,
        "target_ml": 1.0,
        "total_ml": 1.0,
        "by_product": judged,
        "by_volume": judged,
        "with_clinic": {"category": "", "reason": ""},
        "notes": ["CE2 is new & small"],
    }


def page(last=None, checked=(), targets=(), **clinical):
    states = [state(1, 100.0, "baseline"), last or state(2, 40.0, "PR")]
    kind = {"name": "enhancing", "title": "Contrast-enhancing disease"}
    return follow_up_page(
        {
            "baseline": 1,
            "criteria": "RANO 2.0",
            "warnings": [],
            "visits": [
                visit(number, **clinical) | {"checked": number in checked} for number in (1, 2)
            ],
            "kinds": [kind | {"targets": targets, "visits": states}],
        },
        {},
    )


def test_fields_that_are_not_known_are_named_in_words():
    text = page(clinical_status="stable")
    assert "Not known at every visit: corticosteroid dose and time since radiotherapy." in text
    known = page(clinical_status="stable", steroid_mg=0.0, weeks_since_radiotherapy=9.0)
    assert "Not known" not in known


def test_the_category_of_the_last_visit_is_in_words_and_in_front():
    text = page()
    assert text.index("Partial response") < text.index("<main>")
    assert text.index("Research use only, not for diagnosis") < text.index("<main>")


@pytest.mark.parametrize("shown", ["<b>network</b>", "CE2 is new & small"])
def test_text_is_escaped(shown):
    assert shown not in page()
    assert html.escape(shown) in page()


def test_changes_have_a_sign_and_a_dash_where_undefined():
    assert "−60 %" in page()
    assert "–" in page()


def tile(**how):
    """What the page says in large type, and below."""
    shown = page(**how).split('<div class="tile">')[1].split("</div>")[0]
    return shown.split("<b>")[1].split("</b>")[0], shown


def test_without_a_target_the_box_states_no_category_but_the_volume_of_all_lesions():
    last = state(2, 0.0, "not stated") | {"total_ml": 30.28}
    last |= {"notes": ["CE1 was not measurable at the baseline and is now"]}
    headline, said = tile(last=last)
    assert headline == "No response can be stated"
    assert "all lesions: 1.0 ml at the baseline, 30.3 ml at visit 2" in said
    assert "CE1 was not measurable at the baseline and is now" in said
    assert "Stable disease" not in said
    assert "0 mm²" not in said


def test_visits_that_could_not_be_registered_have_no_category_and_keep_their_volumes():
    last = state(2, 0.0, "not stated") | {"product_sum_mm2": None, "target_ml": None}
    for targets in ((), ("CE1",)):
        headline, said = tile(last=last, targets=targets)
        assert headline == "Not stated: the visits could not be registered"
        assert "1.0 ml at visit 2" in said
        assert "from baseline" not in said


@pytest.mark.parametrize(
    ("checked", "said"),
    [
        ((), "computed from segmentations that nobody has checked here."),
        ((1, 2), "computed from segmentations that a reader has corrected."),
        ((2,), "a reader has corrected those of visit 2, nobody has checked the others here."),
    ],
)
def test_the_page_says_whether_a_reader_has_checked_the_segmentations(checked, said):
    assert said in page(checked=checked)
