"""From a prepared image to class indices on the raw grid: what `evaluate` scores is what `predict` gives."""

from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.domain.grid import Grid
from pipeline.domain.postprocess import Postprocess, postprocess
from pipeline.domain.preparation import Geometry, restore
from pipeline.domain.regions import outputs_to_classes
from pipeline.domain.strict import Strict
from pipeline.nn.backend import keras
from pipeline.nn.card import Card
from pipeline.nn.inference import predict_probabilities


class Settings(Strict):
    """How a network is asked: the section `evaluate`, kept as models/inference.json.

    Attributes
    ----------
    overlap : float
        Least share that neighbouring windows have in common, in [0, 1).
    mirror : bool
        Whether to average over all mirror images of each window.
    batch_size : int
        Windows predicted at once.
    postprocess : Postprocess
        Done to the class indices on the raw grid.
    """

    overlap: Annotated[float, Field(ge=0, lt=1)]
    mirror: bool
    batch_size: Annotated[int, Field(ge=1)]
    postprocess: Postprocess


def probabilities_of(model: keras.Model, card: Card, settings: Settings, image: np.ndarray, describe: str | None = None) -> np.ndarray:
    """Probabilities (X, Y, Z, O) float32 on the prepared grid of a prepared image (X, Y, Z, C)."""
    activation = "sigmoid" if card.architecture.output == "regions" else "softmax"
    return predict_probabilities(model, image, card.patch, settings.overlap, settings.mirror, settings.batch_size, activation, describe)


def classes_of(probabilities: np.ndarray, geometry: Geometry, card: Card, settings: Settings) -> np.ndarray:
    """Class indices on the raw grid.

    Parameters
    ----------
    probabilities : (X, Y, Z, O) float32 array
        On the prepared grid.
    geometry : Geometry
        The way back.
    card : Card
        Tells what the channels mean.
    settings : Settings
        Tells the post-processing.

    Returns
    -------
    (X, Y, Z) uint8 array
        On the raw axes; the probabilities are interpolated, then decided, then post-processed.
    """
    classes = outputs_to_classes(restore(probabilities, geometry), card.cohort, card.architecture.output)
    spacing_mm = Grid(geometry.raw_shape, np.array(geometry.raw_affine)).spacing_mm
    return postprocess(classes, card.cohort, spacing_mm, settings.postprocess)
