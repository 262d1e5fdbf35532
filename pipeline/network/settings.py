"""models/inference.json: how a case is predicted. Read without Keras."""

from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError
from ..core.records import read_json
from ..core.strict import Strict
from ..preparation.params import Postprocess
from .params import AtLeastOne, BelowOne, Mirror, Output

Engine = Literal["auto", "keras", "openvino", "onnx"]


class Settings(Strict):
    """How a case is predicted: the section `evaluate`, kept as models/inference.json."""

    overlap: BelowOne
    mirror: Mirror
    batch_size: AtLeastOne
    engine: Engine
    postprocess: Postprocess

    def check_output(self, output: Output) -> None:
        """Raise InputError if there are thresholds, which a network of labels does not use."""
        if output == "labels" and self.postprocess.thresholds:
            raise InputError(
                "evaluate.postprocess.thresholds are of regions, but network.output is labels, of"
                " which the most probable one is taken. Set thresholds to {}."
            )


def check_engine(engine: Engine, architecture: str, backend: str) -> None:
    """Raise InputError if OpenVINO is asked for a network that it is not known to take: one of the
    user's own code, whose layers no test has compared, or one that is not on TensorFlow, from which
    it converts too few operations.
    """
    why = f"{architecture} is your own" if ":" in architecture else f"Keras runs on {backend}"
    if engine == "openvino" and not takes_openvino(architecture, backend):
        raise InputError(
            "evaluate.engine: openvino takes the networks of this project on TensorFlow, but"
            f" {why}. Set keras."
        )


def takes_openvino(architecture: str, backend: str) -> bool:
    """Whether OpenVINO is known to run a network."""
    return backend == "tensorflow" and ":" not in architecture


def _upgraded(values: Any) -> Any:
    """Plain values of a models/inference.json of any format as of the present one, without what is
    known of the network, which `quality.known` reads.
    """
    if not isinstance(values, dict):
        return values
    values = {name: value for name, value in values.items() if name != "known"}
    postprocess = values.get("postprocess")
    if isinstance(postprocess, dict):
        values = values | {"postprocess": {"thresholds": {}, "temperature": 1.0} | postprocess}
    return {"engine": "keras"} | values


def read_settings(folder: Path) -> Settings:
    """Read inference.json of a folder, of this or an earlier format; InputError as of
    `read_json`.
    """
    return read_json(folder / "inference.json", Settings, _upgraded)
