"""The runner of an exported network gives the labels of `predict`, without Keras or TumorFlow."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from pipeline import api
from pipeline.__main__ import main
from pipeline.cohorts import brats
from pipeline.core.regions import classes_to_values
from pipeline.export import runner
from pipeline.formats import nifti
from pipeline.metrics.overlap import overlap
from pipeline.network import backend
from pipeline.preparation.params import Postprocess
from pipeline.preparation.postprocess import postprocess
from tests.export import made

KINDS = {
    "2D": {"settings": {"mirror": True}, "patch": (16, 24), "output": "labels"},
    "2.5D": {"slices": 3, "preprocess": {"spacing_mm": (2.0, 2.0, 2.0)}},
    "3D": {"dimensions": 3, "settings": {"mirror": False, "overlap": 0.3}},
    "residual": {
        "dimensions": 3,
        "encoder": "residual",
        "normalization": "group",
        "filters": 8,
        "output": "labels",
        "preprocess": {"spacing_mm": (1.3, 1.3, 1.3)},
    },
    "ensemble": {"members": 2, "normalization": "batch", "preprocess": {"dtype": "float32"}},
    "types": {"cohort": made.TYPES, "output": "labels", "type_head": True},
    "head": {"preprocess": {"foreground": "head", "margin_voxels": 0}},
    "corrected": {
        "postprocess": {
            "thresholds": {"WT": 0.45, "ET": 0.55},
            "min_component_ml": 0.05,
            "fill_holes": True,
            "min_innermost_ml": 0.01,
        }
    },
}


def exported(model: Path, out: Path, *options: str) -> Path:
    """Call the command."""
    with pytest.raises(SystemExit) as ended:
        main(["export", "--model", str(model), "--out", str(out), *options])
    assert not ended.value.code
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """An exported network."""
    place = tmp_path_factory.mktemp("plain")
    return exported(made.model(place / "models"), place / "out")


@pytest.fixture
def folder(plain, tmp_path) -> Path:
    """Its folder again, to be spoilt."""
    return shutil.copytree(plain, tmp_path / "out")


def by_runner(folder: Path, image: np.ndarray, affine: np.ndarray, present=None) -> np.ndarray:
    pipeline = runner.read_pipeline(folder)
    network = runner.open_network(folder, pipeline)
    present = present or [True] * image.shape[-1]
    return runner.segment(network, pipeline, image, affine, present)


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Least Dice of a label value."""
    values = np.unique([*np.unique(one), *np.unique(other)])
    return min(overlap(one == value, other == value).dice for value in values)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_those_of_predict(kind, tmp_path):
    model = made.model(tmp_path / "models", **KINDS[kind])
    folder = exported(model, tmp_path / "out")
    image = made.image(channels=len(api.load(model).modalities))
    if kind == "head":
        image += 20  # air is not 0
        image[10:14, 10:14, 6] = 0  # enclosed, and dark
    expected = api.load(model).segment(image, made.AFFINE).labels
    found = by_runner(folder, image, made.AFFINE)
    assert len(np.unique(expected)) > (1 if kind == "types" else 2)
    assert agreement(found, expected) >= 0.999


@pytest.fixture(scope="module")
def bfloat16(tmp_path_factory) -> Path:
    """A trained network: in every voxel the logits of drawn weights are near a threshold."""
    place = tmp_path_factory.mktemp("bfloat16") / "models"
    changes = {"filters": 8, "patch": (48, 48), "settings": {"mirror": False}}
    return made.model(place, precision="mixed_bfloat16", steps=300, **changes)


with_openvino = pytest.mark.skipif(
    backend.name() != "tensorflow", reason="predict runs OpenVINO with TensorFlow alone"
)


@pytest.mark.parametrize("form", ["onnx", pytest.param("openvino", marks=with_openvino)])
def test_labels_of_a_bfloat16_network_are_those_of_predict(form, bfloat16, tmp_path):
    folder = exported(bfloat16, tmp_path / "out", "--format", form)
    image, masks = made.tumour(0)
    found = by_runner(folder, image, made.AFFINE)
    assert agreement(found > 0, masks[..., 0]) > 0.9
    engines = ("keras", "onnx", "openvino") if backend.name() == "tensorflow" else ("keras", "onnx")
    for engine in engines:
        expected = api.load(bfloat16, engine).segment(image, made.AFFINE).labels
        assert agreement(found, expected) >= 0.999, engine


@pytest.mark.parametrize(
    ("trained", "form", "options", "expected"),
    [
        ("float32", "onnx", [], "float32"),
        ("mixed_bfloat16", "onnx", [], "bfloat16"),
        ("mixed_bfloat16", "openvino", [], "bfloat16"),
        ("mixed_bfloat16", "onnx", ["--precision", "float32"], "float32"),
        ("mixed_float16", "onnx", [], "float16"),
        ("mixed_float16", "openvino", [], "float32"),
    ],
)
def test_pipeline_json_names_the_precision(trained, form, options, expected, tmp_path):
    model = made.model(tmp_path / "models", precision=trained)
    folder = exported(model, tmp_path / "out", "--format", form, *options)
    assert runner.read_pipeline(folder)["network"]["precision"] == expected
    if form == "onnx":
        casts = b"Cast" in (folder / "network.onnx").read_bytes()
        assert casts == (expected != "float32")


def test_labels_by_openvino_are_those_of_predict(tmp_path):
    model = made.model(tmp_path / "models", dimensions=3, output="labels")
    folder = exported(model, tmp_path / "out", "--format", "openvino")
    assert {path.name for path in folder.iterdir()} >= {"network.xml", "network.bin"}
    expected = api.load(model).segment(made.image(), made.AFFINE).labels
    assert agreement(by_runner(folder, made.image(), made.AFFINE), expected) >= 0.999


def test_a_case_that_lacks_a_modality_has_the_labels_of_predict(tmp_path):
    model = made.model(tmp_path / "models", dropout=0.3)
    folder = exported(model, tmp_path / "out")
    image = made.image()
    expected = api.load(model).segment(image, made.AFFINE, missing=["t1c"]).labels
    found = by_runner(folder, image[..., [0, 2, 3]], made.AFFINE, [True, False, True, True])
    assert agreement(found, expected) >= 0.999


def test_the_runner_reports_nothing_to_the_makers_of_openvino(tmp_path, monkeypatch):
    """OpenVINO keeps an identity of the user in the home folder before it reports anything."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    model = made.model(tmp_path / "models")
    folder = exported(model, tmp_path / "out", "--format", "openvino")
    ran = call(folder, *files_of(tmp_path / "case"), "--out", str(tmp_path / "labels.nii.gz"))
    assert ran.returncode == 0, ran.stderr
    assert not list((tmp_path / "home").glob("intel*"))


BLOCKED = """
import runpy, sys
class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"keras", "tensorflow", "jax", "scipy", "pipeline", "tumorflow"}:
            raise ImportError(f"{name} must not be imported")
sys.meta_path.insert(0, Blocked())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run run.py of a folder by itself, where Keras, SciPy and this package cannot be imported."""
    command = [sys.executable, "-I", "-c", BLOCKED, str(folder / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


def files_of(folder: Path, affine: np.ndarray = made.AFFINE) -> list[str]:
    """The options that name the files of a case, which are written."""
    voxels, options = made.image(), []
    for channel, name in enumerate(made.MODALITIES):
        path = folder / f"{name}.nii.gz"
        shifted = voxels[..., channel] + (7 if name == "t2w" else 0)  # air that is not 0
        nifti.write(path, shifted, affine)
        options += [f"--{name}", str(path)]
    return options


def test_the_runner_needs_neither_keras_nor_scipy_nor_this_package(tmp_path):
    model = made.model(tmp_path / "models", postprocess={"min_component_ml": 0.1})
    folder = exported(model, tmp_path / "out")
    affine = made.AFFINE[:, [1, 0, 2, 3]]  # the first axis runs to the back
    options = files_of(tmp_path / "case", affine)
    ran = call(folder, *options, "--out", str(tmp_path / "labels.nii.gz"), "--threads", "1")
    assert ran.returncode == 0, ran.stderr
    files = dict(zip(made.MODALITIES, options[1::2], strict=True))
    result = api.load(model).segment(files)
    written = nibabel.load(tmp_path / "labels.nii.gz")
    np.testing.assert_allclose(written.affine, result.affine)
    assert written.header["descrip"].item().startswith(b"Research use only")
    assert agreement(np.asanyarray(written.dataobj), result.labels) >= 0.999
    volumes = dict(line.split()[:2] for line in ran.stdout.splitlines())
    assert volumes == {name: f"{ml:.1f}" for name, ml in result.volumes_ml.items()}
    assert [path.name for path in tmp_path.glob("*labels*")] == ["labels.nii.gz"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda values: values | {"format_version": 2}, "format_version 2, and this runner reads"),
        (lambda values: {k: v for k, v in values.items() if k != "patch"}, "patch is missing"),
        (lambda values: values | {"regions": [{"name": "WT"}]}, "regions.labels is missing"),
        (lambda values: values | {"overlap": "half"}, "overlap is 'half'"),
        (lambda values: values | {"preprocess": {}}, "preprocess.spacing_mm is missing"),
        (lambda values: [values], "format_version None"),
        (lambda values: values | {"network": {**values["network"], "sha256": {"x": "0"}}}, "x: is"),
    ],
)
def test_a_pipeline_json_of_another_kind_is_named(spoil, message, folder, tmp_path):
    path = folder / "pipeline.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    ran = call(folder, *files_of(tmp_path / "case"), "--out", str(tmp_path / "labels.nii.gz"))
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ")
    assert message in ran.stderr
    assert "Export the network again" in ran.stderr or "Take both from one export" in ran.stderr
    assert not (tmp_path / "labels.nii.gz").exists()


def test_no_missing_key_or_wrong_value_of_pipeline_json_ends_in_a_traceback(folder):
    path = folder / "pipeline.json"
    values = json.loads(path.read_text())
    for key in runner.KEYS:
        for wrong in (None, {"a": []}, "x"):
            path.write_text(json.dumps(values | {key: wrong}))
            if isinstance(wrong, runner.KEYS[key]) and key not in runner.WITHIN:
                continue
            with pytest.raises(runner.BadInput, match=key):
                runner.read_pipeline(folder)
    for cut in (b"", b"{", b"\xff\xfe", b"[1, 2]", b"null", path.read_bytes()[:-20]):
        path.write_bytes(cut)
        with pytest.raises(runner.BadInput, match=r"pipeline\.json"):
            runner.read_pipeline(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda case: nifti.write(case / "t2f.nii.gz", made.image()[..., 0], np.eye(4)), "grid"),
        (lambda case: (case / "t1c.nii.gz").write_bytes(b"no image"), "not a readable NIfTI"),
        (
            lambda case: nifti.write(case / "t1n.nii.gz", np.ones((3, 3, 3)), made.AFFINE),
            "is empty",
        ),
    ],
)
def test_bad_images_are_named(change, message, folder, tmp_path):
    options = files_of(tmp_path / "case")
    change(tmp_path / "case")
    ran = call(folder, *options, "--out", str(tmp_path / "labels.nii.gz"))
    assert ran.returncode == 1
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_modality_that_the_network_needs_is_asked_for(folder, tmp_path):
    options = files_of(tmp_path / "case")[2:]
    ran = call(folder, *options, "--out", str(tmp_path / "labels.nii.gz"))
    assert (ran.returncode, "Add --t1n FILE" in ran.stderr) == (1, True)


@pytest.mark.parametrize(
    ("least_ml", "fill", "innermost_ml"), [(0.05, False, 0), (0, True, 0), (0.02, True, 0.3)]
)
def test_labels_are_corrected_as_by_predict(least_ml, fill, innermost_ml, plain):
    schema = brats.schema("_")
    drawn = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(30, 24, 20)), 1.5)
    classes = np.digitize(drawn, np.quantile(drawn, [0.7, 0.8, 0.95])).astype(np.uint8)
    rules = {"min_component_ml": least_ml, "fill_holes": fill, "min_innermost_ml": innermost_ml}
    params = Postprocess(thresholds={}, temperature=1.0, **rules)
    expected = postprocess(classes, schema, (1.0, 1.0, 1.0), params)
    assert not np.array_equal(expected, classes)
    pipeline = runner.read_pipeline(plain) | {"postprocess": rules}
    np.testing.assert_array_equal(runner.postprocess(classes, pipeline, 0.001), expected)


@pytest.mark.parametrize("reach", [1, 3])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.0, 1.0])
def test_connected_components_are_those_of_scipy(reach, share):
    mask = np.random.default_rng(0).random((23, 17, 12)) < share
    found = runner.connected(mask, reach)
    expected, count = ndimage.label(mask, ndimage.generate_binary_structure(3, reach))
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == np.unique(expected).size
    assert np.array_equal(found == 0, expected == 0)
    assert found.max() == count


def test_all_values_of_labels_are_those_of_the_cohort(tmp_path):
    model = made.model(tmp_path / "models", output="labels")
    folder = exported(model, tmp_path / "out")
    labels = by_runner(folder, made.image(), made.AFFINE)
    cohort = api.load(model).card.cohort
    known = classes_to_values(np.arange(len(cohort.labels) + 1, dtype=np.uint8), cohort)
    assert set(np.unique(labels)) <= set(known)
    assert 4 in labels
