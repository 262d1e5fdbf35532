"""What params.yaml says of the cohort: its source, where its cases are, and what is known of it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..cohorts.names import NAMES
from ..core.params import Cohort, OwnCode
from ..core.schema import Schema
from .own_names import fault_of
from .sections import raised

if TYPE_CHECKING:
    from ..cohorts.source import Source


def faults_of_name(cohort: Cohort, own_code: OwnCode) -> Iterator[str]:
    """Why there is no such source, as far as files tell."""
    if ":" in cohort.source:
        yield from fault_of(cohort.source, "cohort.source", own_code.download)
    elif cohort.source not in NAMES:
        yield (
            f"cohort.source is {cohort.source!r}. Set it to one of {', '.join(NAMES)}, or to your"
            " own as package.module:attribute (docs/extending.md)."
        )


def loaded(cohort: Cohort, own_code: OwnCode) -> "Source":
    """The source, with the libraries that it needs; InputError if there is none."""
    from ..cohorts.registry import source

    return source(cohort.source, code=own_code.download)


def faults_of_source(source: "Source", cohort: Cohort) -> Iterator[str]:
    """Why a source cannot find or generate as many cases."""
    from ..cohorts.fetching.location import check_source

    yield from raised(check_source, source, cohort)


def faults_of_location(source: "Source", cohort: Cohort) -> Iterator[str]:
    """Why the cases cannot be fetched."""
    from ..cohorts.corrections import check_corrections
    from ..cohorts.fetching.location import check_location

    yield from raised(check_location, source, cohort)
    yield from raised(check_corrections, cohort)


def schemas_of_catalogue(path: Path) -> Sequence[Schema]:
    """The schema of a catalogued cohort; none if there is no catalogue, or it cannot be read, which
    the stage that needs it reports.
    """
    try:
        return (Schema.model_validate_json(json.dumps(json.loads(path.read_bytes())["cohort"])),)
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return ()
