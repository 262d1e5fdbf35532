"""The Python API: files and arrays give the same labels, and unusable input is rejected."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import api
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from tests.conftest import LPS, case_arrays, write_case

MODEL = Path(__file__).parent / "network/format_1"
KINDS = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
IMAGES, REFERENCE = case_arrays(77)
STACKED = np.stack([IMAGES[kind] for kind in KINDS.values()], axis=-1)


@pytest.fixture(scope="module")
def model():
    return api.load(str(MODEL))


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Path:
    return write_case(tmp_path_factory.mktemp("source"), "BraTS2021_00077", seed=77)


@pytest.fixture(scope="module")
def result(model, case):
    return model.segment(case)


def test_a_model_lists_its_modalities_labels_and_regions(model):
    assert model.modalities == tuple(KINDS)
    assert model.labels == {"necrotic": 1, "edema": 2, "enhancing": 4}
    assert list(model.regions) == ["WT", "TC", "ET"]


def test_labels_probabilities_and_affine_are_on_the_grid_of_the_files(result, case):
    expected = nifti.read(MODEL / "prediction.nii.gz")
    assert np.array_equal(result.labels, expected.voxels)
    assert result.labels.dtype == np.uint8
    assert np.array_equal(result.affine, LPS)
    assert list(result.probabilities) == ["WT", "TC", "ET"]
    for array in result.probabilities.values():
        assert array.shape == result.labels.shape
        assert 0 <= array.min() < array.max() <= 1
    assert result.volumes_ml["WT"] == round(np.count_nonzero(result.labels) / 1000, 3)
    assert result.warnings == []
    assert repr(result).startswith("Segmentation of BraTS2021_00077: WT ")


def test_a_folder_files_by_modality_and_an_array_give_the_same_labels(model, result, case):
    files = {name: str(case / f"{case.name}_{kind}.nii.gz") for name, kind in KINDS.items()}
    for again in (model.segment(files), model.segment(STACKED, LPS)):
        assert np.array_equal(again.labels, result.labels)
        assert np.array_equal(again.probabilities["ET"], result.probabilities["ET"])


def test_a_saved_segmentation_has_the_bytes_that_predict_writes(result, tmp_path):
    result.save(tmp_path / "labels.nii.gz")
    written = (tmp_path / "labels.nii.gz").read_bytes()
    assert written == (MODEL / "prediction.nii.gz").read_bytes()
    assert (tmp_path / "labels.nii.gz.json").is_file()
    with pytest.raises(InputError, match=r"labels\.png: must end in \.nii or \.nii\.gz"):
        result.save(tmp_path / "labels.png")


def test_scores_are_the_same_for_a_file_and_an_array(result, case):
    table = result.score(case / f"{case.name}_seg.nii.gz")
    assert table.equals(result.score(REFERENCE))
    assert list(table["name"]) == ["necrotic", "edema", "enhancing", "WT", "TC", "ET"]
    overlap = np.count_nonzero((REFERENCE > 0) & (result.labels > 0))
    sizes = np.count_nonzero(REFERENCE) + np.count_nonzero(result.labels)
    whole = table[(table["kind"] == "region") & (table["name"] == "WT")]
    assert whole["dice"].item() == pytest.approx(2 * overlap / sizes)
    assert (result.score(result.labels)["dice"] == 1).all()


def test_pictures_are_png_files_that_a_notebook_displays(result, tmp_path):
    for picture in (result.show(), result.show(REFERENCE)):
        assert picture._repr_png_().startswith(b"\x89PNG")
    picture.save(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes() == picture.png


@pytest.mark.parametrize(
    ("image", "affine", "message"),
    [
        (STACKED[..., :3], LPS, r"image: expected shape \(X, Y, Z, 4\) .* got \(24, 22, 20, 3\)"),
        (STACKED[..., 0], LPS, r"image: expected shape"),
        (STACKED, None, r"affine: expected an invertible \(4, 4\) array"),
        (STACKED, np.zeros((4, 4)), r"affine: expected an invertible"),
        (STACKED, LPS[:3], r"affine: expected an invertible"),
        (np.where(STACKED == 0, np.nan, STACKED), LPS, r"t1n: \d+ voxels are NaN or infinite"),
        (np.ones_like(STACKED), LPS, r"t1n: every voxel is 1"),
        (STACKED, np.diag([3.0, 3, 3, 1]), r"array: prepared voxels of 3 x 3 x 3 mm"),
    ],
)
def test_an_array_that_cannot_be_used_is_rejected(model, image, affine, message):
    with pytest.raises(InputError, match=message):
        model.segment(image, affine)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (REFERENCE[1:], r"reference: expected shape \(24, 22, 20\), got \(23, 22, 20\)"),
        (REFERENCE + 7, r"reference: label values 7 .* are not among 0"),
        ("other_grid.nii.gz", r"(?s)other_grid\.nii\.gz: lies on another grid .*Resample it"),
        ("absent.nii.gz", r"absent\.nii\.gz: "),
    ],
)
def test_a_reference_that_does_not_fit_is_rejected(
    result, tmp_path, monkeypatch, reference, message
):
    monkeypatch.chdir(tmp_path)
    nifti.write(Path("other_grid.nii.gz"), REFERENCE, LPS @ np.diag([2.0, 1, 1, 1]))
    with pytest.raises(InputError, match=message):
        result.score(reference)


def test_a_folder_without_a_whole_model_is_rejected(tmp_path, case):
    with pytest.raises(InputError, match="nowhere"):
        api.load(tmp_path / "nowhere")
    partly = shutil.copytree(MODEL, tmp_path / "model")
    (partly / "inference.json").unlink()
    with pytest.raises(InputError, match=r"inference\.json"):
        api.load(partly).segment(case)
    (partly / "card.json").write_text("{}")
    with pytest.raises(InputError, match=r"card\.json"):
        api.load(partly)


def test_the_values_of_the_case_replace_those_of_the_network(model, tmp_path):
    for modality, kind in KINDS.items():
        path = tmp_path / f"BraTS-GLI-00077-000/BraTS-GLI-00077-000-{modality}.nii.gz"
        nifti.write(path, IMAGES[kind], LPS)
    own = model.segment(path.parent, label_values="case")
    assert set(np.unique(own.labels)) <= {0, 1, 2, 3}
    assert np.array_equal(own.labels == 3, model.segment(path.parent).labels == 4)
    assert own.schema.labels["enhancing"] == 3
