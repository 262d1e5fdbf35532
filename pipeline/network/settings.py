"""models/inference.json: how a case is predicted. Read without Keras."""

from pathlib import Path
from typing import Any, Literal

from ..core.records import read_json
from ..core.strict import Strict
from ..preparation.postprocess import Postprocess
from .params import AtLeastOne, BelowOne, Mirror

Engine = Literal["auto", "keras", "openvino"]


class Settings(Strict):
    """How a case is predicted: the section `evaluate`, kept as models/inference.json."""

    overlap: BelowOne
    mirror: Mirror
    batch_size: AtLeastOne
    engine: Engine
    postprocess: Postprocess


def _upgraded(values: Any) -> Any:
    """Plain values of a models/inference.json of any format as of the present one."""
    if not isinstance(values, dict):
        return values
    postprocess = values.get("postprocess")
    if isinstance(postprocess, dict):
        values = values | {"postprocess": {"thresholds": {}, "temperature": 1.0} | postprocess}
    return {"engine": "keras"} | values


def read_settings(folder: Path) -> Settings:
    """Read inference.json of a folder, of this or an earlier format; InputError as of
    `read_json`.
    """
    return read_json(folder / "inference.json", Settings, _upgraded)
