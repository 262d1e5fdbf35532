"""Checks across the cases of a cohort: duplicates, warnings, and the summary in
metrics/verify.json.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..core.catalogue import CaseEntry, Catalogue
from ..core.errors import InputError
from ..formats.raw_cases import Found, few
from . import fingerprints
from .checks import Verified
from .modality_swaps import suspicions
from .outliers import oddities
from .plausibility import Fault

_NAMED = 5  # cases in one message

CHECKS = (
    "Every file has the format of its name and is complete; archives and links lead nowhere else.",
    "Voxels are finite and not all equal; label values are those of the cohort's schema.",
    "Every modality of the schema is there, in one file each, on the grid of the mask; axes in"
    " another order are reordered.",
    "Affines have positive spacing and right angles; qform, sform and pixdim agree, or a warning"
    " says so.",
    "Air is 0, or a constant that is subtracted, or a warning says so; no more than a brain differs"
    " from it.",
    "No two images have the same voxels, whatever their format, axes or margins.",
    "Cases that look like one examination (saved again, cropped, rescaled, mirrored) stay in one"
    " part of the split.",
    "Modalities look like what they are called; volumes, spacings, intensities and orientations are"
    " usual for the cohort.",
)
"""What `download` verifies, for metrics/verify.json."""


def reject_duplicates(
    entries: Sequence[CaseEntry], found: Sequence[Found], corrections: Collection[str] = ()
) -> None:
    """Raise InputError if two images have the same voxels, which would leak from training to test.

    `entries` and `found` are the same cases in the same order. Of the same voxels one may be of a
    case of the cohort and one of `corrections`: `split` sees to those.
    """
    owners = defaultdict(list)
    for entry, case in zip(entries, found, strict=True):
        for name, file in entry.images.items():
            # a sequence that was not acquired is a published copy of another
            if entry.attributes.get("missing") != name:
                path = case.in_published_names(str(case.images[name]))
                kind = entry.case in corrections
                owners[file.content_sha256, kind].append((entry.case, name, path))
    lines = [
        f"{path}: {name} of case {case} has the same voxels as {first[2]}"
        for first, *others in owners.values()
        for case, name, path in others[:1]
    ]
    if lines:
        lines.append("One volume must not have two names: remove the duplicate cases or files.")
        raise InputError("\n".join(lines))


def similar_cases(verified: Sequence[Verified]) -> tuple[tuple[str, str, float], ...]:
    """Pairs of cases that look like one examination, with their similarity, sorted by name."""
    found = []
    for shape in sorted({case.fingerprint.shape for case in verified}):
        same = [case for case in verified if case.fingerprint.shape == shape]
        pairs = fingerprints.pairs(np.stack([case.fingerprint for case in same]), fingerprints.SAME)
        found += [
            (same[one].entry.case, same[other].entry.case, round(similarity, 4))
            for one, other, similarity in pairs
        ]
    return tuple(sorted(found))


def warnings(catalogue: Catalogue, verified: Sequence[Verified]) -> list[str]:
    """What the user should look at, although `download` accepts it; one line each."""
    names = [case.entry.case for case in verified]
    patients = {entry.case: entry.patient for entry in catalogue.cases}
    relations = np.stack([case.relations for case in verified])
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
            and (one in catalogue.corrections) == (other in catalogue.corrections)
        ),
        *_grouped({case.entry.case: case.faults for case in verified}),
        *suspicions(relations, catalogue.cohort.modalities, names),
        *oddities(catalogue),
    ]


def _grouped(faults: Mapping[str, Sequence[Fault]]) -> list[str]:
    """One line per kind of fault, which may concern every case."""
    cases: dict[str, list[str]] = defaultdict(list)
    for case, own in faults.items():
        for fault in own:
            cases[fault.what].append(f"{case} ({fault.found})")
    lines = []
    for what, named in cases.items():
        of_all = f" of {len(faults)} cases" if len(named) > _NAMED else ""
        lines.append(f"{few(named, _NAMED)}{of_all}: {what}")
    return lines


def summary(catalogue: Catalogue, warnings: Sequence[str]) -> dict:
    """Counts and warnings of a verified cohort, for metrics/verify.json."""
    schema, cases = catalogue.cohort, catalogue.cases
    volumes = {
        region: [entry.region_ml(schema, region) for entry in cases] for region in schema.regions
    }
    return {
        "cohort": schema.cohort,
        "cases": len(cases),
        "patients": len({entry.patient for entry in cases}),
        "files": sum(len(entry.images) + 1 for entry in cases),
        "without": {
            region: sum(volume == 0 for volume in values) for region, values in volumes.items()
        },
        "mean_ml": {
            region: round(sum(values) / len(values), 3) for region, values in volumes.items()
        },
        "orientations": sorted({entry.orientation for entry in cases}),
        "shapes": sorted({entry.shape for entry in cases}),
        "spacings_mm": sorted(
            {tuple(round(length, 4) for length in entry.spacing_mm) for entry in cases}
        ),
        "checks": list(CHECKS),
        "warnings": list(warnings),
    }
