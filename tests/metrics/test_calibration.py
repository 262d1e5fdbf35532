"""Brier score, calibration error and reliability bins, by hand, against slow loops, and where the
answer is known.
"""

from math import isnan

import numpy as np
import pytest

from pipeline.core.regions import classes_to_regions
from pipeline.core.schema import Schema
from pipeline.metrics.calibration import (
    BINS,
    bin_probabilities,
    calibration_rows,
    pooled,
    reliability_rows,
)
from pipeline.metrics.registry import TABLES
from pipeline.metrics.uncertainty import aurc, count_errors, entropy_bits

MEASURES = [metric.name for metric in TABLES["calibration"]]
SCHEMA = Schema(
    cohort="x",
    dimensions=3,
    modalities=("t1c",),
    labels={"edema": 2, "core": 1},
    regions={"WT": ("edema", "core"), "TC": ("core",)},
    empty_rule="nan",
)


def of(probabilities, reference):
    return bin_probabilities(np.array(probabilities, np.float32), np.array(reference, bool))


def drawn(seed, shape=(7, 6, 5)):
    """Probabilities of two regions, disagreement, classes and a brain that are all noise."""
    random = np.random.default_rng(seed)
    probabilities = random.random((*shape, 2), dtype=np.float32)
    probabilities[random.random((*shape, 2)) < 0.2] = 0
    probabilities[random.random((*shape, 2)) < 0.1] = 1
    disagreement = random.random((*shape, 2), dtype=np.float32) / 2
    return (
        probabilities,
        disagreement,
        random.integers(0, 3, shape, np.uint8),
        random.random(shape) < 0.6,
    )


def loop(probabilities, reference):
    """Voxel by voxel: Brier score, calibration error, and voxels, mean probability and share of
    positives of each bin.
    """
    bins = [[] for _ in range(BINS)]
    for p, y in zip(probabilities, reference, strict=True):
        bins[min(int(p * np.float32(BINS)), BINS - 1)].append((float(p), int(y)))
    means = [(len(own), *(np.mean(own, axis=0) if own else (0, 0))) for own in bins]
    brier = sum((p - y) ** 2 for own in bins for p, y in own) / len(probabilities)
    return brier, sum(n * abs(p - y) for n, p, y in means) / len(probabilities), means


@pytest.mark.parametrize(
    ("probabilities", "reference", "brier", "ece", "bins"),
    [
        (
            *([0.1, 0.9, 0.92, 0.4], [0, 1, 0, 1], (0.01 + 0.01 + 0.92**2 + 0.36) / 4),
            *((1 * 0.1 + 1 * 0.6 + 2 * abs(0.91 - 0.5)) / 4, [1, 6, 13]),
        ),
        (
            [0, 0.2, 0.199, 0.6, 1],
            [0, 0, 0, 1, 1],
            (0.2**2 + 0.199**2 + 0.4**2) / 5,
            0.1598,
            [0, 2, 3, 9, 14],
        ),
        ([0.25] * 8, [1, 0, 0, 0, 1, 0, 0, 0], 0.25 * 0.75, 0, [3]),
        ([0.1, 0.2], [0, 0], 0.025, 0.15, [1, 3]),
        ([0, 1, 1], [0, 1, 1], 0, 0, [0, 14]),
        ([0, 1, 1], [1, 0, 0], 1, 1, [0, 14]),
    ],
)
def test_few_voxels_have_the_errors_computed_by_hand(probabilities, reference, brier, ece, bins):
    found = of(probabilities, reference)
    assert (found.brier, found.ece) == pytest.approx((brier, ece))
    assert np.flatnonzero(found.voxels).tolist() == bins, "a bin holds its lower edge"


@pytest.mark.parametrize("seed", range(5))
def test_one_pass_equals_a_loop_over_voxels(seed):
    probabilities, _, classes, brain = drawn(seed)
    rows, bins = calibration_rows(probabilities, None, classes, brain, SCHEMA)
    curve = {(row["name"], row["bin"]): row for row in reliability_rows(bins)}
    for column, row in enumerate(rows):
        own = probabilities[..., column][brain]
        reference = classes_to_regions(classes, SCHEMA)[..., column][brain]
        brier, ece, means = loop(own, reference)
        assert row["brier"] == pytest.approx(brier, rel=1e-6)
        assert row["ece"] == pytest.approx(ece, rel=1e-6)
        for place, (voxels, probability, share) in enumerate(means):
            assert bins[row["name"]].voxels[place] == voxels
            if voxels:
                own_bin = curve[row["name"], place]
                assert own_bin["mean_probability"] == pytest.approx(probability, rel=1e-6)
                assert own_bin["share_positive"] == pytest.approx(share)


def test_probabilities_that_mean_what_they_say_are_calibrated_and_overconfident_ones_are_not():
    random = np.random.default_rng(0)
    true = random.beta(0.4, 0.6, 400_000).astype(np.float32)
    reference = random.random(len(true)) < true
    found, brier = bin_probabilities(true, reference), float((true * (1 - true)).mean())
    assert found.ece < 0.003
    assert found.brier == pytest.approx(brier, abs=0.002)
    surer = (true**3 / (true**3 + (1 - true) ** 3)).astype(np.float32)
    assert bin_probabilities(surer, reference).ece > 0.05


def test_rows_hold_the_entropy_and_disagreement_of_the_brain_and_how_they_rank_errors():
    probabilities, disagreement, classes, brain = drawn(1)
    rows, _ = calibration_rows(probabilities, disagreement, classes, brain, SCHEMA)
    assert [row["name"] for row in rows] == ["WT", "TC"]
    for column, row in enumerate(rows):
        assert tuple(row) == ("name", "voxels", *MEASURES)
        own, spread = probabilities[..., column][brain], disagreement[..., column][brain]
        wrong = (own > 0.5) != classes_to_regions(classes, SCHEMA)[..., column][brain]
        assert row["voxels"] == brain.sum()
        assert row["mean_entropy"] == pytest.approx(float(entropy_bits(own).mean(dtype=float)))
        assert row["mean_disagreement"] == pytest.approx(float(spread.mean(dtype=float)))
        assert row["aurc"] == pytest.approx(aurc(count_errors(entropy_bits(own), wrong, 1.0)))
        assert row["aurc_disagreement"] == pytest.approx(aurc(count_errors(spread, wrong, 0.5)))
        assert row["aurc_random"] == pytest.approx(wrong.mean())
        assert row["aurc_oracle"] <= min(row["aurc"], row["aurc_disagreement"])


def test_neither_what_lies_outside_the_brain_nor_memory_order_changes_more_than_rounding():
    arrays = probabilities, disagreement, classes, brain = drawn(2)
    expected, bins = calibration_rows(*arrays, SCHEMA)
    turned = [np.asfortranarray(np.transpose(a, (1, 2, 0, 3)[: a.ndim])) for a in arrays]
    probabilities[~brain], disagreement[~brain], classes[~brain] = 1, 0.5, 2
    assert calibration_rows(*arrays, SCHEMA)[0] == expected
    found, turned_bins = calibration_rows(*turned, SCHEMA)
    for one, other in zip(expected, found, strict=True):
        name = other.pop("name")
        assert one.pop("name") == name
        assert one == pytest.approx(other, rel=1e-6)
        np.testing.assert_array_equal(bins[name].positives, turned_bins[name].positives)


def test_without_mirror_images_disagreement_is_undefined_and_the_rest_the_same():
    probabilities, disagreement, classes, brain = drawn(5)
    with_it, _ = calibration_rows(probabilities, disagreement, classes, brain, SCHEMA)
    without, _ = calibration_rows(probabilities, None, classes, brain, SCHEMA)
    for one, other in zip(with_it, without, strict=True):
        for name in one:
            assert isnan(other[name]) if "disagreement" in name else one[name] == other[name]


def test_without_a_brain_nothing_is_defined():
    probabilities, disagreement, classes, brain = drawn(6)
    rows, bins = calibration_rows(
        probabilities, disagreement, classes, np.zeros_like(brain), SCHEMA
    )
    assert all(isnan(row[name]) for row in rows for name in MEASURES)
    assert all(row["voxels"] == 0 for row in rows + reliability_rows(bins))


def test_bins_add_up_over_cases_in_any_order_to_those_of_all_voxels():
    cases = [drawn(seed) for seed in range(3)]
    bins = [calibration_rows(p, None, classes, brain, SCHEMA)[1] for p, _, classes, brain in cases]
    stacked = [np.concatenate(parts) for parts in zip(*cases, strict=True)]
    _, together = calibration_rows(stacked[0], None, stacked[2], stacked[3], SCHEMA)
    for ordered in (bins, bins[::-1]):
        found = pooled(iter(ordered))
        assert list(found) == ["WT", "TC"]
        for name, own in found.items():
            for counts in ("voxels", "positives", "probability", "brier", "ece"):
                expected = getattr(together[name], counts)
                np.testing.assert_allclose(getattr(own, counts), expected, rtol=1e-6)


def test_reliability_rows_say_where_a_bin_lies_and_that_an_empty_one_has_no_mean():
    rows = reliability_rows({"WT": of([0.1, 0.1, 1], [0, 1, 1])})
    assert len(rows) == BINS
    assert [(row["bin"], row["voxels"]) for row in rows if row["voxels"]] == [(1, 2), (14, 1)]
    assert (rows[0]["low"], rows[0]["high"], rows[-1]["high"]) == (0, 1 / BINS, 1)
    assert rows[1]["mean_probability"] == pytest.approx(0.1)
    assert rows[1]["share_positive"] == 0.5
    assert isnan(rows[0]["mean_probability"])
    assert isnan(rows[0]["share_positive"])


def test_what_interpolation_rounds_beyond_one_or_zero_is_taken_for_certain():
    probabilities, inside = np.full((2, 2, 1, 2), (-1e-7, 1 + 2e-7), np.float32), np.ones((2, 2, 1))
    rows, bins = calibration_rows(
        probabilities, None, inside.astype(np.uint8), inside.astype(bool), SCHEMA
    )
    assert [row["mean_entropy"] for row in rows] == [0, 0]
    found = [np.flatnonzero(own.voxels).tolist() for own in bins.values()]
    assert found == [[0], [BINS - 1]]


def test_other_grids_and_what_is_no_probability_are_rejected():
    probabilities, disagreement, classes, brain = drawn(9)
    for wrong in (
        (probabilities[..., :1], disagreement, classes, brain),
        (probabilities, disagreement[:-1], classes, brain),
        (probabilities, disagreement, classes[:-1], brain),
    ):
        with pytest.raises(ValueError, match=r"expected arrays on the grid \(7, 6, 5\)"):
            calibration_rows(*wrong, SCHEMA)
    for value in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\]"):
            of([0.5, value], [0, 1])
