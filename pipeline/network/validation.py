"""Cases that the networks of an ensemble have not been trained on, segmented by these."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..core.case import Case
from ..preparation import choosing
from ..preparation.choosing import Example
from ..preparation.preprocessing import Geometry
from . import ensemble, predictor
from .backend import keras
from .card import Card
from .predictor import Settings


def examples(
    network: keras.Model,
    card: Card,
    settings: Settings,
    prepared: Callable[[str], tuple[np.ndarray, Geometry]],
    raw: Callable[[str], Case],
    patients: Mapping[str, str],
    folder: Path,
) -> list[Example]:
    """Segment the validation cases of every network; those of folds are all training cases.

    Parameters
    ----------
    network : keras.Model
        As `saving.load_model` returns it.
    card, settings
        Of the network, and how it predicts.
    prepared : callable
        Name of a case to its image and geometry.
    raw : callable
        Name of a case to the raw case with its reference.
    patients : mapping of str to str
        Of every case.
    folder : Path
        For the files of the examples.
    """
    found: list[Example] = []
    for member, unseen in zip(ensemble.members_of(network), card.members, strict=True):
        for name in unseen.validated_on:
            image, geometry = prepared(name)
            prediction = predictor.predict(
                member, card, settings, image, f"validation, {name}", geometry=geometry
            )
            case, path = raw(name), folder / f"{len(found)}.npz"
            assert case.classes is not None  # split.json holds labelled cases only
            choosing.keep(path, prediction.restored, case.classes, card.cohort, card.network.output)
            found.append(Example(name, patients[name], path, case.grid.spacing_mm))
    return found
