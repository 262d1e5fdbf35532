"""What params.yaml can name, and where it is defined: a line here adds an own one to the project.

The targets are text, so that params.yaml is checked without loading Keras.
"""

from collections.abc import Mapping
from typing import Any

from ..core.extensions import resolve

ARCHITECTURES = {"unet": f"{__package__}.unet:build"}
LOSSES = {"dice_ce": f"{__package__}.losses:dice_cross_entropy"}
OPTIMIZERS = {
    "adam": "keras.optimizers:Adam",
    "adamw": "keras.optimizers:Adam",  # with decoupled weight decay, which makes it AdamW
    "sgd": "keras.optimizers:SGD",
}
SCHEDULES = {
    name: f"{__package__}.schedule:{name}" for name in ("constant", "cosine", "poly", "plateau")
}


def load(known: Mapping[str, str], name: str, key: str, code: str | None) -> Any:
    """The object that a key of params.yaml names: as `pipeline.core.extensions.resolve`, with a
    registry from above and without `code` for modules of Keras.
    """
    installed = name in known or name.startswith("keras.")
    return resolve(known.get(name, name), {}, key, None if installed else code)
