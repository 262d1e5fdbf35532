"""What a missing modality costs is measured against the same case with all of them."""

from math import isnan, nan

import pytest

from pipeline.core.errors import InputError
from pipeline.metrics.missing_modalities import price_rows, subsets, summarise_prices

MODALITIES = ("t1n", "t1c", "t2w", "t2f")


def test_all_subsets_leave_a_modality_and_the_smaller_ones_come_first():
    found = subsets("all", MODALITIES)
    assert len(found) == len(set(found)) == 14
    assert found[:5] == [("t1n",), ("t1c",), ("t2w",), ("t2f",), ("t1n", "t1c")]
    assert found[-1] == ("t1c", "t2w", "t2f")
    assert subsets("all", ("t1c",)) == subsets((), MODALITIES) == []


def test_subsets_are_in_the_order_of_the_channels_and_each_counts_once():
    asked = (("t2w", "t1n"), ("t1c",), ("t1n", "t2w"), ("t1c", "t1c"))
    assert subsets(asked, MODALITIES) == [("t1n", "t2w"), ("t1c",)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((("t1c",), ("t1ce",)), "t1ce: is no modality of the network, which takes t1n, t1c, t2w"),
        (((),), r"\[\] must name some of t1n, t1c, t2w, t2f, and not all of them"),
        ((MODALITIES,), r"\['t1n', 't1c', 't2w', 't2f'\] must name some of"),
    ],
)
def test_a_subset_that_cannot_be_left_out_is_rejected(asked, said):
    with pytest.raises(InputError, match=rf"params\.yaml: evaluate\.missing_modalities: {said}"):
        subsets(asked, MODALITIES)


def scores(whole: float, core: float, filled: str = "") -> list[dict]:
    """Rows of the table "cases" with two regions."""
    values = {"WT": whole, "TC": core}
    rows = [
        {"kind": "region", "name": name, "dice": dice, "hd95_mm": 3.0, "filled": filled}
        for name, dice in values.items()
    ]
    return [{"kind": "label", "name": "edema", "dice": 0.1, "hd95_mm": 1.0, "filled": ""}, *rows]


def prices(subset: tuple[str, ...], *pairs: tuple[tuple, tuple]) -> list[dict]:
    return [
        {"case": f"case {number}", "patient": f"patient {number}"} | row
        for number, (without, whole) in enumerate(pairs)
        for row in price_rows(subset, scores(*without), scores(*whole))
    ]


def test_a_row_per_region_holds_the_dice_and_its_difference_from_the_whole():
    assert price_rows(("t1n", "t2f"), scores(0.5, 0.25), scores(0.75, 1.0, "both_empty")) == [
        {
            "missing": "t1n t2f",
            "name": name,
            "dice": dice,
            "hd95_mm": 3.0,
            "dice_difference": difference,
            "filled": "",
        }
        for name, dice, difference in (("WT", 0.5, -0.25), ("TC", 0.25, -0.75))
    ]


def test_the_price_of_a_subset_is_the_mean_over_regions_of_the_paired_differences():
    without_t1c = prices(
        ("t1c",),
        ((0.75, 0.25), (0.75, 0.75)),
        ((0.75, 0.0), (0.75, 0.5)),
        ((0.5, 0.0), (1.0, 0.5)),
        ((0.5, 0.25), (1.0, 0.75)),
    )
    unchanged = prices(("t2w",), *[((0.75, 0.5), (0.75, 0.5))] * 4)
    found = summarise_prices([*without_t1c, *unchanged])
    assert list(found) == ["t1c", "t2w"]
    price = found["t1c"]
    assert price["mean_region_dice"]["value"] == (0.625 + 0.125) / 2
    difference = price["mean_region_dice_difference"]
    assert difference["value"] == (-0.25 - 0.5) / 2
    # the differences of TC are -0.5 in every case, those of WT 0, 0, -0.5 and -0.5
    assert -0.5 <= difference["low"] < difference["value"] < difference["high"] <= -0.25
    of_regions = price["region"]
    assert of_regions["WT"]["dice_difference"]["mean"] == -0.25
    assert of_regions["TC"]["dice_difference"]["mean"] == -0.5
    assert of_regions["TC"]["dice"]["cases"] == 4
    assert set(of_regions["WT"]) == {"dice", "hd95_mm", "dice_difference"}
    assert found["t2w"]["mean_region_dice_difference"]["value"] == 0


def test_a_case_without_one_of_the_two_scores_is_no_pair():
    rows = prices(("t1c",), ((0.5, nan), (0.75, 0.5)), ((0.5, 0.25), (0.75, 0.5)))
    assert isnan(rows[1]["dice_difference"])
    core = summarise_prices(rows)["t1c"]["region"]["TC"]
    assert (core["dice"]["cases"], core["dice"]["undefined"]) == (1, 1)
    assert core["dice_difference"]["mean"] == -0.25
    assert core["dice_difference"]["undefined"] == 1


def test_values_that_the_empty_rule_gave_are_counted():
    rows = prices(("t1c",), ((1.0, 1.0, "both_empty"), (1.0, 1.0, "both_empty")))
    assert summarise_prices(rows)["t1c"]["mean_region_dice"]["filled"] == 2
