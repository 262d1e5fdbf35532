"""How a case is predicted, read without Keras."""

from typing import Literal

from ..core.strict import Strict
from ..preparation.params import Postprocess
from .params import AtLeastOne, BelowOne, Mirror

Engine = Literal["auto", "keras", "openvino"]


class Settings(Strict):
    """How a case is predicted: the section `evaluate`, kept as models/inference.json."""

    overlap: BelowOne
    mirror: Mirror
    batch_size: AtLeastOne
    engine: Engine
    postprocess: Postprocess
