"""The verdict of made cases whose counts are known."""

import numpy as np

from pipeline.metrics.case_scores import score_masks, summarise, tables_of
from pipeline.metrics.verdict import verdict
from tests.metrics.test_case_scores import SHAPE, SPACING_MM, nested_tumour, schema_with

NOTHING = np.zeros(SHAPE, np.uint8)


def of(pairs, empty_rule="brats"):
    """The verdict of pairs of reference and prediction, in cases a, b, c."""
    schema = schema_with(empty_rule)
    whose = [{"case": name, "patient": name} for name, _ in zip("abcdefgh", pairs, strict=False)]
    tables = tables_of(whose, [score_masks(*pair, schema, SPACING_MM) for pair in pairs], schema)
    return verdict(summarise(tables, schema), tables["cases"])


def test_the_lowest_case_is_named_with_its_mean_over_regions():
    found = of([(nested_tumour(),) * 2, (nested_tumour(), nested_tumour(2))])
    assert found.worst[0] == "b"
    assert 0 < found.worst[1] < found.mean["value"] < 1
    first, second = found.sentences
    assert first.startswith(f"2 cases of cohort glioma: mean region Dice {found.mean['value']:.3f}")
    assert first.endswith(f"; lowest in b, {found.worst[1]:.3f}.")
    assert second == (
        "No tumour was missed altogether; none of the 6 Dice values comes from the rule for empty"
        " masks."
    )


def test_a_tumour_is_missed_where_nothing_or_only_another_place_is_drawn():
    """One without ET whose core is touched is not; neither is a case without a tumour."""
    other = nested_tumour(with_enhancing=False)
    away = np.where(nested_tumour() > 0, 0, 2).astype(np.uint8)
    found = of(
        [
            (nested_tumour(), NOTHING),
            (nested_tumour(), away),
            (other, nested_tumour()),
            (NOTHING, NOTHING),
        ]
    )
    assert found.missed == ("a", "b")
    assert found.tumours == 3
    assert "2 of 3 tumours missed altogether: a, b; 3 of 12 Dice values come" in found.sentences[1]


def test_names_of_missed_tumours_end_after_five():
    found = of([(nested_tumour(), NOTHING)] * 7)
    assert "7 of 7 tumours missed altogether: a, b, c, d, e and 2 more;" in found.sentences[1]


def test_without_a_rule_the_undefined_values_are_counted_and_one_case_is_not_the_lowest():
    found = of([(NOTHING, NOTHING)], "nan")
    assert (found.worst, found.tumours, found.undefined) == (None, 0, 3)
    assert found.sentences == (
        "1 case of cohort glioma: mean region Dice - [-, -].",
        "No tumour was missed altogether; 3 of 3 Dice values are undefined (empty masks).",
    )
