"""What is odd in a case beside the others of its cohort: warnings, never errors."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..core.catalogue import CaseEntry, Catalogue
from .fingerprints import air, foreground

FEWEST = 5
"""Cases below which a cohort has no usual range."""

FAR = 5.0
"""Robust standard deviations from the median that are odd; of normal numbers, one in 1.7 million.
"""

STRIPPED_RIM = 0.5
"""Share of the rim around the foreground that is exactly 0 if the skull was removed: at least 0.95
there, else at most 0.25.
"""

LARGEST_BRAIN_LITRES = 2.3
"""Above any brain with its fluid, below the head of an adult."""

_CELL_MM, _RIM_MM = 3.0, 9.0


class Quantity(NamedTuple):
    """One number of every case.

    Attributes
    ----------
    name, unit : str
        For the messages.
    of : callable
        CaseEntry to float, or None where the case has no such number.
    always_usual : float
        Distance of the logarithm from the median that is never odd: 0.1 is some 10 percent.
    """

    name: str
    unit: str
    of: Callable[[CaseEntry], float | None]
    always_usual: float


def oddities(catalogue: Catalogue) -> list[str]:
    """List what stands out.

    Parameters
    ----------
    catalogue : Catalogue
        The verified cohort.

    Returns
    -------
    list of str
        A warning names the case, its value, and what is usual. Volumes, spacings and intensities
        are compared on a logarithmic scale by median and median absolute deviation; dtype,
        orientation and skull-stripping by what at least four of five cases have. Nothing in cohorts
        of less than `FEWEST` cases.
    """
    cases = catalogue.cases
    if len(cases) < FEWEST:
        return []
    warnings = [warning for quantity in _quantities(catalogue) for warning in _far(quantity, cases)]
    warnings += _rare("orientation", {entry.case: entry.orientation for entry in cases})
    for modality in catalogue.cohort.modalities:
        kinds = {
            entry.case: entry.images[modality].dtype for entry in cases if modality in entry.images
        }
        warnings += _rare(f"dtype of {modality}", kinds)
        negative = {
            entry.case: entry.images[modality].minimum < 0
            for entry in cases
            if modality in entry.images
        }
        warnings += _rare(
            f"sign of {modality}",
            {case: "some below 0" if below else "none below 0" for case, below in negative.items()},
        )
    known = {entry.case: entry.stripped for entry in cases if entry.stripped is not None}
    return warnings + _rare(
        "skull", {case: "removed" if gone else "present" for case, gone in known.items()}
    )


def _quantities(catalogue: Catalogue) -> list[Quantity]:
    quantities = [
        Quantity(f"spacing along {axis}", "mm", lambda entry, at=at: entry.spacing_mm[at], 0.02)
        for at, axis in enumerate("XYZ")
    ]
    quantities += [Quantity("head or brain", "ml", lambda entry: entry.brain_ml, 0.1)]
    for modality in catalogue.cohort.modalities:
        quantities += [
            Quantity(
                f"largest intensity of {modality}",
                "",
                lambda entry, name=modality: _maximum(entry, name),
                2.3,
            )
        ]
    for label in catalogue.cohort.labels:
        quantities += [
            Quantity(f"label {label}", "ml", lambda entry, name=label: _label_ml(entry, name), 0.5)
        ]
    return quantities


def _maximum(entry: CaseEntry, modality: str) -> float | None:
    return entry.images[modality].maximum if modality in entry.images else None


def _label_ml(entry: CaseEntry, label: str) -> float | None:
    return (
        entry.label_voxels[label] * float(np.prod(entry.spacing_mm)) / 1000
        if entry.label_voxels.get(label)
        else None
    )


def _far(quantity: Quantity, cases: Sequence[CaseEntry]) -> list[str]:
    values = {
        entry.case: value
        for entry in cases
        if (value := quantity.of(entry)) is not None and value > 0
    }
    if len(values) < FEWEST:
        return []
    logarithms = np.log(list(values.values()))
    median = np.median(logarithms)
    deviation = max(
        1.4826 * np.median(np.abs(logarithms - median)), quantity.always_usual / FAR
    )  # 1.4826: of a normal distribution
    low, high = np.exp(median - FAR * deviation), np.exp(median + FAR * deviation)
    unit = f" {quantity.unit}" if quantity.unit else ""
    return [
        f"{case}: {quantity.name} is {value:.4g}{unit}, in this cohort usually {low:.4g} to"
        f" {high:.4g}{unit}"
        for case, value in values.items()
        if not low <= value <= high
    ]


def _rare(what: str, kinds: Mapping[str, str]) -> list[str]:
    """Warnings for those that differ from at least four fifths of all."""
    if len(kinds) < FEWEST:
        return []
    found = list(kinds.values())
    usual = max(sorted(set(found)), key=found.count)
    if found.count(usual) == len(found):
        return []
    if found.count(usual) < 0.8 * len(found):
        counts = ", ".join(f"{kind} in {found.count(kind)}" for kind in sorted(set(found)))
        return [f"the cases differ in {what}: {counts} of {len(found)} cases"]
    return [
        f"{case}: {what} is {kind}, in this cohort usually {usual} ({found.count(usual)} of"
        f" {len(found)} cases)"
        for case, kind in kinds.items()
        if kind != usual
    ]


def skull_stripped(voxels: np.ndarray, spacing_mm: Sequence[float]) -> bool | None:
    """Tell whether everything but the brain was set to 0.

    Parameters
    ----------
    voxels : (X, Y, Z) array
        One modality.
    spacing_mm : sequence of 3 float
        Along X, Y, Z.

    Returns
    -------
    bool or None
        None of a single slice. True if most of the rim around the foreground, about 1 cm wide, is
        exactly 0, where a head has noise, and the foreground is no larger than a brain: scanners
        and defacing may clear the air around a head as well.
    """
    if min(voxels.shape) == 1:
        return None
    factors = [max(1, round(_CELL_MM / spacing)) for spacing in spacing_mm]
    samples = voxels[tuple(slice(None, None, factor) for factor in factors)].astype(np.float32)
    cells_mm = [factor * spacing for factor, spacing in zip(factors, spacing_mm, strict=True)]
    inside = foreground(samples - air(samples))
    reach = [2 * max(1, round(_RIM_MM / length)) + 1 for length in cells_mm]
    rim = ndimage.maximum_filter(inside, reach, mode="constant") & ~inside
    litres = np.count_nonzero(inside) * float(np.prod(cells_mm)) / 1e6
    return bool(
        rim.any() and np.mean(samples[rim] == 0) > STRIPPED_RIM and litres < LARGEST_BRAIN_LITRES
    )
