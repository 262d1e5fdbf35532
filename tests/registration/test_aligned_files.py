"""A case as acquired is written on one grid, with the inverse transform beside it."""

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.errors import InputError
from pipeline.core.records import read_json
from pipeline.formats import nifti
from pipeline.formats.raw_cases import Found
from pipeline.registration.aligned_files import write_aligned
from pipeline.registration.native import BRATS_GRID, Native, labels_to_series
from pipeline.registration.params import NativeRecipe
from pipeline.verification import checks
from tests.registration.conftest import dice

RECIPE = NativeRecipe(
    enabled=True,
    template_transform="rigid",
    interpolation="linear",
    correct_bias=False,
    extract_brain=True,
)


@pytest.mark.slow
@pytest.mark.real
def test_four_series_on_four_grids_become_a_case_and_its_mask_goes_back(real_cases, tmp_path):
    folder = real_cases / "native/TCGA-FG-6692"
    images = {
        word: folder / f"TCGA-FG-6692_{name}.nii.gz"
        for word, name in {"t1n": "t1", "t1c": "t1c", "t2w": "t2", "t2f": "fla"}.items()
    }
    drawn_on = nifti.read(images["t2f"])
    mask = np.zeros(drawn_on.grid.shape, np.uint8)
    x, y, z = (length // 2 for length in mask.shape)
    mask[x - 25 : x + 25, y - 25 : y + 25, z - 3 : z + 3] = 2
    # the mask is stored along other axes than the series it was drawn on
    turn = np.eye(4)[:, [2, 0, 1, 3]]
    nifti.write(tmp_path / "seg.nii.gz", mask.transpose(2, 0, 1), drawn_on.grid.affine @ turn)
    found = write_aligned(
        Found("FG", "FG", folder, images, tmp_path / "seg.nii.gz"), tmp_path / "made", RECIPE
    )
    entry = checks.verify(found, brats.schema("_")).entry
    assert entry.shape == BRATS_GRID.shape
    assert entry.native == "FG/FG_native.json"
    assert 900 < entry.brain_ml < 1800
    assert entry.region_ml(brats.schema("_"), "WT") == pytest.approx(
        np.count_nonzero(mask) * np.prod(drawn_on.grid.spacing_mm) / 1000, rel=0.01
    )
    assert entry.images["t2f"].origin_sha256 == drawn_on.sha256
    back = labels_to_series(nifti.read(found.labels).voxels, read_json(found.native, Native), "t2f")
    assert back.shape == mask.shape
    assert dice(back > 0, mask > 0) > 0.98


def test_a_series_with_nan_is_rejected_before_it_is_registered(tmp_path):
    voxels = np.random.default_rng(1).normal(300, 50, (20, 20, 20)).astype(np.float32)
    voxels[0] = np.nan
    nifti.write(tmp_path / "X_t1.nii.gz", voxels, np.eye(4))
    found = Found("X", "X", tmp_path, {"t1n": tmp_path / "X_t1.nii.gz"}, None)
    with pytest.raises(
        InputError, match=r"X_t1\.nii\.gz: 400 voxels are NaN or infinite.*set them to 0, as by"
    ):
        write_aligned(found, tmp_path / "made", RECIPE)


def test_a_series_that_cannot_be_registered_is_rejected_with_its_case(tmp_path):
    path = tmp_path / "X_t1.nii.gz"
    nifti.write(path, np.arange(8000, dtype=np.int16).reshape(20, 20, 20), np.eye(4))
    with pytest.raises(InputError, match=f"{tmp_path}: none of t1c, t1n, t2f, t2w"):
        write_aligned(Found("X", "X", tmp_path, {"dwi": path}, None), tmp_path / "made", RECIPE)
    assert not (tmp_path / "made").exists()
