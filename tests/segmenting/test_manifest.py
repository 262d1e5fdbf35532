"""The run manifest: it fits its schema, holds no identity, and two runs differ in `run` alone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import api
from pipeline.commands import schema as command
from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.core.records import read_csv, read_json, sha256, write_json
from pipeline.formats import nifti
from pipeline.preparation.preprocessing import prepare
from pipeline.quality.known import Interval, Known, Region
from pipeline.quality.ranges import ranges_of
from pipeline.runtime import params_file
from pipeline.segmenting import manifest
from pipeline.segmenting.manifest import Manifest
from tests.conftest import LPS, case_arrays, write_case
from tests.formats.dicom.test_series import slice_of, write
from tests.phantom.made import phantoms

MODEL = Path(__file__).parents[1] / "network/format_1"
KINDS = ("t1", "t1ce", "t2", "flair")
SCHEMA = params_file.PRESETS / "manifest.schema.json"
ERRORS = {
    "error_ml": Interval(cases=5, median=0.1, low=-0.4, high=0.5, coverage=0.667),
    "error_percent": Interval(cases=5, median=5.0, low=-20.0, high=10.0, coverage=0.667),
}


@pytest.fixture(scope="module")
def model():
    return api.load(MODEL)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Path:
    return write_case(tmp_path_factory.mktemp("source"), "BraTS2021_00077", seed=77)


@pytest.fixture
def evaluated(tmp_path, model) -> Path:
    """The network with what `evaluate` would know of it, of made cases like `case`."""
    folder = shutil.copytree(MODEL, tmp_path / "models")
    features = [features_in(model, *case_of(seed)) for seed in range(12)]
    region = Region(
        volume_error_ml=ERRORS["error_ml"],
        volume_error_percent=ERRORS["error_percent"],
        dice_error=Interval(cases=5, median=-0.1, low=-0.2, high=0.0, coverage=0.667),
    )
    known = Known(
        format_version=1,
        ranges={kind: ranges_of([one[kind] for one in features]) for kind in features[0]},
        never_empty=("WT",),
        regions={"WT": region},
    )
    path = folder / "inference.json"
    write_json(path, json.loads(path.read_text()) | {"known": known.model_dump(mode="json")})
    return folder


def case_of(seed: int) -> tuple[np.ndarray, np.ndarray]:
    images, _ = case_arrays(seed)
    return np.stack([*images.values()], axis=-1), LPS


def features_in(model, image, affine):
    from pipeline.core.case import Case
    from pipeline.quality.features import features_of

    case = Case("made", image, None, Grid(image.shape[:3], affine))
    prepared = prepare(case, model.card.preprocess)
    return features_of(prepared.image, prepared.geometry, model.modalities)


def saved(result, path: Path) -> dict:
    result.save(path)
    return json.loads(path.with_name(f"{path.name}.json").read_text())


def test_the_committed_schema_is_the_generated_one():
    remedy = "run python -m pipeline schema manifest > presets/manifest.schema.json"
    assert json.loads(SCHEMA.read_text()) == command.manifest_schema(), remedy
    assert "$ref" not in SCHEMA.read_text()


def properties(node: dict, name: str):
    """Name and schema of every key below a schema."""
    for key, inner in node.get("properties", {}).items():
        yield f"{name}.{key}", inner
        yield from properties(inner, f"{name}.{key}")
    within = (node.get(key) for key in ("items", "additionalProperties"))
    for inner in (*node.get("anyOf", ()), *within):
        if isinstance(inner, dict):
            yield from properties(inner, name)


def test_every_key_of_the_manifest_is_described():
    schema = json.loads(SCHEMA.read_text())
    for other in ("native", "settings"):
        del schema["properties"][other]
    described = dict(properties(schema, "manifest"))
    assert len(described) > 50
    assert not [key for key, node in described.items() if not node.get("description")]


def test_real_manifests_fit_the_schema_and_are_read_back(model, evaluated, case, tmp_path):
    validator = pytest.importorskip("jsonschema").Draft202012Validator(
        json.loads(SCHEMA.read_text())
    )
    for number, network in enumerate((model, api.load(evaluated))):
        path = tmp_path / f"labels_{number}.nii.gz"
        record = saved(network.segment(case), path)
        assert list(validator.iter_errors(record)) == []
        read = read_json(path.with_name(f"{path.name}.json"), Manifest)
        assert read.model_dump(mode="json") == record
    wrong = record | {"volumes_ml": {"WT": "much"}, "host": "ward-3"}
    found = {(*error.absolute_path, error.validator) for error in validator.iter_errors(wrong)}
    assert found == {("volumes_ml", "WT", "type"), ("additionalProperties",)}


@pytest.mark.slow  # makes the phantom
def test_exchanged_modalities_are_to_be_checked_everywhere_and_have_no_ranges(evaluated, tmp_path):
    network, made = api.load(evaluated), phantoms()[0]
    order = ["t1c", "t1n", "t2w", "t2f"]
    for name, kinds in (("exchanged", order), ("twins", ["t1c", "t1c", "t2w", "t2f"])):
        folder = tmp_path / "cases" / name
        for kind, source in zip(KINDS, kinds, strict=True):
            nifti.write(folder / f"{name}_{kind}.nii.gz", made.images[source], LPS)
    list(network.segment_many([tmp_path / "cases"], tmp_path / "out"))
    said = {
        "exchanged": "T1n and t1c seem exchanged.",
        "twins": "T1n and t1c look like one acquisition.",
    }
    for row in read_csv(tmp_path / "out/volumes.csv"):
        text = said[row["case"]]
        assert (row["quality"], row["quality_reasons"].split(" | ")[0]) == ("check", text)
        record = json.loads((tmp_path / f"out/{row['case']}.nii.gz.json").read_text())
        reason = record["quality"]["reasons"][0]
        assert (reason["code"], reason["text"]) == ("input", text)
        assert record["warnings"][0].startswith(f"{row['case']}: t1n and t1c")
        ranges = [error for error in record["volume_errors"].values() if error]
        assert ranges
        assert {error["low_ml"] for error in ranges} == {None}


def test_two_runs_differ_in_what_belongs_to_a_run_alone(evaluated, case, tmp_path):
    records = []
    for name in ("one", "other"):
        records.append(saved(api.load(evaluated).segment(case), tmp_path / f"{name}.nii.gz"))
    for record in records:
        about = record.pop("run")
        steps = {"read", "check", "prepare", "network", "postprocess", "quality", "write"}
        assert set(about["seconds"]) == steps
        assert all(0 <= value < 600 for value in about["seconds"].values())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", about["created"])
        assert about["peak_memory_mb"] > 50
    assert records[0] == records[1]


def test_it_says_by_what_and_of_what_the_labels_were_made(model, case, tmp_path):
    record = saved(model.segment(case), tmp_path / "labels.nii.gz")
    assert record["use"] == "Research use only, not for diagnosis."
    files = {name: case / about["file"] for name, about in record["inputs"].items()}
    hashes = {name: about["sha256"] for name, about in record["inputs"].items()}
    assert hashes == {name: sha256(file) for name, file in files.items()}
    assert record["network_sha256"] == sha256(MODEL / "unet.keras")
    assert record["model"]["card_sha256"] == sha256(MODEL / "card.json")
    assert record["model"]["inference_sha256"] == sha256(MODEL / "inference.json")
    assert record["engine"]["name"] in record["versions"]
    assert re.match(r"\d+\.\d+\.\d+", record["versions"]["tumorflow"])


def test_the_prepared_grid_lies_where_its_voxels_are(model, tmp_path):
    images, _ = case_arrays(3)
    affine = LPS @ np.diag([1.0, 1, 1, 1])
    made = manifest.geometry(
        Grid((24, 22, 20), affine),
        model.prepare(model.find(write_case(tmp_path, "c"))).prepared.geometry,
    )
    source, prepared = made["source"], made["prepared"]
    assert (source["orientation"], prepared["orientation"]) == ("LPS", "RAS")
    volume = images["t1"]
    inside = np.argwhere(volume > 0)
    corners_mm = nifti_points(np.array(source["affine"]), inside)
    to_voxels = np.linalg.inv(np.array(prepared["affine"]))
    voxels = nifti_points(to_voxels, corners_mm)
    assert voxels.min() >= -0.5
    assert np.all(voxels.max(axis=0) <= np.array(prepared["shape"]) - 0.5)


def nifti_points(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ affine[:3, :3].T + affine[:3, 3]


def test_a_resampled_grid_keeps_its_outer_faces(model, tmp_path):
    config = model.card.preprocess.model_copy(update={"spacing_mm": (2.0, 3.0, 2.5)})
    from pipeline.core.case import Case

    image, affine = case_of(0)
    case = Case("made", image, None, Grid(image.shape[:3], affine))
    geometry = prepare(case, config).geometry
    found = manifest.geometry(case.grid, geometry)["prepared"]
    assert found["spacing_mm"] == pytest.approx(geometry.spacing_mm)
    low = nifti_points(np.array(found["affine"]), np.full((1, 3), -0.5))
    high = nifti_points(np.array(found["affine"]), np.array([found["shape"]]) - 0.5)
    # the brain is voxels 2 to 21, 19 and 17, and air is one voxel less far on either side
    margin = model.card.preprocess.margin_voxels
    start, stop = np.array(geometry.box).T
    assert margin >= 0
    assert np.ravel(high - low) == pytest.approx(stop - start)
    brain = np.argwhere(image[..., 0] > 0)
    centre_mm = nifti_points(affine, (brain.min(0) + brain.max(0))[None] / 2)
    assert np.ravel((low + high) / 2) == pytest.approx(np.ravel(centre_mm), abs=0.51)


def test_volumes_have_the_error_known_from_validation(evaluated, model, case):
    result = api.load(evaluated).segment(case)
    volume = result.volumes_ml["WT"]
    about = result.record["volume_errors"]
    assert about["WT"]["error_ml"] == ERRORS["error_ml"].model_dump()
    assert about["WT"]["low_ml"] == pytest.approx(0.9 * volume, abs=1e-3)
    assert about["WT"]["high_ml"] == pytest.approx(1.2 * volume, abs=1e-3)
    assert about["TC"] is None
    assert set(model.segment(case).record["volume_errors"].values()) == {None}


def test_what_is_known_changes_no_label(evaluated, model, case):
    result = api.load(evaluated).segment(case)
    assert result.labels.tobytes() == model.segment(case).labels.tobytes()


def test_a_case_like_those_of_the_training_is_ok_and_others_are_to_be_checked(evaluated, case):
    network = api.load(evaluated)
    assert network.segment(case).quality.flag == "ok"
    image, affine = case_of(77)
    inverted = np.where(image, image.max() + 1 - image, 0)
    reasons = network.segment(inverted, affine).quality.reasons
    assert {reason.code for reason in reasons} >= {"histogram"}
    noisy = image + np.where(image, np.random.default_rng(0).normal(0, 200, image.shape), 0)
    found = network.segment(noisy, affine).quality
    assert found.flag == "check"
    assert "texture" in {reason.code for reason in found.reasons}


def test_a_volume_has_no_range_in_a_case_that_is_to_be_checked(evaluated):
    image, affine = case_of(77)
    about = api.load(evaluated).segment(np.where(image, 900 - image, 0), affine).record
    assert about["quality"]["flag"] == "check"
    error = about["volume_errors"]["WT"]
    assert error["error_percent"] == ERRORS["error_percent"].model_dump()
    assert (error["low_ml"], error["high_ml"]) == (None, None)


def test_the_flag_of_a_network_of_an_earlier_version_is_unknown(model, case):
    found = model.segment(case).quality
    assert (found.flag, [reason.code for reason in found.reasons]) == ("unknown", ["not_known"])


def test_the_table_has_the_flag_and_its_reasons(evaluated, tmp_path):
    cases, out = tmp_path / "cases", tmp_path / "out"
    write_case(cases, "BraTS2021_00001", seed=1)
    images, _ = case_arrays(2)
    inverted = {name: np.where(image, 900 - image, 0) for name, image in images.items()}
    write_case(cases, "BraTS2021_00002", **inverted)
    list(api.load(evaluated).segment_many([cases], out))
    good, bad = read_csv(out / "volumes.csv")
    assert (good["quality"], good["quality_reasons"]) == ("ok", "")
    assert bad["quality"] == "check"
    assert " of the training " in bad["quality_reasons"]


def test_a_record_of_an_earlier_version_is_still_taken_for_done(model, case, tmp_path):
    list(model.segment_many([case], tmp_path))
    path = tmp_path / f"{case.name}.nii.gz.json"
    record = json.loads(path.read_text())
    added = ("format_version", "model", "engine", "geometry", "volume_errors", "quality", "run")
    old = {key: value for key, value in record.items() if key not in added}
    path.write_text(json.dumps(old))
    (outcome,) = model.segment_many([case], tmp_path)
    assert outcome.state == "skipped"
    (row,) = read_csv(tmp_path / "volumes.csv")
    assert (row["case"], row["quality"]) == (case.name, "")


IDENTITIES = ("MRN4711", "Roe", "Jane", "1961", "1.2.826")


def test_no_identity_of_a_dicom_study_is_in_its_manifest(model, evaluated, tmp_path):
    names = {"t1": "SAG T1", "t1ce": "AX T1 POST GD", "t2": "AX T2 FSE", "flair": "T2 FLAIR"}
    place = {"ImageOrientationPatient": [1.0, 0, 0, 0, 1, 0], "PixelSpacing": [1.0, 1.0]}
    place |= {"SpacingBetweenSlices": 1.0, "SliceThickness": 1.0}
    study = tmp_path / "Roe_Jane_1961"
    for series, (name, voxels) in enumerate(case_arrays(7)[0].items()):
        about = {"SeriesDescription": names[name], "SeriesInstanceUID": f"1.2.826.{series}"}
        for number in range(voxels.shape[2]):
            dataset = slice_of(number, plane=voxels[..., number].T, **about)
            dataset.update(place | {"ImagePositionPatient": [0.0, 0.0, float(number)]})
            write(study / f"Roe_{name}" / f"{number:03d}.dcm", dataset)
    for number, network in enumerate((model, api.load(evaluated))):
        record = saved(network.segment(study), tmp_path / f"{number}.nii.gz")
        text = json.dumps(record)
        assert not [one for one in IDENTITIES if one.lower() in text.lower()]
        assert str(tmp_path) not in text
        assert str(Path.home()) not in text
        assert set(record["inputs"]) == {"t1n", "t1c", "t2w", "t2f"}


def test_a_damaged_ranges_file_is_an_error_that_names_it(evaluated, case):
    path = evaluated / "inference.json"
    values = json.loads(path.read_text())
    values["known"]["ranges"] = "none"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"inference\.json: known\.ranges"):
        api.load(evaluated).segment(case)


def test_a_written_label_file_is_not_touched_by_the_manifest(model, case, tmp_path):
    saved(model.segment(case), tmp_path / "labels.nii.gz")
    assert np.array_equal(nifti.read(tmp_path / "labels.nii.gz").voxels, model.segment(case).labels)
