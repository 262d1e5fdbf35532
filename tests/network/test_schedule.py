"""The learning rate and the end of training as functions of the past."""

import math
from itertools import pairwise

import pytest

from pipeline.network import registry
from pipeline.network.schedule import best_epoch, learning_rate, plateau, stops_early


def rate(name, peak, step, steps, warmup_steps=0, losses=()):
    """One epoch of so many steps."""
    train = {"learning_rate": peak, "epochs": 1, "steps_per_epoch": steps}
    train |= {"warmup_epochs": warmup_steps / steps, "plateau_factor": 0.5, "plateau_patience": 10}
    return learning_rate(
        registry.load(registry.SCHEDULES, name, "train.schedule", None), train, step, losses
    )


def reduced(losses, factor, patience):
    return plateau(0.5, losses, {"plateau_factor": factor, "plateau_patience": patience})


@pytest.mark.parametrize("schedule", registry.SCHEDULES)
def test_warm_up_rises_linearly_to_the_peak(schedule):
    rates = [rate(schedule, 0.8, step, 100, warmup_steps=4) for step in range(5)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


@pytest.mark.parametrize("schedule", ["cosine", "poly"])
def test_decaying_schedules_fall_at_every_step_and_stay_positive(schedule):
    rates = [rate(schedule, 1.0, step, 50) for step in range(50)]
    assert rates[0] == 1.0
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert 0 < rates[-1] < 0.05


def test_rates_follow_their_formulas_after_the_warm_up():
    assert rate("cosine", 1.0, 60, 100, warmup_steps=20) == pytest.approx(0.5)
    assert rate("poly", 0.01, 250, 1000) == pytest.approx(0.01 * 0.75**0.9)
    assert rate("cosine", 1.0, 9, 10, warmup_steps=10) == 1.0  # nothing but a warm-up


def test_plateau_halves_each_time_patience_runs_out():
    falling, stuck = [3.0, 2.0, 1.0], [1.0, 1.0]
    assert reduced(falling, 0.5, 2) == 1.0
    assert reduced(falling + stuck[:1], 0.5, 2) == 1.0
    assert reduced(falling + stuck, 0.5, 2) == 0.5
    assert reduced(falling + stuck + stuck, 0.5, 2) == 0.25
    assert reduced(falling + stuck + [0.5], 0.5, 2) == 0.5
    assert reduced([1.0, math.nan, math.nan], 0.1, 2) == 0.1  # NaN is no progress


def test_the_earliest_of_equal_scores_is_the_best_and_nan_is_never_best():
    assert best_epoch([math.nan, 0.2, 0.7, 0.7, math.nan]) == 2
    assert best_epoch([math.nan, math.nan]) == 0


def test_training_stops_early_when_the_best_epoch_is_patience_epochs_old():
    scores = [0.1, 0.5, 0.4, 0.3]
    assert not stops_early(scores, patience=3)
    assert stops_early([*scores, 0.2], patience=3)
    assert not stops_early([*scores, 0.6], patience=3)
    assert not stops_early([0.9, *[0.1] * 50], patience=0)
    assert not stops_early([], patience=1)
