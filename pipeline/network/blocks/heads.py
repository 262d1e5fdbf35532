"""The last layers: from features to logits."""

from ..backend import keras
from ..params import NetworkParams


def logits(params: NetworkParams, features, outputs: int, level: int):
    """Logits of every voxel, in float32: bfloat16 keeps too few digits to order probabilities."""
    layer = getattr(keras.layers, f"Conv{params.dimensions}D")
    return layer(outputs, 1, dtype="float32", name=f"logits_{level}")(features)


def types(params: NetworkParams, features, count: int):
    """Logits (B, count) of the types of an image's tumour, from mean and maximum of its features:
    instance normalisation leaves little to the mean alone.
    """
    mean = getattr(keras.layers, f"GlobalAveragePooling{params.dimensions}D")
    largest = getattr(keras.layers, f"GlobalMaxPooling{params.dimensions}D")
    pooled = [
        mean(dtype="float32", name="types_mean")(features),
        largest(dtype="float32", name="types_largest")(features),
    ]
    joined = keras.layers.Concatenate(dtype="float32", name="types_join")(pooled)
    return keras.layers.Dense(count, dtype="float32", name="types")(joined)
