"""Good cohorts of every source, and every way of spoiling them: what is spoilt, how, and what
`download` must say of it.
"""

import gzip
import json
import shutil
import struct
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
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
from tests.cohorts import test_cheng, test_dicom, test_folder, test_lgg, test_msd
from tests.cohorts.challenges import write_2012, write_2023
from tests.cohorts.fetching.test_archives import entry, tar, zip_entry, zipped
from tests.conftest import LPS, case_arrays, write_case
from tests.formats.dicom.test_series import ROW as ROW_DIRECTION
from tests.formats.dicom.test_series import VOXELS as PLANES
from tests.formats.dicom.test_series import write_series
from tests.formats.test_images import write_picture
from tests.formats.test_matlab import write_folds

Change = Callable[[Path], None]


class Good(NamedTuple):
    """A cohort that is accepted: its source, what writes it into a folder, and what of the folder
    is its location, if any.
    """

    source: str
    write: Callable[[Path], object]
    location: str = "."


def write_brats(folder: Path, cases: int = 3, suffix: str = ".nii.gz") -> None:
    for number in range(cases):
        write_case(folder, f"BraTS2021_{number:05d}", seed=number, suffix=suffix)


def write_brats2023(folder: Path) -> None:
    for number in range(2):
        write_2023(folder, f"BraTS-GLI-0000{number}-000", number)


def write_mha(folder: Path, suffix: str = ".mha") -> None:
    for number in range(2):
        write_2012(folder, f"BRATS_HG000{number}", number, suffix)


def write_lgg(folder: Path) -> None:
    test_lgg.write_patient(folder)
    test_lgg.write_patient(folder, "TCGA_DU_5851_19950428", 255 - test_lgg.PIXELS)


def write_dicom(folder: Path) -> None:
    for place, (name, description) in enumerate(test_dicom.FOUR.items(), 1):
        told = {"SeriesInstanceUID": f"1.2.826.1.{place}", "SeriesDescription": description}
        write_series(
            folder / "study" / name, range(5), plane=PLANES[0] + np.int16(10 * place), **told
        )
    mask = np.zeros((12, 10, 5), np.uint8)
    mask[2:5, 3:6, 1] = 1
    (found,) = dicom.find(folder)[1]
    nifti.write(folder / "study/seg.nii.gz", mask, found.images["t1n"].read().grid.affine)


def write_described(folder: Path) -> None:
    for number, case in enumerate(("p1-v1", "p1-v2", "p2-v1")):
        images, values = case_arrays(number)
        for kind, voxels in (("post", images["t1ce"]), ("fla", images["flair"]), ("seg", values)):
            nifti.write(folder / f"{case}/{case}_{kind}.nii.gz", voxels, LPS)
    test_folder.describe(folder, patient=r"([^-]+)-", table="table.csv")
    (folder / "table.csv").write_text("case,site\np1-v1,A\np1-v2,A\np2-v1,B\n")


def members(cases: int = 2) -> dict[str, bytes]:
    """Names and bytes of a cohort, to be put into an archive."""
    images = {}
    for number in range(cases):
        arrays, values = case_arrays(number)
        for kind, voxels in (arrays | {"seg": values}).items():
            image = nibabel.Nifti1Image(voxels, LPS)
            images[f"BraTS2021_{number:05d}/BraTS2021_{number:05d}_{kind}.nii.gz"] = gzip.compress(
                image.to_bytes(), 1, mtime=0
            )
    return images


def write_zip(folder: Path) -> None:
    (folder / "cohort.zip").write_bytes(zipped(members().items()))


def write_tar(folder: Path) -> None:
    (folder / "cohort.tar.gz").write_bytes(gzip.compress(tar(members().items()), 1))


GOOD = {
    "brats": Good("brats", write_brats),
    "five": Good("brats", partial(write_brats, cases=6)),
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
    "folder": Good("folder", write_described),
    "zip": Good("brats", write_zip, "cohort.zip"),
    "tar": Good("brats", write_tar, "cohort.tar.gz"),
    "served": Good("served", write_zip, ""),
}


def cut(keep: float) -> Change:
    """Keep so many bytes, a share below 1, or all but the last so many if negative."""

    def change(path: Path) -> None:
        stored = path.read_bytes()
        path.write_bytes(stored[: int(keep * len(stored)) if 0 < keep < 1 else keep])

    return change


def flipped(place: float) -> Change:
    """Flip the bits of a byte, counted from the end if negative, or at a share of the length."""

    def change(path: Path) -> None:
        stored = bytearray(path.read_bytes())
        stored[int(place * len(stored)) if 0 < place < 1 else int(place)] ^= 0xFF
        path.write_bytes(stored)

    return change


def bytewise(function: Callable[[bytes], bytes]) -> Change:
    return lambda path: path.write_bytes(function(path.read_bytes())) and None


def inside(function: Callable[[bytes], bytes]) -> Change:
    """Change the bytes behind the compression."""
    return bytewise(lambda stored: gzip.compress(function(gzip.decompress(stored)), 1, mtime=0))


def header(offset: int, form: str, *values: float) -> Change:
    """Write numbers into the header of a .nii.gz (NIfTI-1, nifti1.h)."""

    def patched(raw: bytes) -> bytes:
        copy = bytearray(raw)
        struct.pack_into(f"<{form}", copy, offset, *values)
        return bytes(copy)

    return inside(patched)


def field_of(name: bytes, value: bytes) -> Change:
    """Change a line of a MetaImage header."""

    def change(stored: bytes) -> bytes:
        lines = stored.split(b"\n")
        (place,) = [
            number for number, line in enumerate(lines[:20]) if line.startswith(name + b" =")
        ]
        lines[place] = name + b" = " + value
        return b"\n".join(lines)

    return bytewise(change)


def voxels(function: Callable[[np.ndarray], np.ndarray], turn: np.ndarray | None = None) -> Change:
    """Change the voxels of a NIfTI file, and its affine by a matrix from the right."""

    def change(path: Path) -> None:
        image = nibabel.load(path)
        array, affine = np.array(image.dataobj), image.affine
        nifti.write(path, function(array), affine if turn is None else affine @ turn)

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

    def change(array: np.ndarray) -> np.ndarray:
        table = np.arange(256, dtype=np.uint8)
        table[list(values)] = list(values.values())
        return table[array]

    return voxels(change)


def translated(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def renamed(old: str, new: str) -> Change:
    return lambda path: path.rename(path.with_name(path.name.replace(old, new))) and None


def copied(old: str, new: str) -> Change:
    """Copy a file or folder, `old` replaced in its path, and in the names below it."""

    def change(path: Path) -> None:
        target = Path(str(path).replace(old, new))
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copy(path, target)
            return
        shutil.copytree(path, target)
        for file in target.iterdir():
            file.rename(file.with_name(file.name.replace(old, new)))

    return change


def resaved(function: Change, old: str = "00001", new: str = "00009") -> Change:
    """Copy a case under another name, every file of it changed."""

    def change(path: Path) -> None:
        copied(old, new)(path)
        for file in sorted(Path(str(path).replace(old, new)).iterdir()):
            function(file)

    return change


def mirrored(axis: int) -> Change:
    """Store the same volume with the voxels in the other direction of an axis, affine included."""

    def change(path: Path) -> None:
        image = nibabel.load(path)
        matrix = np.eye(4)
        matrix[axis, axis], matrix[axis, 3] = -1, image.shape[axis] - 1
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
    return voxels(
        lambda array: (array / np.float32(array.max()) + np.float32(air)).astype(np.float32)
    )


def noisy(array: np.ndarray) -> np.ndarray:
    return array + np.random.default_rng(0).integers(1, 9, array.shape).astype(array.dtype)


def nan_as_air(path: Path) -> None:
    voxels(lambda array: np.where(array == 0, np.float32(np.nan), array).astype(np.float32))(path)


def as_the_mask(path: Path) -> None:
    shutil.copy(path.with_name(path.name.replace("t1ce", "seg")), path)


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
        image = nibabel.load(path)
        values = np.asarray(image.dataobj).astype(float)
        raw = bytearray(
            nibabel.Nifti1Image(
                np.rint(values * 255 / top).astype(np.uint8), image.affine
            ).to_bytes()
        )
        struct.pack_into("<2f", raw, 112, top / 255, 0)
        path.write_bytes(gzip.compress(bytes(raw), 1, mtime=0))

    return change


def mha_voxels(function: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(path: Path) -> None:
        image = sitk.ReadImage(str(path))
        changed = sitk.GetImageFromArray(function(sitk.GetArrayFromImage(image)))
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(path))

    return change


def mha_reordered(path: Path) -> None:
    sitk.WriteImage(sitk.PermuteAxes(sitk.ReadImage(str(path)), [2, 0, 1]), str(path))


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


def described(**values: object) -> Change:
    """Change keys of a JSON file; None removes one."""

    def change(path: Path) -> None:
        text = json.loads(path.read_text()) | values
        path.write_text(
            json.dumps({key: value for key, value in text.items() if value is not None})
        )

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


def tilted(path: Path) -> None:
    """Shift a slice along its rows by an amount that grows with its number."""
    dataset = dcmread(path)
    number = int(path.stem[-3:])
    position = np.array(dataset.ImagePositionPatient, float) + number * 0.8 * ROW_DIRECTION
    elements(ImagePositionPatient=[round(float(x), 6) for x in position])(path)


def matlab(name: str, value: np.ndarray | None) -> Change:
    """Replace a field of a .mat file, or remove it."""

    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]
            if value is not None:
                file[name] = value

    return change


def picture(function: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(path: Path) -> None:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        write_picture(path, np.ascontiguousarray(function(pixels)))

    return change


def text(old: str, new: str) -> Change:
    def change(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def written(stored: bytes) -> Change:
    return lambda path: path.write_bytes(stored) and None


def with_member(name: str, stored: bytes = b"x", mode: int = 0) -> Change:
    """Put one more member into a zip."""
    return written(zipped([*members().items(), (zip_entry(name, mode) if mode else name, stored)]))


def with_entry(info: tarfile.TarInfo) -> Change:
    """Put one more member into a tar."""
    return written(gzip.compress(tar([*members().items(), info]), 1))


def with_announced_size(path: Path) -> None:
    """A zip whose directory announces the first member smaller than it is."""
    stored = bytearray(path.read_bytes())
    place = stored.index(b"PK\x01\x02") + 24
    struct.pack_into("<I", stored, place, 100)
    path.write_bytes(stored)


def in_other_byte_order(path: Path) -> None:
    """A mask of int16 whose voxels are in the other byte order than its header says."""
    voxels(lambda array: array.astype(np.int16))(path)
    inside(other_endian_data)(path)


def in_unknown_syntax(path: Path) -> None:
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    dataset.PixelData = encapsulate([dataset.PixelData])
    dataset.save_as(path)


def pages_without_end(path: Path) -> None:
    """A TIFF file whose only page names itself as the next."""
    stored = bytearray(path.read_bytes())
    (place,) = struct.unpack_from("<I", stored, 4)
    (count,) = struct.unpack_from("<H", stored, place)
    struct.pack_into("<I", stored, place + 2 + 12 * count, place)
    path.write_bytes(stored)


def in_two_pages(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 20, 24), np.uint8)), str(path))


@dataclass(frozen=True)
class Row:
    """One way of spoiling a cohort.

    Attributes
    ----------
    name : str
        What is wrong.
    cohort : str
        Which of `GOOD`.
    file : str
        Glob of the files or folders that are changed; the message must name one of them.
    change : callable
        Takes the path of each.
    said : str
        Regular expression: what the error says, or else a warning.
    accepted : bool
        With a warning.
    named : str
        What the message must name where that is not `file`.
    params : dict
        Of the section `cohort`, a location relative to the folder of the cohort.
    """

    name: str
    cohort: str
    file: str
    change: Change | None
    said: str
    accepted: bool = False
    named: str = ""
    params: dict = field(default_factory=dict)


CASE = "BraTS2021_00001"
T1C, SEG = f"{CASE}/{CASE}_t1ce.nii.gz", f"{CASE}/{CASE}_seg.nii.gz"
PLAIN = f"{CASE}/{CASE}_t1ce.nii"
ALL = f"{CASE}/*"
FETCH = "Fetch the file again"
NIFTI2_OVERFLOW = bytes.fromhex("1c0200006e2b32000d0a1a0a04001000") + struct.pack(
    "<8q", 3, 2**32, 2**32, 1, 1, 1, 1, 1
)

CUT_AND_DAMAGED = [
    Row("an empty file", "brats", T1C, written(b""), "is not a NIfTI.*Convert"),
    Row(
        "a web page in place of a volume",
        "brats",
        T1C,
        written(b"<html>404</html>" * 40),
        "is not a NIfTI.*Convert",
    ),
    Row("cut within the gzip header", "brats", T1C, cut(5), "not a NIfTI|cut short"),
    Row("cut within the NIfTI header", "brats", T1C, cut(60), "not a NIfTI|cut short"),
    Row("cut within the voxels", "brats", T1C, cut(0.5), rf"cut short after \d+ bytes\. {FETCH}"),
    Row("cut within the gzip trailer", "brats", T1C, cut(-4), rf"cut short.*{FETCH}"),
    Row("the gzip trailer missing", "brats", T1C, cut(-8), rf"cut short.*{FETCH}"),
    Row("plain, cut within the header", "plain", PLAIN, cut(200), "is not a NIfTI"),
    Row(
        "plain, cut between header and voxels",
        "plain",
        PLAIN,
        cut(352),
        f"holds 352 bytes where its header announces 21472.*{FETCH}",
    ),
    Row(
        "plain, the last byte missing",
        "plain",
        PLAIN,
        cut(-1),
        f"holds 21471 bytes where its header announces 21472.*{FETCH}",
    ),
    Row(
        "plain, a byte too many",
        "plain",
        PLAIN,
        bytewise(lambda b: b + b"\0"),
        f"holds more where its header announces.*{FETCH}",
    ),
    Row(
        "a bit flipped in the deflated voxels",
        "brats",
        T1C,
        flipped(0.5),
        f"damaged|cut short|announces.*{FETCH}",
    ),
    Row(
        "a bit flipped in the checksum",
        "brats",
        T1C,
        flipped(-6),
        f"gzip stream is damaged.*{FETCH}",
    ),
    Row(
        "a bit flipped in the length", "brats", T1C, flipped(-2), f"gzip stream is damaged.*{FETCH}"
    ),
    Row(
        "bytes after the gzip stream",
        "brats",
        T1C,
        bytewise(lambda b: b + b"tail"),
        "more data follow its gzip stream.*Unpack",
    ),
    Row(
        "another gzip member with more",
        "brats",
        T1C,
        bytewise(lambda b: b + gzip.compress(b"more")),
        "holds more where",
    ),
    Row("compressed twice", "brats", T1C, bytewise(gzip.compress), "is not a NIfTI"),
    Row(
        "zlib in place of gzip",
        "brats",
        T1C,
        bytewise(lambda b: zlib.compress(gzip.decompress(b))),
        "is not a NIfTI",
    ),
    Row(
        "a folder in place of a file",
        "brats",
        T1C,
        as_folder,
        "cannot be read.*folder that holds 0 volumes.*Replace",
    ),
    Row(
        "two files in a folder made of a file",
        "brats",
        T1C,
        with_two_files,
        "folder that holds 2 volumes.*Replace",
    ),
    Row("a link to nothing", "brats", T1C, as_link_to_nothing, "cannot be read.*Check"),
]
LYING_HEADERS = [
    Row("sizeof_hdr is none", "brats", T1C, header(0, "i", 1000), "is not a NIfTI.*Convert"),
    Row(
        "only sizeof_hdr in the other byte order",
        "brats",
        T1C,
        header(0, "i", 0x5C010000),
        "is not a NIfTI.*Convert",
    ),
    Row(
        "longer than its voxels",
        "brats",
        T1C,
        header(42, "h", 48),
        f"holds 21472 bytes where .* 42592|cut short.*{FETCH}",
    ),
    Row("shorter than its voxels", "brats", T1C, header(42, "h", 12), "holds more where"),
    Row(
        "axes exchanged",
        "brats",
        T1C,
        header(42, "2h", 22, 24),
        r"another grid.*shape \(22, 24, 20\) against \(24, 22, 20\).*Resample",
    ),
    Row(
        "a qform that is no rotation",
        "brats",
        T1C,
        header(256, "3f", 4, 0, 0),
        "qform is no rotation.*Fix",
    ),
    Row(
        "a length of nothing",
        "brats",
        T1C,
        header(42, "h", 0),
        "shape .* expected real voxels|holds more",
    ),
    Row("a length below nothing", "brats", T1C, header(42, "h", -24), "shape|dim|announces"),
    Row(
        "no dimension", "brats", T1C, header(40, "h", 0), "is not a NIfTI|shape|dimension|announces"
    ),
    Row("nine dimensions", "brats", T1C, header(40, "h", 9), "is not a NIfTI|shape|dimension"),
    Row("two dimensions", "brats", T1C, header(40, "h", 2), "2 dimensions|announces"),
    Row(
        "voxels for 64 TiB announced",
        "brats",
        T1C,
        header(40, "8h", 3, 32767, 32767, 32767, 1, 1, 1, 1),
        "cut short|announces",
    ),
    Row(
        "a length beyond all counting",
        "brats",
        T1C,
        written(NIFTI2_OVERFLOW + bytes(500)),
        "shape|announces|not a NIfTI",
    ),
    Row(
        "another dtype of another size",
        "brats",
        T1C,
        header(70, "2h", 16, 32),
        "holds 21472 bytes where|cut short",
    ),
    Row("a dtype that is none", "brats", T1C, header(70, "h", 3), "is not a NIfTI.*Convert"),
    Row("colours", "brats", T1C, header(70, "2h", 128, 24), "real voxels|cut short|announces"),
    Row(
        "complex numbers",
        "brats",
        T1C,
        voxels(lambda array: array.astype(np.complex64)),
        "complex64, expected real voxels",
    ),
    Row(
        "voxels said to begin within the header",
        "brats",
        T1C,
        header(108, "f", 100),
        "vox_offset|not a NIfTI|announces|more",
    ),
    Row(
        "voxels said to begin a byte later",
        "brats",
        T1C,
        header(108, "f", 353),
        "announces|cut short|not a NIfTI",
    ),
    Row(
        "voxels said to begin beyond the file",
        "brats",
        T1C,
        header(108, "f", 1e9),
        "announces|cut short",
    ),
    Row(
        "voxels said to begin nowhere",
        "brats",
        T1C,
        header(108, "f", float("nan")),
        "is not a NIfTI",
    ),
    Row(
        "voxels said to begin at infinity",
        "brats",
        T1C,
        header(108, "f", float("inf")),
        "is not a NIfTI",
    ),
    Row(
        "voxels said to begin before the file",
        "brats",
        T1C,
        header(108, "f", -352),
        "vox_offset|not a NIfTI|announces|more",
    ),
    Row("scale infinite", "brats", T1C, header(112, "2f", float("inf"), 0), "(slope|scale).*inf"),
    Row(
        "scale with an offset of NaN",
        "brats",
        T1C,
        header(112, "2f", 1, float("nan")),
        "(inter|scale).*nan",
    ),
    Row(
        "scaled beyond all numbers",
        "brats",
        T1C,
        header(112, "2f", 3e38, 0),
        "voxels are NaN or infinite.*Repair",
    ),
    Row(
        "header and image in two files",
        "brats",
        T1C,
        header(344, "4s", b"ni1\0"),
        "not a single-file NIfTI.*Convert",
    ),
    Row(
        "no magic",
        "brats",
        T1C,
        header(344, "4s", b"\0\0\0\0"),
        "not a (single-file )?NIfTI.*Convert",
    ),
    Row(
        "several volumes",
        "brats",
        T1C,
        voxels(lambda array: np.stack([array, array], -1)),
        "4 dimensions .* expected one 3D volume.*Split",
    ),
    Row(
        "a single slice",
        "brats",
        T1C,
        voxels(lambda array: array[..., 0]),
        "2 dimensions .* expected one 3D volume",
    ),
    Row(
        "a mask in the other byte order",
        "brats",
        SEG,
        in_other_byte_order,
        "label values|values.*Fix the mask",
    ),
]
VOXELS = [
    Row(
        "a voxel that is NaN",
        "brats",
        T1C,
        set_to(np.nan, np.float32),
        "1 voxels are NaN or infinite.*Repair",
    ),
    Row(
        "NaN around the brain",
        "brats",
        T1C,
        nan_as_air,
        "voxels are NaN.*set them to 0, as by\npython -c .*isfinite.*_t1ce",
    ),
    Row(
        "air of -1 in all modalities",
        "brats",
        f"{CASE}/*[!g].nii.gz",
        scaled(-1),
        rf"{CASE} \(t1n -1, .*t2f -1\): air is a constant",
        True,
        CASE,
    ),
    Row(
        "air raised in one modality",
        "brats",
        T1C,
        scaled(0.01),
        rf"{CASE} \(t1c 0.01\): air is a constant other than 0",
        True,
        CASE,
    ),
    Row(
        "noise in the air",
        "brats",
        T1C,
        voxels(noisy),
        rf"{CASE} \(.*100% of the grid\): more than a brain differs from air",
        True,
        CASE,
    ),
    Row(
        "a mask in place of an image",
        "brats",
        T1C,
        as_the_mask,
        rf"{CASE} \(t1c: 4 values\): .*may be a mask",
        True,
        CASE,
    ),
    Row(
        "a voxel that is infinite",
        "brats",
        T1C,
        set_to(-np.inf, np.float64),
        "1 voxels are NaN or infinite.*Repair",
    ),
    Row(
        "all voxels zero",
        "brats",
        T1C,
        voxels(np.zeros_like),
        "every voxel is 0, the volume is empty.*Fetch",
    ),
    Row(
        "all voxels equal",
        "brats",
        T1C,
        voxels(lambda array: np.full_like(array, 7)),
        "every voxel is 7",
    ),
    Row(
        "voxels in the other byte order",
        "five",
        T1C,
        inside(other_endian_data),
        f"{CASE}: .*t1c.* in this cohort usually",
        True,
        CASE,
    ),
    Row(
        "intensities a thousand times higher",
        "five",
        T1C,
        voxels(lambda a: a * np.float32(1000)),
        "largest intensity of t1c",
        True,
        CASE,
    ),
]
GRIDS = [
    Row(
        "one modality a voxel further",
        "brats",
        T1C,
        moved(translated(1)),
        "up to 1 mm apart.*fix its header",
    ),
    Row(
        "the mask a voxel further",
        "brats",
        SEG,
        moved(translated(0, 0, 1)),
        "up to 1 mm apart.*fix its header",
    ),
    Row(
        "the mask half a voxel further",
        "brats",
        SEG,
        moved(translated(0, 0.5)),
        "up to 0.5 mm apart",
    ),
    Row(
        "an axis flipped in the header of the mask",
        "brats",
        SEG,
        moved(np.diag([-1.0, 1, 1, 1])),
        "another grid than .*mm apart",
    ),
    Row(
        "another spacing in the header of a modality",
        "brats",
        T1C,
        moved(np.diag([1.0, 1, 1.2, 1])),
        "another grid",
    ),
    Row(
        "a mask on a smaller grid",
        "brats",
        SEG,
        voxels(lambda a: a[:-1]),
        r"shape \(23, 22, 20\) against \(24, 22, 20\).*Resample",
    ),
    Row(
        "a modality on a coarser grid",
        "brats",
        T1C,
        voxels(lambda a: a[..., ::2]),
        "another grid.*predict --native.*native.enabled: true",
    ),
    Row(
        "a mask on a coarser grid",
        "brats",
        SEG,
        voxels(lambda a: a[::2, ::2, ::2], np.diag([2.0, 2, 2, 1])),
        "shape .*Resample",
    ),
    Row(
        "a mask on transposed axes",
        "brats",
        SEG,
        voxels(lambda a: a.transpose(1, 0, 2)),
        "another grid",
    ),
    Row(
        "a mask along other axes",
        "brats",
        SEG,
        reordered,
        "axes run PSL, those of .* LPS: reordered, no voxel changed",
        True,
    ),
    Row(
        "an image along other axes",
        "brats",
        T1C,
        reordered,
        "axes run PSL, those of .* LPS: reordered, no voxel changed",
        True,
    ),
    Row(
        "sform and pixdim apart, no qform",
        "brats",
        ALL,
        pixdim_apart(0, 1),
        r"sform gives voxels of 1 x 1 x 1 mm, its pixdim 1 x 1 x 3",
        True,
    ),
    Row(
        "sform unused and apart",
        "brats",
        ALL,
        pixdim_apart(1, 0),
        r"qform gives voxels of 1 x 1 x 3 mm, its sform \(code 0\) 1 x 1 x 1",
        True,
    ),
    Row(
        "lengths in metres",
        "brats",
        ALL,
        moved(np.diag([1e-3, 1e-3, 1e-3, 1])),
        "0.001 x 0.001 x 0.001 mm large, which no scanner",
        True,
    ),
    Row(
        "all cases without their affine",
        "brats",
        "*/*.nii.gz",
        as_identity,
        r"00000 \(t1n, .*: identity\), .*: the affine is the identity",
        True,
        CASE,
    ),
    Row(
        "an axis without length",
        "brats",
        ALL,
        header(280, "4f", 0, 0, 0, 0),
        "cannot be inverted|no length.*(Fix|set)",
    ),
    Row("an affine of NaN", "brats", ALL, header(280, "f", float("nan")), "NaN|cannot be inverted"),
    Row("sheared axes", "brats", ALL, header(280, "4f", -1, 0.3, 0, 0), "is sheared.*Resample"),
    Row(
        "sform and qform apart",
        "brats",
        ALL,
        header(292, "f", 5),
        "sform .* and qform .* 5 mm apart.*set_qform",
        True,
    ),
    Row(
        "neither sform nor qform",
        "brats",
        ALL,
        header(252, "2h", 0, 0),
        "neither sform nor qform is set.*left and right",
        True,
    ),
    Row(
        "an oblique affine",
        "brats",
        ALL,
        header(280, "8f", -0.8, 0.6, 0, 0, -0.6, -0.8, 0, 0),
        "degrees off the nearest",
        True,
    ),
    Row(
        "one case stored in other directions",
        "five",
        ALL,
        mirrored(0),
        f"{CASE}: orientation is RPS.*usually LPS",
        True,
        CASE,
    ),
]
LABELS = [
    Row(
        "enhancing tumour 3 where it is 4",
        "brats",
        SEG,
        mapped({4: 3}),
        r"3.*(Fix the mask|choose the cohort)",
    ),
    Row(
        "enhancing tumour 4 where it is 3",
        "2023",
        "BraTS-GLI-00001-000/*-seg.nii.gz",
        mapped({3: 4}),
        "4.*(Fix the mask)",
    ),
    Row("a label that no convention has", "brats", SEG, set_to(9), "9.*Fix the mask"),
    Row(
        "a mask of black and white",
        "brats",
        SEG,
        voxels(lambda array: np.where(array > 0, 255, 0).astype(np.uint8)),
        "255.*Fix",
    ),
    Row("a label below nothing", "brats", SEG, set_to(-1, np.int16), "-1.*Fix the mask"),
    Row("a label of a half", "brats", SEG, set_to(0.5, np.float32), "0.5.*Fix the mask"),
    Row("a label that is NaN", "brats", SEG, set_to(np.nan, np.float32), "nan.*Fix the mask"),
    Row(
        "an interpolated mask",
        "brats",
        SEG,
        voxels(lambda a: (a + np.roll(a, 1, 0)).astype(np.float32) / 2),
        "Fix the mask",
    ),
    Row(
        "an image in place of the mask",
        "brats",
        SEG,
        lambda path: shutil.copy(path.with_name(f"{CASE}_t1.nii.gz"), path),
        "Fix the mask",
    ),
    Row(
        "labels scaled by the header",
        "brats",
        SEG,
        as_floats(4),
        "up to 0.0078 off whole numbers, since scl_slope is 0.0156.*: rounded",
        True,
    ),
    Row(
        "labels scaled beyond rounding",
        "brats",
        SEG,
        as_floats(40),
        "scl_slope 0.156863 .*to round them:\npython -c .*rint.*_seg",
    ),
    Row(
        "whole labels scaled in the header",
        "brats",
        SEG,
        header(112, "2f", 1.7, 0),
        "scl_slope 1.7 .*stored integers are those.*unscaled",
    ),
    Row(
        "a mask without a voxel",
        "brats",
        SEG,
        voxels(np.zeros_like),
        f"{CASE}: the reference marks no voxel",
        True,
        CASE,
    ),
    Row(
        "labels of one case exchanged",
        "five",
        SEG,
        mapped({1: 2, 2: 1}),
        f"{CASE}: label necrotic is .* usually",
        True,
        CASE,
    ),
    Row("no mask", "brats", SEG, removed, "no mask .*Add the masks", named=CASE),
]
COHORTS = [
    Row(
        "a modality missing",
        "brats",
        T1C,
        removed,
        "modality t1c of case .* is missing.*Add the file",
        named=CASE,
    ),
    Row(
        "a modality under another name",
        "brats",
        T1C,
        renamed("t1ce", "T1GD"),
        "t1c of case .* is missing.*_T1GD.nii.gz.*--t1c",
        named=CASE,
    ),
    Row(
        "an image under a name that is not known",
        "brats",
        T1C,
        copied("_t1ce", "_adc"),
        "1 image files fit no name.*_adc",
        True,
        "_adc",
    ),
    Row(
        "a modality twice",
        "brats",
        T1C,
        lambda path: shutil.copy(path, path.with_suffix("")),
        "is also in.*Keep one",
        named="_t1ce.nii",
    ),
    Row(
        "one modality under two names",
        "brats",
        T1C,
        lambda path: shutil.copy(path, path.with_name(f"{CASE}_t1.nii.gz")),
        "has the same voxels as.*remove",
        named=f"{CASE}_t1",
    ),
    Row(
        "a case twice",
        "brats",
        CASE,
        copied("00001", "00009"),
        "has the same voxels as.*remove the duplicate",
        named="_00009",
    ),
    Row(
        "a case resaved without compression",
        "brats",
        CASE,
        resaved(uncompressed),
        "has the same voxels as",
        named="_00009",
    ),
    Row(
        "a case resaved in other directions",
        "brats",
        CASE,
        resaved(mirrored(1)),
        "has the same voxels as",
        named="_00009",
    ),
    Row(
        "a case resaved as numbers of another dtype",
        "brats",
        CASE,
        resaved(voxels(lambda a: a.astype(np.float32))),
        "the same voxels",
        named="_00009",
    ),
    Row(
        "a case resaved without its margin",
        "brats",
        CASE,
        resaved(voxels(lambda a: a[1:-1, 1:-1, 1:-1], translated(1, 1, 1))),
        "the same voxels",
        named="_00009",
    ),
    Row(
        "a case rescaled",
        "brats",
        CASE,
        resaved(voxels(lambda a: a if a.max() < 5 else (a * np.float32(0.37) + 3 * (a > 0)))),
        "looks like the examination of",
        True,
        "BraTS2021_00009",
    ),
    Row(
        "a case in two folders",
        "brats",
        CASE,
        copied(f"/{CASE}", f"/again/{CASE}"),
        "is also in.*Keep one",
        named=CASE,
    ),
    Row(
        "two cases in a folder",
        "brats",
        T1C,
        lambda path: shutil.copy(
            path, path.parents[1] / "BraTS2021_00000/BraTS2021_00007_t1ce.nii.gz"
        ),
        "is also in|belongs to case .*one folder per case",
        named="BraTS2021_0000",
    ),
    Row(
        "two conventions in one cohort",
        "brats",
        ".",
        write_brats2023,
        "mixes names with '_'.*'-'.*Keep the years in separate folders",
    ),
    Row(
        "a case of another challenge",
        "2023",
        "BraTS-GLI-00001-000",
        resaved(lambda path: None, "GLI", "MEN"),
        r"not of source brats.*Set cohort\.source: brats-men",
        named="BraTS-MEN",
    ),
    Row(
        "a case with a name for no disk",
        "brats",
        CASE,
        resaved(lambda path: None, "00001", "0 1"),
        "letters, digits.*Rename",
        named="BraTS2021_0 1",
    ),
    Row(
        "a table that is no text",
        "brats",
        ".",
        lambda path: (path / "survival_info.csv").write_bytes(b"\xff\xfe\x81" * 9),
        "the table cannot be read.*Fetch",
        named="survival_info.csv",
    ),
]
HG = "BRATS_HG0001/BRATS_HG0001"
T1C_MHA = f"{HG}_T1C.mha"
METAIMAGE = [
    Row(
        "cut within the header",
        "mha",
        T1C_MHA,
        cut(60),
        "is not a MetaImage file|DimSize.*(Convert|Fetch)",
    ),
    Row(
        "cut within the voxels",
        "mha",
        T1C_MHA,
        cut(0.5),
        rf"holds \d+ bytes where its header announces.*{FETCH}",
    ),
    Row(
        "bytes after the voxels", "mha", T1C_MHA, bytewise(lambda b: b + b"\0"), "holds more where"
    ),
    Row(
        "a shape that lies",
        "mha",
        T1C_MHA,
        field_of(b"DimSize", b"24 22 21"),
        "bytes where its header announces",
    ),
    Row(
        "a shape beyond counting",
        "mha",
        T1C_MHA,
        field_of(b"DimSize", b"999999999 999999999 999999999"),
        "announces",
    ),
    Row(
        "a dtype that lies",
        "mha",
        T1C_MHA,
        field_of(b"ElementType", b"MET_DOUBLE"),
        "bytes where its header announces",
    ),
    Row(
        "a dtype that is none",
        "mha",
        T1C_MHA,
        field_of(b"ElementType", b"MET_STRING"),
        "ElementType.*Save it",
    ),
    Row("two dimensions", "mha", T1C_MHA, field_of(b"NDims", b"2"), "NDims = 2, expected 3"),
    Row(
        "voxels in a file of a name too long",
        "mha",
        T1C_MHA,
        field_of(b"ElementDataFile", b"x" * 300),
        "cannot be read",
        named="xxx",
    ),
    Row(
        "said to be compressed",
        "mha",
        T1C_MHA,
        field_of(b"CompressedData", b"True"),
        f"stream is damaged.*{FETCH}",
    ),
    Row(
        "voxels somewhere else on the disk",
        "mha",
        T1C_MHA,
        field_of(b"ElementDataFile", b"../../secret.raw"),
        "expected one file in the same folder",
    ),
    Row(
        "an axis without length",
        "mha",
        T1C_MHA,
        field_of(b"ElementSpacing", b"1 0 1"),
        "cannot be inverted.*Fix",
    ),
    Row(
        "a spacing of NaN",
        "mha",
        T1C_MHA,
        field_of(b"ElementSpacing", b"1 nan 1"),
        "cannot be inverted.*Fix",
    ),
    Row(
        "sheared axes",
        "mha",
        f"{HG}_*.mha",
        field_of(b"TransformMatrix", b"1 0 0 0.3 1 0 0 0 1"),
        "is sheared.*Resample",
    ),
    Row(
        "the byte order lied about",
        "mha",
        f"{HG}_truth.mha",
        field_of(b"BinaryDataByteOrderMSB", b"True"),
        "Fix the mask",
    ),
    Row(
        "air of -1",
        "mha",
        T1C_MHA,
        mha_voxels(lambda a: a - np.int16(1)),
        "t1c -1.*: air is a constant other than 0",
        True,
        "BRATS_HG0001",
    ),
    Row(
        "a mask along other axes",
        "mha",
        f"{HG}_truth.mha",
        mha_reordered,
        "axes run .*: reordered, no voxel changed",
        True,
    ),
    Row(
        "an image under a name that is not known",
        "mha",
        T1C_MHA,
        copied("_T1C", "_ADC"),
        "1 image files fit no name",
        True,
        "_ADC",
    ),
    Row(
        "a modality under another name",
        "mha",
        T1C_MHA,
        renamed("_T1C", "_T1GD"),
        "t1c of case .* is missing.*_T1GD",
        named="BRATS_HG0001",
    ),
    Row(
        "a mask shifted by a voxel",
        "mha",
        f"{HG}_truth.mha",
        field_of(b"Offset", b"0 0 1"),
        "up to 1 mm apart",
    ),
    Row("a header without its voxels", "mhd", f"{HG}_T1C.*raw", removed, "is not there.*Check"),
    Row(
        "voxels cut in a file of their own",
        "mhd",
        f"{HG}_T1C.*raw",
        cut(0.7),
        f"announces.*{FETCH}",
    ),
]
TASK = "Task01_BrainTumour"
IMAGE4D, DATASET = f"{TASK}/imagesTr/BRATS_002.nii.gz", f"{TASK}/dataset.json"
ORDER = {"0": "background", "1": "enhancing tumour", "2": "edema", "3": "non-enhancing tumor"}
NNUNET = {
    "channel_names": {"0": "T1"},
    "labels": {"background": 0, "tumour": 1},
    "file_ending": ".nii.gz",
}
DECATHLON = [
    Row(
        "three channels",
        "msd",
        IMAGE4D,
        voxels(lambda a: a[..., :3]),
        r"shape \(24, 22, 20, 3\), expected 4 volumes.*Fetch",
    ),
    Row("one channel", "msd", IMAGE4D, voxels(lambda a: a[..., 0]), "expected 4 volumes"),
    Row(
        "air of -7",
        "msd",
        IMAGE4D,
        voxels(lambda a: a - 7),
        r"BRATS_002 \(t1n -6, .*\): air is a constant other than 0",
        True,
        "BRATS_002",
    ),
    Row("a channel of NaN", "msd", IMAGE4D, set_to(np.nan), "voxels are NaN or infinite"),
    Row(
        "sform and qform apart",
        "msd",
        IMAGE4D,
        header(252, "2h4f", 1, 2, 0, 0, 1, 5),
        "sform .* and qform .* 5 mm apart",
        True,
    ),
    Row(
        "labels of other names",
        "msd",
        DATASET,
        described(labels=ORDER | {"3": "necrosis"}),
        "labels are .* expected .*Unpack",
    ),
    Row(
        "two labels of one name",
        "msd",
        DATASET,
        described(labels=ORDER | {"3": "edema"}),
        "labels are .* expected",
    ),
    Row(
        "labels as in BraTS in the files",
        "msd",
        f"{TASK}/labelsTr/BRATS_002.nii.gz",
        mapped({3: 4}),
        "4.*Fix the mask",
    ),
    Row(
        "channels of other names",
        "msd",
        DATASET,
        described(modality={"0": "CT"}),
        "modality are .* expected .*Unpack",
    ),
    Row(
        "a folder of nnU-Net v2",
        "msd",
        DATASET,
        described(**NNUNET),
        r"nnU-Net v2.*Write the lines below.*mask: labelsTr/{case}\.nii",
    ),
    Row(
        "slices of nnU-Net v2",
        "msd",
        DATASET,
        described(**NNUNET | {"file_ending": ".png"}),
        "nnU-Net v2.*end with '.png'.*Convert",
    ),
    Row("no dataset.json", "msd", DATASET, removed, "holds no dataset.json.*Unpack", named="."),
    Row("dataset.json cut", "msd", DATASET, cut(0.5), "invalid JSON.*Unpack the archive again"),
    Row(
        "a list that leads out",
        "msd",
        DATASET,
        described(training=[{"image": "../../etc/passwd", "label": "x"}]),
        "lists image.*Unpack",
    ),
    Row(
        "a mask missing",
        "msd",
        f"{TASK}/labelsTr/BRATS_002.nii.gz",
        removed,
        "listed in dataset.json, but does not exist.*Unpack",
    ),
]
MAT = "brainTumorDataPublic_1-766/709.mat"
PICTURE, MASK = "glioma/709_mri.png", "glioma/709_mask.png"
CHENG = [
    Row("cut", "mat", MAT, cut(0.6), "is damaged.*Fetch"),
    Row(
        "an older MATLAB format",
        "mat",
        MAT,
        written(b"MATLAB 5.0 MAT-file".ljust(600)),
        "no MATLAB v7.3 file.*Fetch",
    ),
    Row("a bit flipped in the voxels", "mat", MAT, flipped(0.5), "damaged|cut short"),
    Row(
        "no tumorMask",
        "mat",
        MAT,
        matlab("cjdata/tumorMask", None),
        r"has no field cjdata\.tumorMask.*Fetch",
    ),
    Row("no patient", "mat", MAT, matlab("cjdata/PID", None), r"has no field cjdata\.PID"),
    Row(
        "a tumour of no known type",
        "mat",
        MAT,
        matlab("cjdata/label", np.array([[7.0]])),
        "label is .*expected 1 .*pituitary",
    ),
    Row(
        "a mask of other values",
        "mat",
        MAT,
        matlab("cjdata/tumorMask", np.full((256, 256), 2, np.uint8)),
        "holds .* expected 0 and 1",
    ),
    Row(
        "a mask of another size",
        "mat",
        MAT,
        matlab("cjdata/tumorMask", np.zeros((512, 512), np.uint8)),
        "another grid.*Resample",
    ),
    Row(
        "an image that is not square",
        "mat",
        MAT,
        matlab("cjdata/image", np.zeros((256, 255), np.int16)),
        "shape .* expected",
    ),
    Row(
        "too few folds",
        "mat",
        "cvind.mat",
        lambda path: write_folds(path, [1.0, 2.0]),
        "has the folds of 1 to 2",
    ),
    Row(
        "folds of nothing",
        "mat",
        "cvind.mat",
        lambda path: write_folds(path, [0.0] * 3064),
        "expected numbers of folds",
    ),
    Row(
        "a slice under two numbers",
        "mat",
        MAT,
        copied("709.mat", "710.mat"),
        "has the same voxels as.*remove",
        named="710.mat",
    ),
    Row("a slice twice", "mat", MAT, copied("1-766", "again"), "slice 709 is also in.*Keep one"),
    Row(
        "published files and pictures",
        "mat",
        ".",
        test_cheng.write_pictures,
        "holds both published files.*Keep one",
    ),
    Row("a JPEG cut", "jpeg", "glioma/709_mri.jpg", cut(0.7), "is cut short.*Fetch"),
    Row(
        "a mask with gray values",
        "pictures",
        MASK,
        picture(lambda p: p // 2 + np.eye(256, dtype=np.uint8) * 90),
        "no mask|0 and 255",
    ),
    Row(
        "a mask of zeros and ones",
        "pictures",
        MASK,
        picture(lambda p: p // 255),
        "0 and 255.*Multiply",
    ),
    Row(
        "an empty mask",
        "pictures",
        MASK,
        picture(np.zeros_like),
        "cheng_0709: the reference marks no voxel",
        True,
        "cheng_0709",
    ),
    Row(
        "a picture in colour",
        "pictures",
        PICTURE,
        picture(lambda p: np.stack([p, p // 2, p], -1)),
        "in colour.*Save it in gray",
    ),
    Row(
        "a picture of another format",
        "pictures",
        PICTURE,
        lambda path: (write_picture(path.with_suffix(".tif"), test_cheng.PICTURE)).rename(path),
        "begins with",
    ),
    Row("a checksum wrong in a picture", "pictures", PICTURE, flipped(0.5), "is damaged.*Fetch"),
    Row(
        "a slice without patient",
        "pictures",
        "folds.csv",
        text("709,MR2,2,5\n", ""),
        "has no row in folds.csv.*Add",
        named="709_mri.png",
    ),
    Row(
        "a slice of the table without its picture",
        "pictures",
        "glioma/709_*",
        removed,
        "1 of 3 slices of folds.csv have no picture",
        True,
        "708",
    ),
    Row(
        "a tumour type contradicted",
        "pictures",
        "folds.csv",
        text("MR2,2,5", "MR2,3,5"),
        "folds.csv says pituitary.*Correct",
    ),
    Row(
        "a patient in two folds",
        "pictures",
        "folds.csv",
        text("MR2,2,5", "MR1,2,5"),
        "patient MR1 has several of",
        True,
        "cheng_0709",
    ),
]
TCGA = f"{test_lgg.CASE}/{test_lgg.CASE}"
LGG = [
    Row(
        "a slice missing",
        "lgg",
        f"{TCGA}_5*.tif",
        removed,
        "slice 5 before it is missing.*Fetch",
        named=f"{test_lgg.CASE}_6.tif",
    ),
    Row(
        "the mask of a slice missing",
        "lgg",
        f"{TCGA}_5_mask.tif",
        removed,
        "slice 5 before it is missing|slice 5 has an image or a mask, but not both",
        named=test_lgg.CASE,
    ),
    Row(
        "a slice twice",
        "lgg",
        f"{TCGA}_5.tif",
        copied("_5.tif", "_5.tiff"),
        "slice 5 also stands in.*Keep",
    ),
    Row(
        "a slice of another size",
        "lgg",
        f"{TCGA}_5.tif",
        picture(lambda p: p[:-1]),
        "has .* pixels .*of the same stack.*Keep",
    ),
    Row("a gray slice", "lgg", f"{TCGA}_5.tif", picture(lambda p: p[..., 0]), "is gray, expected"),
    Row(
        "pages without end",
        "lgg",
        f"{TCGA}_5.tif",
        pages_without_end,
        "directory 2 is damaged.*Fetch",
    ),
    Row(
        "two pages in a slice",
        "lgg",
        f"{TCGA}_5.tif",
        in_two_pages,
        "holds 2 pages.*Save each page",
    ),
    Row("a slice cut", "lgg", f"{TCGA}_5.tif", cut(0.6), "not a whole picture|cannot be decoded"),
    Row(
        "a slice of another patient",
        "lgg",
        f"{TCGA}_5.tif",
        copied("4941_19960909_5.tif", "5396_20010302_5.tif"),
        "belongs to case|is also in|holds no slice",
        named="TCGA_CS_",
    ),
    Row(
        "a patient in two folders that differ",
        "lgg",
        test_lgg.CASE,
        lambda path: (
            copied("/TCGA_CS", "/again/TCGA_CS")(path),
            removed(path / f"{test_lgg.CASE}_12.tif"),
        ),
        "is also in.*Keep one",
    ),
    Row(
        "only some slices with a mask",
        "lgg",
        f"{TCGA}_[6-9]_mask.tif",
        removed,
        "slice 6 .*missing|not both",
        named=test_lgg.CASE,
    ),
    Row(
        "a sequence that was not acquired",
        "lgg",
        f"{TCGA}_*[0-9].tif",
        picture(lambda p: p[..., [0, 1, 1]]),
        "t1c is a copy of t2f",
        True,
        test_lgg.CASE,
    ),
]
SLICE = "study/t1c/*_001.dcm"
DICOM = [
    Row(
        "a mask along other axes",
        "dicom",
        "study/seg.nii.gz",
        reordered,
        "axes run .*: reordered, no voxel changed",
        True,
    ),
    Row("a slice missing", "dicom", SLICE, removed, "a slice is missing|uneven", named=".dcm"),
    Row(
        "a slice twice",
        "dicom",
        SLICE,
        copied("_001.dcm", "_009.dcm"),
        "lies at the same position as.*Remove",
        named=".dcm",
    ),
    Row(
        "slices far from the axes of the body",
        "dicom",
        ".",
        None,
        "axis . runs .* degrees off the nearest",
        True,
        "study",
    ),
    Row("a gantry tilted", "dicom", "study/t1c/*.dcm", tilted, "gantry is tilted.*Resample"),
    Row(
        "two patients in a folder",
        "dicom",
        SLICE,
        elements(PatientID="MRN9"),
        "of another patient than.*Keep one",
        named=".dcm",
    ),
    Row(
        "two examinations in a folder",
        "dicom",
        SLICE,
        elements(StudyInstanceUID="1.9"),
        "of another examination",
        named=".dcm",
    ),
    Row(
        "slices of two sizes",
        "dicom",
        SLICE,
        elements(Rows=12, Columns=10),
        "pixels, but|mixes several series",
        named=".dcm",
    ),
    Row(
        "slices of two orientations",
        "dicom",
        SLICE,
        elements(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        "ImageOrientationPatient is .* but",
        named=".dcm",
    ),
    Row(
        "a slice without a place",
        "dicom",
        SLICE,
        elements(ImagePositionPatient=None),
        "no usable ImagePositionPatient",
    ),
    Row(
        "a slice without spacing",
        "dicom",
        SLICE,
        elements(PixelSpacing=[0, 0]),
        "no usable PixelSpacing",
    ),
    Row("a slice without pixels", "dicom", SLICE, elements(PixelData=None), "holds no pixel data"),
    Row(
        "a slice cut",
        "dicom",
        SLICE,
        cut(-30),
        "cut short or damaged.*Export|is no DICOM file, or damaged",
    ),
    Row(
        "a header cut",
        "dicom",
        SLICE,
        cut(300),
        "no DICOM file, or damaged|names no examination|another patient",
    ),
    Row(
        "a scale of nothing",
        "dicom",
        "study/t1c/*.dcm",
        elements(RescaleSlope=0, RescaleIntercept=0),
        "rescales by slope 0",
    ),
    Row(
        "a slice in colour",
        "dicom",
        SLICE,
        elements(PhotometricInterpretation="RGB", SamplesPerPixel=3),
        "is in colour",
    ),
    Row(
        "a file that is none",
        "dicom",
        SLICE,
        written(bytes(500)),
        "is no DICOM file: the mark DICM is missing.*Export it again",
    ),
    Row(
        "an unknown transfer syntax",
        "dicom",
        SLICE,
        in_unknown_syntax,
        "transfer syntax .* cannot be decoded|damaged",
    ),
    Row(
        "two series of one modality",
        "dicom",
        "study/t2f/*.dcm",
        elements(SeriesDescription="COR T1 POST GD"),
        "2 series may be t1c.*copy from here.*Put the block above into",
        named="study",
    ),
    Row(
        "a mask of another grid",
        "dicom",
        "study/seg.nii.gz",
        moved(translated(0, 0, 1)),
        "lies on another grid.*Resample",
    ),
    Row("no mask", "dicom", "study/seg.nii.gz", removed, "no mask .*Add", named="study"),
    Row(
        "a table of modalities that names none",
        "dicom",
        ".",
        lambda path: (path / "modalities.yaml").write_text("T1: t1\n"),
        "must be one of t1n",
        named="modalities.yaml",
    ),
    Row(
        "a volume that is empty",
        "dicom",
        "study/t1c/*.dcm",
        elements(PixelData=bytes(240)),
        "every voxel is 0",
        named="t1c",
    ),
]
FOLDER = [
    Row("no description", "folder", "cohort.yaml", removed, "there is no such file.*Describe"),
    Row(
        "a description that is no YAML",
        "folder",
        "cohort.yaml",
        written(b"a: [1, 2"),
        "cannot be read as YAML.*Correct",
    ),
    Row(
        "a description of aliases",
        "folder",
        "cohort.yaml",
        written(b"a: &a [1]\nb: *a\n"),
        "aliases .* not supported.*Correct",
    ),
    Row(
        "an unknown key", "folder", "cohort.yaml", described(spacing=1), "spacing: extra.*remove it"
    ),
    Row(
        "a key missing",
        "folder",
        "cohort.yaml",
        described(labels=None),
        "labels: .*required.*Correct",
    ),
    Row(
        "a region of a label that is none",
        "folder",
        "cohort.yaml",
        described(regions={"WT": ["oedema"]}),
        "region WT must unite some of the labels",
    ),
    Row(
        "two labels of one value",
        "folder",
        "cohort.yaml",
        described(labels={"edema": 2, "enhancing": 2, "necrotic": 1}),
        "label values must be distinct",
    ),
    Row(
        "a pattern out of the folder",
        "folder",
        "cohort.yaml",
        described(mask="../{case}_seg.nii.gz"),
        "path within the folder.*Correct",
    ),
    Row(
        "a pattern that fits nothing",
        "folder",
        "cohort.yaml",
        described(mask="{case}/{case}_mask.nii.gz"),
        "holds no file for mask.*nearest are.*Correct",
        named=".",
    ),
    Row(
        "a pattern that fits another's files",
        "folder",
        "cohort.yaml",
        described(mask="{case}/{case}_fla.nii.gz"),
        "is t2f of case .* and mask of case",
    ),
    Row(
        "a case without its mask",
        "folder",
        "p2-v1/p2-v1_seg.nii.gz",
        removed,
        "no mask in 1 of 3 cases.*leave out",
        named="p2-v1",
    ),
    Row(
        "air of -1",
        "folder",
        "p2-v1/*[!g].nii.gz",
        scaled(-1),
        r"p2-v1 \(t1c -1, t2f -1\): air is a constant",
        True,
        "p2-v1",
    ),
    Row(
        "a mask along other axes",
        "folder",
        "p2-v1/p2-v1_seg.nii.gz",
        reordered,
        "axes run .*: reordered, no voxel changed",
        True,
    ),
    Row(
        "labels scaled by the header",
        "folder",
        "p2-v1/p2-v1_seg.nii.gz",
        as_floats(4),
        "off whole numbers.*: rounded",
        True,
    ),
    Row(
        "a case of the table without files",
        "folder",
        "p2-v1/*",
        removed,
        "1 of 3 cases of the table have no files, such as p2-v1",
        True,
        "p2",
    ),
    Row(
        "an image that fits no pattern",
        "folder",
        "p2-v1/p2-v1_post.nii.gz",
        copied("_post", "_adc"),
        "1 image files fit no name",
        True,
        "_adc",
    ),
    Row(
        "a case without a row",
        "folder",
        "table.csv",
        text("p2-v1,B\n", ""),
        "no row for 1 of 3 cases.*Add the rows",
    ),
    Row(
        "a row twice",
        "folder",
        "table.csv",
        text("p2-v1,B\n", "p2-v1,B\np2-v1,C\n"),
        "has two rows.*Keep one",
    ),
    Row(
        "a patient contradicted",
        "folder",
        "table.csv",
        text("site", "patient"),
        "belongs to patients .*Let patterns",
        named="cohort.yaml",
    ),
    Row("a table that is not there", "folder", "table.csv", removed, "the table cannot be read"),
    Row(
        "a label that the description lacks",
        "folder",
        "cohort.yaml",
        described(
            labels={"edema": 2, "enhancing": 4},
            regions={"WT": ["edema", "enhancing"], "ET": ["enhancing"]},
        ),
        "1.*Fix the mask",
        named="_seg.nii.gz",
    ),
    Row(
        "slices of one patient resaved as another",
        "folder",
        "p1-v1",
        resaved(lambda path: None, "p1-v1", "p3-v1"),
        "no row for 1 of 4",
        named="table.csv",
    ),
]
ZIP, TAR = "cohort.zip", "cohort.tar.gz"
ARCHIVES = [
    Row(
        "a member that leads out",
        "zip",
        ZIP,
        with_member("../../evil.sh"),
        "leads out of the folder.*Fetch",
    ),
    Row(
        "a member that leads out by backslashes",
        "zip",
        ZIP,
        with_member("..\\evil.sh"),
        "leads out of the folder",
    ),
    Row(
        "a member with an absolute path",
        "zip",
        ZIP,
        with_member("/etc/cron.d/evil"),
        "absolute path",
    ),
    Row("a link in a zip", "zip", ZIP, with_member("link", b"/etc/passwd", 0o120777), "is a link"),
    Row(
        "a member twice",
        "zip",
        ZIP,
        with_member(f"{CASE}/{CASE}_t1.nii.gz".upper()),
        "collides with",
    ),
    Row(
        "a bomb",
        "zip",
        ZIP,
        with_member("zeros", bytes(80 << 20)),
        "as bombs do.*unpack it by hand",
    ),
    Row("a zip cut", "zip", ZIP, cut(0.6), "cut short or damaged.*Fetch"),
    Row("a bit flipped in a zip", "zip", ZIP, flipped(0.3), "cut short or damaged.*Fetch"),
    Row(
        "a zip that lies of sizes",
        "zip",
        ZIP,
        with_announced_size,
        "cut short or damaged|announced",
    ),
    Row("a zip of nothing", "zip", ZIP, written(zipped([])), "holds no file"),
    Row(
        "a web page in place of a zip",
        "zip",
        ZIP,
        written(b"<html>sign in</html>"),
        "is no archive.*Fetch",
    ),
    Row(
        "a RAR archive",
        "zip",
        ZIP,
        written(b"Rar!\x1a\x07\x01\x00" + bytes(99)),
        "is no archive.*RAR.*by hand",
    ),
    Row(
        "a symbolic link in a tar",
        "tar",
        TAR,
        with_entry(entry("link", tarfile.SYMTYPE, "/etc")),
        "is a link",
    ),
    Row(
        "a hard link in a tar",
        "tar",
        TAR,
        with_entry(entry("link", tarfile.LNKTYPE, "/etc/passwd")),
        "is a link",
    ),
    Row(
        "a device in a tar",
        "tar",
        TAR,
        with_entry(entry("device", tarfile.CHRTYPE)),
        "is a special file",
    ),
    Row(
        "a member of a tar that leads out",
        "tar",
        TAR,
        with_entry(entry("a/../../evil", tarfile.REGTYPE)),
        "leads out of the folder",
    ),
    Row("a tar cut", "tar", TAR, cut(0.6), "cut short or damaged.*Fetch"),
    Row("a tar without its last bytes", "tar", TAR, cut(-4), "cut short or damaged.*Fetch"),
    Row("a bit flipped in a tar", "tar", TAR, flipped(0.5), "cut short or damaged.*Fetch"),
    Row(
        "no cohort in an archive",
        "tar",
        TAR,
        written(gzip.compress(tar([("readme.txt", b"hello")]))),
        "holds no case in BraTS naming.*Set",
        named="cohort",
    ),
]
SERVED = [
    Row(
        "another file of the same size",
        "served",
        ZIP,
        flipped(0.5),
        "its checksum is sha256:.* is published.*fetch cohort.zip by hand",
    ),
    Row("a file cut at the publisher", "served", ZIP, cut(0.5), "bytes.*fetch cohort.zip by hand"),
    Row(
        "a file that has grown",
        "served",
        ZIP,
        bytewise(lambda b: b + b"more"),
        "bytes.*fetch cohort.zip by hand",
    ),
    Row(
        "a portal's page in place of a file",
        "served",
        ZIP,
        written(b"<html>sign in</html>"),
        "fetch cohort.zip by hand",
    ),
    Row("a file that is gone", "served", ZIP, removed, "404.*by hand"),
]
PARAMS = [
    Row(
        "an unknown source",
        "brats",
        ".",
        None,
        "cohort.source is 'kaggle'. Set it to one of phantom",
        named="params.yaml",
        params={"source": "kaggle"},
    ),
    Row(
        "a location that is not there",
        "brats",
        ".",
        None,
        r"does not exist\. Set cohort\.location",
        named="absent",
        params={"location": "absent"},
    ),
    Row(
        "a location that is a file",
        "brats",
        ".",
        None,
        "is not a folder. Set",
        named="_t1ce.nii.gz",
        params={"location": T1C},
    ),
    Row(
        "the data of another source",
        "brats",
        ".",
        None,
        "holds no dataset.json",
        params={"source": "msd"},
    ),
    Row(
        "a folder without cases", "brats", "*", removed, "holds no case in BraTS naming", named="."
    ),
    Row(
        "phantoms without a number",
        "brats",
        ".",
        None,
        r"cohort\.cases is 0",
        named="params.yaml",
        params={"source": "phantom"},
    ),
    Row(
        "no location",
        "brats",
        ".",
        None,
        r"cohort\.location is empty",
        named="params.yaml",
        params={"location": ""},
    ),
]
TABLE = [
    *(CUT_AND_DAMAGED + LYING_HEADERS + VOXELS + GRIDS + LABELS + COHORTS + METAIMAGE + DECATHLON),
    *(CHENG + LGG + DICOM + FOLDER + ARCHIVES + SERVED + PARAMS),
]
