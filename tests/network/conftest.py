"""Networks and batches small enough for a test."""

import numpy as np
import pytest

from pipeline.network import architectures, backend, training, unet
from pipeline.network.backend import keras
from pipeline.network.losses import DiceCrossEntropy
from pipeline.network.params import NetworkParams

TINY = NetworkParams(
    architecture="unet",
    dimensions=2,
    depth=3,
    filters=4,
    max_filters=12,
    normalization="instance",
    slices=1,
    strides=None,
    kernels=None,
    encoder="plain",
    encoder_blocks=1,
    decoder_convolutions=2,
    deep_supervision=False,
    dropout=0.0,
    output="regions",
    type_head=False,
    options={},
)


@pytest.fixture(autouse=True)
def float32_from_seed_0():
    """Every test starts from the same state of Keras."""
    backend.prepare(0, "float32")


def tiny(channels: int = 4, outputs: int = 3, **changes) -> keras.Model:
    """A network like `TINY` but for the changes."""
    return unet.build(TINY.model_copy(update=changes), channels, outputs)


def nested_batch(
    epoch: int, step: int, shape: tuple[int, ...] = (2, 16, 16)
) -> tuple[np.ndarray, np.ndarray]:
    """Four channels of noise and the three nested regions where their sum is high: something to
    learn.
    """
    drawn = np.random.default_rng((epoch, step))
    image = drawn.normal(size=(*shape, 4)).astype(np.float32)
    image += drawn.normal(size=(shape[0], *[1] * (len(shape) - 1), 4)).astype(np.float32)
    target = image.sum(-1, keepdims=True) > np.array([0.0, 1.0, 2.0])
    return image, target.astype(np.uint8)


def take_steps(model: keras.Model, optimizer, batches) -> np.ndarray:
    """Train on batches, one step each; the losses."""
    optimizer.build(model.trainable_variables)
    rate = float(optimizer.learning_rate)
    stacked = tuple(np.stack(arrays) for arrays in zip(*batches, strict=True))
    factors = architectures.coarsening(model, stacked[1].shape[2:-1])
    total = training.supervised(DiceCrossEntropy("regions", 1.0, 1.0), factors)
    steps = backend.steps(model, total, optimizer, lambda constants, item: item)
    losses = steps.run({}, stacked, np.full(len(batches), rate, np.float32))
    steps.pull()
    return keras.ops.convert_to_numpy(losses)


def as_logits(channels: int, dimensions: int = 2) -> keras.Model:
    """A network whose logits are its image."""
    image = keras.Input((None,) * dimensions + (channels,))
    return keras.Model(image, keras.layers.Identity(name="logits_0")(image))
