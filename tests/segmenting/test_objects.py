"""DICOM objects of a study lie on its series, beside its labels, and are part of what is done."""

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipeline import api
from pipeline.core.errors import InputError
from pipeline.core.grid import onto_axes_of, rows_of
from pipeline.formats import nifti
from pipeline.formats.dicom.series import DicomSeries
from pipeline.formats.dicom_objects.matching import mask_of
from pipeline.formats.dicom_objects.segments import kind_of, read_segments
from pipeline.formats.dicom_objects.source import read_source
from pipeline.registration.native import Native, SeriesPlace, labels_to_series
from pipeline.segmenting.segmentation import Segmentation
from tests.commands.test_predict import MODEL
from tests.conftest import case_arrays, write_case
from tests.formats.dicom_objects.made_series import GEOMETRIES, write_series

NAMES = {"t1": "AX T1", "t1ce": "AX T1 POST GD", "t2": "AX T2 FSE", "flair": "AX T2 FLAIR"}
LONG = {"EchoTime": 110.0, "RepetitionTime": 8000.0}
SEG = api.Extras(formats=("nifti", "seg"))
IDENTITIES = ("MRN4711", "ller", "19610203", "A123")
"""Of the patient in `made_series`."""


@pytest.fixture(scope="module")
def model():
    return api.load(MODEL)


def write_study(folder: Path, geometry: str = "axial", seed: int = 0) -> Path:
    """A study of four series with one grid, though the axes of one run otherwise if `geometry` is
    ``mixed``.
    """
    for number, (kind, voxels) in enumerate(case_arrays(seed)[0].items(), 1):
        own = "cubic" if geometry == "mixed" else geometry
        if geometry == "mixed" and kind == "t1ce":
            own, voxels = "flipped", voxels[:, ::-1, ::-1]
        values = LONG if number > 2 else {}
        write_series(folder / kind, own, voxels, NAMES[kind], number, **values)
    return folder


@pytest.fixture(autouse=True)
def cubic(monkeypatch):
    """Geometries of 1 mm, as the network takes them, on one grid whose axes run two ways."""
    rows, edges = GEOMETRIES["axial"]
    monkeypatch.setitem(GEOMETRIES, "cubic", (rows, edges))
    corner = np.array([-61.2, 33.7 + 21, -18.9 + 19])
    monkeypatch.setitem(GEOMETRIES, "flipped", ([[1, 0, 0], [0, -1, 0]], edges, corner))
    monkeypatch.setitem(GEOMETRIES, "enhanced", (rows, edges))
    oblique = np.array([[0.96, 0.28, 0.0], [-0.168, 0.576, -0.8]])
    monkeypatch.setitem(GEOMETRIES, "oblique", (oblique, edges))


def series_of(study: Path) -> DicomSeries:
    return DicomSeries(study / "t1ce", tuple((study / "t1ce").iterdir()))


@pytest.mark.parametrize("geometry", ["mixed", "oblique", "enhanced"])
def test_the_segmentation_holds_the_labels_on_the_series_with_contrast(model, tmp_path, geometry):
    study, out = write_study(tmp_path / "study", geometry), tmp_path / "out"
    (outcome,) = model.segment_many([study], out, extras=SEG)
    assert (outcome.state, outcome.reason) == ("done", "")
    labels = nifti.read(out / f"{outcome.case}.nii.gz")
    path = out / f"{outcome.case}.seg.dcm"
    grid = read_source(series_of(study)).grid
    mask = mask_of(read_segments(path), model.card.cohort, grid)
    assert labels.voxels.any()
    assert np.array_equal(onto_axes_of(labels.voxels, labels.grid, grid), mask.voxels)
    (referenced,) = pydicom.dcmread(path).ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == "1.2.826.0.7.2"
    assert kind_of(path) == ("binary", [*model.labels])


def test_what_was_asked_for_is_part_of_what_is_done(model, tmp_path):
    study, out = write_study(tmp_path / "study"), tmp_path / "out"

    def call(*formats, **options) -> str:
        extras = api.Extras(formats=formats or ("nifti",), **options)
        (outcome,) = model.segment_many([study], out, extras=extras)
        return outcome.state

    assert [call(), call()] == ["done", "skipped"]
    assert [call("nifti", "seg"), call("nifti", "seg"), call()] == ["done", "skipped", "skipped"]
    path = next(out.glob("*.seg.dcm"))
    for options, kind in (
        ({"seg_type": "labelmap"}, ("labelmap", [*model.labels])),
        ({"segments": "regions"}, ("binary", [*model.regions])),
        ({"seg_type": "fractional"}, ("fractional", [*model.regions])),
    ):
        assert [call("nifti", "seg", **options) for _ in range(2)] == ["done", "skipped"]
        assert kind_of(path) == kind
    path.write_bytes(b"cut")
    assert [call("nifti", "seg"), call("seg"), call("seg", "sr")] == ["done", "skipped", "done"]
    assert len([*out.glob("*.sr.dcm")]) == 1
    shutil.rmtree(study)
    write_study(study, seed=1)
    assert call("seg") == "done"
    assert {name.name.partition(".")[2] for name in out.glob("study-*")} == {
        "seg.dcm",
        "nii.gz.json",
    }
    assert len((out / "volumes.csv").read_text().splitlines()) == 2


def test_probabilities_are_those_of_the_regions(model, tmp_path):
    result = model.segment(write_study(tmp_path / "study", "oblique"))
    extras = api.Extras(formats=("seg",), seg_type="fractional")
    result.save(tmp_path / "a.nii.gz", extras)
    dataset = pydicom.dcmread(tmp_path / "a.seg.dcm")
    found = read_segments(tmp_path / "a.seg.dcm")
    for segment in found.segments:
        expected = result.probabilities[segment.label] > 0.5
        close = np.abs(result.probabilities[segment.label] - 0.5) < 1 / 255
        mask = found.mask(segment.number, result.case.grid)
        assert np.array_equal(mask[~close], expected[~close])
    assert dataset.SegmentationType == "FRACTIONAL"


def test_a_study_of_unregistered_series_gets_its_labels_on_the_reference_series(tmp_path, model):
    study = write_study(tmp_path / "study")
    found = model.find(study).found
    series = found.images["t1c"]
    common = model.prepare(model.find(study)).voxels
    shift = np.eye(4)
    shift[:3, 3] = (2.0, -3.0, 1.0)
    place = SeriesPlace(
        shape=(24, 22, 20),
        affine=rows_of(read_source(series).grid.affine),
        to_template=rows_of(shift),
        mutual_information=1.0,
        overlap=1.0,
    )
    native = Native(
        reference="t1c",
        template="made",
        shape=(24, 22, 20),
        affine=rows_of(common.grid.affine),
        series={"t1c": place},
        steps=(),
    )
    values = case_arrays()[1]
    classes = np.select([values == 1, values == 2, values == 4], [1, 2, 3]).astype(np.uint8)
    result = Segmentation(
        case=common,
        classes=classes,
        schema=model.card.cohort,
        modalities=("t1c",),
        native=native,
        record={"network_sha256": "ab" * 32, "quality": {"flag": "check"}},
        region_probabilities=lambda: {"WT": (classes > 0).astype(np.float32)},
        series=("t1c", series),
    )
    (tmp_path / "a.seg.dcm").write_bytes(result.objects(SEG)["seg"])
    moved = labels_to_series(values, native, "t1c")
    assert not np.array_equal(moved, values)
    mask = mask_of(
        read_segments(tmp_path / "a.seg.dcm"), model.card.cohort, read_source(series).grid
    )
    assert np.array_equal(mask.voxels, moved)


def test_a_case_without_a_series_fails_before_anything_is_computed(tmp_path, capsys):
    fresh = api.load(MODEL)
    case = write_case(tmp_path / "cases", "BraTS2021_00001")
    (outcome,) = fresh.segment_many([case], tmp_path / "out", extras=SEG)
    assert outcome.state == "failed"
    assert "has no DICOM series" in outcome.reason
    assert "Give the folder of the DICOM study" in outcome.reason
    assert outcome.failure.count(case.name) == 1
    assert "_loaded" not in vars(fresh)


def test_headers_that_no_object_can_repeat_fail_before_anything_is_computed(tmp_path):
    fresh = api.load(MODEL)
    study = write_study(tmp_path / "study")
    for path in (study / "t1ce").iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.FrameOfReferenceUID
        dataset.save_as(path)
    (outcome,) = fresh.segment_many([study], tmp_path / "out", extras=SEG)
    assert outcome.state == "failed"
    assert "lacks FrameOfReferenceUID" in outcome.reason
    assert "_loaded" not in vars(fresh)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"formats": ("pdf",)}, "--formats pdf: expected nifti, seg, sr, rtstruct"),
        ({"formats": ()}, "expected nifti"),
        ({"formats": ("nifti", "sr")}, "sr: its measurements refer to the masks in seg"),
        ({"formats": ("seg", "sr"), "seg_type": "fractional"}, "sr: its measurements refer"),
        ({"seg_type": "labelmap", "segments": "regions"}, "regions contain each other"),
        ({"seg_type": "jpeg"}, "--seg-type jpeg: expected binary"),
    ],
)
def test_what_does_not_fit_is_rejected(options, said):
    with pytest.raises(InputError, match=said):
        api.Extras(**options)


def test_the_patient_is_named_in_objects_alone(model, tmp_path, caplog, capfd):
    caplog.set_level("DEBUG")
    study, out = write_study(tmp_path / "study"), tmp_path / "out"
    extras = api.Extras(formats=("nifti", "seg"), overlay=True)
    (outcome,) = model.segment_many([study], out, extras=extras)
    assert outcome.state == "done"
    said = caplog.text + "".join(capfd.readouterr()) + json.dumps(outcome.record)
    for path in out.rglob("*"):
        named = path.name + (path.read_text() if path.suffix in (".json", ".csv") else "")
        assert not [each for each in IDENTITIES if each in named + said]
    assert pydicom.dcmread(next(out.glob("*.seg.dcm"))).PatientID == "MRN4711"
