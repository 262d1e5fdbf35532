"""Archives as publishers give them (zip, tar, tar.gz, tar.bz2, tar.xz), unpacked whole and
harmlessly, or not at all.

The standard library reads the formats; what may be written, where, and how much of it is decided
here, member by member and before the first of its bytes. Everything goes into .NAME.unpacking
beside the folder and is renamed in the end.
"""

import errno
import logging
import lzma
import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from bz2 import BZ2File
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from struct import error as StructError
from typing import BinaryIO

from tqdm import tqdm

from ...core.errors import InputError
from ...core.records import read_json, sha256, write_json
from ...core.strict import Strict
from .locks import alone

log = logging.getLogger(__name__)

MARKER = ".unpacked.json"
_CHUNK_BYTES = 1 << 18
_HEADER_BYTES = 1 << 16
_FREELY_BYTES = 1 << 26
_DICTIONARY_BYTES = 1 << 30
_NAME_BYTES = 255
_PATH_BYTES = 1000
_BLOCK = 512
_SUFFIXES = (
    ".zip",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tar.xz",
    ".txz",
    ".rar",
    ".7z",
    ".tar.zst",
)
"""Of archives; `unpack` says of the last three what to do."""
_DAMAGE = (
    *(EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, StructError),
    *(ValueError, OverflowError, NotImplementedError, RuntimeError, MemoryError, LookupError),
)
"""What the standard library raises on archives that are cut, damaged or made up."""
_MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"(\xb5/\xfd": "compressed by Zstandard",
}


class _Marker(Strict):
    """What a folder was unpacked from, and what must still be in it."""

    sha256: str
    files: int
    bytes: int


@dataclass(frozen=True)
class _Member:
    """One entry of an archive: `kind` is ``file``, ``folder``, or what it is instead; `chunks`
    reads the bytes of a file.
    """

    name: str
    size: int
    kind: str
    chunks: Callable[[], Iterator[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is to be unpacked, by its name: its first bytes would also name spreadsheets
    (zip) and volumes (gzip).
    """
    return path.name.lower().endswith(_SUFFIXES)


def unpack(
    archive: Path, folder: Path, most_members: int = 1_000_000, most_ratio: float = 500
) -> Path:
    """Unpack an archive into a folder of its own, with a progress bar; one that was unpacked from
    it already stays.

    Only ordinary files and folders are written, with the permissions of new files. macOS's own
    entries (``__MACOSX``, ``._*``, ``.DS_Store``) are left out.

    Parameters
    ----------
    archive : Path
        Told by its first bytes, whatever its name: zip (stored or deflated), tar, or tar compressed
        by gzip, bzip2 or xz.
    folder : Path
        Where its content goes. What an other archive left there is replaced; a folder that was not
        unpacked is refused.
    most_members : int
        More files and folders are refused.
    most_ratio : float
        More than this many times the archive's size, and more than 64 MiB, is refused as a bomb.
        Volumes of zeros compress some 400 times, by deflate at most 1032 times.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the archive is none, is encrypted, cut or damaged, holds links, devices, names that lead
        out of the folder or that some file systems hold for the same, or more than it may or the
        disk has room for. Nothing is left then.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: is not a file. Name the archive, or fetch it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder.with_name(f".{folder.name}.lock")):
        digest = sha256(archive)
        if not _is_unpacked(folder, digest):
            _refuse_foreign(archive, folder)
            if (folder / MARKER).exists():
                log.info(
                    "%s: was unpacked from another archive, or has changed since; unpacking %s"
                    " anew",
                    folder,
                    archive,
                )
            _unpack(archive, folder, digest, most_members, most_ratio)
    return folder


def _is_unpacked(folder: Path, digest: str) -> bool:
    """Whether the folder still holds what the archive of that sum gave."""
    marker = _marker(folder)
    return (
        marker is not None
        and marker.sha256 == digest
        and (marker.files, marker.bytes) == _content(folder)
    )


def _marker(folder: Path) -> _Marker | None:
    try:
        return read_json(folder / MARKER, _Marker)
    except InputError:
        return None


def _content(folder: Path) -> tuple[int, int]:
    sizes = [
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MARKER
    ]
    return len(sizes), sum(sizes)


def _refuse_foreign(archive: Path, folder: Path) -> None:
    empty = folder.is_dir() and not any(folder.iterdir())
    if os.path.lexists(folder) and not empty and _marker(folder) is None:
        raise InputError(
            f"{folder}: is there and was not unpacked from an archive. Move it away, or unpack"
            f" {archive} elsewhere."
        )


def _unpack(archive: Path, folder: Path, digest: str, most_members: int, most_ratio: float) -> None:
    unfinished, old = (
        folder.with_name(f".{folder.name}.unpacking"),
        folder.with_name(f".{folder.name}.old"),
    )
    for rest in (unfinished, old):  # of a process that was killed
        shutil.rmtree(rest, ignore_errors=True)
    unfinished.mkdir()
    try:
        budget = _Budget(archive, unfinished, most_members, most_ratio)
        files, count = _write_members(archive, unfinished, budget)
        write_json(unfinished / MARKER, _Marker(sha256=digest, files=files, bytes=count))
        if os.path.lexists(folder):
            os.rename(folder, old)
        os.rename(unfinished, folder)
    finally:
        for rest in (unfinished, old):
            shutil.rmtree(rest, ignore_errors=True)


class _Budget:
    """How much an archive may still unpack to."""

    def __init__(
        self, archive: Path, unfinished: Path, most_members: int, most_ratio: float
    ) -> None:
        self._archive, self._unfinished = archive, unfinished
        self._members = most_members
        self._bytes = self.most_bytes = int(max(_FREELY_BYTES, most_ratio * archive.stat().st_size))

    def refuse_beyond(self, count: int) -> None:
        """Refuse to unpack so many bytes more, before any of them is."""
        if count > self._bytes:
            raise InputError(
                f"{self._archive}: unpacks to more than {self.most_bytes:,} bytes out of"
                f" {self._archive.stat().st_size:,}, as bombs do. If you trust it, unpack it by"
                " hand and set cohort.location to the folder."
            )
        free = shutil.disk_usage(self._unfinished).free
        if count > free:
            raise InputError(
                f"{self._archive}: unpacks to {count:,} bytes more, the disk has {free:,} free."
                " Make room."
            )

    def spend(self, count: int) -> None:
        """Count bytes that were unpacked."""
        self._bytes -= count
        if self._bytes < 0:
            self.refuse_beyond(1)

    def count_member(self) -> None:
        """Count a member, of whatever kind."""
        self._members -= 1
        if self._members < 0:
            raise InputError(
                f"{self._archive}: holds too many files. If you trust it, unpack it by hand and set"
                " cohort.location."
            )


def _write_members(archive: Path, unfinished: Path, budget: _Budget) -> tuple[int, int]:
    """Write all files of an archive; how many, and of how many bytes."""
    names, files, total = _Names(archive), 0, 0
    with (
        archive.open("rb") as file,
        tqdm(
            total=archive.stat().st_size, desc=f"unpack {archive.name}", unit="B", unit_scale=True
        ) as bar,
    ):
        for member in _guarded(_members(archive, file, budget), archive):
            budget.count_member()
            path = names.place(member)
            if path is None:
                continue
            if member.kind == "folder":
                (unfinished / path).mkdir(parents=True, exist_ok=True)
                continue
            budget.refuse_beyond(member.size)
            (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
            _write(
                unfinished / path, member, archive, lambda: bar.update(max(file.tell() - bar.n, 0))
            )
            files, total = files + 1, total + member.size
    if not files:
        raise InputError(f"{archive}: holds no file. Fetch it again.")
    return files, total


def _write(path: Path, member: _Member, archive: Path, moved: Callable[[], None]) -> None:
    written = 0
    with path.open("xb") as file:
        for chunk in _guarded(member.chunks(), archive):
            with _full_disk_reported(archive):
                file.write(chunk)
                file.flush()
            written += len(chunk)
            moved()
    if written != member.size:
        raise _damaged(
            archive, f"{member.name!r} has {written:,} bytes, {member.size:,} are announced"
        )


@contextmanager
def _full_disk_reported(archive: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{archive}: the disk is full ({fault.strerror}) while unpacking. Make room and start"
            " again."
        ) from None


def _guarded(items: Iterator, archive: Path) -> Iterator:
    """The items; what reading raises on a bad archive becomes an `InputError`, what the system says
    stays.
    """
    try:
        yield from items
    except InputError:
        raise
    except _DAMAGE as fault:
        raise _damaged(archive, str(fault) or type(fault).__name__) from None
    except OSError as fault:
        if fault.errno not in (
            None,
            errno.EINVAL,
        ):  # EINVAL: a position before the file's first byte
            raise
        raise _damaged(archive, str(fault)) from None


def _damaged(archive: Path, finding: str) -> InputError:
    return InputError(f"{archive}: is cut short or damaged ({finding}). Fetch it again.")


class _Names:
    """Where members go: inside, once each, and apart on file systems that fold case or Unicode
    forms.
    """

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._kinds: dict[str, tuple[str, str]] = {}

    def place(self, member: _Member) -> PurePosixPath | None:
        """The path of a member below the folder; None if it is not to be unpacked."""
        parts = [
            part for part in member.name.replace("\\", "/").split("/") if part not in ("", ".")
        ]
        fault = _fault_of_name(member.name, parts)
        if fault:
            raise self._refusal(member.name, fault)
        if not parts or any(
            part == "__MACOSX" or part == ".DS_Store" or part.startswith("._") for part in parts
        ):
            return None
        if member.kind not in ("file", "folder"):
            raise self._refusal(
                member.name, f"is {member.kind}, and only files and folders are unpacked"
            )
        path = PurePosixPath(*parts)
        if str(path) == MARKER:
            raise self._refusal(member.name, "has the name by which unpacked folders are marked")
        for folder in reversed(path.parents[:-1]):
            self._enter(str(folder), "folder", member.name)
        self._enter(str(path), member.kind, member.name)
        return path

    def _enter(self, path: str, kind: str, name: str) -> None:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        known = self._kinds.setdefault(folded, (path, kind))
        if known != (path, kind):
            raise self._refusal(name, f"collides with {known[0]!r}, which is a {known[1]}")
        if kind == "file":
            self._kinds[folded] = (path, "file that is there already")

    def _refusal(self, name: str, fault: str) -> InputError:
        return InputError(
            f"{self._archive}: its member {name[:200]!r} {fault}. Fetch it from its publisher; if"
            " you trust it, unpack it by hand and set cohort.location to the folder."
        )


def _fault_of_name(name: str, parts: list[str]) -> str | None:
    """Why a name is not for this disk, or leads elsewhere."""
    if name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name):
        return "has an absolute path"
    if ".." in parts:
        return "leads out of the folder"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "has control characters, or letters that are not Unicode, in its name"
    if len(name.encode()) > _PATH_BYTES or any(len(part.encode()) > _NAME_BYTES for part in parts):
        return "has a name too long for most disks"
    return None


def _members(archive: Path, file: BinaryIO, budget: _Budget) -> Iterator[_Member]:
    """The members in the order of the archive; the bytes of each must be read before the next."""
    start = file.read(_BLOCK)
    file.seek(0)
    kind = (
        "tar"
        if _is_tar_header(start)
        else next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    )
    if kind is None:
        raise InputError(
            f"{archive}: is no archive: it begins with {start[:20]!r}. Fetch it again, or name a"
            " zip or tar file."
        )
    if kind == "zip":
        return _zip_members(archive, file, budget)
    openers = {
        "tar": lambda: file,
        "gz": lambda: GzipFile(fileobj=file),
        "bz2": lambda: BZ2File(file),
        "xz": lambda: _xz(archive, file),
    }
    if kind not in openers:
        raise InputError(
            f"{archive}: is {kind}, which is not read. Unpack it by hand and set cohort.location to"
            " the folder."
        )
    return _tar_members(
        archive, _Stream(archive, openers[kind](), budget if kind != "tar" else None)
    )


def _is_tar_header(block: bytes) -> bool:
    """Whether a first block has a tar header's checksum, as even the oldest have, or is an empty
    archive's.
    """
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:
        return True
    except tarfile.HeaderError:
        return False
    return True


def _xz(archive: Path, file: BinaryIO) -> BinaryIO:
    """An xz stream whose dictionary fits into memory."""
    first = file.read(_CHUNK_BYTES)
    file.seek(0)
    try:
        lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DICTIONARY_BYTES).decompress(first, 1)
    except lzma.LZMAError as fault:
        if "emory" in str(fault):
            raise InputError(
                f"{archive}: takes more than 1 GiB of memory to unpack. Unpack it by hand and set"
                " cohort.location."
            ) from None
        raise _damaged(archive, str(fault)) from None
    return lzma.LZMAFile(file, format=lzma.FORMAT_XZ)


def _zip_members(archive: Path, file: BinaryIO, budget: _Budget) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as opened:
        budget.refuse_beyond(sum(info.file_size for info in opened.infolist()))
        for info in opened.infolist():  # by their original names: zipfile cuts the others at a NUL
            yield _Member(
                info.orig_filename,
                info.file_size,
                _zip_kind(info),
                lambda info=info: _zip_chunks(opened, info),
            )
            budget.spend(info.file_size)


def _zip_kind(info: zipfile.ZipInfo) -> str:
    form = stat.S_IFMT(info.external_attr >> 16)
    if info.orig_filename.endswith(("/", "\\")):
        return (
            "folder"
            if form in (0, stat.S_IFDIR) and not info.file_size
            else "a folder with bytes of its own"
        )
    if form not in (0, stat.S_IFREG):
        return "a link" if form == stat.S_IFLNK else "a special file"
    if info.flag_bits & 0x41:
        return "encrypted"
    if info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):  # of the others, one read may fill the memory
        return (
            f"compressed by {zipfile.compressor_names.get(info.compress_type, 'an unknown method')}"
        )
    return "file"


def _zip_chunks(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with opened.open(info) as data:
        while chunk := data.read(_CHUNK_BYTES):
            yield chunk


class _Stream:
    """Decompressed bytes of a tar archive, read once from front to back: no seeking back, no
    reading at a gulp, all counted.

    tarfile takes any damaged header after the first for the end of the archive; `last` lets
    `_tar_members` tell the two apart.
    """

    def __init__(self, archive: Path, data: BinaryIO, budget: _Budget | None) -> None:
        self._archive, self._data, self._budget = archive, data, budget
        self._position = 0
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        """Read for tarfile: headers, so never much."""
        if not 0 <= size <= _HEADER_BYTES:
            raise _damaged(self._archive, f"a header of {size:,} bytes")
        self.last = self.take(size)
        return self.last

    def take(self, size: int) -> bytes:
        """Read so many bytes, fewer only at the end."""
        data = self._data.read(size)
        self._position += len(data)
        if self._budget:
            self._budget.spend(len(data))
        return data

    def chunks(self, size: int) -> Iterator[bytes]:
        """Read as many bytes in small pieces."""
        while size > 0:
            data = self.take(min(size, _CHUNK_BYTES))
            if not data:
                return
            size -= len(data)
            yield data

    def seek(self, position: int) -> None:
        """Skip bytes, forward."""
        if position < self._position:
            raise _damaged(self._archive, "its members overlap")
        for _ in self.chunks(position - self._position):
            pass

    def refuse_rest(self) -> None:
        """Read to the end, where compressed streams keep their checksum; only zeros may follow an
        archive's end.
        """
        if len(self.last) != _BLOCK or any(self.last):
            raise _damaged(self._archive, f"no header and no end at byte {self._position:,}")
        while data := self.take(_CHUNK_BYTES):
            if any(data):
                raise _damaged(self._archive, "more data follow its end")


def _tar_members(archive: Path, stream: _Stream) -> Iterator[_Member]:
    with tarfile.TarFile(fileobj=stream) as opened:
        while (info := opened.next()) is not None:
            opened.members.clear()
            if info.size < 0:
                raise _damaged(archive, f"{info.name!r} has {info.size} bytes")
            yield _Member(
                info.name, info.size, _tar_kind(info), lambda size=info.size: stream.chunks(size)
            )
    stream.refuse_rest()


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issparse():
        return "a sparse file"
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    return "a link" if info.issym() or info.islnk() else "a special file"
