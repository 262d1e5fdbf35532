"""The last layers: from features to logits."""

from ..backend import keras
from ..params import NetworkParams


def logits(params: NetworkParams, features, outputs: int, level: int):
    """Logits of every voxel, in float32: bfloat16 keeps too few digits to order probabilities."""
    layer = getattr(keras.layers, f"Conv{params.dimensions}D")
    return layer(outputs, 1, dtype="float32", name=f"logits_{level}")(features)
