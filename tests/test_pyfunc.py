"""The model of an MLflow run segments cases by mlflow.pyfunc, in a clone."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas
import pytest
import requests

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
assert list(model.input_example.columns) == ["case"]
assert model.metadata.get_input_schema().input_names() == ["case", "images", "study"]
assert {"native", "labels"} == {each.name for each in model.metadata.get_params_schema()}
result = model.predict(pandas.DataFrame({"case": sys.argv[2:]}))
assert list(result.columns) == model.metadata.get_output_schema().required_input_names()
encoded = model.predict(pandas.DataFrame({"case": sys.argv[2:]}), params={"labels": "nifti"})
assert list(encoded.columns) == model.metadata.get_output_schema().input_names()
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
    expected = api.load(MODEL).segment(case)
    assert row["volumes_ml"] == expected.volumes_ml
    assert row["warnings"] == expected.warnings
    assert row["record"]["inputs"] == expected.record["inputs"]


def test_paths_are_limited_by_the_environment_also_in_process(tmp_path, monkeypatch):
    case = write_case(tmp_path, "BraTS2021_00077", seed=77)
    monkeypatch.setenv("TUMORFLOW_SERVE_ROOT", str(tmp_path))
    model = _load_pyfunc(str(MODEL))
    assert model.predict(pandas.DataFrame({"case": [case.name]})).labels[0].any()
    with pytest.raises(InputError, match=r"^case: is no folder below that of"):
        model.predict(pandas.DataFrame({"case": ["/etc"]}))
    with pytest.raises(InputError, match=r"^labels: is 'nii', expected one of auto"):
        model.predict(pandas.DataFrame({"case": [case.name]}), {"labels": "nii"})


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


@pytest.fixture
def server(clone, monkeypatch):
    """The address of `mlflow models serve` with a registered model, as the how-to starts it."""
    (clone / "cases").mkdir()
    shutil.copytree(MODEL, clone / "model")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TUMORFLOW_SERVE_ROOT", str(clone / "cases"))
    register = ["-m", "pipeline", "register", "--model", "model", "--name", "glioma"]
    subprocess.run([sys.executable, *register], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ["models", "serve", "--env-manager", "local", "-m", "models:/glioma@champion"]
    address = f"http://127.0.0.1:{port}"
    with (clone / "log.txt").open("w") as log:
        command = [sys.executable, "-m", "mlflow", *serve, "--host", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            assert process.poll() is None, (clone / "log.txt").read_text()
            with suppress(requests.ConnectionError):
                requests.get(f"{address}/ping", timeout=5).raise_for_status()
                break
            time.sleep(0.2)
        yield f"{address}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_mlflow_serves_a_registered_model_that_answers_as_predict(server, clone):
    case = write_case(clone / "cases", "BraTS2021_00077", seed=77)
    files = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
    images = {
        name: base64.b64encode((case / f"{case.name}_{kind}.nii.gz").read_bytes()).decode()
        for name, kind in files.items()
    }
    words = ["predict", case, "--model", "models:/glioma@champion", "--out", "seg.nii.gz"]
    subprocess.run([sys.executable, "-m", "pipeline", *words], check=True)
    expected = (clone / "seg.nii.gz").read_bytes()
    for asked in ({"case": case.name}, {"case": str(case)}, {"images": images}):
        for form in ("dataframe_records", "instances"):
            answer = requests.post(server, json={form: [asked]}, timeout=300)
            assert answer.status_code == 200, answer.text
            [row] = answer.json()["predictions"]
            assert base64.b64decode(row["labels"]) == expected
            assert row["record"]["network_sha256"] == api.load(MODEL).card.network_sha256
            assert str(clone) not in answer.text
    for asked in ({"case": "/etc"}, {"images": images | {"t1n": "QUFB"}}, {"cases": "misspelt"}):
        answer = requests.post(server, json={"dataframe_records": [asked]}, timeout=300)
        assert answer.status_code == 400
        assert set(answer.json()) == {"error_code", "message"}
        assert not [word for word in ("Traceback", "/tmp", "site-packages") if word in answer.text]
    assert str(case) not in (clone / "log.txt").read_text()
