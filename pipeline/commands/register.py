"""Register a trained and evaluated network in MLflow's registry, under a name with an alias.

    python -m pipeline register --name glioma --alias champion
    python -m pipeline register --model runs:/RUN_ID --name glioma --alias challenger

`python -m pipeline predict --model models:/glioma@champion` then segments with it, and `mlflow
models serve -m models:/glioma@champion --env-manager local` serves it (docs/how-to/serve.md). A
version has the hashes of its network, data and settings and its mean Dice as tags, and its model
card as description. The same network with the same settings is not registered again: its version
gets the alias.
"""

import argparse

from ..core.errors import InputError
from ..core.records import sha256
from ..network.card import network_file, read_card
from ..network.settings import read_settings
from ..runtime.model_folder import model_folder
from ..runtime.tracking import registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "--model",
        default="models",
        metavar="FOLDER|runs:/ID|models:/NAME@ALIAS|EXPERIMENT",
        help="folder of the network and its card, MLflow run, DVC experiment or revision"
        " (default: models)",
    )
    parser.add_argument("--name", required=True, help="of the registered model")
    parser.add_argument(
        "--alias",
        default="champion",
        help="of this version, moved from any other (default: champion)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Register the network, and print its version and address."""
    name, alias = arguments.name, arguments.alias
    registry.check_names(name, alias)
    folder = model_folder(arguments.model)
    card = read_card(folder)
    network, settings = network_file(folder), folder / "inference.json"
    if not settings.is_file():
        raise InputError(
            f"{settings}: is missing, because the network was trained, but not evaluated. Evaluate"
            " it: dvc repro evaluate."
        )
    read_settings(folder)
    files = [network, folder / "card.json", settings, folder / "model_card.md"]
    identity = {
        "network_sha256": card.network_sha256,
        "data_hash": card.data_hash,
        "settings_sha256": sha256(settings),
    }
    labels = ", ".join(card.cohort.labels)
    about = f"{card.use} Segments {labels}; trained on {card.cohort.cohort}."
    known = [file for file in files if file.is_file()]
    version = registry.register(name, alias, known, identity, about)
    state = "registered" if version.is_new else "was registered before"
    dice = version.tags.get("mean_region_dice", "unknown, as no run of the store scored it")
    print(f"{name}, version {version.version}: {state}; mean region Dice {dice}")
    print(f"models:/{name}@{alias}")
