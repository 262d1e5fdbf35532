"""Images and labels of a visit, on the grid that its lesions are measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.grid import Grid, onto_axes_of
from ..core.schema import Schema
from ..formats.background import constant_air
from ..formats.raw_cases import (
    classes_of,
    read_mask,
    read_volume,
    refuse_bad_voxels,
    without_air,
    without_folder,
)
from ..formats.volume import Part, Volume
from ..registration.mutual_information import Sampled, resample
from .kinds import Kind, kinds_of
from .visits import Visit


@dataclass(frozen=True)
class Labels:
    """Where the labels of a visit are.

    Attributes
    ----------
    schema : Schema
        Of their values.
    whole : Path or Part
        The file for all modalities.
    series : dict of str to Path
        Files on the grids of series as acquired, by modality.
    origin : str
        Who drew them, for the page.
    warnings : tuple of str
        Of the network that did.
    checked : bool
        Whether a reader corrected them.
    """

    schema: Schema
    whole: Path | Part
    series: Mapping[str, Path]
    origin: str
    warnings: tuple[str, ...] = ()
    checked: bool = False


@dataclass(frozen=True, eq=False)
class View:
    """A kind of disease at one visit.

    Attributes
    ----------
    modality : str
    image : (X, Y, Z) array
    classes : (X, Y, Z) uint8 array
    grid : Grid
        Of both: that of the labels, on which volumes and diameters are measured.
    """

    modality: str
    image: np.ndarray
    classes: np.ndarray
    grid: Grid


@dataclass(frozen=True, eq=False)
class Examination:
    """A visit that was read: its views by the name of the kind, and the image to register."""

    visit: Visit
    labels: Labels
    views: dict[str, View]
    anatomy: Sampled
    warnings: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        """Of the labels."""
        return self.labels.schema


def read(visit: Visit, labels: Labels, anatomy: str) -> Examination:
    """Read a visit; `anatomy` is the modality to register by.

    Raises
    ------
    InputError
        If a file cannot be read, a label value is foreign to the schema, or the schema has no
        region that is followed.
    """
    found = visit.case.found
    warnings = [f"{visit.name}: {warning}" for warning in labels.warnings]
    kinds = kinds_of(labels.schema)
    if not kinds:
        raise InputError(
            f"{found.folder}: its labels, of cohort {labels.schema.cohort}, have no region ET or"
            " WT. Name labels that have one, or a network by --model."
        )

    @cache
    def image_of(modality: str) -> Volume:
        volume = _image(found.images[modality])
        warnings.extend(_said(visit, found.images[modality], volume))
        return volume

    @cache
    def mask_of(path: Path | Part) -> tuple[np.ndarray, Grid]:
        mask = read_mask(path)
        warnings.extend(_said(visit, path, mask))
        remedy = "Name the source of the visits by --source, whose labels these are."
        return classes_of(path, mask, labels.schema, lambda: remedy), mask.grid

    views = {}
    for kind in kinds:
        modality = _modality(kind, visit)
        classes, grid = mask_of(labels.series.get(modality, labels.whole))
        views[kind.name] = View(
            modality, _onto(image_of(modality), grid, visit, modality, warnings), classes, grid
        )
    volume = image_of(anatomy)
    sampled = Sampled(without_air(volume), volume.grid)
    return Examination(visit, labels, views, sampled, tuple(dict.fromkeys(warnings)))


def _modality(kind: Kind, visit: Visit) -> str:
    """The modality that shows a kind at a visit."""
    images = visit.case.found.images
    return next((name for name in kind.modalities if name in images), next(iter(images)))


def _image(origin: Path | Part) -> Volume:
    volume = read_volume(origin)
    refuse_bad_voxels(origin, volume.voxels)
    return replace(volume, air=constant_air(volume.voxels))


def _said(visit: Visit, origin: Path | Part, volume: Volume) -> list[str]:
    return [
        f"{visit.name}: {origin.name}: {without_folder(warning, origin)}"
        for warning in volume.warnings
    ]


def _onto(
    volume: Volume, grid: Grid, visit: Visit, modality: str, warnings: list[str]
) -> np.ndarray:
    """The image on the grid of the labels, interpolated where that is another: for pictures."""
    voxels = without_air(volume)
    turned = onto_axes_of(voxels, volume.grid, grid)
    if turned is not None:
        return turned
    warnings.append(
        f"{visit.name}: its labels are not on the grid of {modality}: pictures show {modality}"
        " interpolated, measurements are on the grid of the labels"
    )
    return resample(Sampled(voxels, volume.grid), grid, np.eye(4), "linear")


def common_modality(visits: list[Visit], preferred: tuple[str, ...]) -> str:
    """The first modality that all visits have, those preferred first; InputError if there is
    none.
    """
    shared = [
        name
        for name in dict.fromkeys((*preferred, *visits[0].case.found.images))
        if all(name in visit.case.found.images for visit in visits)
    ]
    if not shared:
        raise InputError(
            "the visits have no modality in common to register them by. Add one to those that lack"
            " it, or leave them out."
        )
    return shared[0]
