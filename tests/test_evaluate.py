"""The stage `evaluate` with predictions that were kept: the same bytes, without the network."""

import json
import re
import shutil

import grimp
import numpy as np
import pytest

from pipeline import evaluate
from pipeline.core.errors import InputError
from pipeline.core.records import read_table
from pipeline.quality.known import read_known
from tests import project

pytestmark = pytest.mark.slow

OUTS = ("metrics/cases.csv", "metrics/evaluate.json", "metrics/headline.json")
EVERYTHING = {
    "evaluate.choose": ["thresholds", "min_component_ml", "temperature"],
    "evaluate.score_validation": True,
    "evaluate.missing_modalities": [["t1c"], ["t2f", "t1n"]],
}

UNSEEN = 4
"""Images that are predicted: two test and two validation cases."""


def outs(folder):
    """Name and bytes of every out of the stage."""
    files = [folder / name for name in (*OUTS, "models/inference.json")]
    files += sorted((folder / "metrics/predictions").rglob("*.nii.gz"))
    files += sorted((folder / "metrics/tables").iterdir())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def evaluated(folder, caplog, **changes):
    """The outs with changed params, and how many images were predicted and kept from before."""
    project.write_params(folder, project.SMALL | changes)
    caplog.clear()
    project.run(folder, "evaluate")
    (counts,) = re.findall(r"(\d+) made, (\d+) kept from before", caplog.text)
    return outs(folder), *map(int, counts)


@pytest.fixture
def own_place(copy, monkeypatch, caplog):
    """The finished project with data/probabilities of its own, empty."""
    monkeypatch.setenv("DVC_ROOT", str(copy))
    shutil.rmtree(copy / "data/probabilities")
    caplog.set_level("INFO")
    return copy


def test_another_threshold_gives_the_bytes_of_a_fresh_clone_without_the_network(
    own_place, caplog, monkeypatch
):
    before, predicted, kept = evaluated(own_place, caplog)
    assert (predicted, kept) == (UNSEEN, 0)
    raised = {"evaluate.postprocess.thresholds": {"WT": 0.7, "ET": 0.4}}
    found, predicted, kept = evaluated(own_place, caplog, **raised)
    assert (predicted, kept) == (0, UNSEEN)
    assert "(prediction kept, rest" in caplog.text
    assert found != before
    monkeypatch.setenv("TUMORFLOW_KEPT_GB", "0")
    fresh, predicted, kept = evaluated(own_place, caplog, **raised)
    assert (predicted, kept) == (UNSEEN, 0)
    assert found == fresh


def test_validation_cases_and_missing_modalities_are_kept_too(own_place, caplog, monkeypatch):
    first, predicted, kept = evaluated(own_place, caplog, **EVERYTHING)
    assert "metrics/tables/validation.csv" in first
    assert "metrics/tables/missing_modalities.csv" in first
    assert kept == 0
    images = predicted
    again, predicted, kept = evaluated(own_place, caplog, **EVERYTHING)
    assert (predicted, kept) == (0, images)
    assert again == first
    finer = {"evaluate.overlap": 0.25}
    _, predicted, kept = evaluated(own_place, caplog, **finer)
    assert (predicted, kept) == (UNSEEN, 0)


def test_what_is_known_is_of_training_and_validation_cases_alone(own_place, caplog):
    """The test cases have no part in it: `predict` shall be judged by others."""
    evaluated(own_place, caplog)
    before = read_known(own_place / "models")
    parts = json.loads((own_place / "data/split.json").read_text())
    counts = len(parts["train"]) + len(parts["val"])
    assert before.ranges.pop("confidence") is None  # of too few cases
    assert {ranges.cases for ranges in before.ranges.values()} == {counts}
    for about in before.regions.values():
        assert about.volume_error_ml.cases == len(parts["val"])
        assert about.volume_error_ml.coverage == pytest.approx(1 / 3, abs=1e-3)
    assert before.never_empty == ("WT", "TC", "ET")
    for path in (own_place / "data/shards").glob("*.grid.json"):
        name = path.name.removesuffix(".grid.json")
        if name in parts["test"]:
            image = own_place / f"data/shards/{name}.image.npy"
            voxels = np.load(image)
            np.save(image, voxels[::-1])
    evaluated(own_place, caplog)
    after = read_known(own_place / "models")
    assert after.ranges.pop("confidence") is None
    assert after == before


def test_the_errors_of_volumes_are_those_of_the_scores(own_place, caplog):
    evaluated(own_place, caplog, **{"evaluate.score_validation": True})
    table = read_table(own_place / "metrics/tables/validation.csv")
    known = read_known(own_place / "models")
    for region, about in known.regions.items():
        rows = table[table["name"] == region]
        errors = sorted(rows["volume_error_ml"])
        found = about.volume_error_ml
        assert [found.low, found.high] == pytest.approx([errors[0], errors[-1]], abs=1e-3)


def test_queued_experiments_share_what_the_clone_keeps(own_place, caplog, tmp_path, monkeypatch):
    evaluated(own_place, caplog)
    elsewhere = project.copy(own_place, tmp_path / "temporary")
    monkeypatch.chdir(elsewhere)
    assert evaluated(elsewhere, caplog)[1:] == (0, UNSEEN)


def test_a_limit_that_is_no_number_is_rejected(own_place, monkeypatch):
    monkeypatch.setenv("TUMORFLOW_KEPT_GB", "much")
    with pytest.raises(InputError, match="TUMORFLOW_KEPT_GB is 'much', expected a number of giga"):
        project.run(own_place, "evaluate")


def test_the_table_and_the_verdict_are_printed_with_the_numbers_that_are_written(
    own_place, caplog, capsys
):
    evaluated(own_place, caplog)
    shown = capsys.readouterr().out
    summary = json.loads((own_place / "metrics/evaluate.json").read_text())
    for region, columns in summary["region"].items():
        assert re.search(rf"^{region} +2  {columns['dice']['mean']:.3f} \[", shown, re.MULTILINE)
    mean = summary["mean_region_dice"]["value"]
    assert f"\n2 cases of cohort brats2018-2021: mean region Dice {mean:.3f} [" in shown
    assert " tumour" in shown.splitlines()[-1]


def test_the_code_of_a_kept_prediction_is_all_that_makes_it():
    """Of `preparation`, the modules that run before the sums are blended; that of the image has no
    part, since its bytes have.
    """
    graph = grimp.build_graph("pipeline", cache_dir=None)
    before = {"inference", "blending", "ensemble", "saving", "engines", "layers", "architectures"}
    makers = [
        module
        for module in graph.modules
        if module.startswith("pipeline.network.") and module.split(".")[2] in before
    ]
    imported = set().union(*map(graph.find_modules_directly_imported_by, makers))
    rooms = {module for module in imported if module.split(".")[1] not in ("core", "network")}
    assert rooms == {"pipeline.preparation.patches", "pipeline.preparation.preprocessing"}
    within = graph.find_modules_directly_imported_by("pipeline.preparation.patches")
    assert all(module.startswith("pipeline.core.") for module in within)
    assert evaluate.CODE == ("core", "network", "preparation/patches.py")
