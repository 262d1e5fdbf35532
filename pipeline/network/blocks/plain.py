"""The plain block: convolutions one after the other."""

from collections.abc import Sequence

from ..params import NetworkParams
from .convolution import activated


def block(
    params: NetworkParams,
    features,
    level: int,
    strides: Sequence[int],
    name: str,
    convolutions: int = 2,
):
    """Convolutions, each normalised and activated; the first one may reduce the resolution."""
    for number in range(1, convolutions + 1):
        features = activated(params, features, level, strides, name, number)
        strides = params.ones
    return features
