"""The U-Net from one builder: in two and three dimensions, with a plain or residual encoder."""

from collections.abc import Callable

from .backend import keras
from .blocks import heads, plain, residual, upsampling
from .blocks.convolution import activated
from .params import NetworkParams

BLOCKS: dict[str, Callable] = {"plain": plain.block, "residual": residual.block}


def build(params: NetworkParams, channels: int, outputs: int) -> keras.Model:
    """Build an untrained network under the current precision.

    It maps float (B, *spatial, channels), one channel per modality, or per neighbouring slice and
    modality, to float32 logits (B, *spatial, outputs), one per region, or per label and the
    background; with deep supervision to a list of them, from the finest level on, whose sides are
    those of the image divided by `params.factors_at` its level. Each spatial side is a multiple of
    `params.divisors`. A type head adds float32 logits (B, labels), as the last output.
    """
    image = keras.Input((None,) * params.dimensions + (channels,), name="image")
    skips = _encode(params, image)
    features = skips.pop()
    logits: list[keras.KerasTensor] = []
    types = [heads.types(params, features, outputs - 1)] if params.type_head else []
    for level in reversed(range(params.depth - 1)):
        features = upsampling.block(params, features, skips[level], level)
        if level < params.supervised_levels:
            logits.insert(0, heads.logits(params, features, outputs, level))
    found = [*logits, *types]
    return keras.Model(image, found if len(found) > 1 else found[0], name="unet")


def _encode(params, image):
    """Outputs of every level, finest first."""
    block, features, levels = BLOCKS[params.encoder], image, []
    if params.encoder == "residual":
        features = activated(params, image, 0, params.ones, "stem")
    for level in range(params.depth):
        features = block(params, features, level, params.strides_at(level), f"encoder_{level}")
        for number in range(2, params.blocks_at(level) + 1):
            name = f"encoder_{level}_block_{number}"
            features = block(params, features, level, params.ones, name)
        if level and params.dropout:
            dropout = getattr(keras.layers, f"SpatialDropout{params.dimensions}D")
            features = dropout(params.dropout, name=f"encoder_{level}_dropout")(features)
        levels.append(features)
    return levels
