import io
import shutil
from functools import partial

import numpy as np
import pytest
from PIL import Image

from pipeline.core.catalogue import Catalogue
from pipeline.core.errors import InputError
from pipeline.core.extensions import NONE
from pipeline.core.folds import Split
from pipeline.core.params import Cohort
from pipeline.core.records import (
    read_json,
    sha256,
    write_bytes,
    write_csv,
    write_json,
    write_tables,
)
from pipeline.core.regions import classes_to_regions, values_to_classes
from pipeline.download import download
from pipeline.formats import nifti, raw_cases
from pipeline.metrics.calibration import calibration_rows
from pipeline.metrics.case_scores import score_masks, summarise, tables_of
from pipeline.report.results import read_table
from pipeline.visualize import Params, chosen_cases, visualize
from tests.conftest import AS_IT_IS, write_case
from tests.report.made_runs import made_card

PARAMS = {
    "cases": 2,
    "names": (),
    "animations": ("gif", "webp"),
    "frames": 2,
    "seconds_per_frame": 0.1,
    "dpi": 50,
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A folder with the results of a run on four small cases: raw, metrics, models, split.json."""
    folder = tmp_path_factory.mktemp("scored")
    raw, metrics = folder / "raw", folder / "metrics"
    for number in range(4):
        write_case(folder / "source", f"BraTS2021_{number:05d}", seed=number)
    described = Cohort(
        source="brats", location=str(folder / "source"), cases=4, unlabelled="refuse", seed=1
    )
    download(raw, metrics / "verify.json", metrics / "thumbnails.png", described, AS_IT_IS, NONE)
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    schema, whose, scores = catalogue.cohort, [], []
    for shift, entry in enumerate(catalogue.cases):
        case = raw_cases.read(raw_cases.found_in(raw, entry), schema)
        values = np.roll(nifti.read(raw / entry.labels.path).voxels, shift, axis=0)
        nifti.write(metrics / "predictions" / f"{entry.case}.nii.gz", values, case.grid.affine)
        prediction = values_to_classes(values, schema)
        probabilities = classes_to_regions(prediction, schema).astype(np.float32)
        own = score_masks(case.classes, prediction, schema, case.grid.spacing_mm)
        own.rows["calibration"], own.bins = calibration_rows(
            probabilities, None, case.classes, case.image.any(axis=-1), schema
        )
        whose.append({"case": entry.case, "patient": entry.patient})
        scores.append(own)
    names = [entry.case for entry in catalogue.cases]
    tables = tables_of(whose, scores, schema)
    write_json(metrics / "evaluate.json", summarise(tables, schema) | {"held_out_loss": 0.1})
    write_csv(metrics / "cases.csv", tables.pop("cases"))
    write_tables(metrics / "tables", tables)
    columns = ["learning_rate", "loss", "val_loss"]
    columns += [f"val_dice_{name}" for name in (*schema.regions, *schema.labels)]
    history = [{"epoch": epoch} | dict.fromkeys(columns, 1 / epoch) for epoch in (1, 2)]
    write_csv(metrics / "history.csv", history)
    patients = {name: name for name in ("x", "y", *names)}
    split = Split(train=("x",), val=("y",), test=tuple(names), folds=(), patients=patients)
    write_json(folder / "split.json", split)
    network = folder / "models/network.keras"
    write_bytes(network, b"weights")
    write_json(network.with_name("card.json"), made_card(schema, network_sha256=sha256(network)))
    return folder


@pytest.fixture
def run(tmp_path, scored):
    """`visualize` on a copy of the results in the temporary folder, with changes to its params."""
    shutil.copytree(scored, tmp_path, dirs_exist_ok=True)
    metrics = tmp_path / "metrics"

    def go(folder="out", **changes):
        out = tmp_path / folder
        visualize(
            raw=tmp_path / "raw",
            predictions=metrics / "predictions",
            cases=metrics / "cases.csv",
            history=metrics / "history.csv",
            evaluation=metrics / "evaluate.json",
            tables=metrics / "tables",
            verify=metrics / "verify.json",
            thumbnails=metrics / "thumbnails.png",
            split=tmp_path / "split.json",
            models=tmp_path / "models",
            figures=out / "figures",
            report=out / "report.html",
            model_card=out / "model_card.md",
            params=Params(**PARAMS | changes),
        )
        return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    return go


@pytest.mark.slow
def test_figures_and_report_are_written_and_the_same_run_gives_the_same_bytes(run):
    written = run()
    plots = (
        *("learning_curves", "scores", "volume_agreement", "dice_by_volume"),
        *("confusion", "reliability", "uncertainty", "detection"),
    )
    of_cases = [
        f"BraTS2021_{n}.{kind}"
        for n in ("00000", "00003")
        for kind in ("gif", "webp", "overlay.png", "overlay.svg")
    ]
    drawn = [f"{name}.{kind}" for name in plots for kind in ("png", "svg")]
    assert sorted(written) == sorted(["report.html", "model_card.md", *of_cases, *drawn])
    for name in written:
        if not name.endswith(("html", "md", "svg")):
            with Image.open(io.BytesIO(written[name])) as picture:
                assert min(picture.size) > 100, name
    assert "BraTS2021_00002" in written["report.html"].decode()  # in the table, though not pictured
    assert run("again") == written


def test_the_worst_and_the_best_are_pictured_unless_cases_are_named(scored):
    cases = scored / "metrics/cases.csv"
    chosen = partial(chosen_cases, read_table(cases), where=cases)
    assert chosen(Params(**PARAMS)) == ["BraTS2021_00003", "BraTS2021_00000"]
    assert chosen(Params(**PARAMS | {"cases": 0})) == [
        f"BraTS2021_0000{number}" for number in (3, 2, 1, 0)
    ]
    assert chosen(Params(**PARAMS | {"names": ("BraTS2021_00001",)})) == ["BraTS2021_00001"]


def test_a_named_case_that_was_not_scored_is_rejected(run):
    with pytest.raises(
        InputError, match=r"visualize\.names has \['Nobody'\], but the cases scored in .*cases\.csv"
    ):
        run(names=("Nobody",))


@pytest.mark.parametrize(
    ("values", "affine", "finding"),
    [
        (None, np.diag([-1, -1, 2, 1]), "lies on another grid than case BraTS2021_00000"),
        ({4: 7}, None, "label values 7 .* are not among"),
    ],
    ids=["another grid", "foreign label"],
)
def test_a_prediction_that_does_not_fit_is_rejected(run, tmp_path, values, affine, finding):
    path = tmp_path / "metrics/predictions/BraTS2021_00000.nii.gz"
    volume = nifti.read(path)
    voxels = volume.voxels.copy()
    for value, other in (values or {}).items():
        voxels[voxels == value] = other
    nifti.write(path, voxels, volume.grid.affine if affine is None else affine)
    with pytest.raises(InputError, match=rf"BraTS2021_00000\.nii\.gz: {finding}"):
        run()


def test_a_table_without_rows_is_rejected(run, tmp_path):
    (tmp_path / "metrics/history.csv").write_text("epoch,loss\n")
    with pytest.raises(InputError, match=r"history\.csv: holds no row"):
        run()
