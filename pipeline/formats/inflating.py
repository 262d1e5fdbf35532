"""Decompression in memory, bounded by what the header of a file announces."""

import gzip
import io
import zlib
from pathlib import Path

from ..core.errors import InputError

REMEDY = "Fetch the file again from its source."
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_RATIO = 1032  # the highest possible (RFC 1951): 258 bytes from two bits
_PIECE_BYTES = 2**22


def is_gzip(stored: bytes | memoryview) -> bool:
    """Whether bytes begin with the magic number of gzip (RFC 1952)."""
    return stored[:2] == _GZIP_MAGIC


def inflate_start(path: Path, stored: bytes | memoryview, size: int) -> bytes:
    """The first `size` bytes of a gzip stream, or all of them if it holds fewer.

    Raises
    ------
    InputError
        If the stream is truncated or damaged there, or other data follow it.
    """
    pieces = []
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(stored)) as stream:
            # `read` allocates what it is asked for, which the stream may not hold
            while size and (piece := stream.read(min(size, _PIECE_BYTES))):
                pieces.append(piece)
                size -= len(piece)
        return b"".join(pieces)
    except EOFError:
        raise _truncated(path, "gzip", stored) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        is_other_data = str(error).startswith("Not a gzipped file")  # in place of a further member
        raise (
            _followed(path, "gzip") if is_other_data else _damaged(path, "gzip", error)
        ) from None


def inflate(path: Path, stored: bytes | memoryview, announced: int) -> bytes:
    """Decompress a stream and verify its end and checksum.

    Parameters
    ----------
    stored : bytes or memoryview
        The stream and nothing else: gzip (RFC 1952), of one or several members and perhaps padded
        with zeros, or zlib (RFC 1950).

    Returns
    -------
    bytes
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
