import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core.catalogue import CaseEntry, Catalogue, FileEntry
from pipeline.core.errors import InputError
from pipeline.core.folds import Split
from pipeline.core.params import SECTIONS
from pipeline.core.schema import Schema
from pipeline.runtime import programs, workspace
from pipeline.runtime.tracking import (
    datasets,
    description,
    kept,
    logged_model,
    metrics,
    parts,
    reproduction,
    store,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TAGS = {"data_hash": "d" * 64, "code_hash": "c" * 64, "keras_backend": "tensorflow"}
EPOCHS = [
    {"epoch": 1, "loss": 0.9, "val_dice_ET": float("nan")},
    {"epoch": 2, "loss": 0.5, "val_dice_ET": 0.25},
]
CASES = """case,kind,name,dice,reference_ml
A,region,WT,0.9,30.0
A,region,ET,0.7,5.0
A,label,edema,0.1,20.0
B,region,WT,0.0,1.0
B,region,ET,,0.0
"""
PROCESS = "import os, signal\nfrom tests.runtime.test_tracking import *\n"


@pytest.fixture
def clone(tmp_path, tables, monkeypatch):
    """The root of a clone as the current folder, with a space in its name."""
    root = tmp_path / "a clone"
    (root / ".dvc").mkdir(parents=True)
    shutil.copyfile(tables, root / "mlflow.db")
    monkeypatch.chdir(root)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    write_params(overlap=0.5)
    for name in ("network.keras", "card.json", "inference.json", "report.html"):
        Path(name).write_text(f"content of {name}")
    Path("cases.csv").write_text(CASES)
    Path("history.csv").write_text("epoch,loss,val_dice_ET\n1,0.9,\n2,0.5,0.25\n")
    write_scores(0.8)
    Path("figures").mkdir()
    Path("figures/curves.png").write_text("a picture")
    return root


def write_params(**evaluate):
    values = {name: {} for name in SECTIONS} | {
        "network": {"filters": 8, "normalization": "instance"},
        "evaluate": evaluate,
    }
    Path("params.yaml").write_text(json.dumps(values))


def write_scores(dice):
    regions = {"ET": {"dice": {"mean": dice, "sd": 0.1}}}
    scores = {"region": regions, "cases": 2, "cohort": "phantom", "held_out_loss": 0.25}
    scores["mean_region_dice"] = {"value": dice, "low": 0.6, "high": 0.95}
    Path("evaluate.json").write_text(json.dumps(scores))


MODEL = parts.model_part(Path("network.keras"), Path("card.json"), Path("history.csv"))
EVALUATION = parts.evaluation_part(
    Path("evaluate.json"), Path("cases.csv"), inference=Path("inference.json")
)
REPORT = parts.report_part(Path("report.html"), Path("figures"))
DATA = datasets.Data(
    "phantom",
    (
        datasets.CohortPart("train", "1f2e3d4c", cases=15, patients=14),
        datasets.CohortPart("test", "5b6a7988", cases=5, patients=5),
    ),
)


ALL_EPOCHS = [(1, 0.9), (2, 0.5)]


def train(epochs=EPOCHS, past=()):
    with reproduction.run(TAGS, DATA, MODEL, past=past) as run:
        for record in epochs:
            run.log_epoch(record | {"seconds": 2.5})
    return run.id


def evaluate():
    with reproduction.run(TAGS, DATA, MODEL, EVALUATION) as run:
        run.log_case(0, {"seconds": 1.5})
    return run.id


def visualize():
    with reproduction.run(TAGS, DATA, MODEL, EVALUATION, REPORT) as run:
        pass
    return run.id


def client():
    return store.opened()[0]


def all_runs():
    opened, experiment_id = store.opened()
    return opened.search_runs([experiment_id])


def points(run_id, name):
    return [(point.step, point.value) for point in client().get_metric_history(run_id, name)]


def artifacts(run_id):
    opened = client()
    folders = [item.path for item in opened.list_artifacts(run_id)]
    listed = [item.path for name in folders for item in opened.list_artifacts(run_id, name)]
    model = {f"model/{name}" for name in logged_model.files_of(opened, run_id)}
    return sorted({*listed, *model} - DESCRIPTION)


def kept_network(run_id):
    with tempfile.TemporaryDirectory() as folder:
        model = logged_model.download(client(), run_id, Path(folder))
        return (model / "network.keras").read_text()


def fail(*parts):
    """A stage that logs one epoch and fails; the id of its run."""
    with suppress(RuntimeError), reproduction.run(TAGS, DATA, *parts) as run:
        run.log_epoch(EPOCHS[0])
        raise RuntimeError
    return run.id


def start(code, folder=None, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS + code],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=folder,
    )


def workspace_of_queue(clone, name):
    """A copy of the clone without its store, as DVC makes one for a queued experiment."""
    folder = clone / ".dvc/tmp/exps" / name
    left_out = shutil.ignore_patterns("mlartifacts", "mlflow*", ".dvc")
    shutil.copytree(clone, folder, ignore=left_out)
    (folder / ".dvc").mkdir()
    return folder


DESCRIPTION = {
    *("model/MLmodel", "model/conda.yaml", "model/python_env.yaml", "model/requirements.txt"),
    *("model/input_example.json", "model/serving_input_example.json"),
}
PARTS = {
    "evaluation": ["cases.csv", "evaluate.json"],
    "model": ["card.json", "history.csv", "inference.json", "network.keras"],
    "report": ["figures", "report.html"],
}
COMPLETE = [f"{part}/{name}" for part, names in PARTS.items() for name in names]


TRAINED = ["model/card.json", "model/history.csv", "model/network.keras"]


def test_the_three_stages_of_one_reproduction_share_one_complete_run(clone):
    ids = {train(), evaluate(), visualize()}
    (run,) = all_runs()
    assert ids == {run.info.run_id}
    assert run.info.status == "FINISHED"
    network = {"network.filters": "8", "network.normalization": "instance"}
    assert run.data.params == network | {"evaluate.overlap": "0.5"}
    assert points(run.info.run_id, "loss") == ALL_EPOCHS
    assert points(run.info.run_id, "validation/dice_ET") == [(2, 0.25)]
    assert run.data.metrics["region/ET/dice"] == 0.8
    assert run.data.metrics["case/seconds"] == 1.5
    assert artifacts(run.info.run_id) == COMPLETE
    assert kept_network(run.info.run_id) == "content of network.keras"
    assert run.data.tags | TAGS | {"dvc_exp_name": "", "workspace": str(clone)} == run.data.tags


def test_a_training_continues_its_run_only_from_a_checkpoint_and_a_forced_one_is_another(clone):
    first = train(EPOCHS[1:], past=EPOCHS[:1])
    assert points(first, "loss") == ALL_EPOCHS, "missing epochs before a checkpoint are logged"
    assert train([], past=EPOCHS) == evaluate() == first
    second = train()
    assert second != first
    assert evaluate() == second
    assert points(second, "loss") == ALL_EPOCHS


def test_another_evaluation_or_report_of_a_cached_model_makes_another_complete_run(clone):
    first = train()
    evaluate()
    visualize()
    write_params(overlap=0.75)
    write_scores(0.9)
    second = evaluate()
    assert visualize() == second != first
    run = client().get_run(second)
    assert run.data.params["evaluate.overlap"] == "0.75"
    assert run.data.metrics["region/ET/dice"] == 0.9
    assert points(second, "loss") == ALL_EPOCHS
    assert artifacts(second) == COMPLETE
    assert client().get_run(first).data.metrics["region/ET/dice"] == 0.8
    assert len(all_runs()) == 2
    third = visualize()
    assert third not in (first, second)
    assert client().get_run(third).data.metrics["region/ET/dice"] == 0.9
    assert points(third, "loss") == ALL_EPOCHS
    assert artifacts(third) == COMPLETE


def test_a_killed_training_continues_its_run_without_duplicates(clone):
    process = start("""
with reproduction.run(TAGS, DATA, MODEL) as run:
    run.log_epoch(EPOCHS[0])
    run.log_epoch(EPOCHS[1])
    os.kill(os.getpid(), signal.SIGKILL)
""")
    assert process.wait() == -9
    (killed,) = all_runs()
    assert killed.info.status == "RUNNING"
    # the second epoch had been logged, but is in no checkpoint
    assert train(EPOCHS[1:], past=EPOCHS[:1]) == killed.info.run_id
    assert points(killed.info.run_id, "loss") == ALL_EPOCHS
    assert client().get_run(killed.info.run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    "parts",
    [(MODEL,), (MODEL, EVALUATION), (MODEL, EVALUATION, REPORT)],
    ids=["train", "evaluate", "visualize"],
)
def test_a_stage_that_failed_continues_its_run(clone, parts):
    broken = fail(*parts)
    assert client().get_run(broken).info.status == "FAILED"
    assert {1: train, 2: evaluate, 3: visualize}[len(parts)]() == broken
    assert client().get_run(broken).info.status == "FINISHED"
    assert points(broken, "loss") == ALL_EPOCHS
    assert len(all_runs()) == 1


def test_a_run_that_failed_while_the_model_was_added_is_completed(clone):
    Path("card.json").rename("elsewhere")
    with pytest.raises(Exception, match=r"card\.json"):
        evaluate()
    Path("elsewhere").rename("card.json")
    assert artifacts(evaluate()) == COMPLETE[:6]
    assert len(all_runs()) == 1


def test_an_abandoned_run_of_this_workspace_does_not_stay_running(clone):
    abandoned = fail(MODEL)
    client().update_run(abandoned, status="RUNNING")
    write_params(overlap=0.75)
    assert train() != abandoned
    assert client().get_run(abandoned).info.status == "KILLED"


def test_another_dvc_experiment_is_another_run(clone, monkeypatch):
    first = train()
    monkeypatch.setenv("DVC_EXP_NAME", "pious-wave")
    second = evaluate()
    assert second != first
    assert client().get_run(second).info.run_name == "phantom (pious-wave)"


def test_a_queued_experiment_logs_to_the_store_of_the_clone_and_changes_no_other_run(
    clone, monkeypatch
):
    first = train()
    client().update_run(first, status="RUNNING")
    monkeypatch.setenv("DVC_ROOT", str(clone))
    folder = workspace_of_queue(clone, "tmp1")
    monkeypatch.chdir(folder)
    second = evaluate()
    assert second != first
    assert client().get_run(first).info.status == "RUNNING"
    assert not list(folder.glob("ml*"))
    assert kept_network(second) == "content of network.keras"


def test_the_store_of_the_environment_variable_is_used_and_the_random_state_left_alone(
    clone, tables, tmp_path, monkeypatch
):
    other = tmp_path / "other.db"
    shutil.copyfile(tables, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    random.seed(5)
    expected = random.getstate()
    train()
    assert random.getstate() == expected
    assert kept.runs_kept() == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert kept.runs_kept() == 0


def test_two_runs_starting_at_once_on_a_fresh_store_both_succeed(clone):
    Path("mlflow.db").unlink()
    processes = [
        start(
            "train()",
            workspace_of_queue(clone, f"tmp{number}"),
            DVC_ROOT=str(clone),
            DVC_EXP_NAME=f"at-once-{number}",
        )
        for number in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    runs = all_runs()
    assert sorted(run.info.run_name for run in runs) == [
        f"phantom (at-once-{number})" for number in range(2)
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all(points(run.info.run_id, "loss") == ALL_EPOCHS for run in runs)


def test_many_metrics_and_params_are_logged_in_full_under_names_that_mlflow_accepts(clone):
    write_params(**{f"key_{number}": number for number in range(150)})
    with reproduction.run(TAGS, DATA, MODEL) as run:
        scores = {f"score_{number}": number for number in range(1100)}
        run.log_metrics(scores | {"dice (ET), best": 1.0})
    data = client().get_run(run.id).data
    assert data.params["evaluate.key_149"] == "149"
    assert data.metrics["evaluation/score_1099"] == 1099
    assert data.metrics["evaluation/dice _ET__ best"] == 1.0


def test_a_broken_store_is_reported_with_a_remedy_and_without_its_password(clone, monkeypatch):
    Path("mlflow.db").write_text("not a database")
    with pytest.raises(InputError, match=r"mlflow\.db: cannot be opened(.|\n)*MLFLOW_TRACKING_URI"):
        train()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@nowhere/runs")
    assert store.shown() == "postgresql://***@nowhere/runs"


AWKWARD = "a?b%20c d#e%f ä@g&h=i;j"


def move(clone, name):
    """The clone in a folder whose name has special characters of URLs, as the current folder."""
    place = clone.parent / "beside" / name
    place.parent.mkdir()
    clone.rename(place)
    os.chdir(place)
    return place


@pytest.mark.parametrize("fresh", [False, True])
def test_a_clone_in_a_folder_of_any_name_keeps_store_and_artifacts_in_it(clone, fresh):
    awkward = move(clone, AWKWARD)
    if fresh:
        Path("mlflow.db").unlink()
        assert kept.runs_kept() is None
        assert not Path("mlflow.db").exists()
    run_id = train()
    assert kept.runs_kept() == 1
    assert points(run_id, "loss") == ALL_EPOCHS
    assert artifacts(run_id) == TRAINED
    assert kept_network(run_id) == "content of network.keras"
    assert store.shown() == str(awkward / "mlflow.db")
    assert list(awkward.parent.iterdir()) == [awkward]


def test_a_folder_in_which_mlflow_cannot_create_a_store_is_rejected_with_a_remedy(clone):
    awkward = move(clone, "a'b\"c")
    Path("mlflow.db").unlink()
    remedy = r"cannot be opened(.|\n)*move the clone if its path has quotes"
    with pytest.raises(InputError, match=remedy) as fault:
        train()
    assert str(awkward / "mlflow.db") in str(fault.value)


def test_make_ui_opens_the_store_that_the_stages_write_to(clone, monkeypatch):
    move(clone, AWKWARD)
    recipe = (ROOT / "Makefile").read_text().split("--backend-store-uri ")[1].splitlines()[0]
    command = ["sh", "-c", f"printf %s {recipe.replace('$$', '$')}"]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for address in (store.address(), "http://127.0.0.1:9"):
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert said == store.address() == address
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


def test_a_commit_and_changes_of_code_or_params_are_tagged(clone):
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    Path("dvc.lock").write_text("written by DVC between the stages")
    tags = client().get_run(train()).data.tags
    commit = programs.git(clone, "rev-parse", "HEAD")
    assert commit
    assert (tags["git_commit"], tags["git_changed"]) == (commit, "false")
    Path("data").mkdir()
    os.chdir("data")
    assert workspace.root() == clone
    os.chdir(clone)
    write_params(overlap=0.25)
    assert client().get_run(train()).data.tags["git_changed"] == "true"


def test_importing_tracking_does_not_load_mlflow():
    code = "import sys, pipeline.runtime.tracking.reproduction; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_nested_runs_are_continued_by_their_name_and_end_with_what_ended_them(clone):
    with reproduction.run(TAGS, DATA, MODEL) as run:
        with run.child("fold 0") as fold:
            fold.log_epoch({"epoch": 1, "loss": 0.5})
        with suppress(KeyboardInterrupt), run.child("fold 1") as killed:
            killed.log_epoch({"epoch": 1, "loss": 0.4})
            raise KeyboardInterrupt
        assert client().get_run(killed.id).info.status == "KILLED"
        with run.child("fold 1") as again:
            again.log_epoch({"epoch": 1, "loss": 9.0})
            again.log_epoch({"epoch": 2, "loss": 0.3})
    assert again.id == killed.id
    assert points(again.id, "loss") == [(1, 0.4), (2, 0.3)]
    nested = [each for each in all_runs() if each.data.tags.get("mlflow.parentRunId") == run.id]
    assert sorted(each.info.run_name for each in nested) == ["fold 0", "fold 1"]
    assert {each.info.status for each in nested} == {"FINISHED"}
    with reproduction.run(TAGS, DATA, MODEL, EVALUATION) as evaluated:
        pass
    assert evaluated.id == run.id, "a nested run is not taken for that of a reproduction"


def test_the_parts_of_the_cohort_are_datasets_without_patients_and_paths(clone):
    run_id = train()
    assert evaluate() == run_id
    inputs = client().get_run(run_id).inputs.dataset_inputs
    logged = {each.dataset.name: (each.dataset, each.tags[0].value) for each in inputs}
    assert len(inputs) == len(logged) == 2
    dataset, context = logged["phantom train"]
    assert (dataset.digest, context) == ("1f2e3d4c", "training")
    assert json.loads(dataset.profile) == {"cases": 15, "patients": 14}
    assert json.loads(dataset.source) == {"cohort": "phantom"}
    assert logged["phantom test"][1] == "testing"


def test_the_number_of_corrected_cases_and_their_networks_are_tags(clone):
    corrected = replace(DATA, corrected={"0123456789abcdef": 2, "": 1})
    with reproduction.run(TAGS, corrected, MODEL) as run:
        pass
    tags = client().get_run(run.id).data.tags
    assert (tags["corrected_cases"], tags["corrected_from"]) == ("3", "0123456789abcdef")
    with reproduction.run(TAGS | {"data_hash": "other"}, DATA, MODEL) as plain:
        pass
    assert "corrected_cases" not in client().get_run(plain.id).data.tags


def catalogue_of(**content):
    """A catalogue of cases, whose image has the given hash of its content."""
    of_image = {"dtype": "int16", "minimum": 0, "maximum": 9, "origin_sha256": None}
    return Catalogue.model_construct(
        cohort=Schema.model_construct(cohort="phantom"),
        cases=tuple(
            CaseEntry.model_construct(
                case=case,
                images={
                    "t1c": FileEntry(path=f"{case}.nii", sha256="-", content_sha256=of, **of_image)
                },
                labels=None,
                attributes={},
            )
            for case, of in content.items()
        ),
    )


def test_the_digest_of_a_part_follows_its_cases_and_their_voxels():
    split = Split(
        train=("a", "b"), val=(), test=("c",), folds=(), patients={"a": "p", "b": "p", "c": "q"}
    )
    data = datasets.data_of(catalogue_of(a="1", b="2", c="3"), split)
    assert [(part.part, part.cases, part.patients) for part in data.parts] == [
        ("train", 2, 1),
        ("test", 1, 1),
    ]
    assert datasets.data_of(catalogue_of(c="3", b="2", a="1"), split) == data
    other = datasets.data_of(catalogue_of(a="1", b="9", c="3"), split)
    assert other.parts[1] == data.parts[1]
    assert other.parts[0].digest != data.parts[0].digest


def test_metrics_without_a_group_are_those_of_the_headline(clone):
    run_id = train([*EPOCHS[:1], EPOCHS[1] | {"val_loss": 0.6, "waiting": 0.1}])
    evaluate()
    found = client().get_run(run_id).data.metrics
    headline = {"epoch", "loss", "val_loss", "held_out_loss", "mean_region_dice", "dice_ET"}
    headline |= {"worst_dice", "missed_tumours"}
    assert {name for name in found if "/" not in name} == headline
    assert (found["worst_dice"], found["missed_tumours"]) == (0, 1)
    assert found["time/waiting"] == 0.1
    assert found["evaluation/cases"] == 2
    assert found["evaluation/mean_region_dice/low"] == 0.6


def test_metrics_of_folds_and_of_users_are_in_groups(clone):
    run_id = train([{"epoch": 1, "loss": 0.9, "fold_0_val_dice": 0.7, "gradient_norm": 3.0}])
    found = client().get_run(run_id).data.metrics
    assert (found["fold_0/val_dice"], found["training/gradient_norm"]) == (0.7, 3)


def test_the_scores_of_the_headline_are_those_of_the_logged_model_too(clone):
    run_id = train()
    evaluate()
    opened = client()
    model = opened.get_logged_model(logged_model.model_of(opened, run_id))
    [mean] = [metric for metric in model.metrics if metric.key == "mean_region_dice"]
    assert (mean.value, mean.dataset_name, mean.dataset_digest) == (0.8, "phantom test", "5b6a7988")
    assert (model.name, model.source_run_id, model.status) == ("model", run_id, "READY")


def committed(**evaluate):
    """Commit params.yaml, and return the commit."""
    write_params(**evaluate)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    return programs.git(Path.cwd(), "rev-parse", "HEAD")


def test_the_name_and_the_description_say_what_changed_how_well_it_went_and_how_to_repeat_it(
    clone, monkeypatch
):
    commit = committed(overlap=0.5, mirror=True)
    first = client().get_run(train())
    assert re.fullmatch(r"phantom \d{4}-\d\d-\d\d \d\d:\d\d", first.info.run_name)
    assert "Trained on phantom; not evaluated yet." in first.data.tags["mlflow.note.content"]
    monkeypatch.setenv("DVC_EXP_NAME", "quiet-owl")
    write_params(overlap=0.75, mirror=True)
    run_id = train()
    evaluate()
    second = client().get_run(run_id)
    assert second.info.run_name == "phantom evaluate.overlap=0.75 (quiet-owl)"
    note = second.data.tags["mlflow.note.content"]
    assert "**Mean region Dice 0.800** (95 % interval 0.600 to 0.950) on the test part" in note
    assert "ET 0.800. Worst case: B, 0.000. Missed tumours: 1." in note
    assert f"run before, {first.info.run_name}:\n\n- `evaluate.overlap: 0.5 -> 0.75`" in note
    assert f"git checkout {commit} && dvc exp run -S evaluate.overlap=0.75" in note
    assert kept.evaluation_table("quiet-owl").read_text() == CASES


def test_a_verdict_on_too_few_cases_for_an_interval_has_none():
    scores = {"mean_region_dice": {"value": 0.5, "low": None, "high": None}, "cases": 1}
    headline, worst = metrics.verdict(scores | {"region": {"ET": {"dice": {"mean": None}}}}, [])
    assert (headline, worst) == ({"mean_region_dice": 0.5}, "")
    origin = description.Origin("phantom", [], "dvc repro", "")
    note = description.note(origin, None, scores, headline, worst)
    assert note.startswith("**Mean region Dice 0.500** on the test part of phantom, cases: 1.")


def test_a_name_counts_many_changed_params_and_a_description_lists_the_first(clone):
    committed(**{f"key_{number:03}": 0 for number in range(500)})
    write_params(**{f"key_{number:03}": 1 for number in range(500)})
    run = client().get_run(train())
    assert run.info.run_name.startswith("phantom 500 params changed 2")
    note = run.data.tags["mlflow.note.content"]
    assert "- `evaluate.key_029=1`\n- and 470 more\n" in note


def test_system_metrics_are_logged_by_stage_even_of_a_short_one(clone):
    with reproduction.run(TAGS, DATA, MODEL) as run:
        time.sleep(2.5)
    with reproduction.run(TAGS, DATA, MODEL, EVALUATION):
        time.sleep(1.2)
    found = client().get_run(run.id).data.metrics
    assert 0 <= found["system/train/cpu_utilization_percentage"] <= 100
    assert found["system/evaluate/system_memory_usage_megabytes"] > 0
    assert len(points(run.id, "system/train/cpu_utilization_percentage")) >= 2


def test_a_monitor_that_cannot_start_does_not_stop_a_stage(clone, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.system_metrics.system_metrics_monitor", None)
    assert points(train(), "loss") == ALL_EPOCHS


def test_a_run_that_an_earlier_version_trained_is_evaluated_on(clone, tmp_path):
    opened, experiment_id = store.opened()
    tags = TAGS | MODEL.tag() | reproduction._shared(json.loads(Path("params.yaml").read_text()))
    old = opened.create_run(experiment_id, tags=tags, run_name="repro 2026-01-01").info.run_id
    for file in MODEL.files:
        opened.log_artifact(old, str(file), "model")
    assert evaluate() == old
    assert artifacts(old) == COMPLETE[:6]
    assert (kept.model_files(old, tmp_path) / "inference.json").is_file()
    assert kept.evaluation_table("repro 2026-01-01").read_text() == CASES


def test_the_experiment_carries_the_columns_that_the_printed_address_shows(clone):
    opened, experiment_id = store.opened()
    opened.set_experiment_tag(experiment_id, "mlflow.sharedViewState.tumorflow", "older")
    command = [sys.executable, "-m", "pipeline.runtime.tracking.view", "--port", "5001"]
    said = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ).stdout
    address = f"http://127.0.0.1:5001/#/experiments/{experiment_id}/runs?"
    assert said.startswith(f"training runs: {address}workflowType=machine_learning&")
    key = said.strip().rpartition("viewStateShareKey=")[2]
    shown = json.loads(opened.get_experiment(experiment_id).tags[f"mlflow.sharedViewState.{key}"])
    assert "metrics.`mean_region_dice`" in shown["selectedColumns"]
