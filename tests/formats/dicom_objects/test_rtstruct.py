"""Contours enclose the voxels of a mask, at their place in the patient."""

import shutil
import subprocess
from collections import Counter
from itertools import pairwise

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from matplotlib.path import Path as Polygon
from scipy.ndimage import gaussian_filter

from pipeline.formats.dicom_objects import rtstruct
from tests.formats.dicom_objects.made_objects import ALGORITHM, COLOURS, masks, source_of
from tests.formats.dicom_objects.made_series import GEOMETRIES, SHAPE, affine, positions
from tests.formats.dicom_objects.validity import VALIDATORS, errors_of, stored

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def inside(corners, shape):
    """(x, y) bool: voxels whose centre lies in a closed contour, by rays (even-odd)."""
    x, y = np.indices(shape)
    found = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in pairwise([*corners, corners[0]]):
        if y0 != y1:
            crossed = (min(y0, y1) <= y) & (y < max(y0, y1))
            found ^= crossed & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return found


def slices():
    rng = np.random.default_rng(5)
    for number in range(120):
        shape = tuple(rng.integers(1, 18, 2))
        yield rng.random(shape) < rng.random()
        if number % 4 == 0:
            yield gaussian_filter(rng.standard_normal((26, 31)), 1.3) > rng.normal() * 0.05
    ring = np.zeros((9, 9), bool)
    ring[1:8, 1:8] = True
    ring[3:6, 3:6] = False
    ring[4, 4] = True  # an island in a hole
    yield ring


def test_outlines_enclose_the_voxels_of_a_slice_and_their_area():
    for one in slices():
        filled = np.zeros(one.shape, int)
        area = 0.0
        for loop in rtstruct.outlines(one):
            corners = np.array(loop) - 0.5
            filled += inside(corners, one.shape)
            x, y = corners.T
            area += (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
            steps = np.diff([*loop, loop[0]], axis=0)
            assert ((steps != 0).sum(axis=1) == 1).all(), "runs along edges, no corner twice in row"
        assert np.array_equal(filled, one), "each voxel within one contour, no other within any"
        assert area == one.sum()


def test_other_fill_rules_than_even_odd_find_the_same_voxels():
    """matplotlib fills by winding number."""
    for one in slices():
        centres = np.argwhere(np.ones_like(one))
        filled = np.zeros(one.shape, bool)
        for loop in rtstruct.outlines(one):
            polygon = Polygon(np.array([*loop, loop[0]]) - 0.5, closed=True)
            filled |= polygon.contains_points(centres).reshape(one.shape)
        assert np.array_equal(filled, one)


def test_a_contour_has_only_corners_and_starts_again_nowhere():
    assert list(rtstruct.outlines(np.ones((5, 4), bool))) == [[(0, 0), (5, 0), (5, 4), (0, 4)]]
    assert list(rtstruct.outlines(np.zeros((5, 4), bool))) == []


def test_a_hole_hangs_on_a_channel_of_no_width():
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    (loop,) = rtstruct.outlines(ring)
    edges = Counter(frozenset(pair) for pair in pairwise([*loop, loop[0]]))
    assert [edge for edge, count in edges.items() if count == 2] == [frozenset({(0, 2), (2, 2)})]


def rasterised(made, number, geometry, source):
    """The mask that the contours of a region of interest enclose, each on the slice of its image
    and at the coordinates that it states.
    """
    mask = np.zeros(SHAPE, int)
    inverse = np.linalg.inv(affine(geometry))
    for contour in getattr(made.ROIContourSequence[number], "ContourSequence", []):
        places = np.reshape([float(x) for x in contour.ContourData], (-1, 3)) @ LPS_TO_RAS
        assert len(places) == contour.NumberOfContourPoints
        voxels = places @ inverse[:3, :3].T + inverse[:3, 3]
        (image,) = contour.ContourImageSequence
        index = slice_of(image, geometry, source)
        assert np.allclose(voxels[:, 2], index, atol=1e-3), "in the plane of the image"
        mask[:, :, index] += inside(np.round(voxels[:, :2], 2), SHAPE[:2])
    return mask


def slice_of(image, geometry, source):
    """The slice of an image reference, by the place that the referenced header states."""
    headers = {one.SOPInstanceUID: one for one in source.headers}
    header = headers[image.ReferencedSOPInstanceUID]
    if "ReferencedFrameNumber" in image:
        frame = header.PerFrameFunctionalGroupsSequence[int(image.ReferencedFrameNumber) - 1]
        place = frame.PlanePositionSequence[0].ImagePositionPatient
    else:
        assert "NumberOfFrames" not in header
        place = header.ImagePositionPatient
    apart = np.linalg.norm(np.array(positions(geometry)) - place, axis=1)
    assert apart.min() < 1e-3
    return int(apart.argmin())


@pytest.fixture(params=GEOMETRIES)
def geometry(request):
    return request.param


@pytest.fixture
def source(geometry, tmp_path):
    return source_of(tmp_path, geometry)


def test_contours_of_every_geometry_enclose_the_very_voxels(geometry, source, tmp_path):
    made = rtstruct.dataset(source, masks(), ALGORITHM, COLOURS)
    again = pydicom.dcmread(stored(made, tmp_path / "rtstruct.dcm"))
    assert [roi.ROIName for roi in again.StructureSetROISequence] == ["WT", "TC", "ET"]
    for number, mask in enumerate(masks().values()):
        assert np.array_equal(rasterised(again, number, geometry, source), mask)


@pytest.mark.parametrize("validator", VALIDATORS)
def test_a_structure_set_is_valid(source, tmp_path, validator):
    for name, found in {"some": masks(), "none": {"ET": np.zeros(SHAPE, bool)}}.items():
        made = rtstruct.dataset(source, found, ALGORITHM, COLOURS)
        assert errors_of(stored(made, tmp_path / f"{name}.dcm"), validator) == []


def test_it_refers_to_patient_study_series_and_frame_of_reference_and_has_uids_of_its_own(source):
    header = source.headers[0]
    made, other = (rtstruct.dataset(source, masks(), ALGORITHM) for _ in range(2))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert made[keyword].value == header[keyword].value
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({made[keyword].value, other[keyword].value, header[keyword].value}) == 3
    (frame,) = made.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == header.FrameOfReferenceUID
    assert study.ReferencedSOPInstanceUID == header.StudyInstanceUID
    assert series.SeriesInstanceUID == header.SeriesInstanceUID
    images = [image.ReferencedSOPInstanceUID for image in series.ContourImageSequence]
    assert images == [one.SOPInstanceUID for one in source.headers]


def test_regions_have_name_code_colour_and_no_clinical_type(tmp_path):
    made = rtstruct.dataset(source_of(tmp_path, "axial"), masks(), ALGORITHM, COLOURS)
    assert [list(roi.ROIDisplayColor) for roi in made.ROIContourSequence[:2]] == [
        [0xCC, 0x79, 0xA7],
        [0x56, 0xB4, 0xE9],
    ]
    assert "ROIDisplayColor" not in made.ROIContourSequence[2]
    codes = [
        one.RTROIIdentificationCodeSequence[0].CodeValue for one in made.RTROIObservationsSequence
    ]
    assert codes == ["108369006", "372087000", "C113842"]
    assert {one.RTROIInterpretedType for one in made.RTROIObservationsSequence} == {""}
    assert {one.ROIGenerationAlgorithm for one in made.StructureSetROISequence} == {"AUTOMATIC"}


def test_it_says_that_it_is_not_for_diagnosis(tmp_path):
    made = rtstruct.dataset(source_of(tmp_path, "axial"), masks(), ALGORITHM)
    use = "Research use only, not for diagnosis"
    assert use in made.SeriesDescription
    assert made.StructureSetDescription == use
    assert all(use in roi.ROIDescription for roi in made.StructureSetROISequence)


def test_an_empty_region_is_listed_without_contours(tmp_path):
    made = rtstruct.dataset(source_of(tmp_path, "axial"), masks(), ALGORITHM)
    assert made.StructureSetROISequence[2].ROIName == "ET"
    assert "ContourSequence" not in made.ROIContourSequence[2]


def test_a_contour_longer_than_64_kib_is_read_back(tmp_path):
    """Explicit VR would have no room for its length."""
    comb = np.ones((*SHAPE[:2], SHAPE[2]), bool)
    source = source_of(tmp_path, "oblique")
    loop = [(x, y) for x in range(60) for y in ((0, 99) if x % 2 else (99, 0))] * 60
    made = rtstruct.dataset(source, {"WT": comb}, ALGORITHM)
    contour = made.ROIContourSequence[0].ContourSequence[0]
    contour.ContourData = [f"{value:.4f}" for x, y in loop for value in (x, y, 0)]
    again = pydicom.dcmread(stored(made, tmp_path / "long.dcm"))
    assert len(again.ROIContourSequence[0].ContourSequence[0].ContourData) == 3 * len(loop)


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 87"]])
def test_the_name_of_the_patient_survives_its_character_set(tmp_path, charset):
    name = "Müller^Jörg" if isinstance(charset, str) else "Yamada^Tarou=山田^太郎"
    source = source_of(tmp_path, "axial", SpecificCharacterSet=charset, PatientName=name)
    made = rtstruct.dataset(source, masks(), ALGORITHM)
    assert pydicom.dcmread(stored(made, tmp_path / "named.dcm")).PatientName == name


@pytest.mark.skipif(not shutil.which("plastimatch"), reason="needs plastimatch (apt-get)")
@pytest.mark.parametrize("axial", ["axial", "anisotropic"])
def test_plastimatch_fills_the_very_voxels(tmp_path, axial):
    source = source_of(tmp_path, axial)
    path = stored(rtstruct.dataset(source, masks(), ALGORITHM), tmp_path / "rtstruct.dcm")
    series, filled = str(tmp_path / axial), str(tmp_path / "filled")
    command = ["plastimatch", "convert", "--input", str(path), "--referenced-ct", series]
    command += ["--output-prefix", filled, "--prefix-format", "nrrd"]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("WT", "TC"):
        read = sitk.GetArrayFromImage(sitk.ReadImage(f"{filled}/{name}.nrrd"))
        assert np.array_equal(read.transpose(2, 1, 0) > 0, masks()[name])
