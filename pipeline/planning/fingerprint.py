"""What is planned for: sizes, spacing, intensities and tumours of a cohort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..core.boxes import bounding_box
from ..core.case import Case
from ..core.catalogue import CaseEntry, Catalogue
from ..core.errors import InputError
from ..core.grid import canonical_spacing_mm, to_canonical
from ..core.schema import Schema
from ..core.strict import Strict
from ..preparation.preprocessing import brain_of

Triple = tuple[float, float, float]

LOOKED_AT = 12
"""Cases whose voxels are read; of single slices four times as many."""
ANISOTROPIC = 3.0
"""From this ratio of voxel edges on, the longest one is chosen from the finest cases (nnU-Net)."""


@dataclass(frozen=True)
class Look:
    """What the voxels of one case say.

    Attributes
    ----------
    brain_mm : tuple of 3 floats
        Extent of the brain, or head, along the canonical axes.
    brain_share : float
        Of the voxels of its bounding box.
    tails : tuple of float
        Per modality, how many standard deviations of the brain its brightest voxel lies above the
        99.5th percentile.
    """

    brain_mm: Triple
    brain_share: float
    tails: tuple[float, ...]


class Fingerprint(Strict):
    """A cohort in numbers; medians are over cases.

    Attributes
    ----------
    cohort : Schema
    patients, cases : int
    to_train, to_validate, to_test : int
        Cases, by the shares of the section `split`.
    trainings : int
        1, or the number of folds where every fold is trained.
    stripped : bool or None
        Whether the skull was removed, see `Catalogue.stripped`.
    foreground : {"nonzero", "head"}
        See `foreground_of`.
    raw_shape : tuple of int
        Median, on canonical axes.
    spacing_mm : tuple of float
        Median per axis; the 10th percentile of a longest axis that is more than three times as long
        as the others.
    anisotropy : float
        Longest over shortest of them.
    brain_mm : tuple of float
        Median extent.
    brain_share : float
        Of the voxels of its bounding box.
    tumour_ml : tuple of 3 floats
        10th, 50th, 90th percentile of the volume of the first region, over cases that have it.
    region_ml : dict of str to float
        Median of every region, over cases that have it; without regions that no case has.
    tails : dict of str to float
        `Look.tails`, median per modality.
    """

    cohort: Schema
    patients: int
    cases: int
    to_train: int
    to_validate: int
    to_test: int
    trainings: int
    stripped: bool | None
    foreground: Literal["nonzero", "head"]
    raw_shape: tuple[int, int, int]
    spacing_mm: Triple
    anisotropy: float
    brain_mm: Triple
    brain_share: float
    tumour_ml: Triple
    region_ml: dict[str, float]
    tails: dict[str, float]

    @property
    def unseen(self) -> int:
        """Cases that a network is validated on, with folds all but the test cases."""
        return self.to_validate + (self.to_train if self.trainings > 1 else 0)

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Name and text of everything found, to print."""
        regions = ", ".join(f"{name} {volume:.3g}" for name, volume in self.region_ml.items())
        tails = ", ".join(f"{name} {tail:.1f}" for name, tail in self.tails.items())
        parts = f"{self.to_train} to train, {self.to_validate} to validate, {self.to_test} to test"
        low, _, high = self.tumour_ml
        skull = {True: "removed", False: "on", None: "not known"}[self.stripped]
        return [
            ("patients", f"{self.patients}, with {self.cases} cases: {parts}"),
            ("raw grid", f"{_times(self.raw_shape)} voxels of {_times(self.spacing_mm)} mm"),
            ("anisotropy", f"{self.anisotropy:.2g}, longest over shortest edge"),
            ("brain", f"{_times(self.brain_mm)} mm, skull {skull}"),
            ("tumour", f"{low:.3g} to {high:.3g} ml in 80 % of cases; medians in ml: {regions}"),
            ("intensities", f"brightest voxel above the 99.5th percentile, in sd: {tails}"),
        ]


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def look(case: Case, foreground: str) -> Look:
    """Describe the voxels of a case; `foreground` is that of the section `preprocess`."""
    brain = to_canonical(brain_of(case, foreground), case.grid.affine)
    image = to_canonical(case.image, case.grid.affine)
    box = bounding_box(brain)
    inside = brain[box]
    edges = canonical_spacing_mm(case.grid.affine)
    x, y, z = (edge * side for edge, side in zip(edges, inside.shape, strict=True))
    voxels = image[box][inside][::7].astype(np.float32)
    top = voxels.max(axis=0) - np.percentile(voxels, 99.5, axis=0)
    tails = top / np.maximum(voxels.std(axis=0), 1e-6)
    return Look((x, y, z), float(inside.mean()), tuple(map(float, tails)))


def foreground_of(catalogue: Catalogue) -> Literal["nonzero", "head"]:
    """The rule of `preprocess.foreground`: "head" where the skull is on, and for single slices of
    which that is not known.
    """
    stripped = catalogue.stripped([entry.case for entry in catalogue.cases])
    if stripped is None:
        return "head" if catalogue.cohort.dimensions == 2 else "nonzero"
    return "nonzero" if stripped else "head"


def looked_at(catalogue: Catalogue) -> list[CaseEntry]:
    """Cases to read, evenly spaced in the order of brain volumes, so that both ends are there."""
    ordered = sorted(catalogue.cases, key=lambda entry: (entry.brain_ml, entry.case))
    count = min(len(ordered), LOOKED_AT * (4 if catalogue.cohort.dimensions == 2 else 1))
    return [ordered[int(place)] for place in np.linspace(0, len(ordered) - 1, count).round()]


def fingerprint(
    catalogue: Catalogue, split: Mapping[str, Any], looks: Sequence[Look]
) -> Fingerprint:
    """Describe a cohort.

    Parameters
    ----------
    catalogue : Catalogue
    split : mapping
        The section of params.yaml, as plain values.
    looks : sequence of Look
        Of the cases of `looked_at`.

    Raises
    ------
    InputError
        If no case has a reference.
    """
    schema, entries = catalogue.cohort, [entry for entry in catalogue.cases if entry.labels]
    if not entries:
        raise InputError(
            f"cohort {schema.cohort} has no case with a mask, so there is nothing to train on."
        )
    spacings = np.array([canonical_spacing_mm(np.array(entry.affine)) for entry in entries])
    spacing = _spacing(spacings)
    volumes = {
        name: [entry.region_ml(schema, name) for entry in entries] for name in schema.regions
    }
    present = {
        name: [volume for volume in found if volume > 0]
        for name, found in volumes.items()
        if any(found)
    }
    # the tumour of a case: of types, its own; of nested regions, the first
    whole = [max(found) for found in zip(*volumes.values(), strict=True)]
    whole = [volume for volume in whole if volume > 0]
    tumour = np.percentile(whole, [10, 50, 90]) if whole else np.zeros(3)
    tails = np.median([one.tails for one in looks], axis=0)
    persons = catalogue.persons()
    patients = len({persons[entry.patient] for entry in entries})
    train, validate, test = _parts(entries, split)
    shapes = [_canonical_shape(entry) for entry in entries]
    return Fingerprint(
        cohort=schema,
        patients=patients,
        cases=len(entries),
        to_train=train,
        to_validate=validate,
        to_test=test,
        trainings=split["folds"] if split["val_fold"] == "all" else 1,
        stripped=catalogue.stripped([entry.case for entry in entries]),
        foreground=foreground_of(catalogue),
        raw_shape=_whole(np.median(shapes, axis=0)),
        spacing_mm=spacing,
        anisotropy=_anisotropy_of(spacing, schema.dimensions),
        brain_mm=_triple(np.median([one.brain_mm for one in looks], axis=0)),
        brain_share=float(np.median([one.brain_share for one in looks])),
        tumour_ml=_triple(tumour),
        region_ml={name: float(np.median(found)) for name, found in present.items()},
        tails={name: float(tail) for name, tail in zip(schema.modalities, tails, strict=True)},
    )


def _spacing(spacings: np.ndarray) -> Triple:
    edges = np.median(spacings, axis=0)
    longest = int(edges.argmax())
    others = np.delete(edges, longest)
    if edges[longest] > ANISOTROPIC * others.max():
        edges[longest] = max(np.percentile(spacings[:, longest], 10), others.max())
    return _triple(edges)


def _anisotropy_of(spacing: Triple, dimensions: int) -> float:
    edges = spacing[:dimensions]
    return max(edges) / min(edges)


def _parts(entries: Sequence[CaseEntry], split: Mapping[str, Any]) -> tuple[int, int, int]:
    """Cases to train, validate and test on; `split` assigns patients, so by a few cases others."""
    total = len(entries)
    if split["test_folds"]:
        folds = set(split["test_folds"])
        test = sum(entry.attributes.get("fold") in folds for entry in entries)
    else:
        test = _share(total, split["test_share"])
    if split["val_fold"] is None:
        validate = _share(total, split["val_share"])
    else:
        validate = _share(total - test, 1 / split["folds"])
    return max(total - test - validate, 1), validate, test


def _share(total: int, share: float) -> int:
    return max(round(total * share), 1 if share else 0)


def _canonical_shape(entry: CaseEntry) -> tuple[int, ...]:
    """Sides of a case, in voxels, on canonical axes."""
    affine = np.array(entry.affine)
    return to_canonical(np.empty(entry.shape, np.bool_), affine).shape


def _triple(values: Any) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _whole(values: Any) -> tuple[int, int, int]:
    x, y, z = (round(float(value)) for value in values)
    return x, y, z
