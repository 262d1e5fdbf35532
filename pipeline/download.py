"""Stage 1: bring a cohort into data/raw and verify every byte and voxel of it.

Reads the source that `cohort` names: a local folder or archive (never written to), public files
fetched into data/fetched when no location is given, or nothing for phantoms. Writes
raw/<case>/<files as published, or NIfTI files of what was no file of its own>, raw/catalogue.json
(`Catalogue`: identities, sha256, shapes, spacing in mm, label counts), metrics/verify.json (counts
and findings) and metrics/thumbnails.png (every case at a glance, in the order of the catalogue).
Files are copied, not hard-linked: DVC makes what it tracks read-only, and a shared inode would
carry that to the source. All cases are verified before one is copied; if any is refused, raw stays
as it was.
"""

import logging
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from tqdm.contrib.concurrent import thread_map

from .cohorts.fetching.archives import is_archive, unpack
from .cohorts.fetching.clients import fetch_by_client, is_account
from .cohorts.fetching.fetch import fetch
from .cohorts.registry import SOURCES
from .cohorts.source import Source
from .core.catalogue import CaseEntry, Catalogue
from .core.errors import InputError
from .core.params import Cohort
from .core.records import replacing, sha256, write_bytes, write_json
from .core.schema import Schema
from .formats import cases
from .formats.walking import expanded
from .registration.aligned_files import write_aligned
from .registration.native import NativeRecipe
from .runtime import costs, stage, workspace
from .runtime.parallel import over_cases
from .verification import checks, fingerprints
from .verification.modality_swaps import suspicions
from .verification.outliers import oddities
from .verification.plausibility import Fault
from .verification.thumbnail_sheet import sheet

log = logging.getLogger(__name__)

_NAMED = 5  # cases in one message
_COPIED_AT_ONCE = (
    4  # a disk that is told to keep small files for good takes them together as fast as one
)

CHECKS = [
    (
        "every file is what its name says, complete to the last byte, and in no archive or link"
        " that leads elsewhere"
    ),
    "voxels are finite and not all equal; label values are those of the cohort's schema",
    (
        "all modalities of the schema are there, one file each, and lie with the mask on one grid;"
        " axes in another order are reordered"
    ),
    (
        "affines have axes of some length at right angles; qform, sform and pixdim agree, or a"
        " finding says so"
    ),
    (
        "air is 0, or a constant that is taken off, or a finding says so; no more than a brain"
        " differs from it"
    ),
    "no two images hold the same voxels, whatever their format, axes or margins",
    "cases that look like one examination (resaved, cropped, rescaled, mirrored) stay in one part",
    (
        "modalities look like what they are called; volumes, spacings, intensities and orientations"
        " are usual for the cohort"
    ),
]


def download(
    raw: Path,
    verify: Path,
    thumbnails: Path,
    cohort: Annotated[Cohort, stage.Key("cohort")],
    native: Annotated[NativeRecipe, stage.Key("native")],
) -> None:
    """Bring a cohort into `raw` and verify it."""
    source = SOURCES.get(cohort.source)
    if source is None:
        raise InputError(
            f"params.yaml: cohort.source is {cohort.source!r}, and the sources are"
            f" {', '.join(SOURCES)}."
        )
    schema, found = _found(source, cohort, raw)
    _refuse_unlabelled(found)
    with _files(found, raw, native) as files:
        verified = over_cases(partial(checks.verify, schema=schema), files, "verify")
        entries = [case.entry for case in verified]
        refuse_duplicates(entries, files)
        thread_map(
            partial(_copy, raw),
            files,
            entries,
            max_workers=_COPIED_AT_ONCE,
            desc="copy",
            unit="case",
            mininterval=1,
        )
    licence = found[0].terms or f"{source.licence} {source.citation}".strip()
    catalogue = Catalogue(
        cohort=schema, licence=licence, cases=tuple(entries), alike=_alike(verified)
    )
    _remove_strangers(raw, catalogue)
    write_json(raw / "catalogue.json", catalogue)
    told = warnings(catalogue, verified)
    write_json(verify, summary(catalogue, told))
    write_bytes(thumbnails, sheet([case.thumbnail for case in verified]))
    log.info(
        "%d verified cases of %d patients in %s",
        len(entries),
        len({entry.patient for entry in entries}),
        raw,
    )
    if told:
        log.warning("%d things to look at, in %s", len(told), verify)


def _alike(verified: Sequence[checks.Verified]) -> tuple[tuple[str, str, float], ...]:
    """Pairs of cases that look like one examination, by name, each kind of fingerprint by itself."""
    found = []
    for shape in sorted({case.fingerprint.shape for case in verified}):
        same = [case for case in verified if case.fingerprint.shape == shape]
        pairs = fingerprints.pairs(np.stack([case.fingerprint for case in same]), fingerprints.SAME)
        found += [
            (same[one].entry.case, same[other].entry.case, round(similarity, 4))
            for one, other, similarity in pairs
        ]
    return tuple(sorted(found))


def warnings(catalogue: Catalogue, verified: Sequence[checks.Verified]) -> list[str]:
    """What the user should look at: nothing of it is refused."""
    names = [case.entry.case for case in verified]
    patients = {entry.case: entry.patient for entry in catalogue.cases}
    measured = np.stack([case.relations for case in verified])
    return [
        *(
            f"{entry.case}: the reference marks no voxel"
            for entry in catalogue.cases
            if entry.labels and not any(entry.label_voxels.values())
        ),
        *(f"{case.entry.case}: {warning}" for case in verified for warning in case.warnings),
        *(
            f"{one}: looks like the examination of {other} (similarity {similarity:.2f}); `split`"
            " keeps both in one part. Keep one of them."
            for one, other, similarity in catalogue.alike
            if patients[one] != patients[other]
        ),
        *_together({case.entry.case: case.faults for case in verified}),
        *suspicions(measured, catalogue.cohort.modalities, names),
        *oddities(catalogue),
    ]


def _together(faults: Mapping[str, Sequence[Fault]]) -> list[str]:
    """One line for all cases of which the same is to be said, which may be all there are."""
    having: dict[str, list[str]] = defaultdict(list)
    for case, own in faults.items():
        for fault in own:
            having[fault.what].append(f"{case} ({fault.found})")
    few = {what: ", ".join(cases[:_NAMED]) for what, cases in having.items()}
    return [
        f"{few[what]}{f' and {len(cases) - _NAMED} more of {len(faults)} cases' if len(cases) > _NAMED else ''}:"
        f" {what}"
        for what, cases in having.items()
    ]


def _found(source: Source, cohort: Cohort, raw: Path) -> tuple[Schema, list[cases.Found]]:
    """The cases of a source, generated, fetched or found."""
    if source.generate:
        if cohort.cases == 0:
            raise InputError(
                f"params.yaml: cohort.cases is 0, and the cases of {source.name} are generated by"
                " number. Set it to 1 or more."
            )
        return source.schemas[0], source.generate(raw, cohort.cases, cohort.seed)
    fetched = workspace.root() / "data/fetched"
    if is_account(cohort.location):
        location = fetch_by_client(cohort.location, fetched)
    elif cohort.location:
        location = workspace.root() / expanded(cohort.location)
        if not location.exists():
            raise InputError(
                f"{location}: does not exist. Set cohort.location to the folder or archive of the"
                f" cases. {source.access}"
            )
        if location.is_file() and is_archive(location):
            location = unpack(location, fetched / location.name.replace(".", "_"))
    elif source.remotes:
        location = fetched / source.name
        for path in fetch(source.remotes, location):
            if is_archive(path):
                unpack(path, location / path.name.replace(".", "_"))
    else:
        raise InputError(
            "params.yaml: cohort.location is empty. Set it to the folder of the cases: "
            f"python -m pipeline preset NAME cohort.location=FOLDER. {source.access}"
        )
    leaving_out = cohort.unlabelled == "leave out"
    schema, found = source.find(location, 0 if leaving_out else cohort.cases)
    if leaving_out:
        found = _labelled(found)[: cohort.cases or None]
    for folder in {case.folder for case in found} | ({location} if location.is_dir() else set()):
        _refuse_nested(folder, raw)
    return schema, found


@contextmanager
def _files(
    found: Sequence[cases.Found], raw: Path, native: NativeRecipe
) -> Iterator[list[cases.Found]]:
    """The cases with a file for every modality and mask, for a while beside `raw`."""
    folder = raw.with_name(f".{raw.name}-converted")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if native.enabled:
            yield over_cases(partial(write_aligned, folder=folder, recipe=native), found, "align")
        else:
            parted = [case for case in found if case.parts]
            written = (
                over_cases(partial(cases.as_files, folder=folder), parted, "convert")
                if parted
                else []
            )
            by_name = {case.case: case for case in (*found, *written)}
            yield [by_name[case.case] for case in found]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_nested(location: Path, raw: Path) -> None:
    one, other = location.resolve(), raw.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise InputError(
            f"{location}: cohort.location and {raw} lie within each other. Keep the source outside"
            f" of {raw}."
        )


def _labelled(found: Sequence[cases.Found]) -> list[cases.Found]:
    """The cases that have a mask, with a note on those that were left out."""
    labelled = [case for case in found if case.labels is not None]
    if not labelled:
        raise InputError(
            f"{found[0].folder}: no case has a mask, and cohort.unlabelled is `leave out`. Add the"
            " masks."
        )
    without = [case.case for case in found if case.labels is None]
    if without:
        named = cases.few(without, _NAMED)
        note = (
            f"{len(without)} of {len(found)} cases have no mask and were left out"
            f" (cohort.unlabelled): {named}"
        )
        log.warning("%s", note)
        return cases.with_note(labelled, f"in this cohort {note}")
    return labelled


def _refuse_unlabelled(found: Sequence[cases.Found]) -> None:
    missing = [str(case.folder) for case in found if case.labels is None]
    if missing:
        raise InputError(
            f"{', '.join(missing[:5])}: no mask in {len(missing)} of {len(found)} cases, and"
            " training needs one. Add the masks, move these cases away, or leave them out:"
            " cohort.unlabelled: leave out. `python -m pipeline predict` segments cases without a"
            " mask."
        )


def refuse_duplicates(entries: Sequence[CaseEntry], found: Sequence[cases.Found]) -> None:
    """Refuse a cohort that holds the same voxels under two names, which would leak from training
    into test.

    Raises
    ------
    InputError
        Names every pair of cases that share a volume.
    """
    owners = defaultdict(list)
    for entry, case in zip(entries, found, strict=True):
        for name, file in entry.images.items():
            if (
                entry.attributes.get("missing") != name
            ):  # a copy of another sequence stands in for it
                owners[file.content_sha256].append(
                    (entry.case, name, case.in_published_names(str(case.images[name])))
                )
    shared = [group for group in owners.values() if len(group) > 1]
    if shared:
        lines = [
            f"{second[2]}: {second[1]} of case {second[0]} has the same voxels as {first[2]}"
            for first, second, *_ in shared
        ]
        raise InputError(
            "\n".join(
                [
                    *lines,
                    (
                        "One volume must not stand under two names: remove the duplicate cases or"
                        " files."
                    ),
                ]
            )
        )


def _copy(raw: Path, case: cases.Found, entry: CaseEntry) -> None:
    """Copy what is not there yet; the copy must have the bytes that were verified."""
    for path, file in [
        *((case.images[name], file) for name, file in entry.images.items()),
        (case.labels, entry.labels),
    ]:
        copy = raw / file.path
        if copy.is_file() and sha256(copy) == file.sha256:
            continue
        with replacing(copy) as sibling:
            shutil.copyfile(path, sibling)
            if sha256(sibling) != file.sha256:
                raise InputError(
                    f"{path}: changed while it was copied. Let it rest and run `dvc repro` again."
                )
    if case.native:
        write_bytes(raw / entry.native, case.native.read_bytes())


def _remove_strangers(raw: Path, catalogue: Catalogue) -> None:
    """Remove what an earlier cohort or an interrupted run left in `raw`."""
    expected = {
        raw / file.path
        for entry in catalogue.cases
        for file in [*entry.images.values(), entry.labels]
    }
    expected |= {raw / entry.native for entry in catalogue.cases if entry.native}
    for path in sorted(raw.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in expected:
            path.unlink()


def summary(catalogue: Catalogue, warnings: Sequence[str]) -> dict:
    """Counts and findings of a verified cohort, for metrics/verify.json."""
    schema = catalogue.cohort
    volumes = {
        region: [entry.region_ml(schema, region) for entry in catalogue.cases]
        for region in schema.regions
    }
    return {
        "cohort": schema.cohort,
        "cases": len(catalogue.cases),
        "patients": len({entry.patient for entry in catalogue.cases}),
        "files": sum(len(entry.images) + 1 for entry in catalogue.cases),
        "without": {
            region: sum(volume == 0 for volume in values) for region, values in volumes.items()
        },
        "mean_ml": {
            region: round(sum(values) / len(values), 3) for region, values in volumes.items()
        },
        "orientations": sorted({entry.orientation for entry in catalogue.cases}),
        "shapes": sorted({entry.shape for entry in catalogue.cases}),
        "spacings_mm": sorted(
            {tuple(round(length, 4) for length in entry.spacing_mm) for entry in catalogue.cases}
        ),
        "checks": CHECKS,
        "warnings": list(warnings),
    }


if __name__ == "__main__":
    stage.main(download, recorded=costs.recorded)
