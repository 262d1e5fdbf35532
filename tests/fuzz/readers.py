"""What is fuzzed: readers of bytes from outside, each with small good files, made by code, to start
from.
"""

import gzip
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from pydicom import uid

from pipeline.cohorts.fetching.archives import unpack
from pipeline.core.errors import InputError
from pipeline.formats import metaimage, nifti
from pipeline.formats.dicom.header import is_dicom, read_header
from pipeline.formats.dicom.series import DicomSeries
from pipeline.formats.images import MaskSlices, Slices, size
from pipeline.formats.matlab import MatlabImage, MatlabMask, describe, read_folds
from tests.cohorts.fetching.test_archives import tar, zipped
from tests.conftest import LPS
from tests.formats.dicom.test_series import bare, slice_of, write
from tests.formats.test_images import write_picture
from tests.formats.test_matlab import write_folds, write_mat

VOXELS = np.arange(4 * 3 * 2, dtype=np.int16).reshape(4, 3, 2)
PLANE = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10)
SPACING = (1.0, 1.0, 5.0)


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes
    ----------
    name : str
        Of the file that the bytes are put into.
    read : callable
        Takes its path; what it raises but InputError is a finding.
    seeds : callable
        Takes an empty folder; good inputs.
    packed : callable
        What is done with an input before it is put into the file, such as compression, so that
        damage goes deeper.
    """

    name: str
    read: Callable[[Path], object]
    seeds: Callable[[Path], list[bytes]]
    packed: Callable[[bytes], bytes] = bytes


def run(reader: Reader, data: bytes, folder: Path) -> str:
    """Read an input; what the reader says of it, empty if it takes it. A folder of its own must be
    empty again afterwards.
    """
    path = folder / reader.name
    path.write_bytes(reader.packed(data))
    try:
        reader.read(path)
    except InputError as refusal:
        said = str(refusal)
    else:
        return ""
    if str(folder) not in said:
        raise AssertionError(f"names no file: {said}")
    return said


def _read_nifti(path: Path) -> None:
    try:
        volume = nifti.read(path)
    except InputError:
        volume = nifti.read_channel(path, 0, 2)
    assert volume.voxels.shape == volume.grid.shape


def _nifti_seeds(_: Path) -> list[bytes]:
    images = [
        kind(voxels, LPS)
        for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image)
        for voxels in (VOXELS, VOXELS.astype(np.float32))
    ]
    images.append(nibabel.Nifti1Image(np.stack([VOXELS, VOXELS], -1), LPS))
    scaled = nibabel.Nifti1Image(VOXELS, LPS)
    scaled.header.set_slope_inter(2, 1)
    swapped = nibabel.Nifti1Image(VOXELS, LPS, nibabel.Nifti1Header(endianness=">"))
    return [image.to_bytes() for image in (*images, scaled, swapped)]


def _read_metaimage(path: Path) -> None:
    volume = metaimage.read(path)
    assert volume.voxels.shape == volume.grid.shape


def _metaimage_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for number, packed in enumerate((False, True)):
        path = folder / f"{number}.mha"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), path, useCompression=packed)
        seeds.append(path.read_bytes())
    return seeds


def _read_dicom(path: Path) -> None:
    if is_dicom(path):
        read_header(path)
    DicomSeries(path.parent, (path,)).read()


def _dicom_seeds(folder: Path) -> list[bytes]:
    plane = PLANE.astype(np.int16)
    datasets = [
        slice_of(0, plane=plane),
        slice_of(0, plane=plane, RescaleSlope=2.0, RescaleIntercept=-5.0),
    ]
    for syntax in (uid.RLELossless, uid.DeflatedExplicitVRLittleEndian, uid.ImplicitVRLittleEndian):
        datasets.append(slice_of(0, plane=plane))
        if syntax == uid.RLELossless:
            datasets[-1].compress(syntax)
        else:
            datasets[-1].file_meta.TransferSyntaxUID = syntax
    marked = [
        write(folder / f"{number}.dcm", dataset).read_bytes()
        for number, dataset in enumerate(datasets)
    ]
    syntaxes = [
        (uid.ExplicitVRLittleEndian, False),
        (uid.ImplicitVRLittleEndian, False),
        (uid.DeflatedExplicitVRLittleEndian, True),
    ]
    return marked + [
        bare(folder / "bare.dcm", slice_of(0, plane=plane), syntax, meta).read_bytes()
        for syntax, meta in syntaxes
    ]


def _read_matlab(path: Path) -> None:
    for read in (
        describe,
        MatlabImage(path, SPACING).read,
        MatlabMask(path, SPACING).read,
        read_folds,
    ):
        with suppress(InputError):
            read(*((path,) if read in (describe, read_folds) else ()))


def _matlab_seeds(folder: Path) -> list[bytes]:
    small = np.zeros((256, 256), np.uint8)
    return [
        write_mat(folder / "1.mat", image=small, mask=small).read_bytes(),
        write_folds(folder / "2.mat", [1.0, 5.0, 3.0]).read_bytes(),
    ]


def _read_picture(path: Path) -> None:
    size(path)
    for part in (
        Slices(path, (path,), SPACING),
        Slices(path, (path,), SPACING, 1),
        MaskSlices(path, (path,), SPACING),
    ):
        with suppress(InputError):
            part.read()


def _picture_seeds(suffix: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        pictures = [
            PLANE,
            np.repeat(PLANE[..., None], 3, axis=2),
            np.where(PLANE > 60, 255, 0).astype(np.uint8),
        ]
        return [
            write_picture(folder / f"{number}{suffix}", picture).read_bytes()
            for number, picture in enumerate(pictures)
        ]

    return seeds


def _unpack(path: Path) -> None:
    target = path.with_name("unpacked") / "folder"
    try:
        unpack(path, target, most_members=100, most_ratio=20)
        inside = {target.resolve(), *(other.resolve() for other in target.rglob("*"))}
        assert all(
            other.is_relative_to(target.resolve()) and not other.is_symlink() for other in inside
        )
    finally:
        left = (
            {other.name for other in target.parent.iterdir()} if target.parent.is_dir() else set()
        )
        shutil.rmtree(target.parent, ignore_errors=True)
        assert left <= {".folder.lock", "folder"}, f"left over: {left}"
        assert {other.name for other in path.parent.iterdir()} <= {path.name}


FILES = [("a/b.txt", b"one"), ("c.bin", bytes(range(200)))]

READERS = {
    "nifti": Reader("a.nii", _read_nifti, _nifti_seeds),
    "nifti-gz": Reader(
        "a.nii.gz", _read_nifti, _nifti_seeds, lambda data: gzip.compress(data, 1, mtime=0)
    ),
    "metaimage": Reader("a.mha", _read_metaimage, _metaimage_seeds),
    "dicom": Reader("a.dcm", _read_dicom, _dicom_seeds),
    "matlab": Reader("1.mat", _read_matlab, _matlab_seeds),
    "tiff": Reader("a.tif", _read_picture, _picture_seeds(".tif")),
    "jpeg": Reader("a.jpg", _read_picture, _picture_seeds(".jpg")),
    "png": Reader("a.png", _read_picture, _picture_seeds(".png")),
    "zip": Reader("a.zip", _unpack, lambda _: [zipped(FILES), zipped(FILES, 0)]),
    "tar": Reader("a.tar", _unpack, lambda _: [tar(FILES, form) for form in (0, 1, 2)]),
    "tar-gz": Reader(
        "a.tgz",
        _unpack,
        lambda _: [tar(FILES, form) for form in (0, 1, 2)],
        lambda data: gzip.compress(data, 1, mtime=0),
    ),
}


def seeds(reader: Reader) -> list[bytes]:
    """Good inputs of a reader."""
    with tempfile.TemporaryDirectory() as folder:
        return reader.seeds(Path(folder))
