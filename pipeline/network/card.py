"""models/card.json: all that is needed to use a network, and its origin. Read without Keras."""

import hashlib
from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError
from ..core.folds import Split
from ..core.records import read_json, sha256
from ..core.schema import Schema
from ..core.strict import Strict
from ..preparation.params import PreprocessingConfig
from .params import NetworkParams


class Member(Strict):
    """One network of an ensemble, or the only one.

    Attributes
    ----------
    trained_on, validated_on : tuple of str
        Cases.
    best_epoch : int
        The epoch whose weights are kept, from 1.
    val_dice : float or None
        Of that epoch, mean over regions, on the validation patches; None if no region is present.
    """

    trained_on: tuple[str, ...]
    validated_on: tuple[str, ...]
    best_epoch: int
    val_dice: float | None


def data_hash(catalogue: Path, split: Path) -> str:
    """Of the data of a training: sha256 of catalogue.json and split.json."""
    return hashlib.sha256(catalogue.read_bytes() + split.read_bytes()).hexdigest()


class Card(Strict):
    """What models/card.json holds.

    Attributes
    ----------
    format_version : int
        Of this record; older ones are upgraded when they are read.
    cohort, preprocess, network, train
        The schema of the training cases, and the sections of params.yaml.
    patch : tuple of int
        (X, Y) or (X, Y, Z) in prepared voxels.
    spacing_mm : tuple of 3 floats
        Of the prepared training cases, the median per axis.
    seed : int
        Of the cohort.
    members : tuple of Member
        Several for an ensemble, whose logits are averaged.
    weights : int
        How many are trained, of all members.
    data_hash : str
        sha256 of the catalogue and split.
    network_sha256 : str
        Of models/network.keras.
    backend : str
        The Keras backend of the training, "tensorflow" or "jax".
    versions : dict of str to str
        Of Python, Keras, its backend and NumPy.
    use : str
    stripped : bool or None
        Whether the training cases are skull-stripped; None if unknown.
    """

    format_version: Literal[4]
    cohort: Schema
    preprocess: PreprocessingConfig
    network: NetworkParams
    patch: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    seed: int
    train: dict[str, Any]
    members: tuple[Member, ...]
    weights: int
    data_hash: str
    network_sha256: str
    backend: str
    versions: dict[str, str]
    use: str
    stripped: bool | None

    @property
    def seen(self) -> set[str]:
        """Cases that any member was trained or validated on."""
        return {case for one in self.members for case in (*one.trained_on, *one.validated_on)}

    @property
    def tags(self) -> dict[str, str]:
        """MLflow tags that identify the training."""
        return {"data_hash": self.data_hash, "keras_backend": self.backend}

    @property
    def accepts_missing_modalities(self) -> bool:
        """Whether the network was trained with modality dropout; one of an earlier version was
        not.
        """
        dropout = self.train.get("on_the_fly", {}).get("modality_dropout", {})
        return dropout.get("probability", 0) > 0


def read_card(folder: Path) -> Card:
    """Read the card of a folder of models and check that it describes the network there.

    Raises
    ------
    InputError
        If either file is missing, the card is not readable, or the network has other bytes.
    """
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file. Name the folder that holds network.keras and card.json: --model"
            f" {folder.parent}."
        )
    if not folder.is_dir():
        raise InputError(
            f"{folder}: does not exist. Train a network (dvc repro train), or name the folder of"
            " network.keras and card.json."
        )
    card = read_json(folder / "card.json", Card, _upgraded)
    network = network_file(folder)
    if not network.is_file():
        raise InputError(
            f"{network}: is missing. Train it (dvc repro train) or name the folder that holds"
            " network.keras and card.json."
        )
    found = sha256(network)
    if found != card.network_sha256:
        raise InputError(
            f"{network}: has sha256 {found}, but {folder / 'card.json'} describes"
            f" {card.network_sha256}. Network and card belong together: take both from one"
            " training."
        )
    return card


def network_file(folder: Path) -> Path:
    """The network in a folder of models: network.keras, or unet.keras in format 1."""
    present, old = folder / "network.keras", folder / "unet.keras"
    return old if old.is_file() and not present.is_file() else present


_RENAMED = {"recipe": "preprocess", "architecture": "network"}


_ADDED_TO_NETWORK: dict[str, Any] = {
    "slices": 1,
    "strides": None,
    "kernels": None,
    "encoder_blocks": 1,
    "decoder_convolutions": 2,
    "type_head": False,
}


def _upgraded(values: Any) -> Any:
    """A card of an earlier format as one of the present format."""
    if not isinstance(values, dict):
        return values
    card = values if "format_version" in values else _of_format_2(values)
    if card["format_version"] == 2 and isinstance(card.get("network"), dict):
        card = _of_format_3(card)
    if card["format_version"] == 3:
        member = {name: card[name] for name in Member.model_fields if name in card}
        kept = {name: value for name, value in card.items() if name not in member}
        card = {"members": [member]} | kept | {"format_version": 4}
    return card


def _of_format_3(card: dict[str, Any]) -> dict[str, Any]:
    network = _ADDED_TO_NETWORK | card["network"]
    if "residual" in network:  # its decoder was residual too
        network["encoder"] = "residual" if network.pop("residual") else "plain"
    return card | {"format_version": 3, "network": network}


def _of_format_2(values: dict[str, Any]) -> dict[str, Any]:
    card = {_RENAMED.get(name, name): value for name, value in values.items()}
    card.pop("code_hash", None)
    for name, added in (
        ("network", {"architecture": "unet", "options": {}}),
        ("train", {"loss": "dice_ce"}),
    ):
        if isinstance(card.get(name), dict):
            card[name] = added | card[name]
    return {"stripped": None} | card | {"format_version": 2}


def check_spacing(card: Card, spacing_mm: tuple[float, float, float], case: str) -> None:
    """Reject a case whose prepared voxels differ in size from those of the training.

    Raises
    ------
    InputError
        If an edge differs by more than a quarter.
    """
    if any(
        abs(own / trained - 1) > 0.25
        for own, trained in zip(spacing_mm, card.spacing_mm, strict=True)
    ):
        raise InputError(
            f"{case}: prepared voxels of {_text(spacing_mm)} mm, but the network was trained on"
            f" {_text(card.spacing_mm)} mm. Resample the case to that size, or train with"
            " preprocess.spacing_mm set."
        )


def check_cohort(card: Card, cohort: Schema, models: Path) -> None:
    """Check that a voxel means the same in a cohort as in that of the training; the network does
    not depend on the rules for lesions.

    Raises
    ------
    InputError
        If the schemas differ.
    """
    if cohort.model_copy(update={"lesion_rules": card.cohort.lesion_rules}) != card.cohort:
        raise InputError(
            f"{models / 'card.json'}: was trained on cohort {card.cohort.cohort} with"
            f" {card.cohort.labels}, but the catalogue is of {cohort.cohort} with"
            f" {cohort.labels}. Train on this cohort: dvc repro."
        )


def check_unseen(card: Card, parts: Split, models: Path) -> None:
    """Check that no patient of test was trained or validated on: such scores are worthless.

    Raises
    ------
    InputError
        Names their cases.
    """
    test = {parts.patients[case] for case in parts.test}
    seen = sorted(case for case in card.seen if parts.patients.get(case, case) in test)
    if seen:
        raise InputError(
            f"{models / 'card.json'}: was trained or validated on {seen}, patients of the test"
            " part. Train again: dvc repro."
        )


def _text(spacing_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{edge:.3g}" for edge in spacing_mm)
