"""Cases that stand out from the others of their cohort: warnings, never errors."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ..core.catalogue import Catalogue

FEWEST = 5
"""Smallest number of cases for which a usual range is computed."""

FAR = 5.0
"""Robust standard deviations from the median of an outlier; of normal values, 1 in 1.7 million."""


def oddities(catalogue: Catalogue) -> list[str]:
    """List the outliers of a cohort, each with its value and the usual range.

    Volumes, spacings and intensities are compared on a logarithmic scale by median and median
    absolute deviation; dtype, orientation and skull-stripping by what at least four of five cases
    have. Nothing is usual in less than `FEWEST` cases.
    """
    cases, warnings = catalogue.cases, []
    for at, axis in enumerate("XYZ"):
        edges = {entry.case: entry.spacing_mm[at] for entry in cases}
        warnings += _far(f"spacing along {axis}", " mm", edges, 0.02)
    warnings += _far("head or brain", " ml", {entry.case: entry.brain_ml for entry in cases}, 0.1)
    images = {
        name: {entry.case: entry.images[name] for entry in cases if name in entry.images}
        for name in catalogue.cohort.modalities
    }
    for modality, files in images.items():
        maxima = {case: file.maximum for case, file in files.items()}
        warnings += _far(f"largest intensity of {modality}", "", maxima, 2.3)
    for label in catalogue.cohort.labels:
        volumes = {
            entry.case: entry.label_voxels.get(label, 0) * float(np.prod(entry.spacing_mm)) / 1000
            for entry in cases
        }
        warnings += _far(f"label {label}", " ml", volumes, 0.5)
    warnings += _rare("orientation", {entry.case: entry.orientation for entry in cases})
    for modality, files in images.items():
        warnings += _rare(f"dtype of {modality}", {case: f.dtype for case, f in files.items()})
        signs = {
            case: "some below 0" if file.minimum < 0 else "none below 0"
            for case, file in files.items()
        }
        warnings += _rare(f"sign of {modality}", signs)
    skulls = {
        entry.case: "removed" if entry.stripped else "present"
        for entry in cases
        if entry.stripped is not None
    }
    return warnings + _rare("skull", skulls)


def _far(what: str, unit: str, values: Mapping[str, float], always_usual: float) -> list[str]:
    """Warnings for positive values far from the median; a distance of logarithms of `always_usual`
    is never far: 0.1 is about 10 percent.
    """
    values = {case: value for case, value in values.items() if value > 0}
    if len(values) < FEWEST:
        return []
    logarithms = np.log(list(values.values()))
    median = np.median(logarithms)
    deviation = max(  # 1.4826: for a normal distribution
        1.4826 * np.median(np.abs(logarithms - median)), always_usual / FAR
    )
    low, high = np.exp(median - FAR * deviation), np.exp(median + FAR * deviation)
    return [
        f"{case}: {what} is {value:.4g}{unit}, in this cohort usually {low:.4g} to {high:.4g}{unit}"
        for case, value in values.items()
        if not low <= value <= high
    ]


def _rare(what: str, kinds: Mapping[str, str]) -> list[str]:
    """Warnings for cases that differ from at least four fifths of all."""
    if len(kinds) < FEWEST:
        return []
    counts = Counter(sorted(kinds.values()))
    usual, count = counts.most_common(1)[0]
    if count < 0.8 * len(kinds):
        each = ", ".join(f"{kind} in {number}" for kind, number in counts.items())
        return [f"the cases differ in {what}: {each} of {len(kinds)} cases"]
    return [
        f"{case}: {what} is {kind}, in this cohort usually {usual} ({count} of {len(kinds)} cases)"
        for case, kind in kinds.items()
        if kind != usual
    ]
