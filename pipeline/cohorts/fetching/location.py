"""From `cohort` in params.yaml to the cases of a source: generate, download, unpack, find."""

import logging
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import InputError
from ...core.params import Cohort
from ...core.schema import Schema
from ...formats.raw_cases import Found, few, with_note
from ...formats.walking import expanded
from ...runtime import workspace
from ..source import Source
from .archives import is_archive, unpack
from .clients import fetch_by_client, is_account
from .fetch import fetch

log = logging.getLogger(__name__)

_NAMED = 5  # cases in one message


def find_cases(source: Source, cohort: Cohort, raw: Path) -> tuple[Schema, list[Found]]:
    """The cases of a source, all of them with a mask, sorted by case.

    Parameters
    ----------
    raw : Path
        Where generated cases are written; a source must not be inside it, nor it inside a source.

    Raises
    ------
    InputError
        If the location is missing, cannot be downloaded or unpacked, holds no such cases, or some
        have no mask and `cohort.unlabelled` is ``refuse``.
    """
    check_source(source, cohort)
    if source.generate:
        return source.schemas[0], source.generate(raw, cohort.cases, cohort.seed)
    assert source.find
    location = _located(source, cohort)
    leave_out = cohort.unlabelled == "leave out"
    schema, found = source.find(location, 0 if leave_out else cohort.cases)
    found = _labelled(found, leave_out)[: cohort.cases or None]
    for folder in {case.folder for case in found} | ({location} if location.is_dir() else set()):
        one, other = folder.resolve(), raw.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise InputError(
                f"{folder}: cohort.location and {raw} contain each other. Keep the source outside"
                f" of {raw}."
            )
    return schema, found


def check_source(source: Source, cohort: Cohort) -> None:
    """Raise InputError if a source cannot find or generate as many cases."""
    if source.generate and cohort.cases == 0:
        raise InputError(
            f"params.yaml: cohort.cases is 0, but {source.name} needs the number of cases to"
            " generate. Set it to 1 or more."
        )
    if source.generate is None and source.find is None:
        raise InputError(
            f"params.yaml: cohort.source {source.name} has neither `find` nor `generate`. Add one."
        )


def check_location(source: Source, cohort: Cohort) -> None:
    """Raise InputError if `cohort.location` is empty though needed, or names nothing that exists;
    what is behind an account is not asked for.
    """
    if source.generate or is_account(cohort.location):
        return
    if cohort.location and not (place := _path(cohort)).exists():
        raise InputError(
            f"{place}: does not exist. Set cohort.location to the folder or archive of the cases."
            f" {source.access}"
        )
    if not cohort.location and not source.remotes:
        raise InputError(
            "params.yaml: cohort.location is empty. Set it to the folder of the cases: "
            f"python -m pipeline preset NAME cohort.location=FOLDER. {source.access}"
        )


def _path(cohort: Cohort) -> Path:
    return workspace.root() / expanded(cohort.location)


def _located(source: Source, cohort: Cohort) -> Path:
    """The folder of the cases, downloaded or unpacked if needed."""
    fetched = workspace.root() / "data/fetched"
    check_location(source, cohort)
    if is_account(cohort.location):
        return fetch_by_client(cohort.location, fetched)
    if cohort.location:
        location = _path(cohort)
        if location.is_file() and is_archive(location):
            return unpack(location, fetched / location.name.replace(".", "_"))
        return location
    location = fetched / source.name
    for path in fetch(source.remotes, location):
        if is_archive(path):
            unpack(path, location / path.name.replace(".", "_"))
    return location


def _labelled(found: Sequence[Found], leave_out: bool) -> list[Found]:
    """The cases that have a mask, with a note about the others if these may be left out."""
    labelled = [case for case in found if case.labels is not None]
    without = [case for case in found if case.labels is None]
    if not without:
        return labelled
    if not leave_out:
        folders = ", ".join(str(case.folder) for case in without[:_NAMED])
        raise InputError(
            f"{folders}: no mask in {len(without)} of {len(found)} cases, and training needs one."
            " Add the masks, move these cases away, or leave them out: cohort.unlabelled: leave"
            " out. `python -m pipeline predict` segments cases without a mask."
        )
    if not labelled:
        raise InputError(
            f"{found[0].folder}: no case has a mask, and cohort.unlabelled is `leave out`. Add the"
            " masks."
        )
    names = few([case.case for case in without], _NAMED)
    note = (
        f"{len(without)} of {len(found)} cases have no mask and were left out (cohort.unlabelled):"
        f" {names}"
    )
    log.warning("%s", note)
    return with_note(labelled, f"in this cohort {note}")
