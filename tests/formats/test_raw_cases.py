"""Raw cases are read as written; what is rejected is in tests/bad_inputs.py."""

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.formats import nifti, raw_cases
from pipeline.verification import checks
from tests.conftest import LPS, case_arrays, write_case


def read(folder, schema):
    return raw_cases.read(brats.read_folder(folder)[1], schema)


def test_a_good_case_is_read_as_it_was_written(tmp_path, schema):
    case = read(write_case(tmp_path, "BraTS2021_00001"), schema)
    images, values = case_arrays()
    for channel, name in enumerate(("t1", "t1ce", "t2", "flair")):
        assert np.array_equal(case.image[..., channel], images[name])
    assert case.image.dtype == np.int16
    assert np.array_equal(case.classes, np.where(values == 4, 3, values))


@pytest.mark.parametrize("largest", [np.uint16(40_000), np.float32(0.5)])
def test_one_file_that_int16_cannot_hold_makes_all_channels_float32(tmp_path, schema, largest):
    folder = write_case(tmp_path, "BraTS2021_00001")
    file = folder / "BraTS2021_00001_flair.nii.gz"
    volume = nifti.read(file)
    voxels = volume.voxels.astype(largest.dtype)
    voxels[voxels > 0] = largest
    nifti.write(file, voxels, volume.grid.affine)
    image = read(folder, schema).image
    assert image.dtype == np.float32
    assert np.array_equal(image[..., 3], voxels)
    assert np.array_equal(image[..., 0], case_arrays()[0]["t1"])


def test_an_entry_says_what_the_files_hold(tmp_path, schema):
    found = brats.read_folder(write_case(tmp_path, "BraTS2021_00001"))[1]
    entry = checks.verify(found, schema).entry
    _, values = case_arrays()
    assert entry.label_voxels == {
        name: np.count_nonzero(values == value) for name, value in schema.labels.items()
    }
    assert entry.orientation == "LPS"
    assert entry.shape == values.shape
    assert entry.images["t1c"].path == "BraTS2021_00001/BraTS2021_00001_t1ce.nii.gz"
    assert entry.region_ml(schema, "WT") == pytest.approx(np.count_nonzero(values) / 1000)


def test_affines_that_differ_by_rounding_are_one_grid(tmp_path, schema):
    folder = write_case(tmp_path, "BraTS2021_00001")
    nifti.write(folder / "BraTS2021_00001_t2.nii.gz", case_arrays()[0]["t2"], LPS * (1 + 1e-7))
    read(folder, schema)


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "style"),
    [
        ("brats2018/Brats18_2013_2_1", "_"),
        ("brats2021/BraTS2021_01476", "_"),
        ("brats2023/BraTS-GLI-00000-000", "-"),
    ],
)
def test_real_cases_of_every_year_are_read(real_cases, folder, style):
    found_style, found = brats.read_folder(real_cases / folder)
    assert found_style == style
    case = raw_cases.read(found, brats.schema(style))
    assert case.image.shape == (240, 240, 155, 4)
    assert set(np.unique(case.classes)) <= {0, 1, 2, 3}
    assert (case.classes == 2).any()


def test_a_note_on_all_cases_follows_the_notes_of_the_first(tmp_path):
    first, second = (
        raw_cases.Found(name, name, tmp_path, {}, None, notes=("its own",)) for name in ("a", "b")
    )
    noted, other = raw_cases.noted([first, second], "it rains")
    assert noted.notes == ("its own", "here and in all other cases it rains")
    assert (noted.case, other) == ("a", second)
