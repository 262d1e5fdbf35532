"""Compressed streams (gzip or zlib) in memory, opened no further than a header announces."""

import zlib
from pathlib import Path

from ..core.errors import InputError

_GZIP = b"\x1f\x8b"
_FIRST_BYTES, _MOST_BYTES = (
    2**10,
    2**20,
)  # fed at once: what lies behind a member is copied, and a stream may have many small ones


class Inflating:
    """A stream that is opened piece by piece, and must end where its last piece ends.

    Parameters
    ----------
    path : Path
        The file, for messages.
    stored : bytes or memoryview
        The stream, gzip (RFC 1952: one member or several, perhaps padded with zeros) or zlib (RFC
        1950), and nothing else.
    """

    def __init__(self, path: Path, stored: bytes | memoryview) -> None:
        self._path, self._stored, self._place = path, memoryview(stored), 0
        self._is_gzip = bytes(stored[:2]) == _GZIP
        self._kind = "gzip stream" if self._is_gzip else "zlib stream"
        self._begin()

    def _begin(self) -> None:
        self._stream, self._feed = (
            zlib.decompressobj(wbits=47),
            _FIRST_BYTES,
        )  # 47: either of the two

    def take(self, size: int) -> bytes:
        """The next `size` bytes, at least one, or what there is left.

        Raises
        ------
        InputError
            If the stream is damaged.
        """
        pieces, left = [], max(size, 1)
        while left and not self._is_over():
            fed = self._stored[self._place : self._place + self._feed]
            try:
                raw = self._stream.decompress(fed, left)
            except zlib.error as error:
                raise InputError(
                    f"{self._path}: its {self._kind} is damaged ({error}). Fetch the file again"
                    " from its source."
                ) from None
            self._place += len(fed) - len(
                self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            )
            self._feed = min(2 * self._feed, _MOST_BYTES)
            pieces.append(raw)
            left -= len(raw)
            if not raw and not fed:
                break
        return b"".join(pieces)

    def _is_over(self) -> bool:
        """Whether the last member has ended; where another follows, it is begun."""
        if not self._stream.eof:
            return False
        if self._is_gzip and self._stored[self._place : self._place + 2] == _GZIP:
            self._begin()
        return self._stream.eof

    def ended(self, raw: bytes, announced: int) -> bytes:
        """What was taken, a byte longer if the stream has more than was announced; the end checks
        the checksum behind it.

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
        raw += self.take(1)
        if not self._stream.eof:
            if len(raw) <= announced:
                found = len(self._stored)
                raise InputError(
                    f"{self._path}: its {self._kind} is cut short after {found} bytes. Fetch the"
                    " file again from its source."
                )
        elif bytes(self._stored[self._place :]).strip(b"\0" if self._is_gzip else b""):
            raise InputError(
                f"{self._path}: more data follow its {self._kind}. Unpack it and compress it again"
                " in one piece, or fetch the file again."
            )
        return raw
