"""From a prepared image to class indices on the raw grid, the same for `evaluate` and `predict`."""

from typing import Literal

import numpy as np

from ..core import regions
from ..core.grid import Grid
from ..core.regions import classes_to_outputs, classes_to_regions
from ..preparation.postprocess import postprocess, tempered
from ..preparation.preprocessing import Geometry
from . import inference, losses
from .backend import keras
from .card import Card
from .engines.engine import chosen
from .params import Output
from .prediction import Prediction
from .settings import Settings


def predict(
    model: keras.Model,
    card: Card,
    settings: Settings,
    image: np.ndarray,
    describe: str | None = None,
    compare: bool = False,
    geometry: Geometry | None = None,
) -> Prediction:
    """Predict a prepared image.

    Parameters
    ----------
    model, card, settings, image, describe, geometry
        As in `inference.predict`.
    compare : bool
        Whether to compare the regions (U) of the mirror images; the probabilities do not depend on
        it.

    Raises
    ------
    InputError
        As `Settings.check_output`.
    """
    settings.check_output(card.network.output)
    schema = card.cohort
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    unions = np.eye(len(schema.regions), dtype=bool)
    if card.network.output == "labels":
        activation = "softmax"
        unions = classes_to_regions(np.arange(len(schema.labels) + 1), schema)
    return inference.predict(
        model,
        image,
        card.patch,
        settings.overlap,
        settings.mirror,
        settings.batch_size,
        activation,
        unions if compare else None,
        describe,
        card.network.slices,
        chosen(settings.engine, card.network.architecture),
        geometry,
    )


def outputs_of(card: Card) -> int:
    """Number of outputs of a voxel: of the regions, or of background and labels."""
    schema = card.cohort
    return len(schema.regions) if card.network.output == "regions" else 1 + len(schema.labels)


def postprocessed(
    classes: np.ndarray, geometry: Geometry, card: Card, settings: Settings
) -> np.ndarray:
    """Class indices (X, Y, Z) uint8 on the raw grid, corrected as the settings say."""
    spacing_mm = Grid(geometry.raw_shape, np.array(geometry.raw_affine)).spacing_mm
    return postprocess(classes, card.cohort, spacing_mm, settings.postprocess)


def raw_classes(prediction: Prediction, card: Card, settings: Settings) -> np.ndarray:
    """Class indices (X, Y, Z) uint8 of a prediction with geometry, on the raw grid, corrected."""
    assert prediction.geometry
    thresholds = settings.postprocess.thresholds
    classes = prediction.raw_classes(card.cohort, card.network.output, thresholds)
    return postprocessed(classes, prediction.geometry, card, settings)


def region_probabilities(prediction: Prediction, card: Card, settings: Settings) -> np.ndarray:
    """Probability of every region on the raw grid, (X, Y, Z, R) float32 in the schema's order, in
    [0, 1], at the temperature of the settings.
    """
    found = regions.region_probabilities(prediction.restored, card.cohort, card.network.output)
    return tempered(found, settings.postprocess.temperature)


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
