"""Uploads that are damaged, foreign or made to harm, and what the page must say of each."""

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import NamedTuple

import nibabel
import numpy as np
from pydicom import Dataset, Sequence, uid
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite

from tests.bad_inputs import patched
from tests.cohorts.fetching.test_archives import entry, tar, zip_entry, zipped
from tests.conftest import LPS, case_arrays
from tests.formats.dicom.test_series import slice_of

MEBI = 2**20
SCRIPT = "<script>alert(1)</script>"
BIDI = "t1\u202egnp.exe\u0007\u2066"
SHAPE, DATATYPE, OFFSET, SFORM = 40, 70, 108, 280
"""Places of fields in the header of NIfTI-1 (nifti1.h)."""


class Kind(NamedTuple):
    """What is sent, under which name, which words must be said of it, and the status."""

    body: Callable[[], bytes]
    says: str
    status: str = "rejected"
    name: str = "upload"


def nifti(**changes: object) -> bytes:
    """A .nii file of a small brain; `changes` as for `patched`, by the offset after an x."""
    voxels = case_arrays()[0]["t1ce"]
    stored = nibabel.Nifti1Image(voxels, LPS).to_bytes()
    for place, (form, *values) in changes.items():
        stored = patched(stored, form, int(place[1:]), *values)
    return stored


def packed(stored: bytes) -> bytes:
    return gzip.compress(stored, 1, mtime=0)


def zeros(count: int) -> bytes:
    """A raw deflate stream of so many MiB of zeros, made by repeating one."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = deflater.compress(bytes(MEBI)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return one * count + b"\x03\0"


def gzip_of_zeros(start: bytes, count: int) -> bytes:
    """A gzip file of `start` and so many MiB of zeros."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = deflater.compress(start) + deflater.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.crc32(start)
    for _ in range(count):
        checksum = zlib.crc32(bytes(MEBI), checksum)
    size = len(start) + count * MEBI
    header = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
    return header + first + zeros(count) + struct.pack("<II", checksum, size % 2**32)


def zip_bomb(count: int = 1200) -> bytes:
    """A zip of so many MiB of zeros in some kB, which says so."""
    stored = bytearray(zipped([("t1.nii", b"")]))
    data, size = zeros(count), count * MEBI
    header = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(data), size, 6, 0)
    central = struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(data), size, 6, 0, 0, 0, 0, 0, 0
    )
    first, entry_of = header + b"t1.nii" + data, central + b"t1.nii"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry_of), len(first), 0)
    assert stored[:4] == header[:4]
    return first + entry_of + end


def understated_bomb() -> bytes:
    """The same, which says that it is small."""
    return zip_bomb(80).replace(struct.pack("<I", 80 * MEBI), struct.pack("<I", 1000))


def overlapping() -> bytes:
    """A zip with two members that share their bytes."""
    stored = zipped([("a.nii", bytes(5 * MEBI)), ("b.nii", b"")])
    start = stored.index(b"PK\1\2", stored.index(b"PK\1\2") + 4)
    first = stored[stored.index(b"PK\1\2") :][:46]
    return (
        stored[:start]
        + first[:42]
        + struct.pack("<I", 0)
        + b"b.nii"
        + stored[stored.index(b"PK\5\6") :]
    )


def nested(depth: int = 5) -> bytes:
    stored = zip_bomb(8)
    for _ in range(depth):
        stored = zipped([("inner.zip", stored)])
    return stored


def with_flag(stored: bytes, flag: int) -> bytes:
    """A zip whose only member has a flag set in both headers."""
    central = stored.index(b"PK\1\2")
    copy = bytearray(stored)
    copy[6] |= flag
    copy[central + 8] |= flag
    return bytes(copy)


def with_wrong_checksum() -> bytes:
    stored = bytearray(zipped([("t1.nii", nifti())], zipfile.ZIP_STORED))
    stored[2000] ^= 0xFF
    return bytes(stored)


def with_nul() -> bytes:
    return zipped([("t1.nii#x", nifti())]).replace(b"t1.nii#x", b"t1.nii\0x")


@cache
def images(**others: bytes) -> tuple[tuple[str, bytes], ...]:
    """Names and bytes of the files of a good case."""
    arrays = case_arrays()[0]
    stored = {
        f"case/case_{kind}.nii.gz": packed(nibabel.Nifti1Image(array, LPS).to_bytes())
        for kind, array in arrays.items()
    }
    return tuple(stored.items())


def good() -> bytes:
    """The same as the page sends them."""
    return tar(images())


def beside(*others: object) -> bytes:
    """A good case and other members, in a tar."""
    return tar([*images(), *others])


def dicom(number: int = 0, **values: object) -> bytes:
    buffer = io.BytesIO()
    dataset = slice_of(number, **values)
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def study(**values: object) -> list[tuple[str, bytes]]:
    """Three slices of one series."""
    return [(f"study/{number}.dcm", dicom(number, **values)) for number in range(3)]


def deep_sequences(depth: int = 3000) -> bytes:
    """A DICOM file whose sequences are nested, as bytes: pydicom would not write them."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    start = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff"
    stored = dicom()
    place = stored.index(b"\x20\x00\x0d\x00")
    return stored[:place] + (start + item) * depth


def huge_length() -> bytes:
    stored = dicom()
    return (
        stored[: stored.index(b"\xe0\x7f\x10\x00")]
        + b"\xe0\x7f\x10\x00OW\0\0\xf0\xff\xff\xff"
        + bytes(99)
    )


def foreign_syntax() -> bytes:
    dataset = slice_of(0)
    dataset.PixelData = encapsulate([b"\0" * 100])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def deflated_bomb() -> bytes:
    """A deflated DICOM file whose data set inflates to 600 MiB."""
    dataset = slice_of(0)
    del dataset.PixelData
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    stored = buffer.getvalue()
    length = struct.unpack_from("<I", stored, 140)[0]
    return stored[: 144 + length] + zeros(600)


def two_patients() -> bytes:
    other = study(PatientID="MRN4712", SOPInstanceUID="1.2.9", StudyInstanceUID="1.2.826.1")
    return tar([*study(), *[(name.replace("study", "b"), file) for name, file in other]])


def dicomdir() -> bytes:
    dataset = Dataset()
    dataset.FileSetID = "X"
    dataset.DirectoryRecordSequence = Sequence([])
    dataset.file_meta = slice_of(0).file_meta
    dataset.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return zipped([("DICOMDIR", buffer.getvalue())])


def pickled() -> bytes:
    class Harm:
        def __reduce__(self) -> tuple:
            return (print, ("harm",))

    return pickle.dumps(Harm()) + bytes(600)


def array_of_objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    return buffer.getvalue()


def metaimage(data: str = "LOCAL", size: str = "10 10 10", rest: bytes = b"") -> bytes:
    lines = f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementType = MET_SHORT\n"
    return f"{lines}ElementDataFile = {data}\n".encode() + rest


def alias_bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines).encode()


def of_zeros(shape: Iterable[int]) -> bytes:
    """A true .nii.gz file of zeros: millions of voxels in some kB."""
    shape = tuple(shape)
    start = nifti(x40=("8h", 3, *shape, 1, 1, 1, 1), x70=("2h", 2, 8))[:352]
    return gzip_of_zeros(start, int(np.prod(shape)) // MEBI)


def sparse() -> bytes:
    info = entry("t1.nii", tarfile.GNUTYPE_SPARSE, size=0)
    return tar([info], tarfile.GNU_FORMAT)


def long_header() -> bytes:
    """A tar that announces a name of 8 GiB."""
    info = entry("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 2**33 - 1
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(5000)


def xz_of_much_memory() -> bytes:
    """An .xz file that makes a decoder take 1.5 GiB for its dictionary."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**12}]
    stored = bytearray(lzma.compress(tar([("a.nii", b"x")]), filters=filters))
    stored[16] = 40  # dictionary size 4 GiB - 1 (.xz file format, 5.3.1)
    size = (stored[12] + 1) * 4
    header = bytes(stored[12 : 12 + size - 4])
    stored[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(header))
    return bytes(stored)


def polyglot() -> bytes:
    """A NIfTI file that is a zip as well."""
    return nifti() + zipped([("../evil.nii", b"x")])


_ARCHIVE = "cut short or damaged"
_NO_ARCHIVE = "no zip, tar, NIfTI or DICOM file"
_NO_IMAGE = "no DICOM file of an MR image and no NIfTI file"
_BOMB = "unpacks to more than"
KINDS = {
    "zip bomb": Kind(zip_bomb, _BOMB),
    "zip bomb that says it is small": Kind(understated_bomb, _ARCHIVE),
    "zips in zips": Kind(nested, _NO_IMAGE),
    "zip with overlapping members": Kind(overlapping, _ARCHIVE),
    "gzip bomb": Kind(
        partial(gzip_of_zeros, entry("a.nii", b"0", size=2**33 - 1).tobuf(), 1200), _BOMB
    ),
    "bzip2 bomb": Kind(lambda: bz2.compress(tar([("a.nii", bytes(70 * MEBI))]), 9), "image|NIfTI"),
    "xz that takes much memory": Kind(xz_of_much_memory, f"{_ARCHIVE}|more memory"),
    "endless gzip": Kind(partial(gzip_of_zeros, b"", 40), "holds no file|no archive|damaged"),
    "gzip magic and nothing true": Kind(lambda: b"\x1f\x8b" + b"junk" * 99, "archive|damaged"),
    "path with ..": Kind(lambda: tar([("../../evil.nii", b"x")]), "leads out of the folder"),
    "path with .. in a zip": Kind(lambda: zipped([("a/../../evil", b"x")]), "leads out"),
    "path with backslashes": Kind(lambda: zipped([("..\\..\\evil.nii", b"x")]), "leads out"),
    "absolute path": Kind(lambda: tar([("/tmp/evil.nii", b"x")]), "has an absolute path"),
    "absolute path of Windows": Kind(lambda: zipped([("C:\\evil", b"x")]), "an absolute path"),
    "symbolic link": Kind(lambda: beside(entry("a.nii", b"2", "/etc/passwd")), "is a link"),
    "hard link": Kind(lambda: beside(entry("a.nii", b"1", "/etc/passwd")), "is a link"),
    "link in a zip": Kind(
        lambda: zipped([(zip_entry("a.nii", 0o120777), b"/etc/passwd")]), "is a link"
    ),
    "device": Kind(lambda: beside(entry("a.nii", b"3")), "is a special file"),
    "fifo": Kind(lambda: beside(entry("a.nii", b"6")), "is a special file"),
    "sparse file": Kind(sparse, "is a sparse file"),
    "huge name": Kind(lambda: tar([("n" * 3000, b"x")]), "a name too long"),
    "name of 8 GiB": Kind(long_header, _ARCHIVE),
    "NUL in a name": Kind(with_nul, "control characters|damaged"),
    "names equal but for accents": Kind(
        lambda: tar([("\u00e9.nii", b"x"), ("e\u0301.nii", b"y")]), "collides"
    ),
    "names equal but for capitals": Kind(
        lambda: tar([("T1.nii", b"x"), ("t1.nii", b"y")]), "collides"
    ),
    "file in the place of a folder": Kind(lambda: tar([("a", b"x"), ("a/b", b"y")]), "collides"),
    "20,001 members": Kind(
        lambda: zipped([(f"{number}", b"") for number in range(20_001)]), "too many files"
    ),
    "empty tar": Kind(lambda: tar([]), _NO_ARCHIVE),
    "empty zip": Kind(lambda: zipped([]), "holds no file"),
    "tar cut in the middle": Kind(lambda: good()[:9000], _ARCHIVE),
    "zip cut in the middle": Kind(lambda: zipped(images())[:9000], _ARCHIVE),
    "encrypted zip": Kind(lambda: with_flag(zipped([("a.nii", nifti())]), 1), "is encrypted"),
    "zip with a wrong checksum": Kind(with_wrong_checksum, _ARCHIVE),
    "zip by LZMA": Kind(lambda: zipped([("a.nii", b"x")], zipfile.ZIP_LZMA), "by method 14"),
    "pickle": Kind(pickled, _NO_ARCHIVE),
    "pickle called NIfTI": Kind(lambda: tar([("t1.nii", pickled())]), "is not a NIfTI"),
    "array of pickled objects": Kind(lambda: tar([("t1.npy", array_of_objects())]), _NO_IMAGE),
    "HTML": Kind(lambda: tar([("a.html", SCRIPT.encode())]), _NO_IMAGE),
    "SVG alone": Kind(lambda: b"<svg onload='alert(1)'/>" * 30, _NO_ARCHIVE),
    "PDF": Kind(lambda: b"%PDF-1.7\n" + bytes(999), _NO_ARCHIVE),
    "PDF and zip in one": Kind(lambda: b"%PDF-1.7\n" + zipped(images()), _NO_ARCHIVE),
    "JPEG": Kind(lambda: b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(999), _NO_ARCHIVE),
    "ELF": Kind(lambda: b"\x7fELF\2\1\1" + bytes(999), _NO_ARCHIVE),
    "text that virus scanners know": Kind(
        lambda: b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", _NO_ARCHIVE
    ),
    "one byte": Kind(lambda: b"x", _NO_ARCHIVE),
    "NIfTI and zip in one": Kind(polyglot, "holds more where", name="t1c.nii"),
    "NIfTI of 10 GB by its header": Kind(
        lambda: nifti(x40=("4h", 3, 2048, 2048, 1280)), "voxels, more than", name="t1c.nii"
    ),
    "compressed NIfTI of 10 GB by its header": Kind(
        lambda: packed(nifti(x40=("4h", 3, 2048, 2048, 1280))), "voxels, more than"
    ),
    "NIfTI of 2^45 voxels": Kind(
        lambda: tar([("t1c.nii", nifti(x40=("4h", 3, 32767, 32767, 32767)))]), "more than"
    ),
    "NIfTI of many zeros": Kind(partial(of_zeros, (1024, 1024, 128)), "more than"),
    "NIfTI of no length": Kind(lambda: nifti(x40=("4h", 3, -24, 22, 20)), "shape|NIfTI"),
    "NIfTI of four dimensions": Kind(lambda: nifti(x40=("5h", 4, 24, 22, 10, 2)), "4 dimensions"),
    "NIfTI without a place": Kind(
        lambda: nifti(x280=("12f", *[float("nan")] * 12)), "affine|qform|header"
    ),
    "NIfTI of complex numbers": Kind(lambda: nifti(x70=("2h", 32, 64)), "expected real voxels"),
    "NIfTI whose data start beyond its end": Kind(lambda: nifti(x108=("f", 1e9)), "bytes where"),
    "NIfTI cut short": Kind(lambda: packed(nifti())[:-2000], "cut short", name="t1.nii.gz"),
    "MetaImage of 10 GB by its header": Kind(
        lambda: tar([("t1.mha", metaimage(size="2048 2048 1280"))]), "bytes where"
    ),
    "MetaImage that names a file of the machine": Kind(
        lambda: tar([("t1.mhd", metaimage("/etc/passwd"))]), _NO_IMAGE
    ),
    "DICOM with sequences in sequences": Kind(
        lambda: zipped([("a.dcm", deep_sequences())]), "no DICOM file, or damaged"
    ),
    "DICOM with a huge length": Kind(huge_length, "damaged|pixel"),
    "DICOM with truncated pixels": Kind(lambda: dicom()[:-100], "pixel|damaged|bytes"),
    "DICOM of a foreign transfer syntax": Kind(foreign_syntax, "transfer syntax|compress|MPEG"),
    "DICOM that inflates": Kind(deflated_bomb, "inflates to more than"),
    "DICOM of 65535 x 65535 pixels": Kind(
        lambda: dicom(Rows=65535, Columns=65535), "pixel|damaged|bytes"
    ),
    "DICOMDIR alone": Kind(dicomdir, "no DICOM file of an MR image"),
    "two patients": Kind(two_patients, "another patient|several patients|of the same examination"),
    "two studies": Kind(
        lambda: tar([*study(), *[(f"b/{n}", dicom(n, StudyInstanceUID="1.9")) for n in range(3)]]),
        "holds 2 examinations",
    ),
    "modalities.yaml as a link": Kind(
        lambda: tar([*study(), entry("modalities.yaml", b"2", "/etc/passwd")]), "is a link"
    ),
    "modalities.yaml with aliases of aliases": Kind(
        lambda: tar([*study(), ("modalities.yaml", alias_bomb())]), "aliases"
    ),
    "modalities.yaml of code": Kind(
        lambda: tar([*study(), ("modalities.yaml", b"!!python/object/apply:os.system [id]")]),
        "YAML",
    ),
    "modalities.yaml as a folder": Kind(
        lambda: tar([*study(), ("modalities.yaml/a", b"x")]), "choose the series", "unclear"
    ),
    "cohort.yaml with aliases of aliases": Kind(
        lambda: tar([("t1c.nii", nifti()), ("cohort.yaml", alias_bomb())]),
        "choose the series",
        "unclear",
    ),
    "script in a patient's name": Kind(
        lambda: tar(study(PatientName=SCRIPT, PatientID=SCRIPT, SeriesDescription=SCRIPT)),
        "choose the series",
        "unclear",
        SCRIPT,
    ),
    "script in a file name": Kind(
        lambda: tar([("<img src=x onerror=alert(1)>.nii", nifti())]), "choose the series", "unclear"
    ),
    "description of 1 MB": Kind(
        lambda: tar(study(SeriesDescription="T1 " * 20_000)), "choose the series", "unclear"
    ),
    "letters that change the direction": Kind(
        lambda: tar([("t1\u202egnp.nii", nifti())]), "choose the series", "unclear", BIDI
    ),
    "1,000 tiny files": Kind(
        lambda: tar([(f"{number}.txt", b"x") for number in range(1000)]), _NO_IMAGE
    ),
    "1,000 tiny images": Kind(
        lambda: tar([(f"{number}.nii", b"x") for number in range(1000)]), "1000 series"
    ),
    "name of 10 kB": Kind(nifti, "choose the series", "unclear", "n" * 10_000),
    "name that is a path": Kind(nifti, "choose the series", "unclear", "../../../etc/t1c.nii"),
}
