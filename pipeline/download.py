"""Stage 1: bring a cohort into data/raw and verify every byte and voxel of it.

Reads the source that `cohort` names: a local folder (never written to), or nothing for phantoms.
Writes raw/<case>/<files as published>, raw/catalogue.json (`Catalogue`: identities, sha256, shapes,
spacing in mm, label counts) and metrics/verify.json (counts and findings). Files are copied, not
hard-linked: DVC makes what it tracks read-only, and a shared inode would carry that to the source.
All cases are verified before one is copied; if any is refused, raw stays as it was.
"""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from pipeline import stage
from pipeline.domain.catalogue import CaseEntry, Catalogue
from pipeline.domain.errors import InputError
from pipeline.io import cases
from pipeline.io.records import replacing, write_json
from pipeline.params import Cohort
from pipeline.sources import brats, phantom


def download(raw: Path, verify: Path, cohort: Annotated[Cohort, stage.Key("cohort")]) -> None:
    """Bring a cohort into `raw` and verify it."""
    if cohort.source == "phantom":
        licence, schema = phantom.LICENCE, phantom.SCHEMA
        found = phantom.generate(raw, cohort.cases, cohort.seed)
    else:
        location = stage.root() / cohort.location
        _refuse_nested(location, raw)
        licence = brats.LICENCE
        schema, found = brats.find(location, cohort.cases)
    _refuse_unlabelled(found)
    entries = stage.over_cases(partial(cases.verify, schema=schema), found, "verify")
    refuse_duplicates(entries, found)
    for case, entry in zip(found, entries, strict=True):
        _copy(case, entry, raw)
    catalogue = Catalogue(cohort=schema, licence=licence, cases=tuple(entries))
    _remove_strangers(raw, catalogue)
    write_json(raw / "catalogue.json", catalogue)
    write_json(verify, summary(catalogue))
    stage.log.info("%d verified cases of %d patients in %s", len(entries), len({entry.patient for entry in entries}), raw)


def _refuse_nested(location: Path, raw: Path) -> None:
    one, other = location.resolve(), raw.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise InputError(f"{location}: cohort.location and {raw} lie within each other. Keep the source outside of {raw}.")


def _refuse_unlabelled(found: Sequence[cases.Found]) -> None:
    missing = [str(case.folder) for case in found if case.labels is None]
    if missing:
        raise InputError(
            f"{', '.join(missing[:5])}: no mask (…seg.nii.gz) in {len(missing)} of {len(found)} cases, and training needs one. "
            "Add the masks or move these cases away; `python -m pipeline predict` segments cases without a mask."
        )


def refuse_duplicates(entries: Sequence[CaseEntry], found: Sequence[cases.Found]) -> None:
    """Refuse a cohort that holds the same voxels under two names, which would leak from training into test.

    Raises
    ------
    InputError
        Names every pair of cases that share a volume.
    """
    owners = defaultdict(list)
    for entry, case in zip(entries, found, strict=True):
        for name, file in entry.images.items():
            owners[file.voxels_sha256].append((entry.case, name, case.images[name]))
    shared = [group for group in owners.values() if len(group) > 1]
    if shared:
        lines = [f"{second[2]}: {second[1]} of case {second[0]} has the same voxels as {first[2]}" for first, second, *_ in shared]
        raise InputError("\n".join([*lines, "One volume must not stand under two names: remove the duplicate cases or files."]))


def _copy(case: cases.Found, entry: CaseEntry, raw: Path) -> None:
    """Copy what is not there yet; the copy must have the bytes that were verified."""
    for path, file in [*((case.images[name], file) for name, file in entry.images.items()), (case.labels, entry.labels)]:
        copy = raw / file.path
        if copy.is_file() and _sha256(copy) == file.sha256:
            continue
        with replacing(copy) as sibling:
            shutil.copyfile(path, sibling)
            if _sha256(sibling) != file.sha256:
                raise InputError(f"{path}: changed while it was copied. Let it rest and run `dvc repro` again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_strangers(raw: Path, catalogue: Catalogue) -> None:
    """Remove what an earlier cohort or an interrupted run left in `raw`."""
    expected = {raw / file.path for entry in catalogue.cases for file in [*entry.images.values(), entry.labels]}
    for path in sorted(raw.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in expected:
            path.unlink()


def summary(catalogue: Catalogue) -> dict:
    """Counts and findings of a verified cohort, for metrics/verify.json."""
    schema = catalogue.cohort
    volumes = {region: [entry.region_ml(schema, region) for entry in catalogue.cases] for region in schema.regions}
    return {
        "cohort": schema.cohort,
        "cases": len(catalogue.cases),
        "patients": len({entry.patient for entry in catalogue.cases}),
        "files": sum(len(entry.images) + 1 for entry in catalogue.cases),
        "without": {region: sum(volume == 0 for volume in values) for region, values in volumes.items()},
        "mean_ml": {region: round(sum(values) / len(values), 3) for region, values in volumes.items()},
        "orientations": sorted({entry.orientation for entry in catalogue.cases}),
        "shapes": sorted({entry.shape for entry in catalogue.cases}),
        "spacings_mm": sorted({tuple(round(length, 4) for length in entry.spacing_mm) for entry in catalogue.cases}),
        "warnings": [f"{entry.case}: the reference marks no voxel" for entry in catalogue.cases if not any(entry.label_voxels.values())],
    }


if __name__ == "__main__":
    stage.main(download)
