"""Costs of a stage include its workers, and have one row in the table."""

import subprocess
import sys
import threading
import time
from unittest.mock import Mock

import pytest

from pipeline.runtime import costs
from pipeline.runtime.costs import energy_wh

BURN = "import time\nwhile time.process_time() < {}: pass\n{}"


def burn(seconds: float, then: str = "") -> list[str]:
    """A command that uses a core for some CPU seconds."""
    return [sys.executable, "-c", BURN.format(seconds, then)]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def table(tmp_path):
    return tmp_path / "metrics/costs.csv"


def only_row(table) -> dict:
    (row,) = costs.read(table)
    return row


def test_a_row_has_the_agreed_columns_and_the_peak_between_two_samples(table):
    with costs.recorded("split", table):
        held = bytearray(b"1") * 300_000_000
        del held
    assert only_row(table)["peak_memory_mb"] > 300
    columns = "stage,seconds,cpu_seconds,peak_memory_mb,energy_wh,started"
    assert table.read_text().splitlines()[0] == columns
    assert only_row(table)["stage"] == "split"
    assert only_row(table)["started"].endswith("Z")


def test_the_cpu_time_of_children_is_counted_only_within_the_block(table):
    def worker():
        process = subprocess.Popen(burn(0.3, "print(flush=True)\ninput()"), stdin=-1, stdout=-1)
        process.stdout.readline()  # its work is done, and it lives on
        return process

    before = worker()
    with costs.recorded("idle", table):
        pass
    with costs.recorded("alive", table):
        during = worker()
    for process in (before, during):
        process.communicate(b"\n")
    with costs.recorded("ended", table):
        subprocess.run(burn(0.3), check=True)
    used = {row["stage"]: row["cpu_seconds"] for row in costs.read(table)}
    assert used["idle"] < 0.2
    assert used["alive"] >= 0.25  # clocks of processes tick every 0.01 s
    assert used["ended"] >= 0.3


def test_the_memory_of_a_child_counts_with_that_of_the_process(table, monkeypatch):
    monkeypatch.setattr(costs, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(costs, "own_peak_bytes", lambda: 0)
    with costs.recorded("alone", table):
        pass
    with costs.recorded("together", table):
        code = "import time\nheld = b'1' * 200_000_000\ntime.sleep(0.3)"
        subprocess.run([sys.executable, "-c", code], check=True)
    alone, together = (row["peak_memory_mb"] for row in costs.read(table))
    assert 190 < together - alone < 400


def test_a_stage_has_one_row_and_rows_are_sorted_by_start(table, monkeypatch):
    clock = Mock()
    clock.now().strftime.side_effect = [f"2026-01-01T00:00:0{second}Z" for second in range(3)]
    monkeypatch.setattr(costs, "datetime", clock)
    for stage in ("download", "split", "download"):
        with costs.recorded(stage, table):
            pass
    assert [row["stage"] for row in costs.read(table)] == ["split", "download"]


def test_a_stage_that_fails_changes_no_table_and_leaves_no_thread(table):
    with costs.recorded("split", table):
        pass
    before, threads = table.read_bytes(), threading.active_count()
    with pytest.raises(ValueError, match="no"), costs.recorded("split", table):
        raise ValueError("no")
    assert table.read_bytes() == before
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "text", ["", "nonsense", "stage,seconds\nsplit,1\n", "stage,seconds,cpu_seconds\na,b,c\n", "\0"]
)
def test_a_file_that_is_not_the_table_is_replaced(table, text):
    table.parent.mkdir()
    table.write_text(text)
    assert costs.read(table) == []
    with costs.recorded("split", table):
        pass
    assert only_row(table)["stage"] == "split"


def energy_without_gpu(row) -> float:
    return energy_wh(row["seconds"], row["cpu_seconds"], row["peak_memory_mb"] / 1000)


def test_the_power_of_all_visible_gpus_is_part_of_the_energy(table, monkeypatch, replaced):
    replaced("nvidia-smi", '[ "$3" = --id=0,1 ] && printf "300000.0\\n600000.0\\n"')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with costs.recorded("train", table):
        time.sleep(0.2)
    row = only_row(table)
    of_gpus = row["seconds"] * 900000 / 3600
    assert row["energy_wh"] == pytest.approx(of_gpus + energy_without_gpu(row), rel=0.05)


@pytest.mark.parametrize("says", ["exit 9", "echo '[N/A]'", "echo", "exec sleep 0"])
def test_a_gpu_without_a_power_reading_is_left_out(table, monkeypatch, replaced, says):
    replaced("nvidia-smi", says)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with costs.recorded("train", table):
        pass
    row = only_row(table)
    assert row["energy_wh"] == pytest.approx(energy_without_gpu(row), abs=0.01)


def test_energy_is_the_sum_of_busy_cores_memory_and_gpus_over_time():
    assert energy_wh(3600, 3600, 0) == 12
    assert energy_wh(7200, 0, 10) == pytest.approx(2 * 10 * 0.3725)
    assert energy_wh(1800, 0, 0, 700) == 350
    parts = energy_wh(60, 90, 0), energy_wh(60, 0, 4), energy_wh(60, 0, 0, 300)
    assert energy_wh(60, 90, 4, 300) == pytest.approx(sum(parts))
