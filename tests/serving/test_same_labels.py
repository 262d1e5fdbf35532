"""The page gives the labels of `predict` and of an exported network's runner, whatever is sent."""

import nibabel
import numpy as np
import pytest

from pipeline import api
from pipeline.__main__ import main
from pipeline.formats import nifti
from tests.exchange.studies import write_study
from tests.export.test_runner import agreement, call, exported
from tests.serving import made
from tests.serving.served import packed, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return made.model(tmp_path_factory.mktemp("network") / "models")


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    with serving(model, tmp_path_factory.mktemp("store")) as one:
        yield one


def segmented(served, body: bytes, name: str) -> tuple[bytes, np.ndarray]:
    """The labels that the page offers, and the voxels that its viewer paints."""
    case = served.upload(body, name)
    state = served.wait(case)
    assert state["status"] == "done", state["message"]
    shown = served.ask("GET", f"/api/cases/{case}/scene/prediction.nii.gz").content
    classes = np.asarray(nibabel.Nifti1Image.from_bytes(shown).dataobj)
    return served.ask("GET", f"/api/cases/{case}/files/labels.nii.gz").content, classes


def test_page_predict_and_runner_give_the_same_labels(served, model, tmp_path):
    files = made.case(tmp_path)
    found, shown = segmented(served, packed(files, tmp_path), "case")
    flags = ["--model", str(model), "--out", str(tmp_path / "predicted.nii.gz")]
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(files[0].parent), *flags])
    assert not ended.value.code
    assert found == (tmp_path / "predicted.nii.gz").read_bytes()

    named = [f"--{name}={file}" for name, file in zip(made.KINDS, files, strict=True)]
    run = tmp_path / "run.nii.gz"
    ran = call(exported(model, tmp_path / "exported"), *named, f"--out={run}")
    assert ran.returncode == 0, ran.stderr
    labels = nifti.read(tmp_path / "predicted.nii.gz").voxels
    assert len(np.unique(labels)) == 4
    assert agreement(nifti.read(run).voxels, labels) >= 0.999

    upright = nibabel.as_closest_canonical(nibabel.load(tmp_path / "predicted.nii.gz"))
    values = np.array([0, 1, 2, 4])  # of the classes
    np.testing.assert_array_equal(values[shown], np.asarray(upright.dataobj))


@pytest.mark.parametrize("packing", ["tar", "zip"])
def test_a_dicom_study_has_the_labels_of_its_folder(served, model, tmp_path, packing):
    study = write_study(tmp_path / "study")
    files = [path for path in study.rglob("*") if path.is_file()]
    expected = api.load(model).segment(study)
    expected.save(tmp_path / "expected.nii.gz")
    if packing == "tar":
        body = packed(files, tmp_path)
    else:
        body = made.zipped(tmp_path / "study.zip", study).read_bytes()
    found, _ = segmented(served, body, "study")
    (tmp_path / "found.nii.gz").write_bytes(found)
    assert expected.labels.any()
    one, other = (nifti.read(tmp_path / f"{name}.nii.gz") for name in ("found", "expected"))
    np.testing.assert_array_equal(one.voxels, other.voxels)
    np.testing.assert_allclose(one.grid.affine, other.grid.affine)
