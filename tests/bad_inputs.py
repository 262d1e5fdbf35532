"""Good cohorts of every source, and every way of spoiling them: what is spoilt, how, and what
`download` must say of it.
"""

import functools
import gzip
import json
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate

from pipeline.cohorts import dicom
from pipeline.formats import nifti
from pipeline.formats.dicom_objects.segmentation import Algorithm, dataset
from pipeline.formats.dicom_objects.source import read_source
from tests.cohorts import test_cheng, test_dicom, test_folder, test_lgg, test_msd
from tests.cohorts.challenges import write_2012
from tests.cohorts.fetching.test_archives import entry, tar, zip_entry, zipped
from tests.conftest import LPS, case_arrays, write_case
from tests.formats.dicom.test_series import ROW as ROW_DIRECTION
from tests.formats.dicom.test_series import VOXELS as PLANES
from tests.formats.dicom.test_series import write_series
from tests.formats.test_images import write_picture
from tests.formats.test_matlab import write_folds

Change = Callable[[Path], object]
NAN, INF = float("nan"), float("inf")


class Good(NamedTuple):
    """A cohort that is accepted: its source, what writes it into a folder, and what of the folder
    is its location, if any.
    """

    source: str
    write: Callable[[Path], object]
    location: str = "."


def write_brats(folder: Path, cases: int = 2, suffix: str = ".nii.gz") -> None:
    for number in range(cases):
        write_case(folder, f"BraTS2021_{number:05d}", seed=number, suffix=suffix)


def write_named(folder: Path, names: dict[str, str], *cases: str, enhancing: int) -> None:
    """A case per name, each file under the name of its kind."""
    for number, case in enumerate(cases):
        images, values = case_arrays(number)
        for kind, voxels in (
            images | {"seg": np.where(values == 4, np.uint8(enhancing), values)}
        ).items():
            if kind in names:
                nifti.write(folder / case / f"{case}{names[kind]}.nii.gz", voxels, LPS)


def write_brats2023(folder: Path) -> None:
    names = {"t1": "-t1n", "t1ce": "-t1c", "t2": "-t2w", "flair": "-t2f", "seg": "-seg"}
    write_named(folder, names, "BraTS-GLI-00000-000", "BraTS-GLI-00001-000", enhancing=3)


def write_mha(folder: Path, suffix: str = ".mha") -> None:
    for number in range(2):
        write_2012(folder, f"BRATS_HG000{number}", number, suffix)


def write_lgg(folder: Path) -> None:
    test_lgg.write_patient(folder)
    test_lgg.write_patient(folder, "TCGA_DU_5851_19950428", 255 - test_lgg.PIXELS)


def write_dicom(folder: Path, **values: object) -> None:
    for place, (name, description) in enumerate(test_dicom.FOUR.items(), 1):
        named = {"SeriesInstanceUID": f"1.2.826.1.{place}", "SeriesDescription": description}
        plane = PLANES[0] + np.int16(10 * place)
        write_series(folder / "study" / name, range(5), plane=plane, **named, **values)
    mask = np.zeros((12, 10, 5), np.uint8)
    mask[2:5, 3:6, 1] = 1
    (found,) = dicom.find(folder)[1]
    nifti.write(folder / "study/seg.nii.gz", mask, found.images["t1n"].read().grid.affine)


def write_dicom_seg(folder: Path) -> None:
    """The same, the mask as a segmentation object of the series t1c, which another tool made."""
    write_dicom(folder, FrameOfReferenceUID="1.2.826.1.9")
    mask = nifti.read(folder / "study/seg.nii.gz").voxels > 0
    (folder / "study/seg.nii.gz").unlink()
    (found,) = dicom.find(folder)[1]
    made_by = Algorithm("another", "1", {})
    made = dataset(read_source(found.images["t1c"]), {"tumour": mask}, "binary", made_by)
    made.Manufacturer = "another"
    made.save_as(folder / "study/seg.dcm")


def write_described(folder: Path) -> None:
    names = {"t1ce": "_post", "flair": "_fla", "seg": "_seg"}
    write_named(folder, names, "p1-v1", "p1-v2", "p2-v1", enhancing=4)
    test_folder.describe(folder, patient=r"([^-]+)-", table="table.csv")
    (folder / "table.csv").write_text("case,site\np1-v1,A\np1-v2,A\np2-v1,B\n")


@functools.cache
def members() -> dict[str, bytes]:
    """Names and bytes of a cohort, to be put into an archive."""
    files = {}
    for case in ("BraTS2021_00000", "BraTS2021_00001"):
        images, values = case_arrays(int(case[-1]))
        for kind, voxels in (images | {"seg": values}).items():
            stored = nibabel.Nifti1Image(voxels, LPS).to_bytes()
            files[f"{case}/{case}_{kind}.nii.gz"] = gzip.compress(stored, 1, mtime=0)
    return files


def write_zip(folder: Path) -> None:
    (folder / ZIP).write_bytes(zipped(members().items()))


def write_tar(folder: Path) -> None:
    (folder / TAR).write_bytes(gzip.compress(tar(members().items()), 1))


GOOD = {
    "brats": Good("brats", write_brats),
    "six": Good("brats", partial(write_brats, cases=6)),
    "plain": Good("brats", partial(write_brats, suffix=".nii")),
    "2023": Good("brats", write_brats2023),
    "mha": Good("brats2012", write_mha),
    "mhd": Good("brats2012", partial(write_mha, suffix=".mhd")),
    "msd": Good("msd", test_msd.write_task),
    "mat": Good("cheng", test_cheng.write_published),
    "pictures": Good("cheng", test_cheng.write_pictures),
    "jpeg": Good("cheng", partial(test_cheng.write_pictures, suffix=".jpg")),
    "lgg": Good("lgg", write_lgg),
    "dicom": Good("dicom", write_dicom),
    "dicom-seg": Good("dicom", write_dicom_seg),
    "folder": Good("folder", write_described),
    "zip": Good("brats", write_zip, "cohort.zip"),
    "tar": Good("brats", write_tar, "cohort.tar.gz"),
    "served": Good("served", write_zip, ""),
}


def bytewise(function: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of a file."""
    return lambda path: path.write_bytes(function(path.read_bytes()))


def inside(function: Callable[[bytes], bytes]) -> Change:
    """Change the bytes behind the compression."""
    return bytewise(lambda stored: gzip.compress(function(gzip.decompress(stored)), 1, mtime=0))


def written(stored: bytes) -> Change:
    return bytewise(lambda _: stored)


def appended(stored: bytes) -> Change:
    return bytewise(lambda before: before + stored)


def cut(keep: float) -> Change:
    """Keep so many bytes, a share below 1, or all but the last so many if negative."""
    return bytewise(lambda b: b[: int(keep * len(b)) if 0 < keep < 1 else int(keep)])


def flipped(place: float) -> Change:
    """Flip the bits of a byte, counted from the end if negative, or at a share of the length."""

    def change(stored: bytes) -> bytes:
        copy = bytearray(stored)
        copy[int(place * len(copy)) if 0 < place < 1 else int(place)] ^= 0xFF
        return bytes(copy)

    return bytewise(change)


def patched(stored: bytes, form: str, offset: int, *values: object) -> bytes:
    """Bytes with numbers written over them."""
    copy = bytearray(stored)
    struct.pack_into(f"<{form}", copy, offset, *values)
    return bytes(copy)


def header(offset: int, form: str, *values: object) -> Change:
    """Write numbers into the header of a .nii.gz (NIfTI-1, nifti1.h)."""
    return inside(lambda stored: patched(stored, form, offset, *values))


def text(old: str, new: str) -> Change:
    def change(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def meta(**values: str) -> Change:
    """Change lines of a MetaImage header."""

    def change(stored: bytes) -> bytes:
        lines = stored.split(b"\n")
        for name, value in values.items():
            (place,) = [
                n for n, line in enumerate(lines[:20]) if line.startswith(f"{name} =".encode())
            ]
            lines[place] = f"{name} = {value}".encode()
        return b"\n".join(lines)

    return bytewise(change)


def voxels(function: Callable[[np.ndarray], np.ndarray], turn: np.ndarray | None = None) -> Change:
    """Change the voxels of a NIfTI file, and its affine by a matrix from the right."""

    def change(path: Path) -> None:
        image = nibabel.load(path)
        affine = image.affine if turn is None else image.affine @ turn
        nifti.write(path, function(np.array(image.dataobj)), affine)

    return change


def moved(turn: np.ndarray) -> Change:
    return voxels(lambda array: array, turn)


def set_to(value: float, kind: type | None = None) -> Change:
    """Give one voxel a value, in a dtype that can hold it."""

    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(kind or array.dtype)
        array[10, 10, 10] = value
        return array

    return voxels(change)


def mapped(values: dict[int, int]) -> Change:
    """Exchange label values."""
    table = np.arange(256, dtype=np.uint8)
    table[list(values)] = list(values.values())
    return voxels(lambda array: table[array])


def translated(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    return nibabel.affines.from_matvec(np.eye(3), (x, y, z))


def along(x: float, y: float, z: float) -> np.ndarray:
    """Other lengths of the voxels."""
    return np.diag([x, y, z, 1.0])


def renamed(old: str, new: str) -> Change:
    return lambda path: path.rename(path.with_name(path.name.replace(old, new)))


def copied(old: str, new: str, change: Change = lambda path: None) -> Change:
    """Copy a file or folder, `old` replaced in its path and in the names below it, and change every
    file of the copy.
    """

    def copy(path: Path) -> None:
        target = Path(str(path).replace(old, new))
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copy(path, target)
            return
        shutil.copytree(path, target)
        for file in sorted(target.iterdir()):
            change(file.rename(file.with_name(file.name.replace(old, new))))

    return copy


def resaved(change: Change) -> Change:
    """Copy a case under another name, every file of it changed."""
    return copied("00001", "00009", change)


def mirrored(axis: int) -> Change:
    """Store the same volume with the voxels in the other direction of an axis, affine included."""

    def change(path: Path) -> None:
        matrix = np.eye(4)
        matrix[axis, axis], matrix[axis, 3] = -1, nibabel.load(path).shape[axis] - 1
        voxels(lambda array: np.flip(array, axis), matrix)(path)

    return change


def uncompressed(path: Path) -> None:
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()


def with_two_files(path: Path) -> None:
    path.unlink()
    path.mkdir()
    for name in "ab":
        (path / f"{name}.nii").write_bytes(b"")


def scaled(air: float) -> Change:
    """Intensities from `air` on, as float32; the order of the voxels stays."""
    return voxels(lambda a: (a / np.float32(a.max()) + np.float32(air)).astype(np.float32))


def noisy(array: np.ndarray) -> np.ndarray:
    return array + np.random.default_rng(0).integers(1, 9, array.shape).astype(array.dtype)


def as_file(old: str, new: str) -> Change:
    """Copy another file over this one: `old` replaced in its name."""
    return lambda path: shutil.copy(path.with_name(path.name.replace(old, new)), path)


def reordered(path: Path) -> None:
    """The same voxels along other axes: what runs to the back first, then to the top, then to the
    left.
    """
    image = nibabel.load(path)
    turned = image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt("PSL")))
    nifti.write(path, np.asarray(turned.dataobj), turned.affine)


def pixdim_apart(qform_code: int, sform_code: int) -> Change:
    """A pixdim of 3 mm along Z where the sform says 1 mm."""

    def change(path: Path) -> None:
        header(80, "3f", 1, 1, 3)(path)
        header(252, "2h", qform_code, sform_code)(path)

    return change


def as_identity(path: Path) -> None:
    nifti.write(path, np.asarray(nibabel.load(path).dataobj), np.eye(4))


def as_floats(top: float) -> Change:
    """A mask written as uint8 from floats up to `top`, as by nibabel: 255 steps, and a slope in the
    header.
    """

    def change(path: Path) -> None:
        voxels(lambda array: np.rint(array * (255 / top)).astype(np.uint8))(path)
        header(112, "2f", top / 255, 0)(path)

    return change


def by_simpleitk(function: Callable[[sitk.Image], sitk.Image]) -> Change:
    return lambda path: sitk.WriteImage(function(sitk.ReadImage(str(path))), str(path))


def removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "kept.txt").write_text("so that the folder is not empty")


def as_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.nii.gz")


def other_endian_data(raw: bytes) -> bytes:
    return raw[:352] + np.frombuffer(raw[352:], "<i2").byteswap().tobytes()


def in_other_byte_order(path: Path) -> None:
    """A mask of int16 whose voxels are in the other byte order than its header says."""
    voxels(lambda array: array.astype(np.int16))(path)
    inside(other_endian_data)(path)


def described(**values: object) -> Change:
    """Change keys of a JSON file; None removes one."""

    def change(path: Path) -> None:
        content = json.loads(path.read_text()) | values
        kept = {key: value for key, value in content.items() if value is not None}
        path.write_text(json.dumps(kept))

    return change


def elements(**values: object) -> Change:
    """Change elements of a DICOM file; None removes one."""

    def change(path: Path) -> None:
        dataset = dcmread(path)
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path, enforce_file_format=True)

    return change


def of_segments(**values: object) -> Change:
    """Change the description of all segments, of which no code is known."""

    def change(path: Path) -> None:
        stored = dcmread(path)
        for item in stored.SegmentSequence:
            item.SegmentedPropertyTypeCodeSequence[0].CodeValue = "0"
            item.SegmentDescription = ""
            for keyword, value in values.items():
                setattr(item, keyword, value)
        stored.save_as(path)

    return change


def frames_moved(by_mm: float) -> Change:
    """Move all frames of a segmentation object."""

    def change(path: Path) -> None:
        stored = dcmread(path)
        for item in stored.PerFrameFunctionalGroupsSequence:
            place = item.PlanePositionSequence[0]
            moved = [float(x) + by_mm for x in place.ImagePositionPatient]
            place.ImagePositionPatient = [f"{x:.6g}" for x in moved]
        stored.save_as(path)

    return change


def tilted(path: Path) -> None:
    """Shift a slice along its rows by an amount that grows with its number."""
    shift = int(path.stem[-3:]) * 0.8 * ROW_DIRECTION
    position = np.array(dcmread(path).ImagePositionPatient, float) + shift
    elements(ImagePositionPatient=[round(float(x), 6) for x in position])(path)


def in_unknown_syntax(path: Path) -> None:
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    dataset.PixelData = encapsulate([dataset.PixelData])
    dataset.save_as(path)


def matlab(name: str, value: np.ndarray | None) -> Change:
    """Replace a field of a .mat file, or remove it."""

    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file["cjdata"][name]
            if value is not None:
                file["cjdata"][name] = value

    return change


def picture(function: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(path: Path) -> None:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        write_picture(path, np.ascontiguousarray(function(pixels)))

    return change


def pages_without_end(stored: bytes) -> bytes:
    """A TIFF file whose only page names itself as the next."""
    (place,) = struct.unpack_from("<I", stored, 4)
    (count,) = struct.unpack_from("<H", stored, place)
    return patched(stored, "I", place + 2 + 12 * count, place)


def with_member(name: str, stored: bytes = b"x", mode: int = 0) -> Change:
    """Put one more member into a zip."""

    def change(path: Path) -> None:
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zip_entry(name, mode) if mode else name, stored)

    return change


def with_entry(*entry_of: object) -> Change:
    """Put one more member into a tar."""
    return lambda path: path.write_bytes(
        gzip.compress(tar([*members().items(), entry(*entry_of)]), 1)
    )


def with_announced_size(stored: bytes) -> bytes:
    """A zip whose directory announces the first member smaller than it is."""
    return patched(stored, "I", stored.index(b"PK\x01\x02") + 24, 100)


class Row(NamedTuple):
    """One way of spoiling a cohort.

    Attributes
    ----------
    cohort : str
        Which of `GOOD`.
    file : str
        Glob of the files or folders that are changed; the message must name one of them.
    accepted : bool
        With a warning.
    name : str
        What is wrong.
    change : callable or dict
        Takes the path of each; or values of the section `cohort`, a location relative to the folder
        of the cohort.
    said : str
        Regular expression: what the error says, or else a warning.
    named : str
        What the message must name where that is not `file`.
    """

    cohort: str
    file: str
    accepted: bool
    name: str
    change: Change | dict
    said: str
    named: str = ""


CASE = "BraTS2021_00001"
T1C, SEG = f"{CASE}/{CASE}_t1ce.nii.gz", f"{CASE}/{CASE}_seg.nii.gz"
PLAIN = f"{CASE}/{CASE}_t1ce.nii"
ALL = f"{CASE}/*"
HG = "BRATS_HG0001/BRATS_HG0001"
T1C_MHA = f"{HG}_T1C.mha"
TASK = "Task01_BrainTumour"
IMAGE4D, DATASET = f"{TASK}/imagesTr/BRATS_002.nii.gz", f"{TASK}/dataset.json"
ORDER = {"0": "background", "1": "enhancing tumour", "2": "edema", "3": "non-enhancing tumor"}
NNUNET = {
    "channel_names": {"0": "T1"},
    "labels": {"background": 0, "tumour": 1},
    "file_ending": ".nii.gz",
}
MAT = "brainTumorDataPublic_1-766/709.mat"
PICTURE, MASK = "glioma/709_mri.png", "glioma/709_mask.png"
TCGA = f"{test_lgg.CASE}/{test_lgg.CASE}"
SLICE = "study/t1c/*_001.dcm"
ZIP, TAR = "cohort.zip", "cohort.tar.gz"
FETCH = "Fetch the file again"
DAMAGED = "cut short or damaged.*Fetch"
PSL = "axes run PSL, those of .* LPS: reordered, no voxel changed"
REORDERED = "axes run .*: reordered, no voxel changed"
NIFTI2_OVERFLOW = bytes.fromhex("1c0200006e2b32000d0a1a0a04001000") + struct.pack(
    "<8q", 3, 2**32, 2**32, 1, 1, 1, 1, 1
)

# cohort and file: what is wrong: the change, what is said, and what is named instead of the file
CUT_AND_DAMAGED = {
    ("brats", T1C): {
        "an empty file": (written(b""), "is not a NIfTI.*Convert"),
        "a web page": (written(b"<html>404</html>" * 40), "is not a NIfTI.*Convert"),
        "cut within the gzip header": (cut(5), "not a NIfTI|cut short"),
        "cut within the NIfTI header": (cut(60), "not a NIfTI|cut short"),
        "cut in the voxels": (cut(0.5), rf"cut short after \d+ bytes\. {FETCH}"),
        "cut within the gzip trailer": (cut(-4), rf"cut short.*{FETCH}"),
        "the gzip trailer missing": (cut(-8), rf"cut short.*{FETCH}"),
        "a bit flipped in the voxels": (flipped(0.5), f"damaged|cut short|announces.*{FETCH}"),
        "a bit flipped in the checksum": (flipped(-6), f"gzip stream is damaged.*{FETCH}"),
        "a bit flipped in the length": (flipped(-2), f"gzip stream is damaged.*{FETCH}"),
        "bytes after the stream": (appended(b"tail"), "more data follow its gzip stream.*Unpack"),
        "another gzip member with more": (appended(gzip.compress(b"more")), "holds more where"),
        "compressed twice": (bytewise(gzip.compress), "is not a NIfTI"),
        "zlib, not gzip": (bytewise(lambda b: zlib.compress(gzip.decompress(b))), "is not a NIfTI"),
        "an empty folder": (as_folder, "cannot be read.*folder that holds 0 volumes.*Replace"),
        "a folder of two files": (with_two_files, "folder that holds 2 volumes.*Replace"),
        "a link to nothing": (as_link_to_nothing, "cannot be read.*Check"),
    },
    ("plain", PLAIN): {
        "plain, cut within the header": (cut(200), "is not a NIfTI"),
        "plain, cut after the header": (
            cut(352),
            f"352 bytes where its header announces 21472.*{FETCH}",
        ),
        "plain, a byte short": (cut(-1), f"21471 bytes where its header announces 21472.*{FETCH}"),
        "plain, a byte long": (appended(b"\0"), f"holds more where its header announces.*{FETCH}"),
    },
}

LYING_HEADERS = {
    ("brats", T1C): {
        "sizeof_hdr is none": (header(0, "i", 1000), "is not a NIfTI.*Convert"),
        "sizeof_hdr in other byte order": (header(0, "i", 0x5C010000), "is not a NIfTI.*Convert"),
        "too long": (header(42, "h", 48), f"21472 bytes where .* 42592|cut short.*{FETCH}"),
        "shorter than its voxels": (header(42, "h", 12), "holds more where"),
        "axes exchanged": (
            header(42, "2h", 22, 24),
            r"another grid.*shape \(22, 24, 20\) against \(24, 22, 20\).*Resample",
        ),
        "a qform that is no rotation": (header(256, "3f", 4, 0, 0), "qform is no rotation.*Fix"),
        "a length of nothing": (header(42, "h", 0), "shape .* expected real voxels|holds more"),
        "a length below nothing": (header(42, "h", -24), "shape|dim|announces"),
        "no dimension": (header(40, "h", 0), "is not a NIfTI|shape|dimension|announces"),
        "nine dimensions": (header(40, "h", 9), "is not a NIfTI|shape|dimension"),
        "two dimensions": (header(40, "h", 2), "2 dimensions|announces"),
        "64 TiB": (header(40, "8h", 3, 32767, 32767, 32767, 1, 1, 1, 1), "cut short|announces"),
        "over 64 bit": (written(NIFTI2_OVERFLOW + bytes(500)), "shape|announces|not a NIfTI"),
        "a dtype of another size": (header(70, "2h", 16, 32), "holds 21472 bytes where|cut short"),
        "a dtype that is none": (header(70, "h", 3), "is not a NIfTI.*Convert"),
        "colours": (header(70, "2h", 128, 24), "real voxels|cut short|announces"),
        "complex": (voxels(lambda a: a.astype(np.complex64)), "complex64, expected real voxels"),
        "an offset in the header": (header(108, "f", 100), "vox_offset|not a NIfTI|announces|more"),
        "an offset of a byte more": (header(108, "f", 353), "announces|cut short|not a NIfTI"),
        "an offset beyond the file": (header(108, "f", 1e9), "announces|cut short"),
        "an offset of NaN": (header(108, "f", NAN), "is not a NIfTI"),
        "an infinite offset": (header(108, "f", INF), "is not a NIfTI"),
        "a negative offset": (header(108, "f", -352), "vox_offset|not a NIfTI|announces|more"),
        "scale infinite": (header(112, "2f", INF, 0), "(slope|scale).*inf"),
        "scale with an offset of NaN": (header(112, "2f", 1, NAN), "(inter|scale).*nan"),
        "scaled to infinity": (header(112, "2f", 3e38, 0), "voxels are NaN or infinite.*Repair"),
        "header and image apart": (header(344, "4s", b"ni1\0"), "not a single-file NIfTI.*Convert"),
        "no magic": (header(344, "4s", b"\0\0\0\0"), "not a (single-file )?NIfTI.*Convert"),
        "several volumes": (
            voxels(lambda a: np.stack([a, a], -1)),
            "4 dimensions .* expected one 3D volume.*Split",
        ),
        "a single slice": (voxels(lambda a: a[..., 0]), "2 dimensions .* expected one 3D volume"),
    },
    ("brats", SEG): {
        "a mask in the other byte order": (in_other_byte_order, "label values|values.*Fix the mask")
    },
}

VOXELS = {
    ("brats", T1C): {
        "a voxel of NaN": (set_to(NAN, np.float32), "1 voxels are NaN or infinite.*Repair"),
        "NaN around the brain": (
            voxels(lambda a: np.where(a == 0, np.float32(NAN), a)),
            "voxels are NaN.*set them to 0, as by\npython -c .*isfinite.*_t1ce",
        ),
        "an infinite voxel": (set_to(-INF, np.float64), "1 voxels are NaN or infinite.*Repair"),
        "all voxels zero": (voxels(np.zeros_like), "every voxel is 0, the volume is empty.*Fetch"),
        "all voxels equal": (voxels(lambda a: np.full_like(a, 7)), "every voxel is 7"),
    }
}

GRIDS = {
    ("brats", T1C): {
        "one modality a voxel on": (moved(translated(1)), "up to 1 mm apart.*fix its header"),
        "another spacing in the header": (moved(along(1, 1, 1.2)), "another grid"),
        "a modality on a coarser grid": (
            voxels(lambda a: a[..., ::2]),
            "another grid.*predict --native.*native.enabled: true",
        ),
    },
    ("brats", SEG): {
        "the mask a voxel on": (moved(translated(0, 0, 1)), "up to 1 mm apart.*fix its header"),
        "the mask half a voxel on": (moved(translated(0, 0.5)), "up to 0.5 mm apart"),
        "an axis flipped": (moved(along(-1, 1, 1)), "another grid than .*mm apart"),
        "a mask on a smaller grid": (
            voxels(lambda a: a[:-1]),
            r"shape \(23, 22, 20\) against \(24, 22, 20\).*Resample",
        ),
        "a coarser mask": (voxels(lambda a: a[::2, ::2, ::2], along(2, 2, 2)), "shape .*Resample"),
        "a mask on transposed axes": (voxels(lambda a: a.transpose(1, 0, 2)), "another grid"),
    },
    ("brats", ALL): {
        "an axis of length 0": (
            header(280, "4f", 0, 0, 0, 0),
            "cannot be inverted|no length.*(Fix|set)",
        ),
        "an affine of NaN": (header(280, "f", NAN), "NaN|cannot be inverted"),
        "sheared axes": (header(280, "4f", -1, 0.3, 0, 0), "is sheared.*Resample"),
    },
}

LABELS = {
    ("brats", SEG): {
        "enhancing tumour 3, not 4": (mapped({4: 3}), r"3.*(Fix the mask|choose the cohort)"),
        "a label that no convention has": (set_to(9), "9.*Fix the mask"),
        "a mask of black and white": (voxels(lambda a: np.uint8(255) * (a > 0)), "255.*Fix"),
        "a label below nothing": (set_to(-1, np.int16), "-1.*Fix the mask"),
        "a label of a half": (set_to(0.5, np.float32), "0.5.*Fix the mask"),
        "a label that is NaN": (set_to(NAN, np.float32), "nan.*Fix the mask"),
        "interpolated": (voxels(lambda a: (a + np.roll(a, 1, 0)) / np.float32(2)), "Fix the mask"),
        "an image in place of the mask": (as_file("seg", "t1"), "Fix the mask"),
        "labels scaled beyond rounding": (
            as_floats(40),
            "scl_slope 0.156863 .*to round them:\npython -c .*rint.*_seg",
        ),
        "whole labels scaled in the header": (
            header(112, "2f", 1.7, 0),
            "scl_slope 1.7 .*stored integers are those.*unscaled",
        ),
        "no mask": (removed, "no mask .*Add the masks.*python -m pipeline predict", CASE),
    },
    ("2023", "BraTS-GLI-00001-000/*-seg.nii.gz"): {
        "enhancing tumour 4, not 3": (mapped({3: 4}), "4.*(Fix the mask)")
    },
}

COHORTS = {
    ("brats", T1C): {
        "a modality missing": (removed, "modality t1c of case .* is missing.*Add the file", CASE),
        "a modality under another name": (
            renamed("t1ce", "T1GD"),
            "t1c of case .* is missing.*_T1GD.nii.gz.*--t1c",
            CASE,
        ),
        "a modality twice": (
            copied("_t1ce.nii.gz", "_t1ce.nii"),
            "is also in.*Keep one",
            "_t1ce.nii",
        ),
        "one modality under two names": (
            copied("_t1ce", "_t1"),
            "has the same voxels as.*remove",
            f"{CASE}_t1",
        ),
        "two cases in a folder": (
            copied(T1C, "BraTS2021_00000/BraTS2021_00007_t1ce.nii.gz"),
            "is also in|belongs to case .*one folder per case",
            "BraTS2021_0000",
        ),
    },
    ("brats", CASE): {
        "a case twice": (
            copied("00001", "00009"),
            "has the same voxels as.*remove the duplicate",
            "_00009",
        ),
        "a case decompressed": (resaved(uncompressed), "has the same voxels as", "_00009"),
        "a case mirrored": (resaved(mirrored(1)), "has the same voxels as", "_00009"),
        "a case of another dtype": (
            resaved(voxels(lambda a: a.astype(np.float32))),
            "the same voxels",
            "_00009",
        ),
        "a case without its margin": (
            resaved(voxels(lambda a: a[1:-1, 1:-1, 1:-1], translated(1, 1, 1))),
            "the same voxels",
            "_00009",
        ),
        "two folders": (copied(f"/{CASE}", f"/again/{CASE}"), "is also in.*Keep one", CASE),
        "a space in a name": (copied("00001", "0 1"), "letters, digits.*Rename", "_0 1"),
    },
    ("brats", "."): {
        "two conventions in one cohort": (
            write_brats2023,
            "mixes names with '_'.*'-'.*Keep the years in separate folders",
        ),
        "a table that is no text": (
            lambda path: (path / "survival_info.csv").write_bytes(b"\xff\xfe\x81" * 9),
            "the table cannot be read.*Fetch",
            "survival_info.csv",
        ),
    },
    ("2023", "BraTS-GLI-00001-000"): {
        "a case of another challenge": (
            copied("GLI", "MEN"),
            r"not of source brats.*Set cohort\.source: brats-men",
            "BraTS-MEN",
        )
    },
}

METAIMAGE = {
    ("mha", T1C_MHA): {
        "cut in the header": (cut(60), "is not a MetaImage file|DimSize.*(Convert|Fetch)"),
        "cut in the voxels": (cut(0.5), rf"holds \d+ bytes where its header announces.*{FETCH}"),
        "bytes after the voxels": (appended(b"\0"), "holds more where"),
        "a shape that lies": (meta(DimSize="24 22 21"), "bytes where its header announces"),
        "a shape beyond counting": (meta(DimSize="999999999 999999999 999999999"), "announces"),
        "a dtype that lies": (meta(ElementType="MET_DOUBLE"), "bytes where its header announces"),
        "a dtype that is none": (meta(ElementType="MET_STRING"), "ElementType.*Save it"),
        "two dimensions": (meta(NDims="2"), "NDims = 2, expected 3"),
        "a file name too long": (meta(ElementDataFile="x" * 300), "cannot be read", "xxx"),
        "said to be compressed": (meta(CompressedData="True"), f"stream is damaged.*{FETCH}"),
        "voxels in another folder": (
            meta(ElementDataFile="../../secret.raw"),
            "expected one file in the same folder",
        ),
        "an axis of length 0": (meta(ElementSpacing="1 0 1"), "cannot be inverted.*Fix"),
        "a spacing of NaN": (meta(ElementSpacing="1 nan 1"), "cannot be inverted.*Fix"),
        "a modality under another name": (
            renamed("_T1C", "_T1GD"),
            "t1c of case .* is missing.*_T1GD",
            "BRATS_HG0001",
        ),
    },
    ("mha", f"{HG}_*.mha"): {
        "sheared axes": (meta(TransformMatrix="1 0 0 0.3 1 0 0 0 1"), "is sheared.*Resample")
    },
    ("mha", f"{HG}_truth.mha"): {
        "the byte order lied about": (meta(BinaryDataByteOrderMSB="True"), "Fix the mask"),
        "a mask shifted by a voxel": (meta(Offset="0 0 1"), "up to 1 mm apart"),
    },
    ("mhd", f"{HG}_T1C.*raw"): {
        "a header without its voxels": (removed, "is not there.*Check"),
        "voxels cut in a file of their own": (cut(0.7), f"announces.*{FETCH}"),
    },
}

DECATHLON = {
    ("msd", IMAGE4D): {
        "three channels": (
            voxels(lambda a: a[..., :3]),
            r"\(24, 22, 20, 3\), expected 4 volumes.*Fetch",
        ),
        "one channel": (voxels(lambda a: a[..., 0]), "expected 4 volumes"),
        "a channel of NaN": (set_to(NAN), "voxels are NaN or infinite"),
    },
    ("msd", DATASET): {
        "other labels": (
            described(labels=ORDER | {"3": "necrosis"}),
            "labels are .* expected .*Unpack",
        ),
        "a label twice": (described(labels=ORDER | {"3": "edema"}), "labels are .* expected"),
        "other channels": (described(modality={"0": "CT"}), "modality are .* expected .*Unpack"),
        "a folder of nnU-Net v2": (
            described(**NNUNET),
            r"nnU-Net v2.*Write the lines below.*mask: labelsTr/{case}\.nii",
        ),
        "slices of nnU-Net v2": (
            described(**NNUNET | {"file_ending": ".png"}),
            "nnU-Net v2.*end with '.png'.*Convert",
        ),
        "no dataset.json": (removed, "holds no dataset.json.*Unpack", "."),
        "dataset.json cut": (cut(0.5), "invalid JSON.*Unpack the archive again"),
        "a list that leads out": (
            described(training=[{"image": "../../etc/passwd", "label": "x"}]),
            "lists image.*Unpack",
        ),
    },
    ("msd", f"{TASK}/labelsTr/BRATS_002.nii.gz"): {
        "labels as in BraTS in the files": (mapped({3: 4}), "4.*Fix the mask"),
        "a mask missing": (removed, "listed in dataset.json, but does not exist.*Unpack"),
    },
}

CHENG = {
    ("mat", MAT): {
        "cut": (cut(0.6), "is damaged.*Fetch"),
        "MATLAB 5": (written(b"MATLAB 5.0".ljust(600)), "no MATLAB v7.3 file.*Fetch"),
        "a bit flipped in the voxels": (flipped(0.5), "damaged|cut short"),
        "no mask": (matlab("tumorMask", None), r"has no field cjdata\.tumorMask.*Fetch"),
        "no patient": (matlab("PID", None), r"has no field cjdata\.PID"),
        "unknown type": (matlab("label", np.array([[7.0]])), "label is .*expected 1 .*pituitary"),
        "a mask of other values": (
            matlab("tumorMask", np.full((256, 256), 2, np.uint8)),
            "holds .* expected 0 and 1",
        ),
        "a mask of another size": (
            matlab("tumorMask", np.zeros((512, 512), np.uint8)),
            "another grid.*Resample",
        ),
        "not square": (matlab("image", np.zeros((256, 255), np.int16)), "shape .* expected"),
        "one slice twice": (
            copied("709.mat", "710.mat"),
            "has the same voxels as.*remove",
            "710.mat",
        ),
        "a slice twice": (copied("1-766", "again"), "slice 709 is also in.*Keep one"),
    },
    ("mat", "cvind.mat"): {
        "too few folds": (lambda path: write_folds(path, [1.0, 2.0]), "has the folds of 1 to 2"),
        "folds of 0": (lambda path: write_folds(path, [0.0] * 3064), "expected numbers of folds"),
    },
    ("mat", "."): {
        "files and pictures": (test_cheng.write_pictures, "holds both published files.*Keep one")
    },
    ("jpeg", "glioma/709_mri.jpg"): {"a JPEG cut": (cut(0.7), "is cut short.*Fetch")},
    ("pictures", MASK): {
        "a mask with gray values": (
            picture(lambda p: p // 2 + np.eye(256, dtype=np.uint8) * 90),
            "no mask|0 and 255",
        ),
        "a mask of zeros and ones": (picture(lambda p: p // 255), "0 and 255.*Multiply"),
    },
    ("pictures", PICTURE): {
        "in colour": (
            picture(lambda p: np.stack([p, p // 2, p], -1)),
            "in colour.*Save it in gray",
        ),
        "a picture of another format": (
            lambda path: (write_picture(path.with_suffix(".tif"), test_cheng.PICTURE)).rename(path),
            "begins with",
        ),
        "a checksum wrong in a picture": (flipped(0.5), "is damaged.*Fetch"),
    },
    ("pictures", "folds.csv"): {
        "without patient": (
            text("709,MR2,2,5\n", ""),
            "has no row in folds.csv.*Add",
            "709_mri.png",
        ),
        "two tumour types": (text("MR2,2,5", "MR2,3,5"), "folds.csv says pituitary.*Correct"),
    },
}

LGG = {
    ("lgg", f"{TCGA}_5*.tif"): {
        "a slice missing": (
            removed,
            "slice 5 before it is missing.*Fetch",
            f"{test_lgg.CASE}_6.tif",
        )
    },
    ("lgg", f"{TCGA}_5_mask.tif"): {
        "the mask of a slice missing": (
            removed,
            "slice 5 before it is missing|slice 5 has an image or a mask, but not both",
            test_lgg.CASE,
        )
    },
    ("lgg", f"{TCGA}_5.tif"): {
        "a slice twice": (copied("_5.tif", "_5.tiff"), "slice 5 also stands in.*Keep"),
        "another size": (picture(lambda p: p[:-1]), "has .* pixels .*of the same stack.*Keep"),
        "a gray slice": (picture(lambda p: p[..., 0]), "is gray, expected"),
        "pages without end": (bytewise(pages_without_end), "directory 2 is damaged.*Fetch"),
        "two pages in a slice": (
            by_simpleitk(lambda _: sitk.Image(24, 20, 2, sitk.sitkUInt8)),
            "holds 2 pages.*Save each page",
        ),
        "a slice cut": (cut(0.6), "not a whole picture|cannot be decoded"),
        "a slice of another patient": (
            copied("4941_19960909_5.tif", "5396_20010302_5.tif"),
            "belongs to case|is also in|holds no slice",
            "TCGA_CS_",
        ),
    },
    ("lgg", test_lgg.CASE): {
        "a patient in two folders that differ": (
            lambda path: (
                copied("/TCGA_CS", "/again/TCGA_CS")(path),
                removed(path / f"{test_lgg.CASE}_12.tif"),
            ),
            "is also in.*Keep one",
        )
    },
    ("lgg", f"{TCGA}_[6-9]_mask.tif"): {
        "only some slices with a mask": (removed, "slice 6 .*missing|not both", test_lgg.CASE)
    },
}

DICOM = {
    ("dicom", SLICE): {
        "a slice missing": (removed, "a slice is missing|uneven", ".dcm"),
        "a slice twice": (
            copied("_001.dcm", "_009.dcm"),
            "lies at the same position as.*Remove",
            ".dcm",
        ),
        "two patients": (elements(PatientID="MRN9"), "of another patient than.*Keep one", ".dcm"),
        "two examinations": (elements(StudyInstanceUID="1.9"), "of another examination", ".dcm"),
        "two sizes": (elements(Rows=12, Columns=10), "pixels, but|mixes several series", ".dcm"),
        "two orientations": (
            elements(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
            "ImageOrientationPatient is .* but",
            ".dcm",
        ),
        "no position": (elements(ImagePositionPatient=None), "no usable ImagePositionPatient"),
        "no spacing": (elements(PixelSpacing=[0, 0]), "no usable PixelSpacing"),
        "a slice without pixels": (elements(PixelData=None), "holds no pixel data"),
        "a slice cut": (cut(-30), "cut short or damaged.*Export|is no DICOM file, or damaged"),
        "a header cut": (
            cut(300),
            "no DICOM file, or damaged|names no examination|another patient",
        ),
        "in colour": (elements(PhotometricInterpretation="RGB", SamplesPerPixel=3), "is in colour"),
        "no DICOM": (
            written(bytes(500)),
            "is no DICOM file: the mark DICM is missing.*Export it again",
        ),
        "unknown syntax": (in_unknown_syntax, "transfer syntax .* cannot be decoded|damaged"),
    },
    ("dicom", "study/t1c/*.dcm"): {
        "a gantry tilted": (tilted, "gantry is tilted.*Resample"),
        "a scale of nothing": (elements(RescaleSlope=0, RescaleIntercept=0), "rescales by slope 0"),
        "a volume that is empty": (elements(PixelData=bytes(240)), "every voxel is 0", "t1c"),
    },
    ("dicom", "study/t2f/*.dcm"): {
        "two series of one modality": (
            elements(SeriesDescription="COR T1 POST GD"),
            "2 series may be t1c.*copy from here.*Put the block above into",
            "study",
        )
    },
    ("dicom", "study/seg.nii.gz"): {
        "a mask of another grid": (moved(translated(0, 0, 1)), "lies on another grid.*Resample"),
        "no mask": (removed, "no mask .*Add", "study"),
    },
    ("dicom-seg", "study/seg.dcm"): {
        "pixels cut": (cut(-8), "cut short or damaged.*Export it again|is no DICOM file"),
        "half of an object": (cut(0.5), "describes no segment.*Export it again"),
        "no frame": (elements(PerFrameFunctionalGroupsSequence=[]), "says where 0 of its 5"),
        "no segment": (elements(SegmentSequence=[]), "describes no segment"),
        "frames without end": (elements(NumberOfFrames=2**31 - 1), "cut short or damaged"),
        "a surface": (elements(SegmentationType="SURFACE"), "is no DICOM segmentation.*Name"),
        "compressed bits": (in_unknown_syntax, "transfer syntax .* cannot be decoded|damaged"),
        "another organ": (of_segments(SegmentLabel="liver"), "'liver'.* is neither a label nor"),
        "frames beside the series": (frames_moved(0.4), "between its voxels.*Resample"),
        "frames outside of the series": (frames_moved(1000), "outside of the grid.*Resample"),
        "frames nowhere": (frames_moved(NAN), "no usable ImagePositionPatient"),
        "a second object": (copied("seg.dcm", "seg2.dcm"), "is one of 2 DICOM segm.*Keep"),
        "an object of another series": (
            elements(ReferencedSeriesSequence=[]),
            "no mask .*Add",
            "study",
        ),
        "an object of TumorFlow": (elements(Manufacturer="TumorFlow"), "no mask .*Add", "study"),
        "another patient's object": (elements(PatientID="MRN9"), "of another patient than"),
    },
    ("dicom", "."): {
        "a table of modalities that names none": (
            lambda path: (path / "modalities.yaml").write_text("T1: t1\n"),
            "must be one of t1n",
            "modalities.yaml",
        )
    },
}

FOLDER = {
    ("folder", "cohort.yaml"): {
        "no description": (removed, "there is no such file.*Describe"),
        "a description that is no YAML": (written(b"a: [1, 2"), "cannot be read as YAML.*Correct"),
        "YAML aliases": (written(b"a: &a [1]\nb: *a\n"), "aliases .* not supported.*Correct"),
        "an unknown key": (described(spacing=1), "spacing: extra.*remove it"),
        "a key missing": (described(labels=None), "labels: .*required.*Correct"),
        "a region of a label that is none": (
            described(regions={"WT": ["oedema"]}),
            "region WT must unite some of the labels",
        ),
        "two labels of one value": (
            described(labels={"edema": 2, "enhancing": 2, "necrotic": 1}),
            "label values must be distinct",
        ),
        "a pattern with ..": (
            described(mask="../{case}_seg.nii.gz"),
            "path within the folder.*Correct",
        ),
        "a pattern that fits nothing": (
            described(mask="{case}/{case}_mask.nii.gz"),
            "holds no file for mask.*nearest are.*Correct",
            ".",
        ),
        "a pattern that fits another's files": (
            described(mask="{case}/{case}_fla.nii.gz"),
            "is t2f of case .* and mask of case",
        ),
        "a label that the description lacks": (
            described(
                labels={"edema": 2, "enhancing": 4},
                regions={"WT": ["edema", "enhancing"], "ET": ["enhancing"]},
            ),
            "1.*Fix the mask",
            "_seg.nii.gz",
        ),
    },
    ("folder", "p2-v1/p2-v1_seg.nii.gz"): {
        "a case without its mask": (removed, "no mask in 1 of 3 cases.*leave out", "p2-v1")
    },
    ("folder", "table.csv"): {
        "a case without a row": (text("p2-v1,B\n", ""), "no row for 1 of 3 cases.*Add the rows"),
        "a row twice": (text("p2-v1,B\n", "p2-v1,B\np2-v1,C\n"), "has two rows.*Keep one"),
        "two patients": (
            text("site", "patient"),
            "belongs to patients .*Let patterns",
            "cohort.yaml",
        ),
        "a table that is not there": (removed, "the table cannot be read"),
    },
    ("folder", "p1-v1"): {
        "slices of one patient resaved as another": (
            copied("p1-v1", "p3-v1"),
            "no row for 1 of 4",
            "table.csv",
        )
    },
}

ARCHIVES = {
    ("zip", ZIP): {
        "a member that leads out": (with_member("../../evil.sh"), "leads out of the folder.*Fetch"),
        "backslashes that lead out": (with_member("..\\evil.sh"), "leads out of the folder"),
        "a member with an absolute path": (with_member("/etc/cron.d/evil"), "absolute path"),
        "a link in a zip": (with_member("link", b"/etc/passwd", 0o120777), "is a link"),
        "a member twice": (with_member(f"{CASE}/{CASE}_t1.nii.gz".upper()), "collides with"),
        "a bomb": (with_member("zeros", bytes(80 << 20)), "as bombs do.*unpack it by hand"),
        "a zip cut": (cut(0.6), DAMAGED),
        "a bit flipped in a zip": (flipped(0.3), DAMAGED),
        "a zip that lies of sizes": (
            bytewise(with_announced_size),
            "cut short or damaged|announced",
        ),
        "a zip of nothing": (written(zipped([])), "holds no file"),
        "a web page in place of a zip": (written(b"<html>sign in</html>"), "is no archive.*Fetch"),
        "RAR": (written(b"Rar!\x1a\x07\x01\x00" + bytes(99)), "is no archive.*RAR.*by hand"),
    },
    ("tar", TAR): {
        "a symbolic link": (with_entry("link", tarfile.SYMTYPE, "/etc"), "is a link"),
        "a hard link": (with_entry("link", tarfile.LNKTYPE, "/etc/passwd"), "is a link"),
        "a device in a tar": (with_entry("device", tarfile.CHRTYPE), "is a special file"),
        "a member of a tar that leads out": (
            with_entry("a/../../evil", tarfile.REGTYPE),
            "leads out of the folder",
        ),
        "a tar cut": (cut(0.6), DAMAGED),
        "a tar without its last bytes": (cut(-4), DAMAGED),
        "a bit flipped in a tar": (flipped(0.5), DAMAGED),
        "no cohort in an archive": (
            written(gzip.compress(tar([("readme.txt", b"hello")]))),
            "holds no case in BraTS naming.*Set",
            "cohort",
        ),
    },
}

SERVED = {
    ("served", ZIP): {
        "another file of the same size": (
            flipped(0.5),
            "its checksum is sha256:.* is published.*fetch cohort.zip by hand",
        ),
        "a file cut at the publisher": (cut(0.5), "bytes.*fetch cohort.zip by hand"),
        "a file that has grown": (appended(b"more"), "bytes.*fetch cohort.zip by hand"),
        "a portal's page": (written(b"<html>sign in</html>"), "fetch cohort.zip by hand"),
        "a file that is gone": (removed, "404.*by hand"),
    }
}

PARAMS = {
    ("brats", "."): {
        "an unknown source": (
            {"source": "kaggle"},
            "cohort.source is 'kaggle'. Set it to one of phantom",
            "params.yaml",
        ),
        "no location there": (
            {"location": "absent"},
            r"does not exist\. Set cohort\.location",
            "absent",
        ),
        "a location that is a file": ({"location": T1C}, "is not a folder. Set", "_t1ce.nii.gz"),
        "the data of another source": ({"source": "msd"}, "holds no dataset.json"),
        "phantoms without a number": ({"source": "phantom"}, r"cohort\.cases is 0", "params.yaml"),
        "no location": ({"location": ""}, r"cohort\.location is empty.*preset NAME", "params.yaml"),
    },
    ("brats", "*"): {"a folder without cases": (removed, "holds no case in BraTS naming", ".")},
}

WARNED = {
    ("brats", f"{CASE}/*[!g].nii.gz"): {
        "air of -1 everywhere": (
            scaled(-1),
            rf"{CASE} \(t1n -1, .*t2f -1\): air is a constant",
            CASE,
        )
    },
    ("brats", T1C): {
        "air raised": (scaled(0.01), rf"{CASE} \(t1c 0.01\): air is a constant", CASE),
        "noise in the air": (
            voxels(noisy),
            rf"{CASE} \(.*100% of the grid\): more than a brain differs from air",
            CASE,
        ),
        "a mask as an image": (
            as_file("t1ce", "seg"),
            rf"{CASE} \(t1c: 4 values\): .*may be a mask",
            CASE,
        ),
        "an image along other axes": (reordered, PSL),
        "an unknown file": (copied("_t1ce", "_adc"), "1 image files fit no name.*_adc", "_adc"),
    },
    ("six", T1C): {
        "voxels in the other byte order": (
            inside(other_endian_data),
            f"{CASE}: .*t1c.* in this cohort usually",
            CASE,
        ),
        "intensities a thousand times higher": (
            voxels(lambda a: a * np.float32(1000)),
            "largest intensity of t1c",
            CASE,
        ),
    },
    ("brats", SEG): {
        "a mask along other axes": (reordered, PSL),
        "labels scaled by the header": (
            as_floats(4),
            "up to 0.0078 off whole numbers, since scl_slope is 0.0156.*: rounded",
        ),
        "an empty mask": (voxels(np.zeros_like), f"{CASE}: the reference marks no voxel", CASE),
    },
    ("brats", ALL): {
        "sform and pixdim apart, no qform": (
            pixdim_apart(0, 1),
            r"sform gives voxels of 1 x 1 x 1 mm, its pixdim 1 x 1 x 3",
        ),
        "sform unused and apart": (
            pixdim_apart(1, 0),
            r"qform gives voxels of 1 x 1 x 3 mm, its sform \(code 0\) 1 x 1 x 1",
        ),
        "lengths in metres": (
            moved(along(1e-3, 1e-3, 1e-3)),
            "0.001 x 0.001 x 0.001 mm large, which no scanner",
        ),
        "two affines": (header(292, "f", 5), "sform .* and qform .* 5 mm apart.*set_qform"),
        "no affine": (header(252, "2h", 0, 0), "neither sform nor qform is set.*left and right"),
        "oblique": (
            header(280, "8f", -0.8, 0.6, 0, 0, -0.6, -0.8, 0, 0),
            "degrees off the nearest",
        ),
    },
    ("brats", "*/*.nii.gz"): {
        "all cases without their affine": (
            as_identity,
            r"00000 \(t1n, .*: identity\), .*: the affine is the identity",
            CASE,
        )
    },
    ("six", ALL): {
        "one case mirrored": (mirrored(0), f"{CASE}: orientation is RPS.*usually LPS", CASE)
    },
    ("six", SEG): {
        "labels exchanged": (mapped({1: 2, 2: 1}), f"{CASE}: label necrotic is .* usually", CASE)
    },
    ("brats", CASE): {
        "a case rescaled": (
            resaved(voxels(lambda a: a if a.max() < 5 else (a * np.float32(0.37) + 3 * (a > 0)))),
            "looks like the examination of",
            "_00009",
        )
    },
    ("mha", T1C_MHA): {
        "air of -1": (
            by_simpleitk(lambda image: image - 1),
            "t1c -1.*: air is a constant",
            "BRATS_HG0001",
        ),
        "an unknown file": (copied("_T1C", "_ADC"), "1 image files fit no name", "_ADC"),
    },
    ("mha", f"{HG}_truth.mha"): {
        "a mask along other axes": (
            by_simpleitk(lambda image: sitk.PermuteAxes(image, [2, 0, 1])),
            REORDERED,
        )
    },
    ("msd", IMAGE4D): {
        "air of -7": (
            voxels(lambda a: a - 7),
            r"BRATS_002 \(t1n -6, .*\): air is a constant",
            "BRATS_002",
        ),
        "two affines": (header(252, "2h4f", 1, 2, 0, 0, 1, 5), "sform .* and qform .* 5 mm apart"),
    },
    ("pictures", MASK): {
        "an empty mask": (
            picture(np.zeros_like),
            "cheng_0709: the reference marks no voxel",
            "cheng_0709",
        )
    },
    ("pictures", "glioma/709_*"): {
        "a picture missing": (removed, "1 of 3 slices of folds.csv have no picture", "708")
    },
    ("pictures", "folds.csv"): {
        "two folds": (text("MR2,2,5", "MR1,2,5"), "patient MR1 has several of", "cheng_0709")
    },
    ("lgg", f"{TCGA}_*[0-9].tif"): {
        "a sequence that was not acquired": (
            picture(lambda p: p[..., [0, 1, 1]]),
            "t1c is a copy of t2f",
            test_lgg.CASE,
        )
    },
    ("dicom", "study/seg.nii.gz"): {"a mask along other axes": (reordered, REORDERED)},
    ("dicom", "."): {"oblique slices": ({}, "axis . runs .* degrees off the nearest", "study")},
    ("folder", "p2-v1/*[!g].nii.gz"): {
        "air of -1": (scaled(-1), r"p2-v1 \(t1c -1, t2f -1\): air is a constant", "p2-v1")
    },
    ("folder", "p2-v1/p2-v1_seg.nii.gz"): {
        "a mask along other axes": (reordered, REORDERED),
        "labels scaled by the header": (as_floats(4), "off whole numbers.*: rounded"),
    },
    ("folder", "p2-v1/*"): {
        "a case of the table without files": (
            removed,
            "1 of 3 cases of the table have no files, such as p2-v1",
            "p2",
        )
    },
    ("folder", "p2-v1/p2-v1_post.nii.gz"): {
        "an unknown file": (copied("_post", "_adc"), "1 image files fit no name", "_adc")
    },
}
REFUSED = (
    *(CUT_AND_DAMAGED, LYING_HEADERS, VOXELS, GRIDS, LABELS, COHORTS, METAIMAGE, DECATHLON),
    *(CHENG, LGG, DICOM, FOLDER, ARCHIVES, SERVED, PARAMS),
)
TABLE = [
    Row(cohort, file, section is WARNED, name, *fields)
    for section in (*REFUSED, WARNED)
    for (cohort, file), rows in section.items()
    for name, fields in rows.items()
]
