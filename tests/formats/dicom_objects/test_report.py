"""A report states what was measured, on which images, by what, and for what use."""

import json
import shutil
import subprocess

import highdicom.sr as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from pipeline.core.schema import Schema
from pipeline.formats.dicom.series import DicomSeries
from pipeline.formats.dicom_objects import report, rtstruct, segmentation
from pipeline.formats.dicom_objects.source import read_source
from pipeline.metrics.diameters import lesions, measured
from pipeline.segmenting.measuring import LEAST_MM3, findings
from tests.formats.dicom_objects.made_objects import ALGORITHM, source_of
from tests.formats.dicom_objects.made_series import GEOMETRIES, SHAPE, positions
from tests.formats.dicom_objects.validity import VALIDATORS, errors_of, stored

SCHEMA = Schema(
    cohort="made",
    dimensions=3,
    modalities=("t1c",),
    labels={"necrotic": 1, "edema": 2, "enhancing": 3},
    regions={
        "WT": ("necrotic", "edema", "enhancing"),
        "TC": ("necrotic", "enhancing"),
        "ET": ("enhancing",),
    },
    empty_rule="brats",
)
CM3 = 1000.0


def classes(with_et=True):
    """Two tumours, of which one is enhancing around a necrosis, and a speck of edema."""
    made = np.zeros(SHAPE, np.uint8)
    made[1:9, 1:9, 0:6] = 2
    made[10:14, 8:12, 5:9] = 2
    made[0, 11, 8] = 2
    if with_et:
        made[2:9, 2:7, 1:5] = 3
    made[4:6, 4:6, 2:4] = 1
    return made


@pytest.fixture(params=GEOMETRIES)
def geometry(request):
    return request.param


@pytest.fixture
def source(geometry, tmp_path):
    return source_of(tmp_path, geometry)


def made_of(source, voxels, segments=("necrotic", "edema", "enhancing"), with_seg=True):
    members = dict(zip(SCHEMA.labels, ([1], [2], [3]), strict=True))
    members |= {name: SCHEMA.classes_of(name) for name in SCHEMA.regions}
    masks = {name: np.isin(voxels, members[name]) for name in segments}
    seg = segmentation.dataset(source, masks, "binary", ALGORITHM) if with_seg else None
    found = findings(voxels, SCHEMA, source.grid.spacing_mm, segments if with_seg else ())
    return seg, report.dataset(source, seg, found, ALGORITHM)


def groups(made):
    """The measurement groups of a report by tracking identifier, each as a flat list of items."""
    (container,) = [
        item
        for item in made.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    ]
    found = {}
    for group in container.ContentSequence:
        names = [one for one in group.ContentSequence if meaning(one) == "Tracking Identifier"]
        found[names[0].TextValue] = list(group.ContentSequence)
    return found


def meaning(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


def values(items):
    """Name, value and unit of each number."""
    found = {}
    for item in items:
        if item.ValueType == "NUM":
            number = item.MeasuredValueSequence[0]
            unit = number.MeasurementUnitsCodeSequence[0].CodeValue
            found[meaning(item)] = float(number.NumericValue), unit
    return found


def only(items, name):
    (found,) = [item for item in items if meaning(item) == name]
    return found


def test_volumes_and_diameters_are_those_measured_on_the_grid_of_the_source(source, tmp_path):
    voxels = classes()
    _, made = made_of(source, voxels)
    again = groups(pydicom.dcmread(stored(made, tmp_path / "sr.dcm")))
    spacing_mm = source.grid.spacing_mm
    for name in SCHEMA.regions:
        mask = np.isin(voxels, SCHEMA.classes_of(name))
        lines = measured(mask, spacing_mm)
        assert values(again[name]) == {
            "Volume": (pytest.approx(mask.sum() * np.prod(spacing_mm) / CM3, abs=5e-4), "cm3"),
            "Long axis": (pytest.approx(lines.long_axis_mm, abs=5e-3), "mm"),
            "Short axis": (pytest.approx(lines.short_axis_mm, abs=5e-3), "mm"),
            "Product of long and short axis": (pytest.approx(lines.product_mm2, abs=5e-3), "mm2"),
        }
        for number, lesion in enumerate(lesions(mask, spacing_mm, least_mm3=LEAST_MM3), 1):
            found = values(again[f"{name} lesion {number}"])
            assert found["Volume"][0] == pytest.approx(lesion.volume_mm3 / CM3, abs=5e-4)
            assert found["Long axis"][0] == pytest.approx(lesion.measured.long_axis_mm, abs=5e-3)
        assert f"{name} lesion {number + 1}" not in again
    assert values(again["edema"])["Volume"][0] == pytest.approx(
        (voxels == 2).sum() * np.prod(spacing_mm) / CM3, abs=5e-4
    )


def test_lines_lie_on_their_slice_and_are_as_long_as_the_value(geometry, source):
    """The ends, from image coordinates to the patient by the header of the image referred to."""
    made = groups(made_of(source, classes())[1])
    headers = {one.SOPInstanceUID: one for one in source.headers}
    for name in ("WT lesion 1", "WT lesion 2", "ET lesion 1"):
        ways = []
        for axis in ("Long axis", "Short axis"):
            item = only(made[name], axis)
            (scoord,) = [one for one in item.ContentSequence if one.ValueType == "SCOORD"]
            (image,) = scoord.ContentSequence[0].ReferencedSOPSequence
            header = headers[image.ReferencedSOPInstanceUID]
            if "ReferencedFrameNumber" in image:
                groups_of = header.PerFrameFunctionalGroupsSequence
                place = groups_of[int(image.ReferencedFrameNumber) - 1].PlanePositionSequence[0]
                place = place.ImagePositionPatient
            else:
                place = header.ImagePositionPatient
            index = int(np.abs(np.array(positions(geometry)) - place).sum(axis=1).argmin())
            row, column = np.asarray(GEOMETRIES[geometry][0], float)
            between_columns, between_rows = GEOMETRIES[geometry][1][:2]
            ends = np.reshape(scoord.GraphicData, (2, 2)) - 0.5  # of a pixel's centre: 0, 0
            patient = (
                np.array([float(x) for x in place])
                + ends[:, :1] * between_columns * row
                + ends[:, 1:] * between_rows * column
            )
            ways.append(patient[1] - patient[0])
            stated = float(item.MeasuredValueSequence[0].NumericValue)
            assert np.linalg.norm(ways[-1]) == pytest.approx(stated, abs=6e-3)
            region = name.split()[0]
            slice_mask = np.isin(classes()[..., index], SCHEMA.classes_of(region))
            middle = np.round(ends.mean(axis=0)).astype(int)
            nearest = np.abs(np.argwhere(slice_mask) - middle).sum(axis=1).min()
            assert nearest <= 4, "on the tumour"
        assert ways[0] @ ways[1] == pytest.approx(0, abs=1e-2)


def test_an_entire_region_refers_to_its_segment_of_the_segmentation(tmp_path):
    source = source_of(tmp_path, "axial")
    seg, made = made_of(source, classes(), ("WT", "TC", "ET"))
    for number, name in enumerate(("WT", "TC", "ET"), 1):
        reference = only(groups(made)[name], "Referenced Segment").ReferencedSOPSequence[0]
        assert reference.ReferencedSOPClassUID == seg.SOPClassUID
        assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == number
        series = only(groups(made)[name], "Source Series for Segmentation")
        assert source.headers[0].SeriesInstanceUID == series.UID


def test_a_region_of_one_label_refers_to_that_and_one_of_several_to_its_image(tmp_path):
    _, made = made_of(source_of(tmp_path, "axial"), classes())
    found = groups(made)
    reference = only(found["ET"], "Referenced Segment").ReferencedSOPSequence[0]
    assert reference.ReferencedSegmentNumber == 3
    for name in ("WT", "TC"):
        assert only(found[name], "Source of Measurement").ValueType == "IMAGE"
        assert "Referenced Segment" not in {meaning(item) for item in found[name]}
    assert "necrotic" in found
    assert "enhancing" not in found, "measured as ET already"


def test_all_images_and_the_segmentation_are_listed_as_evidence(source):
    seg, made = made_of(source, classes())
    listed = {
        image.ReferencedSOPInstanceUID
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in made.get(name, [])
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    }
    assert listed == {seg.SOPInstanceUID, *(one.SOPInstanceUID for one in source.headers)}


def test_a_region_without_voxels_has_a_volume_of_zero_and_no_diameters(source, tmp_path):
    _, made = made_of(source, classes(with_et=False))
    found = groups(made)
    assert values(found["ET"]) == {"Volume": (0, "cm3")}
    assert "ET lesion 1" not in found


@pytest.mark.parametrize("validator", VALIDATORS)
def test_a_report_is_valid(source, tmp_path, validator):
    nothing = np.zeros(SHAPE, np.uint8)
    for voxels, with_seg in ((classes(), True), (classes(with_et=False), True), (nothing, False)):
        made = made_of(source, voxels, with_seg=with_seg)[1]
        assert errors_of(stored(made, tmp_path / "sr.dcm"), validator) == []


@pytest.mark.skipif(not shutil.which("dsrdump"), reason="needs dsrdump (apt-get install dcmtk)")
def test_dcmtk_reads_the_whole_tree(source, tmp_path):
    path = stored(made_of(source, classes())[1], tmp_path / "sr.dcm")
    shown = subprocess.run(["dsrdump", str(path)], capture_output=True, check=True)
    text = shown.stdout.decode("latin-1")
    assert text.count('"Measurement Group"') == len(groups(pydicom.dcmread(path)))
    assert "Error" not in shown.stderr.decode() + text
    assert 'Volume")=' in text
    assert "UNVERIFIED" in text


@pytest.mark.skipif(not shutil.which("tid1500reader"), reason="needs tid1500reader of dcmqi")
def test_dcmqi_reads_the_values_of_every_group(source, tmp_path):
    made = made_of(source, classes(), ("WT", "TC", "ET"))[1]
    path, read = stored(made, tmp_path / "sr.dcm"), tmp_path / "sr.json"
    command = ["tid1500reader", "--inputDICOM", str(path), "--outputMetadata", str(read)]
    subprocess.run(command, check=True, capture_output=True)
    found = {
        group["TrackingIdentifier"]: {
            item["quantity"]["CodeMeaning"]: (float(item["value"]), item["units"]["CodeValue"])
            for item in group["measurementItems"]
        }
        for group in json.loads(read.read_text())["Measurements"]
    }
    expected = {name: values(items) for name, items in groups(made).items()}
    assert {name: expected[name] for name in found} == found
    assert {"WT", "TC", "ET"} <= set(found)


def test_highdicom_reads_the_groups_of_the_template(tmp_path):
    seg, made = made_of(source_of(tmp_path, "axial"), classes(), ("WT", "TC", "ET"))
    again = hd.srread(stored(made, tmp_path / "sr.dcm")).content
    volumes = again.get_volumetric_roi_measurement_groups()
    assert len(volumes) == 3
    assert {group.method for group in volumes} == {None}
    assert [group.finding_type for group in volumes] == [
        codes.SCT.Neoplasm,
        codes.SCT.NeoplasmPrimary,
        codes.NCIt.EnhancingLesion,
    ]
    (long_axis,) = volumes[0].get_measurements(name=codes.SCT.LongAxis)
    assert long_axis.method == codes.NCIt.RANO
    assert volumes[0].referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID


def test_labels_of_any_name_are_read_back(tmp_path):
    """Codes of more than 16 characters are not, by highdicom among others."""
    source, names = source_of(tmp_path, "axial"), ("pituitary adenoma 1", "pituitary adenoma 2")
    found = [report.Finding(name, 1.0, None, ()) for name in names]
    made = report.dataset(source, None, found, ALGORITHM)
    again = hd.srread(stored(made, tmp_path / "sr.dcm")).content
    types = [group.finding_type for group in again.get_image_measurement_groups()]
    assert [one.meaning for one in types] == [*names]
    assert len({one.value for one in types}) == 2


def test_lesions_keep_a_tracking_uid_that_is_given_and_get_a_fresh_one_otherwise(tmp_path):
    source = source_of(tmp_path, "axial")
    voxels = classes()
    (whole, *_) = findings(voxels, SCHEMA, source.grid.spacing_mm)
    kept = "2.25.4711"
    first, second = whole.lesions[:2]
    matched = report.Lesion(first.volume_mm3, first.diameters, kept)
    found = report.Finding("WT", whole.volume_mm3, whole.diameters, (matched, second))
    uids = [
        {
            name: only(items, "Tracking Unique Identifier").UID
            for name, items in groups(report.dataset(source, None, [found], ALGORITHM)).items()
        }
        for _ in range(2)
    ]
    assert uids[0]["WT lesion 1"] == uids[1]["WT lesion 1"] == kept
    assert uids[0]["WT lesion 2"] != uids[1]["WT lesion 2"]


def test_it_names_the_algorithm_and_the_device_and_is_no_verified_report(tmp_path):
    source = source_of(tmp_path, "axial")
    _, made = made_of(source, classes())
    for items in groups(made).values():
        assert only(items, "Algorithm Name").TextValue == ALGORITHM.name
        assert only(items, "Algorithm Version").TextValue == ALGORITHM.version
        assert (
            ALGORITHM.parameters["network_sha256"] in only(items, "Algorithm Parameters").TextValue
        )
    assert (
        only(made.ContentSequence, "Observer Type").ConceptCodeSequence[0].CodeMeaning == "Device"
    )
    assert only(made.ContentSequence, "Device Observer Name").TextValue == "TumorFlow"
    assert (made.VerificationFlag, made.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_every_group_says_that_it_is_not_for_diagnosis(tmp_path):
    _, made = made_of(source_of(tmp_path, "axial"), classes())
    use = "Research use only, not for diagnosis"
    assert use in made.SeriesDescription
    for items in groups(made).values():
        assert only(items, "Intended use").ConceptCodeSequence[0].CodeMeaning == use


def test_the_name_of_the_patient_survives_its_character_set(tmp_path):
    name = "Yamada^Tarou=山田^太郎"
    source = source_of(
        tmp_path, "axial", SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=name
    )
    made = made_of(source, classes())[1]
    assert pydicom.dcmread(stored(made, tmp_path / "named.dcm")).PatientName == name


@pytest.mark.real
@pytest.mark.parametrize(
    "pattern", ["datalad-healthy-t1/dicoms/*", "dcm_qa_enh/Siemens/XA10/6_1.*"]
)
def test_objects_about_real_series_are_made_and_measure_a_ball(real_cases, tmp_path, pattern):
    files = tuple(sorted((real_cases / "dicom").glob(pattern)))
    source = read_source(DicomSeries(files[0].parent, files))
    places = np.moveaxis(np.indices(source.grid.shape), 0, -1) * source.grid.spacing_mm
    ball = np.linalg.norm(places - places.reshape(-1, 3).mean(axis=0), axis=-1) <= 7
    _, made = made_of(source, ball * np.uint8(3), ("WT",))
    again = groups(pydicom.dcmread(stored(made, tmp_path / "sr.dcm")))
    edge_mm = max(source.grid.spacing_mm[:2])
    assert values(again["ET lesion 1"])["Long axis"][0] == pytest.approx(14, abs=edge_mm)
    contours = rtstruct.dataset(source, {"WT": ball}, ALGORITHM).ROIContourSequence[0]
    assert len(contours.ContourSequence) == ball.any(axis=(0, 1)).sum()
