"""The section `visualize` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.params import Count, Positive
from ..core.strict import Strict


class VisualizeParams(Strict):
    """The section `visualize`; params.yaml explains every key."""

    cases: Count
    names: tuple[str, ...]
    animations: tuple[Literal["gif", "webp", "mp4"], ...]
    frames: Annotated[int, Field(ge=2)]
    seconds_per_frame: Positive
    dpi: Annotated[int, Field(ge=50, le=600)]
