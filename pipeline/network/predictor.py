"""From a prepared image to class indices on the raw grid, the same for `evaluate` and `predict`."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ..core.grid import Grid
from ..core.regions import classes_to_outputs, classes_to_regions, outputs_to_classes
from ..core.schema import Schema
from ..core.strict import Strict
from ..preparation.inverse import restore
from ..preparation.postprocess import Postprocess, postprocess
from ..preparation.preprocessing import Geometry
from . import losses
from .backend import keras
from .card import Card
from .inference import predict_probabilities, predict_with_disagreement
from .params import Output


class Settings(Strict):
    """How a case is predicted: the section `evaluate`, kept as models/inference.json.

    Attributes
    ----------
    overlap : float
        Least share that neighbouring windows have in common, in [0, 1).
    mirror : bool
        Whether to average over all mirror images of each window.
    batch_size : int
        Windows of a forward pass.
    postprocess : Postprocess
        Applied to the class indices on the raw grid.
    """

    overlap: Annotated[float, Field(ge=0, lt=1)]
    mirror: bool
    batch_size: Annotated[int, Field(ge=1)]
    postprocess: Postprocess


def probabilities_of(
    model: keras.Model,
    card: Card,
    settings: Settings,
    image: np.ndarray,
    describe: str | None = None,
) -> np.ndarray:
    """Probabilities (X, Y, Z, O) float32 on the prepared grid of a prepared image (X, Y, Z, C)."""
    how = card.patch, settings.overlap, settings.mirror, settings.batch_size, _activation(card)
    return predict_probabilities(model, image, *how, describe)


def probabilities_and_disagreement(
    model: keras.Model,
    card: Card,
    settings: Settings,
    image: np.ndarray,
    describe: str | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Probabilities on the prepared grid, and per region their disagreement between mirror images.

    Parameters
    ----------
    model, card, settings, image, describe
        As in `probabilities_of`.

    Returns
    -------
    probabilities : (X, Y, Z, O) float32 array
        Those of `probabilities_of`, bit by bit.
    disagreement : (X, Y, Z, R) float32 array or None
        Standard deviation of the probability of each region over the mirror images, in [0, 0.5];
        None without mirroring.
    """
    how = card.patch, settings.overlap, settings.mirror, settings.batch_size, _activation(card)
    return predict_with_disagreement(
        model, image, *how, _outputs_in_regions(card.cohort, card.network.output), describe
    )


def classes_of(
    probabilities: np.ndarray, geometry: Geometry, card: Card, settings: Settings
) -> np.ndarray:
    """Class indices on the raw grid.

    Parameters
    ----------
    probabilities : (X, Y, Z, O) float32 array
        On the prepared grid.
    geometry : Geometry
        Of the inverse transform.
    card : Card
        Says what the channels mean.
    settings : Settings
        Gives the post-processing.

    Returns
    -------
    (X, Y, Z) uint8 array
        On the raw axes; the probabilities are interpolated, then decided, then post-processed.
    """
    return raw_classes(restore(probabilities, geometry), geometry, card, settings)


def raw_classes(
    probabilities: np.ndarray, geometry: Geometry, card: Card, settings: Settings
) -> np.ndarray:
    """Class indices (X, Y, Z) uint8 of probabilities (X, Y, Z, O) on the raw grid."""
    classes = outputs_to_classes(probabilities, card.cohort, card.network.output)
    spacing_mm = Grid(geometry.raw_shape, np.array(geometry.raw_affine)).spacing_mm
    return postprocess(classes, card.cohort, spacing_mm, settings.postprocess)


def region_probabilities(probabilities: np.ndarray, card: Card) -> np.ndarray:
    """Probability of every region.

    Parameters
    ----------
    probabilities : (X, Y, Z, O) float32 array
        Of the network's outputs, on any grid.
    card : Card
        Says what the channels mean.

    Returns
    -------
    (X, Y, Z, R) float32 array
        In the schema's order, in [0, 1]; the array itself where the outputs are the regions, else
        the sum over the labels of each region.
    """
    if card.network.output == "regions":
        return probabilities
    shape = (*probabilities.shape[:3], len(card.cohort.regions))
    summed = np.zeros(shape, np.float32, order="F")  # as `restore` returns them
    for column, region in enumerate(card.cohort.regions):
        for index in card.cohort.classes_of(region):
            summed[..., column] += probabilities[..., index]
    return np.minimum(summed, 1, out=summed)  # rounding may exceed 1


def held_out_loss(probabilities: np.ndarray, classes: np.ndarray, card: Card) -> float:
    """Loss of a case, from probabilities (X, Y, Z, O) float32 and reference classes (X, Y, Z) uint8
    on the prepared grid.
    """
    output = card.network.output
    target = classes_to_outputs(np.asarray(classes), card.cohort, output)
    loss = losses.build(output, card.train)
    return float(loss(target[None], _logits_of(probabilities, output)[None]))


def _logits_of(probabilities: np.ndarray, output: Output) -> np.ndarray:
    """Logits (float32, same shape) whose sigmoids or softmax are these probabilities, clipped to
    1e-6 from 0 and 1.
    """
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return np.log(clipped) - np.log1p(-clipped) if output == "regions" else np.log(clipped)


def _activation(card: Card) -> Literal["sigmoid", "softmax"]:
    return "sigmoid" if card.network.output == "regions" else "softmax"


def _outputs_in_regions(schema: Schema, output: str) -> np.ndarray:
    """Which outputs add up to the probability of each region, (O, R) bool."""
    if output == "regions":
        return np.eye(len(schema.regions), dtype=bool)
    return classes_to_regions(np.arange(len(schema.labels) + 1), schema)
