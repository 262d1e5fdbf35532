"""The line of an epoch, and the table that grows with every epoch."""

import logging
from math import nan

import pytest

from pipeline.core.records import write_csv
from pipeline.network import epoch_log, members


def record(epoch: int, loss: float, dice: float) -> dict[str, float]:
    return {"epoch": epoch, "loss": loss, "val_loss": 2 * loss, "val_dice": dice}


def test_a_line_says_the_scores_of_the_last_epoch_and_the_best_so_far():
    history = [record(1, 0.5, 0.25), record(2, 0.375, 0.75), record(3, 0.25, 0.5)]
    expected = "epoch  3/12  loss 0.2500  val_loss 0.5000  val_dice 0.5000"
    assert epoch_log.line(history, 12) == f"{expected}  best 0.7500 in epoch 2"


def test_without_a_region_the_best_epoch_is_that_of_the_smallest_loss():
    line = epoch_log.line([record(1, 0.25, nan), record(2, 0.5, nan)], 2)
    assert line.endswith("best val_loss 0.5000 in epoch 1")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (9e4, "25.0 h")],
)
def test_a_duration_has_the_unit_in_which_it_is_read(seconds, text):
    assert epoch_log.duration(seconds) == text


def test_the_time_left_counts_all_folds_and_forgets_how_long_the_compilation_took(caplog, tmp_path):
    caplog.set_level(logging.INFO, epoch_log.__name__)
    epochs = epoch_log.EpochLog(tmp_path / "history.csv", 3, 0, networks=2)
    for number in range(2):
        for epoch, seconds in enumerate((100.0, 10.0, 12.0), 1):
            epochs.add(number, record(epoch, 0.5, 0.5), {"seconds": seconds})
    lefts = [message.partition("epoch")[::2] for message in caplog.messages]
    assert [fold for fold, _ in lefts] == ["fold 0  "] * 3 + ["fold 1  "] * 3
    ends = [rest.rpartition("  ")[2] for _, rest in lefts]
    *left, last = ends
    assert left == ["8 min left", "40 s left", "36 s left", "24 s left", "12 s left"]
    assert last == "best 0.5000 in epoch 1"


def test_a_training_that_may_end_early_takes_at_most_that_long(caplog):
    caplog.set_level(logging.INFO, epoch_log.__name__)
    epochs = epoch_log.EpochLog(None, 3, 5, networks=1)
    epochs.add(0, record(1, 0.5, 0.5), {"seconds": 10.0})
    assert caplog.messages[0].endswith("  at most 20 s left")


def test_the_table_has_the_bytes_of_all_epochs_so_far_and_is_silent_on_those_before_a_resumption(
    tmp_path, caplog
):
    caplog.set_level(logging.INFO, epoch_log.__name__)
    table, expected = tmp_path / "history.csv", tmp_path / "expected.csv"
    epochs = epoch_log.EpochLog(table, 2, 0, networks=2)
    histories = [[], []]
    for number, one in [(0, record(1, 0.5, 0.5)), (0, record(2, 0.3, nan)), (1, record(1, 0.2, 1))]:
        epochs.add(number, one, {})
        histories[number].append(one)
        write_csv(expected, members.rows_of(histories))
        assert table.read_bytes() == expected.read_bytes()
    assert (
        expected.read_text().splitlines()[0].endswith("fold_1_loss,fold_1_val_loss,fold_1_val_dice")
    )
    assert not caplog.messages
