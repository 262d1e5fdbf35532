"""TumorFlow in Python: load a trained network, segment cases, score and show the result.

    from tumorflow.api import load

    model = load("models")
    result = model.segment("BraTS2021_00777")
    result.labels, result.probabilities["ET"], result.affine
    result.score("BraTS2021_00777/BraTS2021_00777_seg.nii.gz")
    result.show()
    for outcome in model.segment_many(["data/new"], "predictions"):
        print(outcome.case, outcome.state)

The command `predict` uses the same functions. Research use only, not for diagnosis.
"""

from pathlib import Path

from .network.card import read_card
from .network.settings import Engine
from .segmenting.extras import FORMATS, SEG_TYPES, SEGMENTS, Extras, check_name
from .segmenting.finding import OneCase, Unusable, check_outside, in_folder
from .segmenting.many import VOLUMES, Outcome
from .segmenting.model import NATIVE, Model
from .segmenting.segmentation import Picture, Segmentation
from .segmenting.service import Answer, Request, RequestError, Service

__all__ = [
    "FORMATS",
    "NATIVE",
    "SEGMENTS",
    "SEG_TYPES",
    "VOLUMES",
    "Answer",
    "Extras",
    "Model",
    "OneCase",
    "Outcome",
    "Picture",
    "Request",
    "RequestError",
    "Segmentation",
    "Service",
    "Unusable",
    "check_name",
    "check_outside",
    "in_folder",
    "load",
]


def load(model: str | Path = "models", engine: Engine | None = None) -> Model:
    """Open a folder with a trained network.

    Keras and the weights are loaded by the first call of `Model.segment`.

    Parameters
    ----------
    model : str or Path
        Folder with network.keras, card.json and inference.json: ``models/`` of a clone, or such a
        folder that you downloaded.
    engine : {"auto", "keras", "openvino", "onnx"}, optional
        What runs the network; by default what its inference.json says, from ``evaluate.engine``.

    Raises
    ------
    InputError
        If a file is missing or unreadable, or the card describes another network.
    """
    return Model(Path(model), read_card(Path(model)), engine)
