from itertools import product
from math import inf, isnan

import pytest
from scipy import stats

from pipeline.metrics.detection import SIZES_ML, detection, wilson


def lesion(volume_ml, found=1, kind="reference", name="WT"):
    return {"name": name, "kind": kind, "volume_ml": volume_ml, "found": found}


ROWS = [
    lesion(0.06, found=0),
    lesion(0.08),
    lesion(0.1),
    lesion(30.0),
    lesion(40.0),
    lesion(0.02, found=0, kind="false_positive"),
    lesion(2.0, found=0, kind="false_positive"),
    lesion(12.0, name="ET"),
]


def test_lesions_and_false_ones_are_counted_by_size_and_false_ones_are_per_case():
    rows = {row["size"]: row for row in detection(ROWS, ["WT"], 4)}
    counts = ("found", "lesions", "false_positives")
    assert {size: tuple(row[name] for name in counts) for size, row in rows.items()} == {
        "all": (4, 5, 2),
        "below 0.1 ml": (1, 2, 1),
        "0.1 to 1 ml": (1, 1, 0),  # 0.1 ml itself
        "1 to 10 ml": (0, 0, 1),
        "from 10 ml": (2, 2, 0),
    }
    shares = ("sensitivity", "sensitivity_low", "sensitivity_high", "false_positives_per_case")
    assert [rows["all"][name] for name in shares] == [0.8, *wilson(4, 5), 0.5]
    assert isnan(rows["1 to 10 ml"]["sensitivity"])


def test_bins_of_all_sizes_do_not_overlap():
    _, *bins = detection(ROWS, ["ET"], 4)
    assert [row["low_ml"] for row in bins] == [0.0, *SIZES_ML]
    assert [row["high_ml"] for row in bins] == [*SIZES_ML, inf]


def test_a_region_without_any_lesion_has_its_rows():
    row, *_ = detection(ROWS, ["TC"], 4)
    assert (row["name"], row["lesions"], row["false_positives_per_case"]) == ("TC", 0, 0)
    assert isnan(row["sensitivity"])


def test_the_order_of_rows_changes_no_count():
    assert detection(ROWS[::-1], ["WT"], 4) == detection(ROWS, ["WT"], 4)


@pytest.mark.parametrize(
    ("successes", "trials"),
    [pair for pair in product((0, 1, 3, 17, 40), (1, 3, 17, 40)) if pair[0] <= pair[1]],
)
def test_wilsons_interval_equals_scipys(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= wilson(successes, trials)[0] <= wilson(successes, trials)[1] <= 1


def test_without_a_trial_there_is_no_interval():
    assert all(isnan(end) for end in wilson(0, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson(-1, 3), "from 0 to 3"),
        (lambda: wilson(4, 3), "from 0 to 3"),
        (lambda: detection(ROWS, ["WT"], 0), "at least one case"),
    ],
)
def test_impossible_counts_are_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
