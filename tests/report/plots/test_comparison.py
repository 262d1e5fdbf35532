from math import nan

import pytest

from pipeline.report.plots.comparison import BETTER, WORSE, Pair, comparison_plot
from pipeline.report.plots.palette import rgb
from pipeline.statistics.paired import compare_pairs, paired_rows

METRICS = {"dice": 1, "hd95_mm": -1}


def pair_of(first, second, names=("A: old", "B: new")):
    return Pair(*names, paired_rows(first, second), compare_pairs(first, second, METRICS))


@pytest.fixture
def old(rows):
    """Scores of nine cases of three regions, one of them bad."""
    regions = [row for row in rows if row["kind"] == "region"]
    return [row | {"case": f"{row['case']}{copy}"} for copy in range(3) for row in regions]


def changed(rows, dice, hd95_mm):
    return [row | {"dice": row["dice"] + dice, "hd95_mm": row["hd95_mm"] + hd95_mm} for row in rows]


def test_cases_are_drawn_in_the_colour_of_what_became_of_them(old, pixels, near):
    better, worse, same = (
        pixels(comparison_plot([pair_of(old, new)], 80)[0])
        for new in (changed(old, 0.2, -0.5), changed(old, -0.2, 2.0), old)
    )
    assert near(better, rgb(BETTER), 60) > 20 * near(better, rgb(WORSE), 60)
    assert near(worse, rgb(WORSE), 60) > 20 * near(worse, rgb(BETTER), 60)
    assert max(near(same, rgb(BETTER), 60), near(same, rgb(WORSE), 60)) < 100, "the legend alone"
    assert better.shape[1] == 11 * 80


def test_a_longer_distance_is_drawn_as_worse_though_it_is_more(old, pixels, near):
    picture = pixels(comparison_plot([pair_of(old, changed(old, 0.2, 30.0))], 80)[0])
    middle = len(picture) // 2
    assert near(picture[:middle], rgb(BETTER), 60) > 5 * near(picture[:middle], rgb(WORSE), 60)
    assert near(picture[middle:], rgb(WORSE), 60) > near(picture[middle:], rgb(BETTER), 60)


@pytest.mark.parametrize("others", [2, 5])
def test_each_further_run_has_its_own_differences(others, old, pixels):
    pairs = [
        pair_of(old, changed(old, 0.01 * number, -0.1), ("A: old", f"{number}: new"))
        for number in range(1, others + 1)
    ]
    picture = pixels(comparison_plot(pairs, 40)[0])
    assert picture.shape[1] == pytest.approx(40 * (11 if others < 4 else 3.7 * others), abs=1)
    assert picture.min() < 100


def test_the_same_comparison_gives_the_same_bytes(old):
    pair = pair_of(old[:3], changed(old[:3], 0.05, -0.2))
    assert comparison_plot([pair], 40) == comparison_plot([pair], 40)


@pytest.mark.parametrize("cases", [1, 9])
def test_one_case_and_an_undefined_region_can_be_drawn(old, cases):
    old = old[: 3 * cases]
    undefined = {"dice": nan, "hd95_mm": nan}
    bare = [row | (undefined if row["name"] == "ET" else {}) for row in old]
    png, svg = comparison_plot([pair_of(old, bare)], 40)
    assert png.startswith(b"\x89PNG")
    assert b"<svg" in svg
