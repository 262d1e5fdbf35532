"""The trained network as an MLflow model: ``runs:/ID/model`` is a folder of models that
`pipeline.api` loads (network.keras, card.json, inference.json), and `mlflow.pyfunc.load_model`
loads by `pipeline.pyfunc`. The store holds no code and no pickle.
"""

import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import provenance
from . import store
from .parts import MODEL

_LOADER = f"{__package__.partition('.')[0]}.pyfunc"


def log(client: Any, run_id: str, files: Sequence[Path]) -> None:
    """Add the model of a run; the first file, the network, comes last and completes it.

    A model that was begun, such as by a stage that was killed, is continued.
    """
    from mlflow.entities import LoggedModelOutput

    model_id = model_of(client, run_id)
    if model_id is None:
        model_id = _created(client, client.get_run(run_id).info.experiment_id, run_id)
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    _fill(client, run_id, model_id, files)


def log_copy(client: Any, experiment_id: str, run_id: str | None, files: Sequence[Path]) -> str:
    """Add a model of its own with these files, made by a run or an unknown one; return its id."""
    model_id = _created(client, experiment_id, run_id)
    _fill(client, run_id, model_id, files)
    return model_id


def _created(client: Any, experiment_id: str, run_id: str | None) -> str:
    model = client.create_logged_model(experiment_id, MODEL, run_id, model_type="segmentation")
    return model.model_id


def _fill(client: Any, run_id: str | None, model_id: str, files: Sequence[Path]) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own type hints, when it is imported
        described = Path(folder) / MODEL
        _describe(described, run_id, model_id)
        client.log_model_artifacts(model_id, str(described))
    for file in reversed(files):
        client.log_model_artifact(model_id, str(file))
    client.finalize_logged_model(model_id, "READY")


def complete(client: Any, run_id: str, inference: Path) -> None:
    """Add the settings of the inference, which `evaluate` chooses, to the model of a run."""
    model_id = model_of(client, run_id)
    if model_id is None:  # of an earlier version, which kept the network among the run's artifacts
        client.log_artifact(run_id, str(inference), MODEL)
    else:
        client.log_model_artifact(model_id, str(inference))


def model_of(client: Any, run_id: str) -> str | None:
    """Id of the model of a run."""
    outputs = client.get_run(run_id).outputs
    return next((each.model_id for each in outputs.model_outputs), None) if outputs else None


def files_of(client: Any, run_id: str) -> set[str]:
    """Names of the files of the model of a run, of any version; empty without one."""
    model_id = model_of(client, run_id)
    if model_id is None:
        listed = client.list_artifacts(run_id, MODEL)
    else:
        listed = client.list_logged_model_artifacts(model_id)
    return {Path(item.path).name for item in listed}


def content(client: Any, run_id: str, file: str) -> bytes | None:
    """Bytes of a file of the model of a run; None if it has none."""
    if file not in files_of(client, run_id):
        return None
    with tempfile.TemporaryDirectory() as folder:
        return (download(client, run_id, Path(folder)) / file).read_bytes()


def download(client: Any, run_id: str, folder: Path) -> Path:
    """Copy the model of a run, of any version, into a folder, and return where it is there."""
    model_id = model_of(client, run_id)
    if model_id is None:
        return Path(client.download_artifacts(run_id, MODEL, str(folder)))
    return fetch(client, f"models:/{model_id}", folder)


def fetch(client: Any, source: str, folder: Path) -> Path:
    """Copy a model, ``models:/ID`` or any other address of MLflow, into a folder, and return where
    it is there.

    MLflow's own download of ``models:/ID`` would look for the model in mlflow.db of the current
    folder, whatever its store.
    """
    from mlflow.artifacts import download_artifacts

    if found := re.fullmatch(r"models:/+(m-\w+)", source):
        source = client.get_logged_model(found[1]).artifact_location
    return Path(download_artifacts(source, dst_path=str(folder), tracking_uri=store.address()))


def _describe(folder: Path, run_id: str | None, model_id: str) -> None:
    """Write MLmodel, the signature, an input example and the environment."""
    import mlflow
    import pandas
    from mlflow.models import Model, ModelSignature

    inputs, outputs, params = _interface()
    mlflow.pyfunc.save_model(
        folder,
        loader_module=_LOADER,
        mlflow_model=Model(run_id=run_id, model_uuid=model_id, model_id=model_id),
        signature=ModelSignature(inputs, outputs, params),
        input_example=pandas.DataFrame({"case": ["/data/new/CASE"]}),
        pip_requirements=[f"{name}=={version}" for name, version in provenance.packages().items()],
    )


def _interface() -> tuple[Any, Any, Any]:
    """Inputs, outputs and parameters of `pipeline.pyfunc` behind a server."""
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array, Map

    text, files = DataType.string, Map(DataType.string)
    inputs = Schema(
        [
            ColSpec(text, "case", required=False),
            ColSpec(files, "images", required=False),
            ColSpec(text, "study", required=False),
        ]
    )
    outputs = Schema(
        [
            ColSpec(text, "case"),
            ColSpec(text, "labels"),
            ColSpec(files, "series", required=False),
            ColSpec(Array(Array(DataType.double)), "affine"),
            ColSpec(Map(DataType.double), "volumes_ml"),
            ColSpec(Array(text), "warnings"),
            ColSpec(AnyType(), "record"),
        ]
    )
    params = ParamSchema(
        [ParamSpec("native", DataType.boolean, False), ParamSpec("labels", text, "auto")]
    )
    return inputs, outputs, params
