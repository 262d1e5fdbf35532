"""A source, a network, a loss, a transform and a metric from modules outside of the package, under
DVC, through all seven stages, the report and `compare`.
"""

import json
import shutil

import pytest

from pipeline.core.records import read_csv
from tests import project

pytestmark = pytest.mark.slow

MODULES = {
    "source.py": """
from dataclasses import replace
from pipeline.cohorts.registry import SOURCES

SOURCE = replace(SOURCES["brats"], name="clinic", title="cases of our clinic", licence="Clinic.")
""",
    "training.py": """
import keras

def network(params, channels, outputs):
    image = keras.Input((None, None, channels))
    features = keras.layers.Conv2D(params.filters, 3, padding="same", activation="relu")(image)
    return keras.Model(image, keras.layers.Conv2D(outputs, 1, dtype="float32")(features))

def loss(output, train):
    return lambda target, logits: keras.ops.mean((target - keras.ops.sigmoid(logits)) ** 2)
""",
    "augmenting.py": """
from typing import ClassVar
from pipeline.augmentation.transform import AmountSpan, IntensityTransform

class Offset(IntensityTransform):
    shift: AmountSpan
    column: ClassVar[str] = "shift"

    def draw_amount(self, rng):
        return self.amount(rng, self.shift)

    def change(self, values, amount, sample, rng):
        return values + values.dtype.type(amount)

offset = Offset(probability=1.0, shift=(0.1, 0.2))
""",
    "scoring.py": """
from pipeline.metrics.metric import Metric

def missed_ml(reference, prediction, spacing_mm):
    missed = (reference & ~prediction).sum()
    return float(missed * spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000)

MISSED = Metric(
    "missed_ml", missed_ml, "Missed volume (ml)", "Reference voxels that the prediction lacks.",
    "lower", unit="ml", headline=True,
)
""",
}
VALUES = {
    "cohort.source": "mine.source:SOURCE",
    "own_code.download": "mine/source.py",
    "own_code.augment": "mine/augmenting.py",
    "own_code.train": "mine/training.py",
    "own_code.evaluate": "mine/scoring.py",
    "augment.own": ["mine.augmenting:offset"],
    "network.architecture": "mine.training:network",
    "train.loss": "mine.training:loss",
    "train.epochs": 1,
    "train.steps_per_epoch": 1,
    "visualize.animations": [],
    "evaluate.metrics": ["mine.scoring:MISSED"],
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A clone with own modules, after `dvc repro`."""
    folder = project.clone(tmp_path_factory.mktemp("own"), VALUES)
    (folder / "mine").mkdir()
    for name, code in MODULES.items():
        (folder / "mine" / name).write_text(code)
    project.call(folder, "dvc", "repro")
    return folder


def test_every_stage_used_the_own_code(done):
    catalogue = json.loads((done / "data/raw/catalogue.json").read_text())
    card = json.loads((done / "models/card.json").read_text())
    assert catalogue["licence"].startswith("Clinic.")
    assert "offset.shift" in str(read_csv(done / "data/augmented/table.csv")[0])
    assert card["network"]["architecture"] == "mine.training:network"
    assert card["train"]["loss"] == "mine.training:loss"


def test_the_own_metric_is_in_tables_evaluation_headline_and_report(done):
    rows = read_csv(done / "metrics/cases.csv")
    evaluation = json.loads((done / "metrics/evaluate.json").read_text())
    headline = json.loads((done / "metrics/headline.json").read_text())
    missed = [float(row["missed_ml"]) for row in rows if row["name"] == "WT"]
    assert evaluation["region"]["WT"]["missed_ml"]["mean"] == pytest.approx(
        sum(missed) / len(missed)
    )
    assert headline["missed_ml"]["WT"] == evaluation["region"]["WT"]["missed_ml"]["mean"]
    assert "Missed volume (ml)" in (done / "metrics/report.html").read_text()


def test_compare_knows_the_own_metric_and_its_direction(done, tmp_path):
    other = shutil.copytree(done / "metrics", tmp_path / "other")
    rows = (other / "cases.csv").read_text().splitlines()
    column = rows[0].split(",").index("missed_ml")
    worse = [line.split(",") for line in rows[1:]]
    for cells in worse:
        cells[column] = str(float(cells[column]) + 1)
    (other / "cases.csv").write_text("\n".join([rows[0], *map(",".join, worse)]) + "\n")
    found = tmp_path / "comparison.json"
    project.call(done, "pipeline", "compare", "metrics", str(other), "--json", str(found))
    (comparison,) = json.loads(found.read_text())["comparisons"]
    (row,) = [
        row for row in comparison["rows"] if (row["metric"], row["name"]) == ("missed_ml", "WT")
    ]
    assert row["worse"] == row["cases"] > 0


def test_a_change_of_own_code_runs_its_stage_again(done):
    found = project.stages_to_run(done, *(f"mine/{name}" for name in MODULES))
    assert found == [["download"], ["train"], ["augment"], ["evaluate"]]


def test_predict_works_where_the_modules_are_absent(done, tmp_path):
    case = next((done.parent / "source").iterdir())
    command = ("predict", str(case), "--model", str(done / "models"), "--source", "brats")
    aside = shutil.move(done / "mine", tmp_path / "mine")
    try:
        project.call(done, "pipeline", *command, "--out", str(tmp_path / "out.nii.gz"))
    finally:
        shutil.move(aside, done / "mine")
    assert (tmp_path / "out.nii.gz").is_file()
