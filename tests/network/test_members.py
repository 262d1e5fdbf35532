"""What is written of the trainings of several networks."""

import math

import pytest

from pipeline.network import members


def record(epoch: int, loss: float, dice: float) -> dict:
    return {"epoch": epoch, "learning_rate": 0.1, "loss": loss, "val_loss": loss, "val_dice": dice}


ONE = [record(1, 3.0, 0.2), record(2, 1.0, math.nan), record(3, 2.0, 0.4)]
OTHER = [record(1, 5.0, 0.6), record(2, 4.0, 0.5)]


def test_the_history_of_one_network_is_its_own_and_of_several_the_mean_of_each_epoch():
    assert members.rows_of([ONE]) is ONE
    first, second, third = members.rows_of([ONE, OTHER])
    assert (first["epoch"], first["loss"], first["val_dice"]) == (1, 4.0, pytest.approx(0.4))
    assert (first["fold_0_loss"], first["fold_1_val_dice"]) == (3.0, 0.6)
    assert (second["loss"], second["val_dice"]) == (2.5, 0.5)
    assert (third["epoch"], third["loss"], third["fold_0_loss"]) == (3, 2.0, 2.0)
    assert math.isnan(third["fold_1_loss"]), "it had ended"


def test_the_best_epochs_of_several_networks_are_summarised_by_their_means():
    alone = members.summary_of([OTHER])
    assert (alone["epochs"], alone["best_epoch"], alone["best"]) == (2, 1, OTHER[0])
    both = members.summary_of([ONE, OTHER])
    assert both["epochs"] == 3
    assert both["best"]["val_dice"] == pytest.approx(0.5)
    assert both["best"]["loss"] == 3.5
    assert both["fold_1"] == alone


def test_the_entry_of_a_network_names_its_best_epoch():
    entry = members.described(["a", "b"], ["c"], ONE)
    assert (entry.trained_on, entry.validated_on) == (("a", "b"), ("c",))
    assert (entry.best_epoch, entry.val_dice) == (3, 0.4)
    assert members.described(["a"], ["c"], [record(1, 1.0, math.nan)]).val_dice is None
