"""Find a trained network: in a folder, an MLflow run, MLflow's registry, a DVC experiment or a git
revision.
"""

import argparse
import atexit
import re
import shutil
import tempfile
from pathlib import Path

from ..core.errors import InputError
from . import workspace
from .committed import NOTHING_COMMITTED, nothing_committed
from .tracking import registry
from .tracking.kept import model_files

_RUN = re.compile(r"runs:/+([^/]+)(/model/?)?")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare ``--model``, whose value `model_folder` takes."""
    parser.add_argument(
        "--model",
        default="models",
        metavar="FOLDER|runs:/ID|models:/NAME@ALIAS|EXPERIMENT",
        help="folder of the network and its card, MLflow run, registered model, DVC experiment or"
        " revision (default: models)",
    )


def model_folder(name: str) -> Path:
    """Find the folder of a trained network, for `pipeline.api.load`, which checks that the network
    is the one that the card describes.

    Parameters
    ----------
    name : str
        ``workspace``, which is models/ of the current folder; a folder; ``runs:/ID`` or
        ``runs:/ID/model`` of MLflow; ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` of its
        registry; a DVC experiment or git revision; or the id or name of an MLflow run. Looked for
        in this order.

    Returns
    -------
    Path
        The folder itself, or a copy that is removed when the program ends.

    Raises
    ------
    InputError
        If there is no such model, or it lacks a file. Says where it was looked for.
    """
    if name == workspace.NAME:
        return Path("models")
    if Path(name).exists():
        return Path(name)
    if registry.is_address(name):
        return registry.download(name, _temporary())
    if found := _RUN.fullmatch(name):
        try:
            return model_files(found[1], _temporary())
        except InputError as fault:
            raise InputError(f"{name}: {fault}\n`make ui` lists runs.") from None
    if name.startswith("runs:"):
        raise InputError(f"{name}: is no model of an MLflow run. Write runs:/ID or runs:/ID/model.")
    folder, reason = _of_revision(name)
    if folder:
        return folder
    try:
        return model_files(name, _temporary())
    except InputError as fault:
        raise InputError(
            f"{name}: does not exist. Train a network (dvc repro), or name the folder of"
            " network.keras, card.json and inference.json, an MLflow run (runs:/ID) or a DVC"
            f" experiment. It is no folder here. DVC: {reason}. MLflow: {fault}\n"
            "`dvc exp show` lists experiments, `make ui` runs."
        ) from None


def _of_revision(name: str) -> tuple[Path | None, str]:
    """A copy of models/ of a revision or DVC experiment, or None and the reason."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    folder = _temporary()
    try:
        files = DVCFileSystem(str(workspace.root()), rev=name)
        for path in files.ls("models", detail=False):
            if path.endswith((".keras", ".json")):
                files.get_file(path, str(folder / Path(path).name))
    except RevError:
        return None, "no experiment or revision of this name"
    except (DvcException, OSError) as fault:  # of Git LFS, the cache or remote storage
        if nothing_committed(name):
            return None, f"models/ of this revision is not there: {NOTHING_COMMITTED}"
        return None, f"models/ of this revision cannot be fetched ({fault}); dvc pull may fetch it"
    if not any(folder.glob("*.keras")):
        return None, "this revision has no network in models/"
    return folder, ""


def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tumorflow-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
