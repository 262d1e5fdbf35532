"""Several networks as one: the mean of their logits."""

from collections.abc import Sequence
from pathlib import Path

from . import saving
from .architectures import inference_network
from .backend import keras


def save(members: Sequence[keras.Model], path: Path) -> None:
    """Save networks as one, see `saving.save_model`."""
    saving.save_model(joined(members), path)


def joined(members: Sequence[keras.Model]) -> keras.Model:
    """One network whose logits are the mean of those of its members; of one, that network.

    The mean of logits is the normalised geometric mean of the probabilities, as nnU-Net's: one
    member that is sure outweighs one that is not. All that is done with a network, such as saving,
    sliding windows and conversion to another engine, is done with an ensemble by the same code.
    """
    if len(members) == 1:
        return members[0]
    image = keras.Input(members[0].inputs[0].shape[1:], name="image")
    logits = []
    for number, member in enumerate(members):
        network = inference_network(member)
        network.name = f"member_{number}"
        found = network(image)
        logits.append(found if isinstance(found, list) else [found])
    means = [
        keras.layers.Average(dtype="float32", name=f"mean_{number}")(list(of_members))
        for number, of_members in enumerate(zip(*logits, strict=True))
    ]
    return keras.Model(image, means if len(means) > 1 else means[0], name="ensemble")


def members_of(network: keras.Model) -> list[keras.Model]:
    """The networks that `joined` united."""
    inner = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    return inner or [network]
