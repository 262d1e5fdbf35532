"""Masks on the series of `made_series`, and what is written about them."""

import numpy as np

from pipeline.formats.dicom_objects.segmentation import Algorithm
from pipeline.formats.dicom_objects.source import Source, read_source
from tests.formats.dicom_objects.made_series import SHAPE, write_series

ALGORITHM = Algorithm("TumorFlow", "0.9.0 network 0123456789abcdef", {"network_sha256": "0" * 64})
COLOURS = {"WT": "#CC79A7", "TC": "#56B4E9"}


def masks() -> dict[str, np.ndarray]:
    """A region of two lesions, one with a hole; one within it that touches by corners; none."""
    whole = np.zeros(SHAPE, bool)
    whole[1:10, 2:9, 1:6] = True
    whole[4:7, 4:6, 2:4] = False
    whole[11:14, 9:12, 6:9] = True
    core = np.zeros(SHAPE, bool)
    core[2, 2, 3] = core[3, 3, 3] = core[2, 4, 3] = core[1, 3, 3] = True
    return {"WT": whole, "TC": core, "ET": np.zeros(SHAPE, bool)}


def source_of(folder, geometry: str, **values) -> Source:
    voxels = np.random.default_rng(3).integers(0, 900, SHAPE)
    return read_source(write_series(folder / geometry, geometry, voxels, **values))
