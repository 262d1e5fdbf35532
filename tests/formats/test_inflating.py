"""Streams are decompressed no further than announced, and their ends are verified."""

import gzip
import zlib

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.formats.inflating import inflate, inflate_start

RAW = np.random.default_rng(5).integers(0, 50, 5000).astype(np.uint8).tobytes()
KINDS = {"gzip": gzip.compress(RAW, mtime=0), "zlib": zlib.compress(RAW)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_is_decompressed_from_bytes_and_views(tmp_path, kind):
    assert inflate(tmp_path, KINDS[kind], len(RAW)) == RAW
    assert inflate(tmp_path, memoryview(KINDS[kind]), len(RAW) + 5) == RAW
    # no more than one byte beyond what is announced
    assert inflate(tmp_path, KINDS[kind], 1000) == RAW[:1001]
    with pytest.raises(InputError, match=r"cannot hold the 1000000000000 bytes .* cut short"):
        inflate(tmp_path, KINDS[kind], 10**12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_cut_anywhere_is_rejected(tmp_path, kind):
    for length in (1, 2, 9, 10, 11, 100, *range(len(KINDS[kind]) - 9, len(KINDS[kind]))):
        said = rf"its {kind} stream is cut short after {length} bytes"
        with pytest.raises(InputError, match=rf"a\.mha: ({said}|{length} .* it is cut short)"):
            inflate(tmp_path / "a.mha", KINDS[kind][:length], len(RAW))


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_checksum_and_a_broken_middle_are_damage(tmp_path, kind):
    stored = KINDS[kind]
    place = -8 if kind == "gzip" else -4
    message = rf"its {kind} stream is (damaged \(|cut short )|more data follow"
    for bad in (
        stored[:place] + bytes([stored[place] ^ 1]) + (stored[place:][1:]),
        stored[:40] + b"\xff" * 40 + stored[80:],
    ):
        with pytest.raises(InputError, match=message):
            inflate(tmp_path, bad, len(RAW))


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_a_stream_is_rejected(tmp_path, kind):
    for more in (b"x", b"\0x", KINDS["zlib"]):
        with pytest.raises(InputError, match=f"more data follow its {kind} stream. Unpack it"):
            inflate(tmp_path, KINDS[kind] + more, len(RAW))
    with pytest.raises(InputError, match="more data follow its zlib stream"):
        inflate(tmp_path, KINDS["zlib"] + b"\0\0", len(RAW))


def members(size: int) -> bytes:
    """One gzip member for so many bytes each, and an empty one at the end, as bgzip writes them."""
    return b"".join(
        gzip.compress(RAW[start : start + size], mtime=0)
        for start in range(0, len(RAW) + size, size)
    )


@pytest.mark.parametrize(
    "stored", [KINDS["gzip"] + b"\0" * 700, members(7), members(1700), members(4999) + b"\0"]
)
def test_a_gzip_file_may_have_several_members_and_zeros_behind_them(tmp_path, stored):
    assert inflate(tmp_path, stored, len(RAW)) == RAW
    assert inflate(tmp_path, KINDS["gzip"] * 2, len(RAW)) == RAW + RAW[:1]
    with pytest.raises(InputError, match="cut short after"):
        inflate(tmp_path, stored.rstrip(b"\0")[:-27], len(RAW))


def test_more_bytes_than_memory_are_rejected_and_not_awaited(tmp_path):
    with pytest.raises(InputError, match=f"announces {2**62} bytes, more than the memory"):
        inflate_start(tmp_path, KINDS["gzip"], 2**62)


def test_many_empty_members_cost_no_quadratic_time(tmp_path):
    stored = gzip.compress(b"", mtime=0) * 50_000 + KINDS["gzip"]
    assert inflate_start(tmp_path, stored, len(RAW)) == RAW
