import json

import pytest

from pipeline.core.errors import InputError
from pipeline.core.params import value
from pipeline.network.params import NetworkParams
from pipeline.network.train_params import TrainParams
from pipeline.network.trial import Timing, Trial
from pipeline.planning import timer
from pipeline.planning.timer import MeasuredTimer, measured_in_a_process, rounded
from tests.planning.conftest import GLIOMA, LAPTOP, PARAMS, ROOT


def tiny(**network) -> Trial:
    """Steps of a network small enough for a test."""
    path = ROOT / "params.yaml"
    smaller = {"depth": 2, "filters": 2, **network}
    train = {"patch": [16, 16], "batch_size": 2, "precision": "float32"}
    return Trial(
        network=value({"network": PARAMS["network"] | smaller}, "network", NetworkParams, path),
        train=value({"train": PARAMS["train"] | train}, "train", TrainParams, path),
        cohort=GLIOMA,
        shape=(24, 22, 20),
        spacing_mm=(1.0, 1.0, 1.0),
        code="pipeline/__init__.py",
    )


@pytest.mark.slow
def test_real_steps_are_timed_in_a_process_of_their_own_and_remembered(tmp_path):
    said = []
    table = tmp_path / "cache/timings.json"
    first = MeasuredTimer(table, LAPTOP, False, said.append)(tiny())
    assert 0 < first.step_s < 10
    assert 0.1 < first.peak_gb < 8
    assert first == rounded(first)
    assert said == ["2 patches of 16 x 16 voxels, 2 levels from 2 filters, plain, float32"]
    assert MeasuredTimer(table, LAPTOP, False, said.append)(tiny()) == first
    assert len(said) == 1


def test_the_table_is_of_one_machine_and_one_trial(tmp_path, monkeypatch):
    measured = iter(range(1, 9))
    monkeypatch.setattr(
        timer,
        "measured_in_a_process",
        lambda _: Timing(first_s=1.0, step_s=float(next(measured)), batch_s=1.0, peak_gb=1.0),
    )
    table, other = tmp_path / "timings.json", LAPTOP.model_copy(update={"cores": 3})

    def step_s(machine, trial, again=False):
        return MeasuredTimer(table, machine, again, lambda text: None)(trial).step_s

    assert [step_s(LAPTOP, tiny()), step_s(LAPTOP, tiny())] == [1.0, 1.0]
    assert step_s(other, tiny()) == 2.0
    assert step_s(LAPTOP, tiny(filters=4)) > 2.0
    assert step_s(LAPTOP, tiny(), again=True) == 4.0
    assert [step_s(LAPTOP, tiny()), step_s(other, tiny())] == [4.0, 2.0]
    table.write_text("no table")
    assert step_s(LAPTOP, tiny()) > 4.0
    assert len(json.loads(table.read_text())) == 1


def test_noise_below_a_fifth_rarely_changes_a_rounded_timing_and_it_never_gets_shorter():
    for seconds in (0.0123, 0.5, 0.51, 7.7):
        found = rounded(Timing(first_s=0.0, step_s=seconds, batch_s=seconds, peak_gb=1.0))
        assert seconds * 0.999 <= found.step_s < 1.2 * seconds
        assert rounded(found) == found


def test_a_trial_that_fails_for_another_reason_than_memory_is_an_error(monkeypatch):
    monkeypatch.setattr(timer, "_MODULE", "pipeline.nothing")
    with pytest.raises(InputError, match=r"cannot be timed: .*pipeline.nothing.*\n.*doctor"):
        measured_in_a_process(tiny())


def test_a_trial_that_is_killed_does_not_fit(tmp_path, monkeypatch):
    (tmp_path / "killed.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    (tmp_path / "full.py").write_text("raise MemoryError\n")
    monkeypatch.chdir(tmp_path)
    for name in ("killed", "full"):
        monkeypatch.setattr(timer, "_MODULE", name)
        assert measured_in_a_process(tiny()) is None
