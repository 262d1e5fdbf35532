"""Compressed streams (gzip or zlib) in memory, opened no further than a header announces."""

import zlib
from pathlib import Path

from pipeline.domain.errors import InputError


class Inflating:
    """A stream that is opened piece by piece, and must end where its last piece ends.

    Parameters
    ----------
    path : Path
        The file, for messages.
    stored : bytes or memoryview
        The stream, gzip (RFC 1952) or zlib (RFC 1950), and nothing else.
    """

    def __init__(self, path: Path, stored: bytes | memoryview) -> None:
        self._path, self._size, self._waiting = path, len(stored), stored
        self._kind = "gzip stream" if bytes(stored[:2]) == b"\x1f\x8b" else "zlib stream"
        self._stream = zlib.decompressobj(wbits=47)  # either of the two

    def take(self, size: int) -> bytes:
        """The next `size` bytes, at least one, or what there is left.

        Raises
        ------
        InputError
            If the stream is damaged.
        """
        try:
            raw = self._stream.decompress(self._waiting, max(size, 1))
        except zlib.error as error:
            raise InputError(f"{self._path}: its {self._kind} is damaged ({error}). Fetch the file again from its source.") from None
        self._waiting = self._stream.unconsumed_tail
        return raw

    def ended(self, raw: bytes, announced: int) -> bytes:
        """What was taken, a byte longer if the stream has more than was announced; the end checks the checksum behind it.

        Parameters
        ----------
        raw : bytes
            All that was taken.
        announced : int
            How many bytes the stream should hold.

        Raises
        ------
        InputError
            If the stream is damaged or cut short, or other data follow it.
        """
        if not self._stream.eof:
            raw += self.take(1)
        if self._stream.eof and self._stream.unused_data:
            raise InputError(
                f"{self._path}: more data follow its {self._kind}. Unpack it and compress it again in one piece, or fetch the file again."
            )
        if not self._stream.eof and len(raw) <= announced:
            raise InputError(f"{self._path}: its {self._kind} is cut short after {self._size} bytes. Fetch the file again from its source.")
        return raw
