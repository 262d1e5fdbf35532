import gzip
import io
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from PIL import Image

from pipeline.core.grid import Grid
from pipeline.report.plots import viewer_volumes as module
from pipeline.report.plots.planes import PLANES
from pipeline.report.plots.viewer_volumes import STEPS, viewer_volumes


def volume_of(file):
    """Voxels and affine of a gzipped NIfTI file."""
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(file))
    return np.asarray(image.dataobj), image.affine


def greys_of(packed, name):
    """Voxels of a modality, read from the sheet of its slices."""
    sheet = np.asarray(Image.open(io.BytesIO(packed.modalities[name])).convert("L")).astype(int)
    width, height, slices = packed.shape
    rows = sheet.reshape(-1, height, packed.columns, width).swapaxes(1, 2)
    return rows.reshape(-1, height, width)[:slices].transpose(2, 1, 0)


def in_blocks(voxels, step):
    """Voxels of each block of `step` along each axis, padded with zeros, in a last axis."""
    padded = np.pad(voxels, [(0, -length % step) for length in voxels.shape])
    x, y, z = (length // step for length in padded.shape)
    blocks = padded.reshape(x, step, y, step, z, step)
    return blocks.transpose(0, 2, 4, 1, 3, 5).reshape(x, y, z, -1)


@pytest.fixture
def shifted(case, view_on):
    """A view whose prediction is beside the reference, and its uncertainty."""
    view = view_on(prediction=np.roll(case.classes, 4, axis=1))
    return replace(view, uncertainty=(5 * (view.prediction % 3)).astype(np.uint8))


def test_maps_are_those_of_the_view_and_modalities_resemble_it(shifted, schema):
    packed = viewer_volumes(shifted, schema).packed[0]
    expected = {
        "reference": shifted.reference,
        "prediction": shifted.prediction,
        "uncertainty": shifted.uncertainty // 5,
    }
    assert list(packed.maps) == list(expected)
    for name, voxels in expected.items():
        np.testing.assert_array_equal(volume_of(packed.maps[name])[0], voxels)
    for channel, name in enumerate(packed.modalities):
        error = greys_of(packed, name) - shifted.grey[..., channel]
        assert np.sqrt((error**2).mean()) < 12  # of noise, which compresses badly
    assert viewer_volumes(shifted, schema) == viewer_volumes(shifted, schema)


def test_without_uncertainty_there_is_no_map_of_it(view_on, schema):
    assert list(viewer_volumes(view_on(), schema).packed[0].maps) == ["reference", "prediction"]


@pytest.mark.parametrize("place", [1, 2])
def test_larger_voxels_are_the_means_and_the_most_common_labels_of_blocks(shifted, schema, place):
    packed = viewer_volumes(shifted, schema).packed[place]
    step = STEPS[place]
    blocks = in_blocks(shifted.reference, step)
    counts = np.stack([(blocks == label).sum(axis=-1) for label in range(4)], axis=-1)
    found = volume_of(packed.maps["reference"])[0]
    assert packed.shape == found.shape
    np.testing.assert_array_equal(found, counts.argmax(axis=-1))
    means = in_blocks(shifted.grey[..., 3], step).mean(axis=-1)
    assert np.sqrt(((greys_of(packed, "t2f") - means) ** 2).mean()) < 12


def test_every_volume_is_where_its_file_is_in_space(case, view_on, schema):
    affine = np.array([[0, -2.0, 0, 90], [1.5, 0, 0, -70], [0, 0, 3.0, 10], [0, 0, 0, 1]])
    view = view_on(grid=Grid(case.grid.shape, affine))
    marked = np.argwhere(case.classes > 0) @ affine[:3, :3].T + affine[:3, 3]
    for packed, tolerance_mm in zip(viewer_volumes(view, schema).packed, (1e-4, 1.5), strict=False):
        voxels, found = volume_of(packed.maps["reference"])
        there = np.argwhere(voxels > 0) @ found[:3, :3].T + found[:3, 3]
        np.testing.assert_allclose(there.mean(axis=0), marked.mean(axis=0), atol=tolerance_mm)


def test_it_starts_where_the_tumour_is_largest_on_t1c(shifted, schema):
    volumes = viewer_volumes(shifted, schema)
    start = tuple(shifted.busiest_slice(plane) for plane in reversed(PLANES))
    assert [packed.start for packed in volumes.packed] == [
        tuple(place // step for place in start) for step in STEPS
    ]
    assert volumes.opened_on == "t1c"
    assert volumes.telling == ("t1c", "t2f")


def test_what_a_phone_cannot_open_comes_in_larger_voxels_alone(shifted, schema, monkeypatch):
    monkeypatch.setattr(module, "_LARGEST_SHEET", shifted.reference.size - 1)
    assert [packed.step for packed in viewer_volumes(shifted, schema).packed] == [2, 4]


def test_a_single_slice_stays_one(single_slice, schema):
    packed = viewer_volumes(single_slice, schema).packed
    assert [volumes.shape[2] for volumes in packed] == [1, 1, 1]
    assert [volumes.columns for volumes in packed] == [
        1 + (v.shape[1] > v.shape[0]) for v in packed
    ]
