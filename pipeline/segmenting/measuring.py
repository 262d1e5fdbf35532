"""Volumes and diameters of a segmentation, as its DICOM report states them."""

from collections.abc import Collection

import numpy as np

from ..core.schema import Schema
from ..formats.dicom_objects.report import Finding, Lesion
from ..metrics.diameters import lesions, measured

LEAST_MM3 = 50.0
"""Smaller connected parts count in the volume of their region, but are not listed as lesions."""


def findings(
    classes: np.ndarray,
    schema: Schema,
    spacing_mm: tuple[float, float, float],
    segments: Collection[str] = (),
) -> list[Finding]:
    """Measure every region and its lesions, and the volume of every label that is no region.

    Parameters
    ----------
    classes : (X, Y, Z) uint8 array
        Class indices, 0 for background, on the grid of a DICOM series: column, row, slice.
    schema : Schema
    spacing_mm : tuple of 3 floats
        Edge lengths of a voxel.
    segments : collection of str
        Labels and regions that have a segment of their own.
    """
    voxel_mm3 = float(np.prod(spacing_mm))
    found = []
    for name, members in schema.regions.items():
        mask = np.isin(classes, schema.classes_of(name))
        alike = {name, *members} if len(members) == 1 else {name}
        found.append(
            Finding(
                name,
                float(mask.sum()) * voxel_mm3,
                measured(mask, spacing_mm),
                tuple(
                    Lesion(lesion.volume_mm3, lesion.measured)
                    for lesion in lesions(mask, spacing_mm, least_mm3=LEAST_MM3)
                ),
                next((segment for segment in segments if segment in alike), ""),
            )
        )
    regions = {members[0] for members in schema.regions.values() if len(members) == 1}
    for index, label in enumerate(schema.labels, 1):
        if label not in regions:
            volume_mm3 = float((classes == index).sum()) * voxel_mm3
            found.append(Finding(label, volume_mm3, None, (), label if label in segments else ""))
    return found
