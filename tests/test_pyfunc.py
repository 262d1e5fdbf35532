"""The model of an MLflow run segments cases by mlflow.pyfunc, in a clone."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from pipeline import api
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from pipeline.pyfunc import _load_pyfunc
from pipeline.runtime.tracking import logged_model, store
from tests.conftest import LPS, write_case

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
MODEL = Path(__file__).parent / "network/format_1"
FILES = [MODEL / name for name in ("unet.keras", "card.json", "inference.json")]
LOAD = """
import sys, mlflow, numpy, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
example = model.input_example
assert list(example.columns) == model.metadata.get_input_schema().input_names() == ["case"]
result = model.predict(pandas.DataFrame({"case": sys.argv[2:]}))
assert list(result.columns) == model.metadata.get_output_schema().input_names()
numpy.save("labels.npy", numpy.stack(result.labels))
"""


@pytest.fixture
def clone(tmp_path, tables, monkeypatch):
    """The root of a clone as the current folder, with an empty store."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / ".dvc").mkdir()
    shutil.copyfile(tables, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def logged(files):
    client, experiment_id = store.opened()
    run_id = client.create_run(experiment_id).info.run_id
    logged_model.log(client, run_id, files)
    return run_id


def test_the_model_of_a_run_is_loaded_by_mlflow_and_segments_cases(clone, monkeypatch):
    case = write_case(clone / "cases", "BraTS2021_00077", seed=77)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    uri = f"runs:/{logged(FILES)}/model"
    subprocess.run([sys.executable, "-c", LOAD, uri, str(case), str(case)], check=True)
    expected = nifti.read(MODEL / "prediction.nii.gz").voxels
    assert np.array_equal(np.load("labels.npy"), [expected, expected])


def test_a_row_of_the_result_has_the_label_map_its_affine_and_the_volumes(tmp_path):
    case = str(write_case(tmp_path, "BraTS2021_00077", seed=77))
    result = _load_pyfunc(str(MODEL)).predict(pandas.DataFrame({"case": [case]}))
    [row] = result.to_dict("records")
    assert row["case"] == case
    assert row["labels"].dtype == np.uint8
    assert np.array_equal(row["affine"], LPS)
    assert row["volumes_ml"] == api.load(MODEL).segment(case).volumes_ml


def test_the_store_holds_no_code_and_no_pickle(clone):
    client, _ = store.opened()
    run_id = logged(FILES)
    assert logged_model.files_of(client, run_id) == {
        *(path.name for path in FILES),
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"),
        *("input_example.json", "serving_input_example.json"),
    }


def test_a_model_that_was_only_trained_says_what_completes_it(clone):
    client, _ = store.opened()
    folder = logged_model.download(client, logged(FILES[:2]), clone)
    with pytest.raises(InputError, match=r"no inference\.json, .*dvc repro evaluate"):
        _load_pyfunc(str(folder))
