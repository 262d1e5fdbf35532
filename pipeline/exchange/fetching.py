"""A study of a DICOMweb server in a folder: whole or not there, and never fetched twice."""

import logging
import os
import shutil
from pathlib import Path

import pydicom

from ..cohorts.fetching.fetch import locked
from ..core.errors import InputError
from ..core.progress import Bar
from ..core.records import replacing
from ..formats.dicom.header import errors_reported, pseudonym, read_header
from .server import Server, is_uid
from .session import PassingFault

log = logging.getLogger(__name__)

MOST_BYTES = 2**35
"""Of a study."""


def fetch_study(server: Server, study: str, out: Path, most_bytes: int = MOST_BYTES) -> Path:
    """Fetch the MR series of a study into ``<out>/study-<pseudonym>/<series>/<instance>.dcm``.

    While instances are missing, the folder is ``.study-<pseudonym>.fetching``, which no command
    takes for a study; a later call goes on there. Instances that are there are not fetched again.
    The files hold the identity of the patient, as on the server.

    Returns
    -------
    Path
        The folder of the study.

    Raises
    ------
    InputError
        If the study has no MR series, the server cannot be reached after all attempts, or sends
        something else than the instance that was asked for.
    """
    if not is_uid(study):
        raise InputError(
            f"{study[:80]!r} is no StudyInstanceUID. `python -m pipeline dicomweb list` shows them."
        )
    name = f"study-{pseudonym('study', study)}"
    try:
        listed = _listed(server, study)
        with locked(out / f".{name}.lock"):
            return _complete(server, study, listed, out / name, most_bytes)
    except PassingFault as fault:
        raise InputError(
            f"{server.url}: {fault}. What was fetched is kept in {out}; give the command again when"
            " the server or the network works."
        ) from None


def _listed(server: Server, study: str) -> list[tuple[str, str]]:
    """Series and UID of each instance of the MR series of a study."""
    series = server.series(study)
    wanted = [each for each in series if each.modality in ("MR", "")]
    if not wanted:
        kinds = ", ".join(sorted({each.modality for each in series})) or "no series"
        raise InputError(f"{server.url}: the study has no MR series ({kinds}). Name another study.")
    listed = []
    for each in wanted:
        instances = server.instances(study, each.uid)
        if each.instances and each.instances != str(len(instances)):
            log.warning(
                "warning: series %s: the server counts %s instances and lists %d: it may still be"
                " arriving",
                *(each.uid, each.instances, len(instances)),
            )
        listed += [(each.uid, instance) for instance in instances]
    return listed


def _complete(
    server: Server, study: str, listed: list[tuple[str, str]], folder: Path, most_bytes: int
) -> Path:
    """Fetch what a folder lacks."""
    hidden = folder.with_name(f".{folder.name}.fetching")
    place = folder if folder.is_dir() else hidden
    missing = [names for names in listed if not _file(place, *names).is_file()]
    if place == folder and missing:
        shutil.rmtree(hidden, ignore_errors=True)
        os.rename(folder, hidden)
    _warn_of_others(folder, place, listed)
    received = 0
    for names in Bar(missing, f"fetch {folder.name}", unit="file"):
        data = server.retrieve(study, *names)
        received += len(data)
        if received > most_bytes:
            raise InputError(
                f"{server.url}: the study has more than {most_bytes:,} bytes. Export the series"
                " that are needed by hand."
            )
        with replacing(_file(hidden, *names)) as sibling:
            sibling.write_bytes(data)
            _check(server, sibling, (study, *names))
    if hidden.is_dir():
        os.rename(hidden, folder)
    return folder


def _file(folder: Path, series: str, instance: str) -> Path:
    return folder / series / f"{instance}.dcm"


def _warn_of_others(folder: Path, place: Path, listed: list[tuple[str, str]]) -> None:
    expected = {_file(place, *names) for names in listed}
    if others := [path for path in place.glob("*/*.dcm") if path not in expected]:
        log.warning(
            "warning: %s: holds %d files that are not in the study on the server. Remove the"
            " folder to fetch the study as it is now",
            *(folder, len(others)),
        )


def _check(server: Server, path: Path, uids: tuple[str, str, str]) -> None:
    """Raise InputError unless a file is the instance of these UIDs."""
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    try:
        read_header(path)
        with errors_reported(path):
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*keywords])
            found = tuple(str(dataset.get(keyword, "")) for keyword in keywords)
    except InputError:
        raise InputError(
            f"{server.url}: sends no whole DICOM file as instance {uids[2]}. Check the study on the"
            " server."
        ) from None
    if found != uids:
        raise InputError(
            f"{server.url}: sends another instance than {uids[2]}, which was asked for. Check the"
            " study on the server."
        )
