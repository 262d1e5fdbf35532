"""The trained network as a file: the same weights give the same bytes."""

import io
import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.extensions import resolve
from ..core.records import write_bytes
from .architectures import inference_network
from .backend import keras
from .layers.exchange import fast, portable

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of the zip format


def save_model(model: keras.Model, path: Path) -> None:
    """Save a network for use, without its optimizer, in Keras's format: its finest output alone,
    and Keras's own layers in place of the faster ones of `layers`.

    `path` ends in ".keras"; it is written whole or not at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        stamped = Path(folder) / "model.keras"
        portable(inference_network(model)).save(stamped)
        write_bytes(path, _reproducible(stamped))


def _reproducible(path: Path) -> bytes:
    """The archive without the dates and memory addresses that Keras writes into it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as stamped, zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(stamped.namelist()):
            content = stamped.read(name)
            if name.endswith(".json"):
                content = json.dumps(_normalized(json.loads(content), {}), sort_keys=True).encode()
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


def _normalized(value: Any, numbers: dict[int, int]) -> Any:
    """Number shared objects by their first appearance, and drop the date."""
    if isinstance(value, list):
        return [_normalized(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _normalized(item, numbers) for key, item in value.items() if key != "date_saved"}
    if "shared_object_id" in kept:
        kept["shared_object_id"] = numbers.setdefault(kept["shared_object_id"], len(numbers))
    return kept


def load_model(path: Path, architecture: str = "unet") -> keras.Model:
    """Load a network that `save_model` wrote, with the faster layers of `layers` where they compute
    the same. Code inside the file is not run.

    Parameters
    ----------
    path : Path
    architecture : str
        As in the card. A network with layers of its own, registered with
        `keras.saving.register_keras_serializable`, needs the module that defines them: that of
        ``package.module:attribute`` is imported if it is a file of the current folder.

    Raises
    ------
    InputError
        If the file is missing, or is not a network that can be loaded safely.
    """
    try:
        return fast(keras.saving.load_model(path, compile=False, safe_mode=True))
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        text = str(error).strip() or type(error).__name__
    unknown = re.search(r"Could not locate \w+ '(.+?)'", text)
    module, colon, _ = architecture.partition(":")
    if not unknown or not colon:
        raise InputError(
            f"{path}: is not a network that can be loaded safely ({text.splitlines()[0]}). Train it"
            " again: dvc repro."
        )
    if module in sys.modules or not _is_here(module):
        raise InputError(
            f"{path}: needs the layer {unknown[1]} of {module}. Run in the folder that holds"
            f" {module}, or import it before loading; it must decorate the layer with"
            " keras.saving.register_keras_serializable()."
        )
    resolve(architecture, {}, "network.architecture")
    return load_model(path, architecture)


def _is_here(module: str) -> bool:
    place = Path.cwd() / module.replace(".", "/")
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
