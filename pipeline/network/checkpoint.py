"""The complete state of a training, in one file that is either whole or absent."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from ..core.records import replacing


@dataclass(frozen=True)
class Checkpoint:
    """State of a training after an epoch.

    Attributes
    ----------
    fingerprint : str
        Of everything that the result depends on; it identifies the training.
    history : list of dict
        One record per finished epoch.
    variables : list of array
        The network's, with the states of its random number generators.
    optimizer : list of array
        The optimizer's: step count, moments, running average of the weights.
    best : list of array
        The network's weights in its best epoch.
    """

    fingerprint: str
    history: list[dict]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]
    best: list[np.ndarray]


def fingerprint(*parts: object) -> str:
    """Hash of everything that a training depends on: texts, numbers, and records of params."""
    texts = [part.model_dump_json() if isinstance(part, BaseModel) else str(part) for part in parts]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


GROUPS = ("variables", "optimizer", "best")


def save(path: Path, state: Checkpoint) -> None:
    """Write a checkpoint; it replaces the old one only when it is complete."""
    groups: dict[str, list[np.ndarray]] = {name: getattr(state, name) for name in GROUPS}
    about = {
        "fingerprint": state.fingerprint,
        "history": state.history,
        "counts": [len(group) for group in groups.values()],
    }
    arrays = {
        f"{name}_{index}": array
        for name, group in groups.items()
        for index, array in enumerate(group)
    }
    with replacing(path) as sibling, sibling.open("wb") as file:
        np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def history(path: Path, fingerprint: str) -> list[dict]:
    """Records of the finished epochs of the training with that fingerprint, see `load`."""
    state = load(path, fingerprint)
    return list(state.history) if state else []


def load(path: Path, fingerprint: str) -> Checkpoint | None:
    """Read the checkpoint of the training with that fingerprint.

    None if there is no file, if it belongs to another training, or if it is damaged: then training
    starts from the beginning.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            about = json.loads(str(members["about"]))
            if about["fingerprint"] != fingerprint:
                return None
            groups = [
                [members[f"{name}_{index}"] for index in range(count)]
                for name, count in zip(GROUPS, about["counts"], strict=True)
            ]
            return Checkpoint(about["fingerprint"], about["history"], *groups)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None
