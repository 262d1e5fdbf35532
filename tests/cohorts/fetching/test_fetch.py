"""A file comes whole and right, or not at all, whatever the server and the line do."""

import gc
import hashlib
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts.fetching.fetch import Remote, fetch
from pipeline.cohorts.fetching.locks import alone
from pipeline.core.errors import InputError
from tests.cohorts.fetching.serving import Reply, Site, serving

DATA = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
NOTHING_KEPT = {".fetch.lock"}
LATER = NOTHING_KEPT | {".a.zip.partial", ".a.zip.partial.json"}
DONE = NOTHING_KEPT | {"a.zip"}


@pytest.fixture
def site(monkeypatch) -> Site:
    """A site with the file a.zip."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serving() as site:
        site.files["a.zip"] = DATA
        yield site


def md5(data: bytes) -> str:
    return f"md5:{hashlib.md5(data).hexdigest()}"


def remote(site: Site, name: str = "a.zip", data: bytes = DATA, **changes) -> Remote:
    return Remote(
        **{"url": site.url(name), "name": name, "size": len(data), "checksum": md5(data)} | changes
    )


def bring(site: Site, folder: Path, trials: int = 4, **changes) -> bytes:
    (path,) = fetch([remote(site, **changes)], folder, waits=[0] * (trials - 1), stall_seconds=0.5)
    assert path == folder / "a.zip"
    assert {entry.name for entry in folder.iterdir()} == DONE
    return path.read_bytes()


def refused(
    site: Site, folder: Path, said: str, kept: set[str] = NOTHING_KEPT, trials: int = 1, **changes
) -> None:
    """The download fails with this message, which names the address; nothing else stays but what is
    to be kept.
    """
    with pytest.raises(InputError, match=f"(?s){said}") as fault:
        bring(site, folder, trials, **changes)
    assert remote(site, **changes).url in str(fault.value)
    assert {entry.name for entry in folder.iterdir()} == kept


def test_files_come_in_the_order_asked_for(site, tmp_path):
    site.files |= {f"{number}.bin": bytes([number]) * number for number in range(9)}
    wanted = [remote(site, name, site.files[name]) for name in site.files]
    paths = fetch(wanted, tmp_path / "new/folder", parallel=3)
    assert [path.name for path in paths] == list(site.files)
    assert [path.read_bytes() for path in paths] == list(site.files.values())


@pytest.mark.parametrize(
    "checksum",
    [
        md5(DATA),
        f"sha256:{hashlib.sha256(DATA).hexdigest()}",
        md5(DATA)[:4] + md5(DATA)[4:].upper(),
    ],
)
def test_either_checksum_is_taken_in_either_case(site, tmp_path, checksum):
    assert bring(site, tmp_path, checksum=checksum) == DATA


def test_a_file_that_is_there_is_not_fetched_again(site, tmp_path):
    bring(site, tmp_path)
    bring(site, tmp_path)
    assert len(site.requests) == 1


@pytest.mark.parametrize("there", [DATA[:-1], OTHER, b""])
def test_a_file_that_is_there_and_wrong_is_fetched_anew(site, tmp_path, there):
    (tmp_path / "a.zip").write_bytes(there)
    assert bring(site, tmp_path) == DATA


def test_a_wrong_file_that_is_there_stays_where_the_right_one_cannot_be_had(site, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"old")
    site.files.clear()
    refused(site, tmp_path, "404", kept=DONE)


def test_without_a_checksum_the_sum_of_what_came_is_told(site, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "pipeline"):
        assert bring(site, tmp_path, size=None, checksum=None) == DATA
    assert (
        f"no checksum is published; of what came, sha256:{hashlib.sha256(DATA).hexdigest()}"
        in caplog.text
    )
    bring(site, tmp_path, size=None, checksum=None)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "cut", [0, 1, 2, 8191, 8192, 8193, 65_536, 150_000, 262_144, len(DATA) - 1]
)
@pytest.mark.parametrize("known", [True, False])
def test_a_file_cut_at_any_byte_goes_on_from_there(site, tmp_path, cut, known):
    site.replies = [Reply(cut=cut)]
    assert bring(site, tmp_path, **({} if known else {"size": None, "checksum": None})) == DATA
    assert site.ranges == [None, f"bytes={cut}-" if cut else None]


def test_a_file_cut_again_and_again_comes_as_long_as_each_trial_brings_some(site, tmp_path):
    cuts = list(range(10_000, len(DATA), 10_000))
    site.replies = [Reply(cut=cut) for cut in cuts]
    assert bring(site, tmp_path, trials=2) == DATA
    assert site.ranges == [None, *(f"bytes={cut}-" for cut in cuts)]


def test_a_cut_without_progress_ends_and_the_next_start_goes_on(site, tmp_path):
    site.replies = [Reply(cut=1000)] * 4
    refused(
        site,
        tmp_path,
        "cut at byte 1,000.*1,000 bytes that came are kept: start again",
        kept=LATER,
        trials=3,
    )
    assert len(site.requests) == 3
    assert bring(site, tmp_path) == DATA
    assert site.ranges[-1] == "bytes=1000-"


@pytest.mark.parametrize("cut", [1, 5000, len(DATA) - 1])
def test_each_start_of_a_file_that_is_cut_brings_it_further(site, tmp_path, cut):
    site.replies = [Reply(cut=cut)]
    refused(site, tmp_path, "cut", kept=LATER)
    assert bring(site, tmp_path, trials=1) == DATA
    assert site.ranges == [None, f"bytes={cut}-"]


def test_a_partial_file_that_is_whole_needs_no_request(site, tmp_path):
    site.replies = [Reply(cut=1000)]
    refused(site, tmp_path, "cut", kept=LATER)
    (tmp_path / ".a.zip.partial").write_bytes(DATA)
    bring(site, tmp_path, trials=1)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "record",
    [b"", b"{", b'{"url": "https://elsewhere/a.zip", "validator": "x", "length": null}', None],
)
def test_a_partial_file_of_unknown_origin_is_not_gone_on_with(site, tmp_path, record):
    (tmp_path / ".a.zip.partial").write_bytes(OTHER[:1000])
    if record is not None:
        (tmp_path / ".a.zip.partial.json").write_bytes(record)
    assert bring(site, tmp_path, trials=1) == DATA
    assert site.ranges == [None]


@pytest.mark.parametrize("stall", [0, 1, 100_000])
def test_a_silent_connection_is_given_up_and_resumed(site, tmp_path, stall):
    site.replies = [Reply(stall=stall)]
    assert bring(site, tmp_path) == DATA
    assert site.ranges[1] == (f"bytes={stall}-" if stall else None)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_server_in_trouble_is_asked_again(site, tmp_path, status):
    site.replies = [
        Reply(status=status),
        Reply(cut=1000),
        Reply(status=status),
        Reply(status=status),
    ]
    assert bring(site, tmp_path, trials=4) == DATA
    assert site.ranges == [None, None, *["bytes=1000-"] * 3]


def test_a_server_that_stays_in_trouble_is_named(site, tmp_path):
    site.replies = [Reply(status=500)] * 3
    refused(site, tmp_path, "500 Internal Server Error.*Start again when", trials=3)
    assert len(site.requests) == 3


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 451, 499])
def test_a_refusal_is_not_asked_again(site, tmp_path, status):
    site.replies = [Reply(status=status)]
    refused(site, tmp_path, f"answers {status}.*by hand", trials=4)
    assert len(site.requests) == 1


def test_retry_after_is_waited_for(site, tmp_path, caplog):
    site.replies = [Reply(status=503, headers={"Retry-After": "1"})]
    with caplog.at_level(logging.INFO, "pipeline"):
        assert bring(site, tmp_path) == DATA
    assert "a.zip: answers 503 Service Unavailable; trying again in 1 s" in caplog.text


@pytest.mark.parametrize("said", ["3600", formatdate(4e9, usegmt=True)])
def test_a_longer_pause_than_anyone_waits_for_ends_the_download(site, tmp_path, said):
    site.replies = [Reply(cut=10), Reply(status=429, headers={"Retry-After": said})]
    refused(
        site,
        tmp_path,
        r"429 Too Many Requests.*are kept: start again in \d{4,} s",
        kept=LATER,
        trials=4,
    )


@pytest.mark.parametrize("said", ["soon", "-5", "", formatdate(0, usegmt=True), "²"])
def test_a_pause_that_means_nothing_is_none(site, tmp_path, said):
    site.replies = [Reply(status=503, headers={"Retry-After": said.encode().decode("latin-1")})]
    assert bring(site, tmp_path) == DATA


def test_a_server_without_ranges_starts_anew(site, tmp_path):
    site.replies = [Reply(cut=1000), Reply(ranges=False)]
    assert bring(site, tmp_path) == DATA
    assert site.ranges == [None, "bytes=1000-"]


def test_a_server_without_ranges_that_is_always_cut_is_given_up(site, tmp_path):
    site.replies = [Reply(cut=1000, ranges=False)] * 9
    refused(site, tmp_path, "cut at byte 1,000", kept=LATER, trials=3)
    assert len(site.requests) == 3


@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_changed_before_the_resume_is_not_mixed(site, tmp_path, if_range):
    site.replies = [Reply(cut=1000, instead=OTHER), Reply(if_range=if_range)]
    assert bring(site, tmp_path, size=None, checksum=None) == DATA
    assert site.ranges[1] == "bytes=1000-"


@pytest.mark.parametrize("tag", ['W/"weak"', None])
def test_without_a_strong_tag_the_date_is_compared(site, tmp_path, tag):
    site.headers = {"ETag": tag}
    before = {"Last-Modified": "Sun, 22 Nov 2026 08:00:00 GMT"}
    site.replies = [Reply(cut=1000, instead=OTHER, headers=before)]
    assert bring(site, tmp_path, checksum=None) == DATA
    assert site.ranges == [None, "bytes=1000-"]


def test_without_any_tag_a_file_is_resumed_only_if_a_checksum_will_tell(site, tmp_path):
    site.headers = {"ETag": None, "Last-Modified": None}
    site.replies = [Reply(cut=1000)]
    assert bring(site, tmp_path) == DATA
    site.replies = [Reply(cut=1000)]
    (tmp_path / "a.zip").unlink()
    assert bring(site, tmp_path, checksum=None) == DATA
    assert site.ranges == [None, "bytes=1000-", None, None]


def test_pieces_that_do_not_make_the_file_are_fetched_once_more(site, tmp_path):
    site.headers = {"ETag": '"same"'}
    site.replies = [Reply(cut=1000, instead=OTHER)]
    assert bring(site, tmp_path) == DATA
    assert site.ranges == [None, "bytes=1000-", None]


@pytest.mark.parametrize(
    "said",
    [
        *(
            "",
            "bytes 1000-299999",
            "bytes 999-299999/300000",
            "bytes 0-299999/300000",
            "bytes 1000-299999/300001",
            "chars 1000-1/2",
        ),
        *(
            "bytes 1000-999/300000",
            "bytes 1000-300000/300000",
            "bytes 1000-299998/300000",
            "bytes -1000-299999/300000",
        ),
    ],
)
def test_a_part_that_does_not_fit_is_refused_and_the_file_started_anew(site, tmp_path, said):
    site.replies = [Reply(cut=1000), Reply(headers={"Content-Range": said}, padding=b"x")]
    assert bring(site, tmp_path) == DATA
    assert site.ranges == [None, "bytes=1000-", None]


def test_a_part_of_unknown_total_is_taken(site, tmp_path):
    site.replies = [Reply(cut=1000), Reply(headers={"Content-Range": "bytes 1000-299999/*"})]
    assert bring(site, tmp_path) == DATA
    assert len(site.requests) == 2


def test_a_file_shorter_than_what_came_of_it_is_started_anew(site, tmp_path):
    site.replies = [Reply(cut=1000), Reply(status=416)]
    assert bring(site, tmp_path) == DATA
    assert site.ranges == [None, "bytes=1000-", None]


@pytest.mark.parametrize("length", [len(DATA) + 1, len(DATA) - 1, 0, 10**15])
def test_an_announced_length_other_than_published_is_refused_at_once(site, tmp_path, length):
    site.replies = [Reply(length=length)]
    refused(site, tmp_path, f"announces {length:,} bytes, 300,000 are published.*by hand", trials=4)
    assert len(site.requests) == 1


def test_a_length_announced_too_long_is_a_cut_that_does_not_mend(site, tmp_path):
    site.replies = [Reply(length=len(DATA) + 1)] * 4
    refused(
        site,
        tmp_path,
        "nothing from byte 300,000 on|cut at byte 300,000 of 300,001",
        kept=LATER,
        size=None,
        trials=3,
    )


def test_a_length_announced_too_short_is_found_by_the_checksum(site, tmp_path):
    site.replies = [Reply(length=1000)]
    refused(site, tmp_path, "came whole, but its checksum is md5:.*is published", size=None)


def test_more_bytes_than_published_are_refused(site, tmp_path):
    site.replies = [Reply(length=None, padding=b"x" * 100)]
    refused(site, tmp_path, "sends more than 300,000 bytes")
    site.replies = [Reply(chunked=True, padding=b"x")]
    refused(site, tmp_path, "sends more than 300,000 bytes")


@pytest.mark.parametrize("cut", [0, 1, 100_000])
@pytest.mark.parametrize("known", [{}, {"size": None}, {"size": None, "checksum": None}])
def test_a_chunked_file_that_is_cut_comes_whole(site, tmp_path, cut, known):
    site.replies = [Reply(chunked=True, cut=cut), Reply(chunked=True)]
    assert bring(site, tmp_path, **known) == DATA


@pytest.mark.parametrize("known", [{}, {"size": None}, {"checksum": None}])
def test_a_cut_without_a_length_is_found_by_size_or_checksum(site, tmp_path, known):
    site.replies = [Reply(length=None, cut=1000)]
    assert bring(site, tmp_path, **known) == DATA


def test_a_file_without_length_size_and_checksum_is_refused(site, tmp_path):
    site.replies = [Reply(length=None)]
    refused(site, tmp_path, "tells no length.*A cut would go unnoticed", size=None, checksum=None)


def test_a_wrong_checksum_is_told_and_nothing_kept(site, tmp_path):
    refused(
        site,
        tmp_path,
        f"its checksum is {md5(DATA)}, {md5(OTHER)} is published",
        checksum=md5(OTHER),
        trials=4,
    )
    assert len(site.requests) == 1


def test_bytes_are_taken_as_sent_even_where_the_server_calls_them_compressed(site, tmp_path):
    site.replies = [Reply(headers={"Content-Encoding": "gzip"})]
    assert bring(site, tmp_path) == DATA


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"",
            b"\0",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/9.9 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nLocation",
        ),
        b"HTTP/1.1 200 OK\r\n"
        + b"".join(b"Name%d: x\r\n" % number for number in range(200))
        + b"\r\n",
        b"HTTP/1.1 200 OK\r\nName: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 300000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    ],
)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # urllib3 leaves the socket of such an answer to the collector
def test_an_answer_that_is_no_http_is_tried_again_or_refused(site, tmp_path, raw):
    site.replies = [Reply(cut=1000), Reply(raw=raw)]
    try:
        assert bring(site, tmp_path) == DATA
    except InputError:
        assert bring(site, tmp_path) == DATA
    gc.collect()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_server_does_the_file_comes_right_or_not_at_all(site, tmp_path, seed):
    rng = np.random.default_rng(seed)
    for _ in range(8):
        place = int(rng.integers(len(DATA) + 1))
        faults = [
            *(
                Reply(cut=place),
                Reply(cut=place, chunked=True),
                Reply(cut=place, length=None),
                Reply(cut=place, instead=OTHER),
            ),
            *(
                Reply(ranges=False, cut=place),
                Reply(status=500),
                Reply(status=404),
                Reply(length=place),
                Reply(instead=OTHER[:place]),
            ),
            *(
                Reply(if_range=False, cut=place),
                Reply(status=416),
                Reply(headers={"Content-Range": f"bytes {place}-299999/300000"}),
            ),
        ]
        site.replies.append(faults[rng.integers(len(faults))])
    known = [{}, {"size": None}][seed % 2]
    while site.replies:
        try:
            assert bring(site, tmp_path, trials=3, **known) == DATA
            break
        except InputError:
            assert {entry.name for entry in tmp_path.iterdir()} <= LATER
    assert bring(site, tmp_path, **known) == DATA


def test_an_empty_file_is_a_file(site, tmp_path):
    site.files["a.zip"] = b""
    assert bring(site, tmp_path, data=b"") == b""


def test_redirects_are_followed_and_resumed_through(site, tmp_path):
    site.files["b"] = DATA
    redirect = Reply(status=302, headers={"Location": "/b"})
    site.replies = [redirect, Reply(cut=1000), redirect]
    assert bring(site, tmp_path) == DATA
    assert site.requests == [
        ("/a.zip", None),
        ("/b", None),
        ("/a.zip", "bytes=1000-"),
        ("/b", "bytes=1000-"),
    ]


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "http://example.org/a.zip",
        "ftp://127.0.0.1/a.zip",
        "//example.org/a",
        "data:,x",
        "https://",
        "http://127.0.0.1:x/",
    ],
)
def test_a_redirect_to_an_unsafe_address_is_not_followed(site, tmp_path, location):
    site.replies = [Reply(status=301, headers={"Location": location})]
    refused(site, tmp_path, "leads to .*not https.*not followed", trials=4)


def test_endless_redirects_end(site, tmp_path):
    site.replies = [Reply(status=307, headers={"Location": "/a.zip"})] * 20
    refused(site, tmp_path, "leads on and on", trials=4)
    assert len(site.requests) == 11


def test_a_server_that_is_away_is_named_and_what_came_is_kept(site, tmp_path):
    site.replies = [Reply(cut=1000)]
    refused(site, tmp_path, "cut", kept=LATER)
    with serving() as gone:
        pass
    record = tmp_path / ".a.zip.partial.json"
    record.write_text(record.read_text().replace(site.root, gone.root))
    refused(
        gone,
        tmp_path,
        "cannot be reached.*refused.*1,000 bytes that came are kept",
        kept=LATER,
        trials=2,
    )


def test_a_file_that_fails_does_not_keep_the_others(site, tmp_path):
    site.files["b.zip"] = OTHER
    absent = [remote(site, name) for name in ("c.zip", "d.zip")]
    with pytest.raises(InputError, match=r"(?s)c\.zip: answers 404.*d\.zip: answers 404"):
        fetch(
            [absent[0], remote(site), absent[1], remote(site, "b.zip", OTHER)],
            tmp_path,
            waits=(),
            parallel=1,
        )
    assert {entry.name for entry in tmp_path.iterdir()} == DONE | {"b.zip"}


def test_a_full_disk_is_told_before_anything_is_asked_for(site, tmp_path):
    with pytest.raises(
        InputError,
        match=r"1,000,000,000,300,000 bytes are still to be fetched \(a\.zip, b\.zip\).*Make room",
    ):
        fetch([remote(site), remote(site, "b.zip", size=10**15)], tmp_path)
    assert site.requests == []


def test_a_length_beyond_the_disk_is_refused_where_no_size_is_published(site, tmp_path):
    site.replies = [Reply(length=10**15)]
    with pytest.raises(InputError, match="1,000,000,000,000,000 bytes are still to be fetched"):
        bring(site, tmp_path, size=None)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://example.org/a"}, "not an https address"),
        ({"url": "file:///etc/passwd"}, "not an https address"),
        ({"url": "ftp://127.0.0.1/a"}, "not an https address"),
        ({"url": "https:///a"}, "not an https address"),
        ({"url": "https://[::1/a"}, "not an https address"),
        ({"name": "../a"}, "plain name"),
        ({"name": ".a"}, "plain name"),
        ({"name": ""}, "plain name"),
        ({"name": "a/b"}, "plain name"),
        ({"size": -1}, "published size"),
        ({"checksum": "crc:00"}, "hexadecimal digits"),
        ({"checksum": ""}, "hexadecimal digits"),
        ({"checksum": "md5:abc"}, "hexadecimal digits"),
        ({"checksum": "sha256:" + "g" * 64}, "hexadecimal digits"),
    ],
)
def test_a_malformed_remote_is_refused(site, tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        fetch([remote(site, **changes)], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_two_files_of_one_name_are_refused(site, tmp_path):
    with pytest.raises(InputError, match=r"kept as A\.zip, like"):
        fetch([remote(site), remote(site, name="A.zip")], tmp_path)


def another_process(site: Site, folder: Path, options: str = "") -> subprocess.Popen:
    code = f"""
import signal
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background with SIGINT ignored
from pipeline.cohorts.fetching.fetch import Remote, fetch
fetch([{remote(site)!r}], Path({str(folder)!r}), {options})
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    pause = threading.Event()
    while not condition():
        assert process.poll() is None, process.stderr.read()
        pause.wait(0.01)


def test_two_downloads_at_once_ask_once_and_agree(site, tmp_path):
    with another_process(site, tmp_path) as one, another_process(site, tmp_path) as other:
        assert [one.wait(60), other.wait(60)] == [0, 0], one.stderr.read() + other.stderr.read()
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {
        "a.zip": DATA,
        ".fetch.lock": b"",
    }
    assert len(site.requests) == 1


def test_a_download_waits_for_another_in_the_same_process(site, tmp_path):
    results = []
    with alone(tmp_path / ".fetch.lock"):
        waiting = threading.Thread(target=lambda: results.append(bring(site, tmp_path)))
        waiting.start()
        waiting.join(0.2)
        assert site.requests == []
    waiting.join()
    assert results == [DATA]


def test_a_process_that_was_killed_is_gone_on_with(site, tmp_path):
    site.replies = [Reply(stall=200_000)]
    partial = tmp_path / ".a.zip.partial"
    with another_process(site, tmp_path) as process:
        until(lambda: partial.exists() and partial.stat().st_size > 0, process)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    came = partial.stat().st_size
    assert bring(site, tmp_path) == DATA
    assert 0 < came <= 200_000
    assert site.ranges == [None, f"bytes={came}-"]


def test_ctrl_c_ends_a_download_that_waits_and_keeps_what_came(site, tmp_path):
    site.replies = [Reply(cut=1000), Reply(status=503)]
    with another_process(site, tmp_path, "waits=[0, 300]") as process:
        until(lambda: len(site.requests) == 2, process)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert bring(site, tmp_path) == DATA
    assert site.ranges[2:] == ["bytes=1000-"]
