"""Decompression in memory, bounded by what the header of a file announces."""

import gzip
import io
import zlib
from pathlib import Path

from ..core.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_RATIO = 1032  # the highest possible (RFC 1951): 258 bytes from two bits
_PIECE_BYTES = 2**22
_REMEDY = "Fetch the file again from its source."


def is_gzip(stored: bytes) -> bool:
    """Whether bytes begin with the magic number of gzip (RFC 1952)."""
    return stored[:2] == _GZIP_MAGIC


def inflate_start(path: Path, stored: bytes, size: int) -> bytes:
    """The first `size` bytes of a gzip stream, or all of them if it holds fewer.

    Raises
    ------
    InputError
        If the stream is truncated or damaged there.
    """
    return _gunzip(path, stored, size)


def inflate(path: Path, stored: bytes | memoryview, announced: int) -> bytes:
    """Decompress a stream that should hold a known number of bytes.

    Parameters
    ----------
    path : Path
        The file, for messages.
    stored : bytes or memoryview
        The stream and nothing else: gzip (RFC 1952), of one or several members and perhaps padded
        with zeros, or zlib (RFC 1950).
    announced : int
        How many bytes it should hold.

    Returns
    -------
    bytes
        What the stream holds, at most one byte more than announced. Unless it is longer, its end
        and checksum were verified.

    Raises
    ------
    InputError
        If the stream cannot hold so many bytes, is truncated or damaged, or is followed by other
        data.
    """
    if announced > len(stored) * _DEFLATE_RATIO:
        raise InputError(
            f"{path}: {len(stored)} compressed bytes cannot hold the {announced} bytes that its"
            f" header announces: it is cut short. {_REMEDY}"
        )
    if is_gzip(bytes(stored[:2])):
        return _gunzip(path, stored, announced + 1)
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


def _gunzip(path: Path, stored: bytes | memoryview, size: int) -> bytes:
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
    except gzip.BadGzipFile as error:
        is_header = str(error).startswith("Not a gzipped file")  # of a further member
        raise (_followed(path, "gzip") if is_header else _damaged(path, "gzip", error)) from None
    except zlib.error as error:
        raise _damaged(path, "gzip", error) from None


def _truncated(path: Path, kind: str, stored: bytes | memoryview) -> InputError:
    return InputError(
        f"{path}: its {kind} stream is cut short after {len(stored)} bytes. {_REMEDY}"
    )


def _damaged(path: Path, kind: str, error: Exception) -> InputError:
    return InputError(f"{path}: its {kind} stream is damaged ({error}). {_REMEDY}")


def _followed(path: Path, kind: str) -> InputError:
    return InputError(
        f"{path}: more data follow its {kind} stream. Unpack it and compress it again in one piece,"
        " or fetch the file again."
    )
