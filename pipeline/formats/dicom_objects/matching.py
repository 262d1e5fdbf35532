"""Which label or region of a cohort each segment of an object is, and the mask that they form."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from ...core.errors import InputError
from ...core.grid import Grid
from ...core.regions import classes_to_regions, classes_to_values, regions_to_classes
from ...core.schema import Schema
from ..dicom.header import errors_reported
from ..dicom.series import DicomSeries
from ..volume import Part, Volume
from .codes import PARTS_OF_TUMOUR, structure
from .segments import Segment, Segments, own_grid, read_segments
from .source import read_source

_REMEDY = "Name segments by the labels of the cohort, or give the mask as NIfTI."


@dataclass(frozen=True)
class SegmentationMask(Part):
    """A segmentation object as a mask in the label values of a cohort.

    Attributes
    ----------
    schema : Schema
        Labels and regions that its segments are matched to.
    series : DicomSeries
        On whose grid the mask is.
    """

    schema: Schema
    series: DicomSeries

    def read(self) -> Volume:
        """Read the object as label values, (X, Y, Z) uint8 on the grid of the series.

        Raises
        ------
        InputError
            As `read_segments`, `mask_of` and `read_source`.
        """
        return mask_of(read_segments(self.path), self.schema, read_source(self.series).grid)


def mask_of(found: Segments, schema: Schema, grid: Grid | None = None) -> Volume:
    """The label values of a segmentation on a grid; by default the smallest that holds its frames.

    Segments are matched by the code of their type, and where that is of several labels or none, by
    their label or description. If all are labels, they must not overlap. Else all regions of the
    cohort must be there, from which labels follow. In a cohort of a single label, it unites all
    parts of the tumour.

    Returns
    -------
    Volume
        (X, Y, Z) uint8; a warning names labels without a segment.

    Raises
    ------
    InputError
        If a segment is neither label nor region, segments overlap, a region is missing, or frames
        do not lie on the grid.
    """
    path = found.path
    grid = own_grid([found]) if grid is None else grid
    names = {each.number: _matched(each, schema, path) for each in found.segments}
    masks: dict[str, np.ndarray] = {}
    with errors_reported(path):
        for number, name in names.items():
            mask = found.mask(number, grid)
            masks[name] = masks[name] | mask if name in masks else mask
    warnings = []
    if set(masks) <= set(schema.labels):
        classes = _disjoint(masks, schema, path)
        if missing := [name for name in schema.labels if name not in masks]:
            warnings.append(f"{path}: has no segment for {', '.join(missing)}, taken as absent")
    else:
        classes, lost = _of_regions(masks, schema, path)
        if lost:
            warnings.append(
                f"{path}: {lost} voxels of its regions lie outside of the region around them, and"
                " were left out"
            )
    return Volume(classes_to_values(classes, schema), grid, found.sha256, tuple(warnings))


def _matched(segment: Segment, schema: Schema, path: Path) -> str:
    """The label, or else the region, that a segment is; InputError if there is none."""
    names = dict.fromkeys((*schema.labels, *schema.regions))
    coded = [name for name in names if segment.code and structure(name).code == segment.code]
    texts = {segment.label.casefold(), segment.description.casefold()}
    named = [name for name in names if not texts.isdisjoint(_texts(name))]
    both = [name for name in coded if name in named]
    found = both or coded or named
    if not found and len(schema.labels) == 1 and _is_part_of_tumour(segment):
        return next(iter(schema.labels))
    if not found:
        raise InputError(
            f"{path}: {segment} is neither a label nor a region of cohort {schema.cohort}:"
            f" {', '.join(names)}. {_REMEDY}"
        )
    label = _as_label(found[0], schema)
    if {_as_label(name, schema) for name in found} != {label}:
        raise InputError(
            f"{path}: {segment} may be {' or '.join(found)} of cohort {schema.cohort}. {_REMEDY}"
        )
    return label


def _texts(name: str) -> set[str]:
    return {name.casefold(), structure(name).title.casefold()}


def _is_part_of_tumour(segment: Segment) -> bool:
    return any(
        segment.code == structure(name).code or segment.label.casefold() in _texts(name)
        for name in PARTS_OF_TUMOUR
    )


def _as_label(name: str, schema: Schema) -> str:
    """The label that a region consists of, if it is a single one; else the name itself."""
    members = schema.regions.get(name, ())
    return name if name in schema.labels or len(members) != 1 else members[0]


def _disjoint(masks: Mapping[str, np.ndarray], schema: Schema, path: Path) -> np.ndarray:
    """Class indices of masks of labels."""
    for one, other in combinations(masks, 2):
        if shared := int(np.count_nonzero(masks[one] & masks[other])):
            raise InputError(
                f"{path}: its segments {one} and {other} share {shared} voxels, but labels exclude"
                f" each other. {_REMEDY}"
            )
    shape = next(iter(masks.values())).shape
    classes = np.zeros(shape, np.uint8)
    for index, name in enumerate(schema.labels, 1):
        if name in masks:
            classes[masks[name]] = index
    return classes


def _of_regions(
    masks: Mapping[str, np.ndarray], schema: Schema, path: Path
) -> tuple[np.ndarray, int]:
    """Class indices of masks of regions, and the count of voxels that contradict them."""
    by_region = {name: masks.get(_as_label(name, schema)) for name in schema.regions}
    missing = [name for name, mask in by_region.items() if mask is None]
    used = {_as_label(name, schema) for name in schema.regions}
    if missing or (surplus := [name for name in masks if name not in used]):
        odd = ", ".join(missing) or ", ".join(surplus)
        raise InputError(
            f"{path}: its segments are {', '.join(masks)}, from which no labels follow:"
            f" {odd} {'is missing' if missing else 'is beside regions'}. Give a segment for each"
            f" label ({', '.join(schema.labels)}) or for each region"
            f" ({', '.join(schema.regions)})."
        )
    stacked = np.stack([mask for mask in by_region.values() if mask is not None], axis=-1)
    classes = regions_to_classes(stacked, schema)
    return classes, int(np.count_nonzero(classes_to_regions(classes, schema) != stacked))
