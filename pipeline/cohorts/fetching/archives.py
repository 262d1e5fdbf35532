"""Unpack archives as publishers give them (zip, tar, tar.gz, tar.bz2, tar.xz), completely and
safely, or not at all.

`tarfile` and `zipfile` read and write the members. This module checks what they do not: the total
size, names that collide on other disks, links, and data lost after a damaged tar header. Members
are written to .NAME.unpacking, which is renamed at the end.
"""

import errno
import logging
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from bz2 import BZ2File
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from struct import error as StructError
from typing import IO, Any, BinaryIO, NamedTuple, cast
from unicodedata import category, normalize

from ...core.errors import InputError
from ...core.progress import Bar
from ...core.records import read_json, sha256, write_json
from ...core.strict import Strict
from .fetch import full_disk_reported, locked

log = logging.getLogger(__name__)

MARKER = ".unpacked.json"
_CHUNK_BYTES = 1 << 16
_UNSUSPICIOUS_BYTES = 1 << 26
_NAME_BYTES = 255
_PATH_BYTES = 1000
_SUFFIXES = (
    *(".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"),
    *(".rar", ".7z", ".tar.zst"),  # `unpack` raises an error that says what to do
)
_BY_HAND = "If you trust it, unpack it by hand and set cohort.location to the folder."
_DAMAGE = (
    *(EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, StructError),
    *(ValueError, OverflowError, NotImplementedError, RuntimeError, MemoryError, LookupError),
)
"""What the standard library raises on archives that are cut, damaged or forged."""


class _Marker(Strict):
    """From which archive a folder was unpacked, and what it must still contain."""

    sha256: str
    files: int
    bytes: int


class _Member(NamedTuple):
    """One entry of an archive; `kind` is ``file``, ``folder`` or a description of anything else,
    `extract` takes the path relative to the folder and writes the file.
    """

    name: str
    size: int
    kind: str
    extract: Callable[[str], Any]


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name; spreadsheets (zip) and volumes (gzip) have the same
    first bytes.
    """
    return path.name.lower().endswith(_SUFFIXES)


def unpack(
    archive: Path, folder: Path, most_members: int = 1_000_000, most_ratio: float = 500
) -> Path:
    """Unpack an archive into a folder of its own, which is returned; a folder already unpacked from
    it is kept, the content of another archive replaced.

    Only ordinary files and folders are written, with the permissions of new files. The entries that
    macOS adds (``__MACOSX``, ``._*``, ``.DS_Store``) are left out.

    Parameters
    ----------
    archive : Path
        Recognised by its first bytes, whatever its name: zip (stored or deflated), tar, or tar
        compressed by gzip, bzip2 or xz.
    most_ratio : float
        Largest ratio of unpacked to packed size, above 64 MiB. Volumes of zeros compress some 400
        times; deflate compresses at most 1032 times.

    Raises
    ------
    InputError
        If the file is not an archive, is encrypted or damaged, contains links, devices, names that
        lead out of the folder or collide on some file systems, or more data than the limits or the
        disk allow, or the folder has any other content. Nothing is left then.
    """
    if not archive.is_file():
        raise InputError(f"{archive}: is not a file. Name the archive, or download it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f".{folder.name}.lock")):
        digest, marker = sha256(archive), None
        with suppress(InputError):
            marker = read_json(folder / MARKER, _Marker)
        is_empty = folder.is_dir() and not any(folder.iterdir())
        if marker is None and os.path.lexists(folder) and not is_empty:
            raise InputError(
                f"{folder}: exists and was not unpacked from an archive. Move it away, or unpack"
                f" {archive} elsewhere."
            )
        files, size = _content(folder)
        if marker != _Marker(sha256=digest, files=files, bytes=size):
            if marker:
                log.info("%s: has changed; unpacking %s again", folder, archive)
            _unpack(archive, folder, digest, most_members, most_ratio)
    return folder


def _content(folder: Path) -> tuple[int, int]:
    """Number and bytes of the files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and path != folder / MARKER]
    return len(files), sum(path.stat().st_size for path in files)


def _unpack(archive: Path, folder: Path, digest: str, most_members: int, most_ratio: float) -> None:
    unfinished = folder.with_name(f".{folder.name}.unpacking")
    old = folder.with_name(f".{folder.name}.old")
    for rest in (unfinished, old):  # of a process that was killed
        shutil.rmtree(rest, ignore_errors=True)
    unfinished.mkdir()
    try:
        budget = _Budget(archive, unfinished, most_ratio)
        with full_disk_reported(str(archive)), _damage_reported(archive):
            _extract(archive, unfinished, budget, most_members)
        files, size = _content(unfinished)
        if not files:
            raise InputError(f"{archive}: holds no file. Fetch it again.")
        write_json(unfinished / MARKER, _Marker(sha256=digest, files=files, bytes=size))
        if os.path.lexists(folder):
            os.rename(folder, old)
        os.rename(unfinished, folder)
    finally:
        for rest in (unfinished, old):
            shutil.rmtree(rest, ignore_errors=True)


@contextmanager
def _damage_reported(archive: Path) -> Iterator[None]:
    """Turn what a bad archive raises into an `InputError`; other errors of the system pass."""
    try:
        yield
    except InputError:
        raise
    except (*_DAMAGE, OSError) as error:
        # GzipFile's errors have no errno; EINVAL is a position before the first byte
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise InputError(
            f"{archive}: is cut short or damaged ({str(error) or type(error).__name__}). Fetch it"
            " again."
        ) from None


class _Budget:
    """How many bytes may still be unpacked."""

    def __init__(self, archive: Path, target: Path, most_ratio: float) -> None:
        self._archive, self._target = archive, target
        self._packed = archive.stat().st_size
        self._most = self._left = int(max(_UNSUSPICIOUS_BYTES, most_ratio * self._packed))

    def check(self, count: int) -> None:
        """Raise InputError if the limit or the disk does not allow so many bytes more."""
        if count > self._left:
            raise InputError(
                f"{self._archive}: unpacks to more than {self._most:,} bytes out of"
                f" {self._packed:,}, as bombs do. {_BY_HAND}"
            )
        free = shutil.disk_usage(self._target).free
        if count > free:
            raise InputError(
                f"{self._archive}: unpacks to {count:,} bytes more, the disk has {free:,} free."
                " Make room."
            )

    def spend(self, count: int) -> None:
        """Count unpacked bytes."""
        self._left -= count
        if self._left < 0:
            self.check(1)


def _extract(archive: Path, target: Path, budget: _Budget, most_members: int) -> None:
    names, size = _Names(), archive.stat().st_size
    with (
        archive.open("rb") as file,
        Bar(total=size, desc=f"unpack {archive.name}", unit="B", unit_scale=True) as bar,
    ):
        is_zip = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
        file.seek(0)
        members = (
            _zip_members(file, target, budget, most_members)
            if is_zip
            else _tar_members(file, target, budget)
        )
        for number, member in enumerate(members):
            if number >= most_members:
                raise _too_many(archive)
            path, fault = names.place(member)
            if fault:
                raise InputError(
                    f"{archive}: its member {member.name[:200]!r} {fault}. Fetch it from its"
                    f" publisher. {_BY_HAND}"
                )
            if path and member.kind == "folder":
                (target / path).mkdir(parents=True, exist_ok=True)
            elif path:
                budget.check(member.size)
                member.extract(path)
            bar.update(max(file.tell() - bar.n, 0))


@dataclass(frozen=True)
class _Names:
    """The names of the members so far, in a form in which names are equal that some file system
    does not distinguish (case, Unicode normal form).
    """

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def place(self, member: _Member) -> tuple[str, str | None]:
        """The path of a member relative to the folder, empty if it is left out, and its fault."""
        name, kind = member.name, member.kind
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        fault = _fault_of_name(name, parts)
        if fault:
            return "", fault
        if not parts or any(re.fullmatch(r"__MACOSX|\.DS_Store|\._.*", part) for part in parts):
            return "", None
        if kind not in ("file", "folder"):
            return "", f"is {kind}, and only files and folders are unpacked"
        path = PurePosixPath(*parts)
        own, *above = (
            normalize("NFC", normalize("NFC", str(part)).casefold())
            for part in (path, *path.parents[:-1])
        )
        folders = {*above} if kind == "file" else {own, *above}
        if self.files & folders or (kind == "file" and own in self.files | self.folders):
            return "", "collides with another member of the same name"
        self.folders.update(folders)
        if kind == "file":
            self.files.add(own)
        return str(path), None


def _fault_of_name(name: str, parts: list[str]) -> str | None:
    """Why a name leads elsewhere or is not valid on every disk."""
    if name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name):
        return "has an absolute path"
    if ".." in parts:
        return "leads out of the folder"
    if parts == [MARKER]:
        return "has the name by which unpacked folders are marked"
    if any(category(letter) in ("Cc", "Cs") for letter in name):
        return "has control characters, or letters that are not Unicode, in its name"
    if len(name.encode()) > _PATH_BYTES or any(len(part.encode()) > _NAME_BYTES for part in parts):
        return "has a name too long for most disks"
    return None


def _too_many(archive: Path) -> InputError:
    return InputError(f"{archive}: holds too many files. {_BY_HAND}")


def _zip_members(
    file: BinaryIO, target: Path, budget: _Budget, most_members: int
) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as opened:
        budget.check(sum(info.file_size for info in opened.infolist()))
        if len(opened.infolist()) > most_members:
            raise _too_many(Path(file.name))
        for info in opened.infolist():

            def extract(path: str, info: zipfile.ZipInfo = info) -> None:
                info.filename = path
                written = Path(opened.extract(info, target)).stat().st_size
                if written != info.file_size:
                    raise zipfile.BadZipFile(f"{path!r} has {written:,} bytes")

            # by the original name: zipfile cuts the other one at a NUL
            yield _Member(info.orig_filename, info.file_size, _zip_kind(info), extract)
            budget.spend(info.file_size)


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if info.orig_filename.endswith(("/", "\\")) and mode in (0, stat.S_IFDIR):
        return "folder"
    if mode not in (0, stat.S_IFREG):
        return "a link" if mode == stat.S_IFLNK else "a special file"
    if info.flag_bits & 0x41:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # one read of the other methods may fill the memory
        return f"compressed by method {info.compress_type}"
    return "file"


def _tar_members(file: BinaryIO, target: Path, budget: _Budget) -> Iterator[_Member]:
    """The members in order; each must be extracted before the next."""
    stream = _TarStream(_decompressed(file), budget)
    try:
        opened = tarfile.TarFile(fileobj=cast(IO[bytes], stream))
    except tarfile.ReadError:
        if stream.tell() > tarfile.BLOCKSIZE:
            raise
        file.seek(0)
        raise InputError(
            f"{file.name}: is no archive: it begins with {file.read(20)!r}. Fetch it again, or name"
            " a zip or tar file; unpack other formats, such as RAR and 7-Zip, by hand and set"
            " cohort.location to the folder."
        ) from None
    with opened:
        while (info := opened.next()) is not None:
            opened.members.clear()  # type: ignore[attr-defined]  # typeshed lacks it
            if info.size < 0:
                raise tarfile.ReadError(f"{info.name!r} has {info.size} bytes")

            def extract(path: str, info: tarfile.TarInfo = info) -> None:
                renamed = info.replace(name=path, deep=False)
                opened.extract(renamed, target, set_attrs=False, filter="data")

            yield _Member(info.name, info.size, _tar_kind(info), extract)
    stream.check_end()


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issparse():
        return "a sparse file"
    kinds = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link"}
    return "file" if info.isreg() else kinds.get(info.type, "a special file")


def _decompressed(file: BinaryIO) -> Any:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return BZ2File(file)
    return lzma.LZMAFile(file, format=lzma.FORMAT_XZ) if start == b"\xfd7zXZ\0" else file


class _TarStream:
    """The decompressed bytes of a tar archive for `tarfile`: forward only, every byte counted.

    `tarfile` takes a damaged header after the first one for the end of the archive; `last`, the
    result of the last read, distinguishes the two.
    """

    def __init__(self, data: Any, budget: _Budget) -> None:
        self._data, self._budget, self._position = data, budget, 0
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        """Read for `tarfile`, which reads files in small chunks, but a header at once."""
        if not 0 <= size <= _CHUNK_BYTES:
            raise ValueError(f"a header of {size:,} bytes")
        self.last = self._data.read(size)
        self._position += len(self.last)
        self._budget.spend(len(self.last))
        return self.last

    def seek(self, position: int) -> None:
        """Skip bytes."""
        if position < self._position:
            raise tarfile.ReadError("its members overlap")
        while self._position < position and self.read(min(position - self._position, _CHUNK_BYTES)):
            pass

    def check_end(self) -> None:
        """Read to the end, where compressed streams have a checksum; only zeros may follow."""
        if len(self.last) != tarfile.BLOCKSIZE or any(self.last):
            raise tarfile.ReadError(f"no header and no end at byte {self._position:,}")
        while data := self.read(_CHUNK_BYTES):
            if any(data):
                raise tarfile.ReadError("more data follow its end")
