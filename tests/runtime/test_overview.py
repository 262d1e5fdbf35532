"""The last runs of a store, which is only read."""

import shutil

import pytest

from pipeline.core.records import sha256
from pipeline.runtime.tracking import overview, store, view


@pytest.fixture
def client(tmp_path, tables, monkeypatch):
    for name in ("DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    shutil.copyfile(tables, tmp_path / "mlflow.db")
    from mlflow import MlflowClient

    return MlflowClient(store.address())


def test_a_project_without_a_store_or_without_our_runs_has_no_overview(client, tmp_path):
    assert overview.latest(5) is None
    (tmp_path / "mlflow.db").unlink()
    assert overview.latest(5) is None
    assert not (tmp_path / "mlflow.db").exists()


def test_runs_come_newest_first_with_scores_and_what_changed(client, tmp_path):
    experiment = client.create_experiment(store.EXPERIMENT, (tmp_path / "artifacts").as_uri())
    for number, rate in enumerate(("0.001", "0.01")):
        tags = {"git_commit": f"{number}" * 40, "evaluation_sha256": "e" * 64}
        started = 1_795_834_993_000 + number
        run = client.create_run(experiment, started, tags, f"run {number}").info.run_id
        client.log_param(run, "train.learning_rate", rate)
        client.log_param(run, "cohort.source", "brats")
        for name, value in (
            ("mean_region_dice", 0.8 + number / 10),
            ("evaluation/mean_region_dice/low", 0.7),
            ("evaluation/mean_region_dice/high", 0.95),
            ("region/WT/dice", 0.9),
            ("region/WT/iou", 0.8),
            ("region/ET/dice", float("nan")),
        ):
            client.log_metric(run, name, value)
        client.set_terminated(run)
    client.create_run(experiment, 1_795_834_999_000, {"mlflow.parentRunId": run}, "fold 0")
    before = sha256(tmp_path / "mlflow.db")
    found = overview.latest(5)
    assert sha256(tmp_path / "mlflow.db") == before
    assert found.path == view.path(experiment)
    newest, first = found.runs
    assert (newest.name, newest.status, newest.cohort) == ("run 1", "FINISHED", "brats")
    assert newest.started == "2026-11-28T03:03:13.001000+00:00"
    assert (newest.mean, newest.low, newest.high) == (0.9, 0.7, 0.95)
    assert newest.dice == {"WT": 0.9}
    assert newest.commit == "1" * 40
    assert newest.changed == (("train.learning_rate", "0.001", "0.01"),)
    assert first.changed == ()
    assert [run.name for run in overview.latest(1).runs] == ["run 1"]
    assert overview.latest(1).runs[0].changed
