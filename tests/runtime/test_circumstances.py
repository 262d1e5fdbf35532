import re

from pipeline.core.records import write_csv
from pipeline.runtime.circumstances import circumstances
from pipeline.runtime.costs import COLUMNS


def test_date_experiment_run_host_and_the_time_of_earlier_stages_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_EXP_NAME", "wide-net")
    rows = [
        dict.fromkeys(COLUMNS, 1.0) | {"stage": stage, "seconds": 61.7, "started": "2026"}
        for stage in ("train", "evaluate", "visualize")
    ]
    write_csv(tmp_path / "metrics/costs.csv", rows)
    date, experiment, run, host, seconds = circumstances("0f1e")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", date)
    assert (experiment, run) == ("DVC experiment wide-net", "MLflow run 0f1e")
    assert host.startswith("host ")
    assert seconds == "train 62 s, evaluate 62 s"


def test_what_is_unknown_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    assert len(circumstances("0f1e")) == 3
