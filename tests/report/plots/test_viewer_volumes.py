import gzip

import nibabel
import numpy as np
import pytest

from pipeline.core.grid import Grid
from pipeline.report.plots.planes import PLANES, disagreement
from pipeline.report.plots.viewer_volumes import GREYS, viewer_volumes


def volume_of(file):
    """Voxels and affine of a gzipped NIfTI file."""
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(file))
    return np.asarray(image.dataobj), image.affine


@pytest.fixture
def shifted(case, view_on):
    """A view whose prediction is beside the reference."""
    return view_on(prediction=np.roll(case.classes, 4, axis=1))


def test_maps_and_modalities_are_those_of_the_view_the_latter_in_fewer_greys(shifted, schema):
    packed = viewer_volumes(shifted, schema)
    expected = {
        "reference": shifted.reference,
        "prediction": shifted.prediction,
        "disagreement": disagreement(shifted.reference, shifted.prediction),
    }
    for name, voxels in expected.items():
        np.testing.assert_array_equal(volume_of(packed.maps[name])[0], voxels)
    for channel, file in enumerate(packed.modalities.values()):
        voxels = volume_of(file)[0]
        assert len(np.unique(voxels)) <= GREYS
        assert np.abs(voxels.astype(int) - shifted.grey[..., channel]).max() < 256 // GREYS
        assert not voxels[~shifted.brain].any()
    assert packed == viewer_volumes(shifted, schema)


def test_every_volume_is_where_its_file_is_in_space(case, view_on, schema):
    affine = np.array([[0, -2.0, 0, 90], [1.5, 0, 0, -70], [0, 0, 3.0, 10], [0, 0, 0, 1]])
    view = view_on(grid=Grid(case.grid.shape, affine))
    voxels, found = volume_of(viewer_volumes(view, schema).maps["reference"])
    marked = np.argwhere(case.classes == 3) @ affine[:3, :3].T + affine[:3, 3]
    there = np.argwhere(voxels == 3) @ found[:3, :3].T + found[:3, 3]
    np.testing.assert_allclose(np.sort(there, axis=0), np.sort(marked, axis=0), atol=1e-4)


def test_it_starts_where_the_tumour_is_largest(shifted, schema):
    start = viewer_volumes(shifted, schema).start
    assert start == tuple(shifted.busiest_slice(plane) for plane in reversed(PLANES))
