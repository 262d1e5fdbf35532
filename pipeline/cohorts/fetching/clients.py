"""Data behind an account, downloaded by the client of their host, which keeps the credentials."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from ...core.errors import InputError
from .fetch import locked


class Client(NamedTuple):
    """A command-line client: its package for pip, its call, with ``{name}`` for the data and
    ``{folder}`` for the target, and how the user signs in.
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
    """Download data with the client of their host into a folder of `parent`, unless they are there
    already.

    The folder is called ``.NAME.unfinished`` until the client has succeeded, so that a client that
    can resume does. InputError if the client is not installed or fails; quotes its last words.
    """
    scheme, _, name = location.partition(":")
    client, folder = CLIENTS[scheme], parent / re.sub(r"[^A-Za-z0-9.-]", "_", location)
    by_hand = (
        "Or download the data by hand and set cohort.location to their folder (python -m"
        " pipeline sources; docs/data.md)."
    )
    if shutil.which(client.command[0]) is None:
        raise InputError(
            f"params.yaml: cohort.location is {location}, which needs the client"
            f" {client.command[0]}, but that is not installed: pip install {client.package}, then"
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
                    f" {words or 'no message'}. If you are not signed in: {client.login}, and"
                    f" accept the terms of the data in a browser. {by_hand}"
                )
            unfinished.rename(folder)
        else:
            unfinished.rmdir()
    return folder
