"""Data behind an account, fetched by the client of its keeper, who also keeps the credentials."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import InputError
from .fetch import locked


@dataclass(frozen=True)
class Client:
    """A command-line client.

    Attributes
    ----------
    package : str
        What pip installs.
    command : tuple of str
        Its call, with ``{name}`` for what is fetched and ``{folder}`` for where to.
    login : str
        How the user lets it know who he is.
    """

    package: str
    command: tuple[str, ...]
    login: str


CLIENTS = {
    "synapse": Client(
        "synapseclient",
        ("synapse", "get", "-r", "{name}", "--downloadLocation", "{folder}"),
        "synapse login",
    ),
    "kaggle": Client(
        "kaggle",
        ("kaggle", "datasets", "download", "-d", "{name}", "-p", "{folder}", "--unzip"),
        "an API token in ~/.kaggle/kaggle.json",
    ),
}
"""By the scheme of `cohort.location`: ``synapse:syn25829067``,
``kaggle:mateuszbuda/lgg-mri-segmentation``.
"""

_LOCATION = re.compile(rf"(?P<client>{'|'.join(CLIENTS)}):(?P<name>[A-Za-z0-9][A-Za-z0-9._/-]*)")


def is_account(location: str) -> bool:
    """Whether a location names data behind an account."""
    return _LOCATION.fullmatch(location) is not None


def fetch_by_client(location: str, parent: Path) -> Path:
    """Fetch data with the client of its keeper; what is there already stays.

    Parameters
    ----------
    location : str
        For which `is_account` holds.
    parent : Path
        Gets a folder of its own for the data. Until the client has ended well that is called
        ``.NAME.unfinished``, so that a client which can go on after a cut does.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the client is not installed or fails, with its last words and what to do.
    """
    scheme, name = _LOCATION.fullmatch(location).group("client", "name")
    client, folder = CLIENTS[scheme], parent / re.sub(r"[^A-Za-z0-9.-]", "_", location)
    by_hand = (
        "Or fetch the data by hand in a browser and set cohort.location to its folder (python -m"
        " pipeline sources; docs/data.md)."
    )
    if shutil.which(client.command[0]) is None:
        raise InputError(
            f"params.yaml: cohort.location is {location}, which the client {client.command[0]}"
            f" fetches, but that is not installed: pip install {client.package}, then"
            f" {client.login}. {by_hand}"
        )
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            command = [word.format(name=name, folder=unfinished) for word in client.command]
            ended = subprocess.run(
                command, stderr=subprocess.PIPE, text=True, errors="replace", check=False
            )
            if ended.returncode:
                words = " ".join(ended.stderr.split()[-40:])
                raise InputError(
                    f"{' '.join(command)}: ended with status {ended.returncode}:"
                    f" {words or 'no words'}. If it does not know you: {client.login}, and agree to"
                    f" the terms of the data in a browser. {by_hand}"
                )
            unfinished.rename(folder)
        else:
            unfinished.rmdir()
    return folder
