"""Untrained networks: by the architecture that params.yaml names, checked before training."""

from collections.abc import Sequence

from ..core.errors import InputError
from . import registry
from .backend import keras
from .layers.exchange import fast
from .params import NetworkParams


def build(
    params: NetworkParams, patch: Sequence[int], channels: int, outputs: int, code: str | None
) -> keras.Model:
    """Build an untrained network under the current precision.

    Parameters
    ----------
    params : NetworkParams
        `architecture` names a callable ``(params, channels, outputs) -> keras.Model``.
    patch : sequence of int
        Sides of a training patch, (X, Y) or (X, Y, Z).
    channels, outputs, code
        As in `unet.build` and `registry.load`.

    Returns
    -------
    keras.Model
        As from `unet.build`, with the faster layers of `layers` where they compute the same.

    Raises
    ------
    InputError
        If an own callable returns anything else.
    """
    factory = registry.load(
        registry.ARCHITECTURES, params.architecture, "network.architecture", code
    )
    model = factory(params, channels, outputs)
    if wrong := _why_unusable(model, params, patch, channels, outputs):
        raise InputError(
            f"params.yaml: network.architecture {params.architecture} gives {wrong}. See"
            " docs/extending/network.md."
        )
    return fast(model)


def _why_unusable(
    model: object, params: NetworkParams, patch: Sequence[int], channels: int, outputs: int
) -> str | None:
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        return f"{model!r}, where a functional keras.Model is expected"
    found = model.compute_output_shape((1, *patch, channels))
    shapes = found if isinstance(found, list) else [found]
    factors = [params.factors_at(level) for level in range(min(len(shapes), params.depth))]
    expected = [
        (1, *(side // factor for side, factor in zip(patch, level, strict=True)), outputs)
        for level in factors[: max(len(shapes) - params.type_head, 1)]
    ]
    expected += [(1, outputs - 1)] * params.type_head  # one per label, without the background
    if [tuple(shape) for shape in shapes] != expected:
        return f"logits of shape {shapes} for a patch {list(patch)}, where {expected} is expected"
    kinds = {keras.backend.standardize_dtype(logits.dtype) for logits in model.outputs}
    if kinds != {"float32"}:
        return f"logits of {', '.join(sorted(kinds))}: build the last layer with dtype='float32'"
    return None


def coarsening(model: keras.Model, patch: Sequence[int]) -> list[tuple[int, ...]]:
    """Per output of a network that is an image, and per axis, how many voxels of a patch one of its
    voxels spans.
    """
    found = model.compute_output_shape((1, *patch, model.inputs[0].shape[-1]))
    shapes = found if isinstance(found, list) else [found]
    return [
        tuple(side // own for side, own in zip(patch, shape[1:-1], strict=True))
        for shape in shapes
        if len(shape) > 2
    ]


def has_type_head(model: keras.Model) -> bool:
    """Whether the last output of a network is of types, not of voxels."""
    return len(model.outputs[-1].shape) == 2


def inference_network(model: keras.Model) -> keras.Model:
    """Return the network that shares `model`'s weights and gives its finest logits alone, or with
    those of the types.
    """
    outputs = [model.outputs[0], model.outputs[-1]] if has_type_head(model) else model.outputs[0]
    return keras.Model(model.inputs[0], outputs, name=model.name)
