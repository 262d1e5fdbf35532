"""The Python API: files and arrays give the same labels, and unusable input is rejected."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import api
from pipeline.augmentation.on_the_fly import across_patches
from pipeline.augmentation.transform import brain_mask
from pipeline.core.errors import InputError
from pipeline.formats import nifti
from pipeline.network import predictor
from pipeline.preparation.preprocessing import prepare
from tests.cohorts.test_folder import describe
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


@pytest.fixture(scope="module")
def tolerant(tmp_path_factory):
    """The model as if it had been trained with modality dropout."""
    folder = shutil.copytree(MODEL, tmp_path_factory.mktemp("tolerant") / "model")
    card = json.loads((folder / "card.json").read_text())
    card["train"]["on_the_fly"]["modality_dropout"] = {"probability": 0.25}
    (folder / "card.json").write_text(json.dumps(card))
    return api.load(folder)


def dropped(model, image: np.ndarray, missing: set[str]) -> np.ndarray:
    """Labels of a prepared image after the transform of the training has dropped modalities."""
    whole = prepare(model.segment(image, LPS).case, model.card.preprocess)
    kept = np.array([name not in missing for name in model.modalities], np.float32)
    batch = whole.image.astype(np.float32)[None]
    brain, nothing = brain_mask(batch), np.zeros(batch.shape[:-1], np.uint8)
    batch, _ = across_patches(np, batch, brain, nothing, {"kept": kept[None]}, one_type=False)
    network, settings = model._loaded
    image, geometry = batch[0].astype(whole.image.dtype), whole.geometry
    found = predictor.predict(network, model.card, settings, image, geometry=geometry)
    return predictor.raw_classes(found, model.card, settings)


@pytest.mark.parametrize("missing", [("t1c",), ("t1n", "t2w", "t2f")], ids=" ".join)
def test_a_case_without_a_modality_has_the_labels_that_modality_dropout_leaves(
    tolerant, result, tmp_path, missing
):
    absent = dict.fromkeys(KINDS[name] for name in missing)
    folder = write_case(tmp_path, "BraTS2021_00077", seed=77, **absent)
    found = tolerant.segment(folder)
    expected = dropped(tolerant, STACKED, set(missing))
    assert np.array_equal(found.classes, expected)
    assert not np.array_equal(found.classes, result.classes)
    assert found.record["missing_modalities"] == list(missing)
    assert not {*found.record["inputs"]} & {*missing}
    assert found.case.image.shape[-1] == 4 - len(missing)
    files = {
        name: folder / f"{folder.name}_{kind}.nii.gz"
        for name, kind in KINDS.items()
        if name not in missing
    }
    blank = STACKED.astype(np.float32)
    blank[..., [name in missing for name in KINDS]] = np.nan
    for again in (
        tolerant.segment(files),
        tolerant.segment(blank, LPS, missing=missing),
        tolerant.segment(tolerant.find(folder), missing=missing),
        tolerant.segment(tolerant.find(folder, missing=missing)),
    ):
        assert np.array_equal(again.classes, expected)
    assert found.show()._repr_png_().startswith(b"\x89PNG")


def test_a_missing_modality_is_a_warning_that_is_saved(tolerant, tmp_path, caplog):
    absent = {"t2": None, "flair": None}
    found = tolerant.segment(write_case(tmp_path, "BraTS2021_00077", seed=77, **absent))
    said = "BraTS2021_00077: t2w, t2f are missing: segmented without them, as the network was"
    assert found.warnings[0].startswith(said)
    assert said in caplog.text
    found.save(tmp_path / "labels.nii.gz")
    record = json.loads((tmp_path / "labels.nii.gz.json").read_text())
    assert record["missing_modalities"] == ["t2w", "t2f"]
    assert record["warnings"] == found.warnings
    one = tolerant.segment(STACKED, LPS, missing=["t1c"])
    assert one.warnings == [
        "array: t1c is missing: segmented without it, as the network was trained to be. Labels are"
        " less accurate than with it. Measure by how much with evaluate.missing_modalities."
    ]


def test_a_complete_case_has_the_same_labels_whether_or_not_others_may_lack_a_modality(
    tolerant, result, case
):
    found = tolerant.segment(case)
    assert np.array_equal(found.classes, result.classes)
    assert (found.warnings, found.record["missing_modalities"]) == ([], [])
    assert found.modalities == tolerant.modalities


def test_a_network_that_never_missed_a_modality_refuses_a_case_without_one(model, tmp_path):
    assert not model.accepts_missing_modalities
    folder = write_case(tmp_path, "BraTS2021_00077", seed=77, t1ce=None)
    said = (
        r"modality t1c.* of case .* is missing, found \[.*\]\. Add the file\. Only a network"
        r" trained with train\.on_the_fly\.modality_dropout\.probability above 0 segments an"
    )
    for case, options in (
        (folder, {}),
        ({"t1n": folder / "BraTS2021_00077_t1.nii.gz"}, {}),
        (STACKED, {"affine": LPS, "missing": ["t1c"]}),
    ):
        with pytest.raises(InputError, match=said):
            model.segment(case, **options)


def test_a_channel_of_zeros_is_no_missing_modality_unless_it_is_named(tolerant):
    blank = STACKED.copy()
    blank[..., 1] = 0
    with pytest.raises(InputError, match="t1c: every voxel is 0"):
        tolerant.segment(blank, LPS)
    expected = tolerant.segment(STACKED, LPS, missing=("t1c",)).labels
    assert np.array_equal(tolerant.segment(blank, LPS, missing=("t1c",)).labels, expected)


@pytest.mark.parametrize(
    ("case", "options", "said"),
    [
        ("", {"missing": ["t1ce"]}, "t1ce: is no modality of the network, which takes t1n, t1c"),
        ("", {"missing": KINDS}, r"t1n, t1c, t2w, t2f of case .* is missing, .*Add the files\.$"),
        (STACKED, {"missing": ["adc"]}, "adc: is no modality of the network"),
        ({"t1c": "x.nii"}, {"missing": ["t1c"]}, "t1c: is named as a file and as missing"),
    ],
)
def test_what_cannot_be_missing_is_rejected(tolerant, case, tmp_path, options, said):
    if isinstance(case, str):
        case = write_case(tmp_path, "BraTS2021_00077", seed=77)
    if isinstance(case, dict):
        case = {name: write_case(tmp_path, "b") / "b_t1ce.nii.gz" for name in case}
    with pytest.raises(InputError, match=said):
        tolerant.segment(case, LPS, **options)


def test_an_image_of_unknown_name_may_be_the_missing_one_and_must_be_named(tolerant, tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00077", seed=77)
    whole = tolerant.segment(folder).labels
    unknown = (folder / f"{folder.name}_t1ce.nii.gz").rename(folder / f"{folder.name}_T1GD.nii.gz")
    said = rf"t1c of .* is missing.* not known here: {unknown.name}\..* it out: --missing t1c\.$"
    with pytest.raises(InputError, match=said):
        tolerant.segment(folder)
    assert tolerant.segment(folder, missing=["t1c"]).record["missing_modalities"] == ["t1c"]
    named = tolerant.find(folder, {"t1c": unknown})
    assert np.array_equal(tolerant.segment(named).labels, whole)
    (folder / f"{folder.name}_t2.nii.gz").unlink()
    assert tolerant.segment(tolerant.find(folder, {"t1c": unknown})).record[
        "missing_modalities"
    ] == ["t2w"]


def test_a_described_folder_may_lack_modalities_and_files_it_does_not_describe_are_named(
    tolerant, tmp_path
):
    folder = describe(write_case(tmp_path, "BraTS2021_00077", seed=77, t1=None, t2=None))
    modalities = {"t1c": "{case}_t1ce.nii.gz", "t2f": "{case}_flair.nii.gz"}
    describe(folder, modalities=modalities | {"t1n": "{case}_t1.nii.gz"}, mask="{case}_seg.nii.gz")
    found = tolerant.segment(folder, source="folder")
    assert found.record["missing_modalities"] == ["t1n", "t2w"]
    shutil.copy(folder / "BraTS2021_00077_t1ce.nii.gz", folder / "other.nii.gz")
    with pytest.raises(InputError, match=r"not known here: other\.nii\.gz"):
        tolerant.segment(folder, source="folder")
