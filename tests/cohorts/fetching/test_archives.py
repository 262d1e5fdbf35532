"""An archive is unpacked completely and safely, or rejected by name with nothing left."""

import bz2
import functools
import gzip
import io
import lzma
import os
import signal
import stat
import string
import struct
import subprocess
import sys
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts.fetching.archives import MARKER, is_archive, unpack
from pipeline.cohorts.fetching.fetch import locked
from pipeline.core.errors import InputError

FILES = {
    "a.txt": b"one",
    "sub/b.bin": np.random.default_rng(0).bytes(3000),
    "sub/deep/empty": b"",
    "Zähne 1.txt": b"x" * 512,
}
COMPRESSED = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}
FORMATS = ["zip", *COMPRESSED]


def tar(
    members: Iterable[tarfile.TarInfo | tuple[str, bytes]], form: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tar archive; a pair is a file, a TarInfo stands for itself, with zeros as its bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member in members:
            if isinstance(member, tuple):
                info, data = tarfile.TarInfo(member[0]), member[1]
                info.size = len(data)
            else:
                info, data = member, bytes(member.size)
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return buffer.getvalue()


def zipped(
    members: Iterable[zipfile.ZipInfo | tuple[str | zipfile.ZipInfo, bytes]],
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names, which are meant
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def packed(form: str, files: Iterable[tuple[str, bytes]] = FILES.items()) -> bytes:
    return zipped(files) if form == "zip" else COMPRESSED[form](tar(files))


def entry(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def zip_entry(name: str, mode: int = 0, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    info.external_attr, info.create_system = mode << 16, system
    return info


def content(folder: Path) -> dict[str, bytes]:
    """Files below a folder, without the marker."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert files.pop(MARKER)
    return files


def opened(tmp_path: Path, data: bytes, **limits) -> dict[str, bytes]:
    (tmp_path / "archive").write_bytes(data)
    unpack(tmp_path / "archive", tmp_path / "out/folder", **limits)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"folder", ".folder.lock"}
    return content(tmp_path / "out/folder")


def rejected(tmp_path: Path, data: bytes, said: str, **limits) -> None:
    with pytest.raises(InputError, match=f"(?s){said}") as fault:
        opened(tmp_path, data, **limits)
    assert str(fault.value).startswith(f"{tmp_path / 'archive'}: ")
    assert str(fault.value).rstrip().endswith(".")
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".folder.lock"}
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "out"}


BIG = {"big": np.random.default_rng(1).bytes(1_500_001), "after": b"!"}
JUNK = [
    *(("__MACOSX/._a.txt", b"j"), ("._a.txt", b"j"), ("sub/._b", b"j" * 5000)),
    *(("sub/.DS_Store", b"j"), *FILES.items()),
]
WINDOWS = [(zip_entry("HGG\\", system=0), b""), (zip_entry("HGG\\a.txt", system=0), b"1")]
SUB = [entry("sub", tarfile.DIRTYPE), entry("sub/", tarfile.DIRTYPE)]
TAR = packed("tar")
LONG_NAMES = ("a/" * 40 + "b", "c" * 90)
UNPACKED = {
    **{form: (packed(form), FILES) for form in FORMATS},
    **{
        f"tar dialect {dialect}, {name}": (
            tar([(name, b"1" * 700), ("last", b"2")], dialect),
            {name: b"1" * 700, "last": b"2"},
        )
        for dialect in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
        for name in LONG_NAMES
    },
    "stored zip": (zipped(FILES.items(), zipfile.ZIP_STORED), FILES),
    "several chunks of a tar": (packed("tar.gz", BIG.items()), BIG),
    "several chunks of a zip": (packed("zip", BIG.items()), BIG),
    "two gzip streams": (
        gzip.compress(TAR[:1000], mtime=0) + gzip.compress(TAR[1000:], mtime=0),
        FILES,
    ),
    "separators of Windows": (zipped(WINDOWS), {"HGG/a.txt": b"1"}),
    "entries of macOS in a zip": (packed("zip", JUNK), FILES),
    "entries of macOS in a tar": (packed("tar.gz", JUNK), FILES),
    "a folder named again": (tar([*SUB, ("sub/a", b"1"), SUB[0]]), {"sub/a": b"1"}),
}


@pytest.mark.parametrize(("data", "files"), UNPACKED.values(), ids=UNPACKED)
def test_a_good_archive_is_unpacked(tmp_path, data, files):
    assert opened(tmp_path, data) == files


def test_archives_are_recognised_by_name():
    yes = ["a.zip", "a.v2.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"]
    yes += ["a.rar", "a.7z"]
    no = ["a.nii.gz", "a.xlsx", "cvind.mat", "zip", "a.gz", "a.zip.txt"]
    assert [name for name in yes + no if is_archive(Path(name))] == yes


def test_empty_folders_are_unpacked(tmp_path):
    opened(tmp_path, tar([entry("empty/inner", tarfile.DIRTYPE), ("a", b"1")]))
    assert (tmp_path / "out/folder/empty/inner").is_dir()
    opened(tmp_path, zipped([("hollow/", b""), ("a", b"1")]))
    assert (tmp_path / "out/folder/hollow").is_dir()


def test_a_second_process_waits_and_finds_the_folder(tmp_path):
    results = []
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out/.folder.lock"):
        second = threading.Thread(target=lambda: results.append(opened(tmp_path, packed("zip"))))
        second.start()
        second.join(0.1)
        assert not (tmp_path / "out/folder").exists()
    second.join()
    assert results == [FILES]


def test_permissions_are_those_of_new_files(tmp_path):
    wild, shut = tarfile.TarInfo("wild"), tarfile.TarInfo("shut/in")
    wild.mode, shut.mode = 0o6777, 0o000
    before = os.umask(0o022)
    try:
        opened(tmp_path, tar([wild, shut]))
        written = [tmp_path / "out/folder" / name for name in ("wild", "shut/in")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o644}
        opened(tmp_path, zipped([(zip_entry("wild", stat.S_IFREG | 0o6777), b"1")]))
        assert stat.S_IMODE((tmp_path / "out/folder/wild").stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_a_folder_already_unpacked_is_kept(tmp_path):
    opened(tmp_path, packed("zip"))
    before = (tmp_path / "out/folder/a.txt").stat()
    opened(tmp_path, packed("zip"))
    after = (tmp_path / "out/folder/a.txt").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.with_name("c").touch(),
    ],
)
def test_a_changed_folder_is_unpacked_again(tmp_path, change):
    opened(tmp_path, packed("zip"))
    change(tmp_path / "out/folder/sub/b.bin")
    assert opened(tmp_path, packed("zip")) == FILES


def test_another_archive_replaces_the_first_and_a_bad_one_does_not(tmp_path):
    opened(tmp_path, packed("tar.gz", [("new", b"2")]))
    assert opened(tmp_path, packed("zip")) == FILES
    with pytest.raises(InputError, match="leads out"):
        opened(tmp_path, tar([("a", b"1"), ("../b", b"2")]))
    assert content(tmp_path / "out/folder") == FILES
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"folder", ".folder.lock"}


def test_a_folder_of_the_user_is_rejected_and_an_empty_one_used(tmp_path):
    folder = tmp_path / "out/folder"
    folder.mkdir(parents=True)
    # left over from a process that was killed
    (tmp_path / "out/.folder.unpacking/sub").mkdir(parents=True)
    (tmp_path / "out/.folder.unpacking/strange").write_bytes(b"half")
    (tmp_path / "out/.folder.old").mkdir()
    assert opened(tmp_path, packed("zip")) == FILES
    (folder / MARKER).unlink()
    with pytest.raises(InputError, match=r"out/folder: exists and was not unpacked.*Move it away"):
        opened(tmp_path, packed("zip"))
    assert (folder / "a.txt").read_bytes() == b"one"


BAD_NAMES = {
    "leads out": ["../evil", "a/../../evil", "a/..", "..\\evil", "a\\..\\..\\evil"],
    "absolute": ["/etc/evil", "//server/evil", "\\evil", "\\\\?\\C:\\evil", "C:evil", "c:/evil"],
    "control characters": ["a\nb", "\x1b[2J"],
    "too long": ["d" * 256, "ü" * 128, "a/" * 501 + "b"],
    "out of the folder": ["__MACOSX/../../evil"],
    "marked": [MARKER, "./" + MARKER],
}


@pytest.mark.parametrize(
    ("name", "said"), [(name, said) for said, names in BAD_NAMES.items() for name in names]
)
@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_name_that_leads_elsewhere_or_is_not_valid_is_rejected(tmp_path, form, name, said):
    evil = (zip_entry(name), b"2") if form == "zip" else (name, b"2")
    rejected(tmp_path, packed(form, [("good", b"1"), evil]), said)
    assert not list(tmp_path.parent.rglob("*evil*"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *(("a", "a"), ("a", "./a"), ("a", "A"), ("straße", "STRASSE"), ("x/a", "x//a")),
        *(("caf\u00e9", "cafe\u0301"), ("a", "a/b"), ("a/b", "a"), ("x/a", "x\\a")),
    ],
)
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_names_that_collide_are_rejected(tmp_path, form, first, second):
    rejected(tmp_path, packed(form, [(first, b"1"), (second, b"2")]), "collides with")


GOOD = ("good", b"1")
LINKS = [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.SYMTYPE, "good"), (tarfile.SYMTYPE, "..")]
LINKS += [(tarfile.LNKTYPE, "good"), (tarfile.LNKTYPE, "/etc/passwd")]
MODES = {stat.S_IFLNK | 0o777: "link", stat.S_IFIFO: "special file"}
MODES |= {stat.S_IFCHR: "special file", stat.S_IFSOCK: "special file"}


def lying(data: bytes, size: int) -> bytes:
    """A zip whose members claim another size, in both of its headers."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = changed.find(signature)
        while place >= 0:
            changed[place + offset : place + offset + 4] = struct.pack("<I", size)
            place = changed.find(signature, place + 4)
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 1, 2999, 3001, 60_000_000])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_with_a_false_size_is_rejected(tmp_path, method, size):
    rejected(
        tmp_path, lying(zipped([("b", FILES["sub/b.bin"])], method), size), "cut short or damaged"
    )


def test_a_zip_whose_members_share_their_bytes_is_rejected(tmp_path):
    """As in the smallest bombs: many entries of the directory lead to the same compressed bytes."""
    data = zipped([("a", bytes(2_000_000))])
    directory, end = data.find(b"PK\x01\x02"), data.find(b"PK\x05\x06")
    letters = string.ascii_letters.encode()
    listed = b"".join(data[directory:end].replace(b"a", b"%c" % letter) for letter in letters)
    closing = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 52, 52, len(listed), directory, 0)
    rejected(tmp_path, data[:directory] + listed + closing, "as bombs do")


def changed(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    """Other bytes from some places on."""
    copy = bytearray(data)
    for place, stored in changes:
        copy[place : place + len(stored)] = stored
    return bytes(copy)


def sparse() -> bytes:
    """The header of a sparse file whose real size is 8 GiB."""
    block = changed(
        entry("holes", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT), (483, b"77777777777\0")
    )
    return changed(block, (148, b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:512]))))


ZIP = packed("zip")
LETTERS = tar([("a", b"1"), ("b", b"2"), ("c", b"3")])
BACKWARDS = entry("a", tarfile.REGTYPE, size=-512).tobuf(tarfile.GNU_FORMAT)
MANY = zipped([(f"{number}", bytes(1000)) for number in range(50)])
NO_ARCHIVE = {
    b"": "",
    b"<!DOCTYPE html><html>Please": ": it begins with b'<!DOCTYPE html><html'",
    np.random.default_rng(0).bytes(20_000): "",
    b"(\xb5/\xfd" + bytes(600): ".*by hand",
    gzip.compress(b"a single file, no tar" * 100, mtime=0): "",
    gzip.compress(b"", mtime=0): "",
}
NO_TEXT = [
    zipped([("goodXevil", b"1")]).replace(b"goodX", b"good\0"),
    tar([("ü" * 60 + "X", b"1")]).replace(b"X\n", b"\0\n"),
    tar([("caf\udce9", b"1")], tarfile.GNU_FORMAT),
]
SPECIAL = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Q")
HOSTILE = [
    *((data, f"is no archive{said}") for data, said in NO_ARCHIVE.items()),
    *((data, "holds no file") for data in (bytes(10_240), tar([]), tar([("._a", b"1")]))),
    *((data, "control characters, or letters that are not Unicode") for data in NO_TEXT),
    *(
        (tar([GOOD, entry("link", kind, target), ("link/evil", b"2")]), "is a link")
        for kind, target in LINKS
    ),
    *((tar([GOOD, entry("device", kind)]), "is a special file") for kind in SPECIAL),
    *(
        (zipped([GOOD, (zip_entry("link", mode, system), b"/etc/passwd")]), f"is a {said}")
        for mode, said in MODES.items()
        for system in (0, 3)
    ),
    (sparse() + tar([GOOD]), "is a sparse file"),
    (
        changed(ZIP, (ZIP.find(b"PK\x03\x04") + 6, b"\1"), (ZIP.find(b"PK\x01\x02") + 8, b"\1")),
        "is encrypted.*by hand",
    ),
    *(
        (zipped([("a", b"1" * 100)], method), "is compressed by .*by hand")
        for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    ),
    (changed(LETTERS, (1024, b"c")), "no header and no end at byte"),
    (TAR + TAR, "more data follow its end"),
    (bz2.compress(TAR) + bz2.compress(bytes(1 << 24)) * 8, "as bombs do"),
    (tar([GOOD])[:1024] + BACKWARDS + bytes(1024), "damaged"),
    (changed(ZIP, (len(ZIP) - 6, struct.pack("<I", len(ZIP)))), "damaged"),  # its directory
    (tar([("ü" * 60, b"")])[:1024] * 5000 + bytes(1024), "damaged"),  # headers of headers
    (lying(MANY, 4_000_000_000), "unpacks to more than 67,108,864 bytes.*as bombs do.*by hand"),
]


@pytest.mark.parametrize(("data", "said"), HOSTILE)
def test_a_hostile_or_damaged_archive_is_rejected(tmp_path, data, said):
    rejected(tmp_path, data, said)


def test_a_missing_archive_is_named(tmp_path):
    for nothing in (tmp_path / "absent.zip", tmp_path):
        with pytest.raises(InputError, match=f"{nothing.name}: is not a file"):
            unpack(nothing, tmp_path / "out")


@functools.cache
def zeros(form: str, copies: int) -> bytes:
    """16 MiB of zeros times `copies`, in few bytes: compressed streams may follow one another."""
    return COMPRESSED[form](bytes(1 << 24)) * copies


@pytest.mark.parametrize(
    ("form", "kind", "said"),
    [
        ("tar.bz2", tarfile.REGTYPE, "as bombs do"),
        ("tar.xz", tarfile.REGTYPE, "as bombs do"),
        ("tar.bz2", tarfile.XHDTYPE, "a header of 4,294,967,296 bytes"),
        ("tar.bz2", tarfile.XGLTYPE, "a header of 4,294,967,296 bytes"),
        ("tar.bz2", tarfile.GNUTYPE_LONGNAME, "a header of 4,294,967,296 bytes"),
        ("tar.bz2", tarfile.GNUTYPE_LONGLINK, "a header of 4,294,967,296 bytes"),
    ],
)
def test_a_tar_of_few_bytes_that_announces_gigabytes_is_rejected_unread(tmp_path, form, kind, said):
    header = entry("bomb", kind, size=1 << 32).tobuf(tarfile.GNU_FORMAT)
    rejected(tmp_path, COMPRESSED[form](header) + zeros(form, 2), said)


@pytest.mark.parametrize("name", ["part", "._part"])
def test_a_tar_of_few_bytes_that_unpacks_to_gigabytes_is_stopped(tmp_path, name):
    heads = [entry(f"{name}{number}", tarfile.REGTYPE, size=1 << 24) for number in range(100)]
    bomb = b"".join(bz2.compress(head.tobuf()) + zeros("tar.bz2", 1) for head in heads)
    assert len(bomb) < 20_000
    rejected(tmp_path, bomb, "as bombs do")


def test_a_volume_of_zeros_is_no_bomb_and_the_callers_limit_holds(tmp_path):
    files = {"zeros": bytes(70_000_000), "noise": np.random.default_rng(0).bytes(200_000)}
    data = packed("tar.gz", files.items())
    rejected(tmp_path, data, "as bombs do", most_ratio=100)
    assert opened(tmp_path, data) == files


@pytest.mark.parametrize("form", FORMATS)
def test_too_many_members_are_rejected(tmp_path, form):
    many = [(f"{number}", b"") for number in range(20)]
    rejected(tmp_path, packed(form, many), "too many files", most_members=19)
    assert len(opened(tmp_path, packed(form, many), most_members=20)) == 20


def test_more_than_the_disk_holds_is_rejected(tmp_path):
    header = entry("big", tarfile.REGTYPE, size=1 << 60).tobuf(tarfile.GNU_FORMAT)
    data = header + tar([GOOD])
    rejected(tmp_path, data, r"the disk has [\d,]+ free\. Make room", most_ratio=1e18)


SMALL = {"a.txt": b"one", "sub/b.bin": FILES["sub/b.bin"][:200]}


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_compressed_archive_cut_anywhere_is_rejected(tmp_path, form):
    data = packed(form, SMALL.items())
    for place in {*range(0, len(data), 11), *range(20), *range(len(data) - 30, len(data))}:
        rejected(tmp_path, data[:place], "cut short or damaged|is no archive")


def test_a_tar_cut_anywhere_before_its_end_is_rejected(tmp_path):
    data = packed("tar", [*SMALL.items(), ("ü" * 60, b"last")])
    end = len(data.rstrip(b"\0")) // 512 * 512 + 512
    for place in {*range(0, end, 101), *range(0, end + 1, 512), *range(end, end + 512, 50)}:
        rejected(tmp_path, data[:place], "cut short or damaged|is no archive")
    assert len(opened(tmp_path, data[: end + 512])) == 3  # the padding may be missing


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_archive_is_rejected_or_gives_what_it_held(tmp_path, form):
    data = packed(form, SMALL.items())
    for place in range(0, min(len(data), 2600), 11 if form != "tar" else 37):
        changed = data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]
        with suppress(InputError):
            found = opened(tmp_path, changed)
            # bytes in a plain tar have no checksum, nor has a zip's directory
            assert form in ("tar", "zip") or found == SMALL, place


def test_a_process_that_was_killed_leaves_nothing_in_place(tmp_path):
    (tmp_path / "archive").write_bytes(packed("tar.gz", [*FILES.items(), ("last", b"1" * 100_000)]))
    code = f"""
import os, signal, sys
from pathlib import Path
from pipeline.cohorts.fetching.archives import unpack
def kill(event, given):
    if event == "open" and str(given[0]).endswith("/last"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
unpack(Path({str(tmp_path / "archive")!r}), Path({str(tmp_path / "out/folder")!r}))
"""
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True)
    assert ended.returncode == -signal.SIGKILL
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {".folder.unpacking", ".folder.lock"}
    assert opened(tmp_path, (tmp_path / "archive").read_bytes()).keys() == {*FILES, "last"}
