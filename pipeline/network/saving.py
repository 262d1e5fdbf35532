"""The trained network as a file: the same weights give the same bytes."""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.records import write_bytes
from .backend import keras
from .unet import without_supervision

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold


def save_model(model: keras.Model, path: Path) -> None:
    """Save a network for use: its finest output, without its optimizer, in Keras' own format.

    Parameters
    ----------
    model : keras.Model
        As `unet.build` makes it, with the weights to keep.
    path : Path
        Ends in ".keras"; replaced whole or not at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        stamped = Path(folder) / "model.keras"
        without_supervision(model).save(stamped)
        write_bytes(path, _timeless(stamped))


def _timeless(path: Path) -> bytes:
    """The archive without dates and without the memory addresses that Keras writes into it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as stamped, zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(stamped.namelist()):
            content = stamped.read(name)
            if name.endswith(".json"):
                content = json.dumps(
                    _without_chance(json.loads(content), {}), sort_keys=True
                ).encode()
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


def _without_chance(value: Any, numbers: dict[int, int]) -> Any:
    """Number shared objects by their first appearance, and drop the date."""
    if isinstance(value, list):
        return [_without_chance(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _without_chance(item, numbers) for key, item in value.items() if key != "date_saved"
    }
    if "shared_object_id" in kept:
        kept["shared_object_id"] = numbers.setdefault(kept["shared_object_id"], len(numbers))
    return kept


def load_model(path: Path) -> keras.Model:
    """Load a network that `save_model` wrote. Code inside the file is not run.

    Parameters
    ----------
    path : Path

    Returns
    -------
    keras.Model
        From float (B, *spatial, C) to float32 logits (B, *spatial, O).

    Raises
    ------
    InputError
        If the file is missing, or is not a network that can be loaded safely.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path}: is not a network that can be loaded safely ({reason}). Train it again: dvc"
            " repro."
        ) from None
