"""Decompression in memory, bounded by what the header of a file announces."""

import gzip
import io
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from isal import igzip, isal_zlib

from ..core.errors import InputError

REMEDY = "Fetch the file again from its source."
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_RATIO = 1032  # the highest possible (RFC 1951): 258 bytes from two bits
_PIECE_BYTES = 2**18  # small enough for the cache of a core


def is_gzip(stored: bytes | memoryview) -> bool:
    """Whether bytes begin with the magic number of gzip (RFC 1952)."""
    return stored[:2] == _GZIP_MAGIC


def inflate_start(path: Path, stored: bytes | memoryview, size: int) -> memoryview:
    """The first `size` bytes of a gzip stream, or all of them if it holds fewer.

    Raises
    ------
    InputError
        If the stream is truncated or damaged there, other data follow it, or this machine has not
        so much memory.
    """
    try:
        raw = np.empty(size, np.uint8).data  # what is not filled takes no memory
    except MemoryError:
        raise InputError(
            f"{path}: its header announces {size} bytes, more than the memory of this machine."
            f" {REMEDY}"
        ) from None
    with suppress(EOFError, gzip.BadGzipFile, isal_zlib.error):  # type: ignore[arg-type]  # a class
        return _filled(raw, igzip.IGzipFile(fileobj=io.BytesIO(stored)))
    try:  # the standard library is slower, but says exactly what is wrong
        return _filled(raw, gzip.GzipFile(fileobj=io.BytesIO(stored)))
    except EOFError:
        raise _truncated(path, "gzip", stored) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        is_other_data = str(error).startswith("Not a gzipped file")  # in place of a further member
        raise (
            _followed(path, "gzip") if is_other_data else _damaged(path, "gzip", error)
        ) from None


def _filled(raw: memoryview, stream: gzip.GzipFile) -> memoryview:
    """As much of `raw` as a stream fills, read-only."""
    filled = 0
    with stream:
        while piece := stream.read(min(len(raw) - filled, _PIECE_BYTES)):
            raw[filled : filled + len(piece)] = piece
            filled += len(piece)
    return raw[:filled].toreadonly()


def inflate(path: Path, stored: bytes | memoryview, announced: int) -> bytes | memoryview:
    """Decompress a stream and verify its end and checksum.

    Parameters
    ----------
    stored : bytes or memoryview
        The stream and nothing else: gzip (RFC 1952), of one or several members and perhaps padded
        with zeros, or zlib (RFC 1950).

    Returns
    -------
    bytes or memoryview
        What the stream holds, at most one byte more than announced; if so, its end is not verified.

    Raises
    ------
    InputError
        If the stream cannot hold so many bytes, is truncated or damaged, or is followed by other
        data.
    """
    if announced > len(stored) * _DEFLATE_RATIO:
        raise InputError(
            f"{path}: {len(stored)} compressed bytes cannot hold the {announced} bytes that its"
            f" header announces: it is cut short. {REMEDY}"
        )
    if is_gzip(stored):
        return inflate_start(path, stored, announced + 1)
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(stored, announced + 1)
    except zlib.error as error:
        raise _damaged(path, "zlib", error) from None
    if len(raw) <= announced and not stream.eof:
        raise _truncated(path, "zlib", stored)
    if stream.unused_data:
        raise _followed(path, "zlib")
    return raw


def require_length(path: Path, raw: bytes | memoryview, announced: int) -> None:
    """Raise InputError if a file holds other than so many bytes behind its compression."""
    if len(raw) != announced:
        found = "more" if len(raw) > announced else f"{len(raw)} bytes"
        raise InputError(
            f"{path}: holds {found} where its header announces {announced} bytes. {REMEDY}"
        )


def _truncated(path: Path, kind: str, stored: bytes | memoryview) -> InputError:
    return InputError(f"{path}: its {kind} stream is cut short after {len(stored)} bytes. {REMEDY}")


def _damaged(path: Path, kind: str, error: Exception) -> InputError:
    return InputError(f"{path}: its {kind} stream is damaged ({error}). {REMEDY}")


def _followed(path: Path, kind: str) -> InputError:
    return InputError(
        f"{path}: more data follow its {kind} stream. Unpack it and compress it again in one piece,"
        " or fetch the file again."
    )
