"""Stage 1: bring a cohort into data/raw and verify every byte and voxel of it.

Reads the source that `cohort` names: a local folder or archive (never written to), public files
downloaded to data/fetched where no location is given, or nothing for generated cases; and the
folder of corrected cases that `cohort.corrections` names, for training alone.

Writes raw/<case>/<files as published, or NIfTI files made of other formats>, raw/catalogue.json
(`Catalogue`: identities, sha256, shapes, spacing in mm, label counts), metrics/verify.json (counts
and warnings) and metrics/thumbnails.png (one picture per case, in the order of the catalogue).

All cases are verified before the first is copied; if one is rejected, raw stays unchanged.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

from .cohorts import registry
from .cohorts.copying import copy_cases, remove_others
from .cohorts.corrections import find_corrections
from .cohorts.fetching.location import find_cases
from .core.catalogue import Catalogue
from .core.layout import counted
from .core.params import Cohort
from .core.records import write_bytes, write_json
from .formats.raw_cases import Found, as_files
from .registration.aligned_files import write_aligned
from .registration.params import NativeRecipe
from .runtime import costs, stage
from .runtime.parallel import over_cases
from .verification import checks
from .verification.cohort import reject_duplicates, similar_cases, summary, warnings
from .verification.thumbnail_sheet import sheet

log = logging.getLogger(__name__)


def download(
    raw: Path,
    verify: Path,
    thumbnails: Path,
    cohort: Annotated[Cohort, stage.Key("cohort")],
    native: Annotated[NativeRecipe, stage.Key("native")],
    own_code: Annotated[str, stage.Key("own_code.download")],
) -> None:
    """Bring a cohort into `raw` and verify it."""
    source = registry.source(cohort.source, code=own_code)
    schema, found = find_cases(source, cohort, raw)
    corrected = find_corrections(cohort, schema, raw)
    corrections = [case.case for case in corrected]
    with _as_files(found, raw, native) as own:
        files = sorted((*own, *corrected), key=lambda case: case.case)
        verified = over_cases(partial(checks.verify, schema=schema), files, "verify")
        entries = [case.entry for case in verified]
        reject_duplicates(entries, files, corrections)
        copy_cases(raw, files, entries)
    catalogue = Catalogue(
        cohort=schema,
        licence=found[0].terms or f"{source.licence} {source.citation}".strip(),
        cases=tuple(entries),
        alike=similar_cases(verified),
        corrections=tuple(corrections),
    )
    remove_others(raw, catalogue)
    write_json(raw / "catalogue.json", catalogue)
    warned = warnings(catalogue, verified)
    write_json(verify, summary(catalogue, warned))
    write_bytes(thumbnails, sheet([case.thumbnail for case in verified]))
    patients = {entry.patient for entry in entries}
    cases, of_patients = counted(len(entries), "verified case"), counted(len(patients), "patient")
    log.info("%s of %s in %s", cases, of_patients, raw)
    if warned:
        log.warning("%s, listed in %s", counted(len(warned), "warning"), verify)


@contextmanager
def _as_files(found: Sequence[Found], raw: Path, native: NativeRecipe) -> Iterator[list[Found]]:
    """The cases with a file for every modality and mask; made files are temporary, beside `raw`."""
    folder = raw.with_name(f".{raw.name}-converted")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if native.enabled:
            yield over_cases(partial(write_aligned, folder=folder, recipe=native), found, "align")
            return
        parted = [case for case in found if case.parts]
        made = over_cases(partial(as_files, folder=folder), parted, "convert") if parted else []
        by_name = {case.case: case for case in (*found, *made)}
        yield [by_name[case.case] for case in found]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    stage.main(download, recorded=costs.recorded)
