"""The registry of models: trained networks under a name, in versions, with aliases.

The same network with the same settings is one version of a name, however often it is registered.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import InputError
from . import logged_model, store

_NAME = re.compile(r"[\w .-]*\w[\w .-]*")
_ALIAS = re.compile(r"(?!(?:v\d+|latest)$)[\w-]+", re.IGNORECASE)
_ADDRESS = re.compile(r"models:/+([^/@]+)(?:@([^/@]+)|/(\d+))")
_MOST_LETTERS = 5000  # of a description, in the tables of MLflow
SETTINGS = "inference.json"
_NETWORK = "network_sha256"
_MODEL_CARD = "model_card.md"


@dataclass(frozen=True)
class Registered:
    """A version of a name; ``is_new`` unless it was registered before."""

    name: str
    version: str
    is_new: bool
    tags: Mapping[str, str]


def check_names(name: str, alias: str) -> None:
    """Raise InputError unless the registry takes the name of a model and of an alias."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--name {name}: may have letters, digits, '_', '-', '.' and spaces. Choose another"
            " name."
        )
    if not _ALIAS.fullmatch(alias):
        raise InputError(
            f"--alias {alias}: may have letters, digits, '_' and '-', and is not latest or v1, v2"
            " and so on, which MLflow reserves. Choose another alias."
        )


def register(
    name: str, alias: str, files: Sequence[Path], identity: Mapping[str, str], about: str
) -> Registered:
    """Register a model, unless a version of the name is the same, and set the alias.

    Parameters
    ----------
    files : sequence of Path
        network.keras, the first, card.json, inference.json and, if it is there, model_card.md.
    identity : mapping
        Tags by which a version is the same, among them ``network_sha256``.
    about : str
        The description of a model without a model card.

    Raises
    ------
    InputError
        If the store cannot be used, or a name is not allowed.
    """
    check_names(name, alias)
    client, experiment_id = store.opened()
    with _explained(name):
        version = _same(client, name, identity)
        is_new = version is None
        if version is None:
            version = _new_version(client, experiment_id, name, files, identity, about)
        client.set_registered_model_alias(name, alias, version.version)
    return Registered(name, str(version.version), is_new, version.tags)


def is_address(name: str) -> bool:
    """Whether a name is that of a registered model, such as ``models:/NAME@ALIAS``."""
    return name.startswith("models:/")


def download(address: str, folder: Path) -> Path:
    """Copy a registered model into a folder, and return where it is there.

    Parameters
    ----------
    address : str
        ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

    Raises
    ------
    InputError
        If it is another address, or there is no such store, name, alias or version.
    """
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise InputError(
            f"{address}: is no registered model. Write models:/NAME@ALIAS or models:/NAME/VERSION."
        )
    if not store.exists():
        raise InputError(f"{address}: store {store.shown()} does not exist yet. Run dvc repro.")
    name, alias, number = found.groups()
    client, _ = store.opened()
    with _explained(address):
        if alias:
            number = client.get_model_version_by_alias(name, alias).version
        source = client.get_model_version_download_uri(name, number)
        return logged_model.fetch(client, source, folder)


def _same(client: Any, name: str, identity: Mapping[str, str]) -> Any:
    """The version of a name with these tags; None without one."""
    wanted = f"name = '{name}' and tags.{_NETWORK} = '{identity[_NETWORK]}'"
    for version in client.search_model_versions(wanted):
        if identity.items() <= version.tags.items():
            return version
    return None


def _new_version(
    client: Any,
    experiment_id: str,
    name: str,
    files: Sequence[Path],
    identity: Mapping[str, str],
    about: str,
) -> Any:
    settings = next(file for file in files if file.name == SETTINGS)
    run = _evaluated_run(client, experiment_id, identity[_NETWORK], settings)
    run_id = run and run.info.run_id
    model_id = logged_model.log_copy(client, experiment_id, run_id, files)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=about)
    return client.create_model_version(
        name,
        f"models:/{model_id}",
        run_id,
        tags={**identity, **_mean_dice(run)},
        description=_described(client, run_id, files, about),
        model_id=model_id,
    )


def _evaluated_run(client: Any, experiment_id: str, network_sha256: str, settings: Path) -> Any:
    """The newest run that trained this network and scored it with these settings; None without one.
    Runs of early versions do not hold their settings, and are taken at their word.
    """
    query = f"tags.model_sha256 = '{network_sha256}'"
    for run in client.search_runs([experiment_id], query, order_by=["attributes.start_time DESC"]):
        if "evaluation_sha256" in run.data.tags:
            stored = logged_model.content(client, run.info.run_id, SETTINGS)
            if stored in (None, settings.read_bytes()):
                return run
    return None


def _mean_dice(run: Any) -> dict[str, str]:
    """The tag with the mean Dice of a run, by the name of this or an earlier version."""
    values = run.data.metrics if run else {}
    dice = values.get("mean_region_dice", values.get("mean_region_dice/value"))
    return {} if dice is None else {"mean_region_dice": f"{dice:.4f}"}


def _described(client: Any, run_id: str | None, files: Sequence[Path], about: str) -> str:
    """As many whole sections of the model card, from the files or the run, as have room."""
    card = next((file for file in files if file.name == _MODEL_CARD), None)
    if card is None and run_id:
        listed = {item.path for item in client.list_artifacts(run_id, "report")}
        if f"report/{_MODEL_CARD}" in listed:
            card = Path(client.download_artifacts(run_id, f"report/{_MODEL_CARD}"))
    if card is None:
        return about
    text = ""
    for section in re.split(r"(?m)^(?=## )", card.read_text(encoding="utf-8")):
        if len(text) + len(section) > _MOST_LETTERS:
            break
        text += section
    return text or about


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn an error of MLflow into an InputError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise InputError(
            f"{what}: the registry of {store.shown()} says: {error.message}\n"
            "`make ui` lists registered models; `tumorflow register` adds one."
        ) from None
