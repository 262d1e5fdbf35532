import csv
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image

from pipeline.core import params
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
from pipeline.metrics.case_scores import score_masks, summarise, tables_of
from pipeline.network.card import Card
from pipeline.network.params import NetworkParams
from pipeline.preparation.preprocessing import PreprocessingConfig
from pipeline.visualize import Params, chosen_cases, visualize
from tests.conftest import AS_IT_IS
from tests.project import ROOT

PARAMS = {
    "cases": 2,
    "names": (),
    "animations": ("gif", "webp"),
    "frames": 4,
    "seconds_per_frame": 0.1,
    "dpi": 60,
}


@pytest.fixture
def run(tmp_path, cohort, schema):
    """A scored run on small cases: its folder, and `visualize` on it with changes to its params."""
    raw, metrics = tmp_path / "raw", tmp_path / "metrics"
    described = Cohort(source="brats", location=str(cohort), cases=4, unlabelled="refuse", seed=1)
    download(raw, metrics / "verify.json", metrics / "thumbnails.png", described, AS_IT_IS, NONE)
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    whose, scores = [], []
    for shift, entry in enumerate(catalogue.cases):
        case = raw_cases.read(raw_cases.found_in(raw, entry), schema)
        values = np.roll(nifti.read(raw / entry.labels.path).voxels, shift, axis=0)
        nifti.write(metrics / "predictions" / f"{entry.case}.nii.gz", values, case.grid.affine)
        prediction = values_to_classes(values, schema)
        probabilities = classes_to_regions(prediction, schema).astype(np.float32)
        scored = score_masks(case.classes, prediction, schema, case.grid.spacing_mm)
        brain = case.image.any(axis=-1)
        scored.add_probabilities(probabilities, None, case.classes, brain, schema)
        whose.append({"case": entry.case, "patient": entry.patient})
        scores.append(scored)
    names = [entry.case for entry in catalogue.cases]
    tables = tables_of(whose, scores, schema)
    write_json(metrics / "evaluate.json", summarise(tables, schema) | {"held_out_loss": 0.1})
    write_csv(metrics / "cases.csv", tables.pop("cases"))
    write_tables(metrics / "tables", tables)
    write_csv(metrics / "history.csv", _history(schema))
    write_json(
        tmp_path / "split.json",
        Split(
            train=("x",),
            val=("y",),
            test=tuple(names),
            folds=(),
            patients={n: n for n in ["x", "y", *names]},
        ),
    )
    write_bytes(tmp_path / "models/network.keras", b"weights")
    write_json(tmp_path / "models/card.json", _card(schema, tmp_path / "models/network.keras"))

    def go(folder="out", **changes):
        visualize(
            raw=raw,
            predictions=metrics / "predictions",
            cases=metrics / "cases.csv",
            history=metrics / "history.csv",
            evaluation=metrics / "evaluate.json",
            tables=metrics / "tables",
            verify=metrics / "verify.json",
            thumbnails=metrics / "thumbnails.png",
            split=tmp_path / "split.json",
            models=tmp_path / "models",
            figures=tmp_path / folder / "figures",
            report=tmp_path / folder / "report.html",
            model_card=tmp_path / folder / "model_card.md",
            params=Params(**PARAMS | changes),
        )
        return {
            path.name: path.read_bytes()
            for path in (tmp_path / folder).rglob("*")
            if path.is_file()
        }

    return go


def _card(schema, network):
    recipe = PreprocessingConfig(
        spacing_mm=None,
        foreground="nonzero",
        margin_voxels=2,
        clip_percentiles=(0.5, 99.5),
        dtype="float16",
    )
    shape = {
        "dimensions": 2,
        "depth": 2,
        "filters": 4,
        "max_filters": 8,
        "normalization": "instance",
    }
    train = params.read(ROOT / "params.yaml")["train"]
    return Card(
        cohort=schema,
        preprocess=recipe,
        patch=(16, 16),
        spacing_mm=(1.0, 1.0, 1.0),
        seed=1,
        train=train,
        trained_on=("x",),
        validated_on=("y",),
        network=NetworkParams(
            architecture="unet",
            options={},
            **shape,
            residual=False,
            deep_supervision=False,
            dropout=0.0,
            output="regions",
        ),
        best_epoch=1,
        val_dice=0.5,
        weights=7,
        data_hash="d",
        stripped=None,
        format_version=2,
        network_sha256=sha256(network),
        backend="tensorflow",
        versions={},
        use="Research use only, not for diagnosis.",
    )


def _history(schema):
    columns = [
        "learning_rate",
        "loss",
        "val_loss",
        *(f"val_dice_{name}" for name in (*schema.regions, *schema.labels)),
    ]
    return [{"epoch": epoch} | dict.fromkeys(columns, 1 / epoch) for epoch in (1, 2)]


def test_figures_and_report_are_written_and_the_same_run_gives_the_same_bytes(run):
    written = run()
    plots = (
        "learning_curves",
        "scores",
        "volume_agreement",
        "dice_by_volume",
        "confusion",
        "reliability",
        "uncertainty",
        "detection",
    )
    of_cases = [
        f"BraTS2021_{n}.{kind}"
        for n in ("00000", "00003")
        for kind in ("gif", "webp", "overlay.png", "overlay.svg")
    ]
    drawn = [f"{name}.{kind}" for name in plots for kind in ("png", "svg")]
    assert sorted(written) == sorted(["report.html", "model_card.md", *of_cases, *drawn])
    for name in written:
        if name.endswith(("html", "md", "svg")):
            continue
        with Image.open(io.BytesIO(written[name])) as picture:
            assert min(picture.size) > 100, name
    assert "BraTS2021_00002" in written["report.html"].decode()  # in the table, though not pictured
    assert run("again") == written


def test_the_worst_and_the_best_are_pictured_unless_cases_are_named(run, tmp_path):
    rows = list(csv.DictReader((tmp_path / "metrics/cases.csv").read_text().splitlines()))
    rows = [row | {"dice": float(row["dice"])} for row in rows]
    chosen = partial(chosen_cases, rows, where=tmp_path / "cases.csv")
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


def test_a_prediction_on_another_grid_is_rejected(run, tmp_path):
    path = tmp_path / "metrics/predictions/BraTS2021_00000.nii.gz"
    nifti.write(path, nifti.read(path).voxels, np.diag([-1, -1, 2, 1]))
    with pytest.raises(
        InputError,
        match=r"BraTS2021_00000\.nii\.gz: lies on another grid than case BraTS2021_00000",
    ):
        run()


def test_a_prediction_with_a_foreign_label_is_rejected(run, tmp_path):
    path = tmp_path / "metrics/predictions/BraTS2021_00000.nii.gz"
    volume = nifti.read(path)
    nifti.write(
        path, np.where(volume.voxels == 4, 7, volume.voxels).astype(np.uint8), volume.grid.affine
    )
    with pytest.raises(InputError, match=r"label values 7 .* are not among"):
        run()


def test_a_table_without_rows_is_rejected(run, tmp_path):
    (tmp_path / "metrics/history.csv").write_text("epoch,loss\n")
    with pytest.raises(InputError, match=r"history\.csv: holds no row"):
        run()
