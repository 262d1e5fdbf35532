"""The model card: all that is needed to use a network, and where it comes from. Read without Keras."""

from pathlib import Path
from typing import Any

from pipeline.domain.errors import InputError
from pipeline.domain.preparation import Recipe
from pipeline.domain.schema import Schema
from pipeline.domain.strict import Strict
from pipeline.io.records import read_json, sha256
from pipeline.nn.architecture import Architecture


class Card(Strict):
    """What stands in models/card.json.

    Attributes
    ----------
    cohort : Schema
        What went in and what comes out.
    recipe : Recipe
        How a case is prepared.
    architecture : Architecture
        Of the network.
    patch : tuple of int
        (X, Y) or (X, Y, Z) in prepared voxels.
    spacing_mm : tuple of 3 floats
        Of the prepared training cases, the median per axis.
    seed : int
        Of the cohort.
    train : dict
        The section `train` of params.yaml.
    trained_on, validated_on : tuple of str
        Cases.
    best_epoch : int
        Whose weights these are, from 1.
    val_dice : float or None
        Of that epoch, mean over regions, on the validation patches.
    weights : int
        Number of trainable weights.
    data_hash, code_hash : str
        sha256 of the catalogue and split, and of the code that trained.
    network_sha256 : str
        Of models/unet.keras.
    backend : str
        The engine that trained it, "tensorflow" or "jax".
    versions : dict of str to str
        Of Python, Keras, its engine and NumPy.
    use : str
        What the network is for.
    stripped : bool or None
        Whether the skull was removed in the training cases; None where that is not known, and in cards written before it was recorded.
    """

    cohort: Schema
    recipe: Recipe
    architecture: Architecture
    patch: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    seed: int
    train: dict[str, Any]
    trained_on: tuple[str, ...]
    validated_on: tuple[str, ...]
    best_epoch: int
    val_dice: float | None
    weights: int
    data_hash: str
    code_hash: str
    network_sha256: str
    backend: str
    versions: dict[str, str]
    use: str
    stripped: bool | None = None

    @property
    def tags(self) -> dict[str, str]:
        """What names the training among the runs."""
        return {"data_hash": self.data_hash, "code_hash": self.code_hash, "keras_backend": self.backend}


def read(folder: Path) -> Card:
    """Read the card of a folder of models and check that the network beside it is the one it describes.

    Raises
    ------
    InputError
        If either file is missing, the card is not readable, or the network has other bytes.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file. Name the folder that holds unet.keras and card.json: --model {folder.parent}.")
    if not folder.is_dir():
        raise InputError(f"{folder}: is not there. Train a network (dvc repro train), or name the folder of unet.keras and card.json.")
    card = read_json(folder / "card.json", Card)
    network = folder / "unet.keras"
    if not network.is_file():
        raise InputError(f"{network}: is missing. Train it (dvc repro train) or name the folder that holds unet.keras and card.json.")
    found = sha256(network)
    if found != card.network_sha256:
        raise InputError(
            f"{network}: has sha256 {found}, but {folder / 'card.json'} describes {card.network_sha256}. "
            "Network and card belong together: take both from one training."
        )
    return card


def refuse_other_spacing(card: Card, spacing_mm: tuple[float, float, float], case: str) -> None:
    """Refuse a case whose prepared voxels are of another size than those trained on.

    Raises
    ------
    InputError
        If an edge differs by more than a quarter.
    """
    if any(abs(own / trained - 1) > 0.25 for own, trained in zip(spacing_mm, card.spacing_mm, strict=True)):
        raise InputError(
            f"{case}: prepared voxels of {_text(spacing_mm)} mm, but the network was trained on {_text(card.spacing_mm)} mm. "
            "Resample the case to that size, or train with preprocess.spacing_mm set."
        )


def _text(spacing_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{edge:.3g}" for edge in spacing_mm)
