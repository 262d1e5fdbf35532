"""A file arrives complete and unchanged, or not at all, whatever the server and network do."""

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

from pipeline.cohorts.fetching.fetch import Remote, fetch, locked
from pipeline.core.errors import InputError
from tests.cohorts.fetching.serving import Reply, Site, serving

DATA = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
NOTHING_KEPT = {".fetch.lock"}
LATER = NOTHING_KEPT | {".a.zip.partial"}
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


def download(site: Site, folder: Path, trials: int = 4, **changes) -> bytes:
    (path,) = fetch([remote(site, **changes)], folder, waits=[0] * (trials - 1), stall_seconds=0.5)
    assert path == folder / "a.zip"
    assert {entry.name for entry in folder.iterdir()} == DONE
    return path.read_bytes()


def rejected(
    site: Site, folder: Path, said: str, kept: set[str] = NOTHING_KEPT, trials: int = 1, **changes
) -> None:
    """The download fails with this message, which names the address, and keeps these files."""
    with pytest.raises(InputError, match=f"(?s){said}") as fault:
        download(site, folder, trials, **changes)
    assert remote(site, **changes).url in str(fault.value)
    assert {entry.name for entry in folder.iterdir()} == kept


def test_files_are_returned_in_the_order_of_the_remotes(site, tmp_path):
    site.files |= {f"{number}.bin": bytes([number]) * number for number in range(9)}
    wanted = [remote(site, name, site.files[name]) for name in site.files]
    site.files["empty.bin"] = b""
    wanted.append(remote(site, "empty.bin", b""))
    paths = fetch(wanted, tmp_path / "new/folder", parallel=3)
    assert [path.name for path in paths] == list(site.files)
    assert [path.read_bytes() for path in paths] == list(site.files.values())


@pytest.mark.parametrize(
    "checksum",
    [md5(DATA), f"sha256:{hashlib.sha256(DATA).hexdigest()}", f"md5:{md5(DATA)[4:].upper()}"],
)
def test_md5_and_sha256_are_accepted_in_either_case(site, tmp_path, checksum):
    for _ in range(2):  # the second finds the file complete
        assert download(site, tmp_path, checksum=checksum) == DATA
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("name", "there", "known", "requests"),
    [
        *(("a.zip", there, {}, 1) for there in (DATA[:-1], OTHER, b"")),
        *((".a.zip.partial", (OTHER + b"x")[:size], {}, None) for size in (1000, len(DATA))),
        (".a.zip.partial", OTHER + b"x", {}, None),
        (".a.zip.partial", DATA, {}, 0),
        (".a.zip.partial", DATA[:1000], {"checksum": None}, 1),
    ],
)
def test_what_is_there_is_used_if_its_bytes_are_right(site, tmp_path, name, there, known, requests):
    (tmp_path / name).write_bytes(there)
    assert download(site, tmp_path, **known) == DATA
    assert requests is None or len(site.requests) == requests
    assert site.ranges[-1:] in ([], [None])


def test_a_file_with_other_bytes_is_kept_if_the_download_fails(site, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"old")
    site.files.clear()
    rejected(site, tmp_path, "404", kept=DONE)


def test_without_a_published_checksum_the_sha256_is_logged(site, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "pipeline"):
        assert download(site, tmp_path, size=None, checksum=None) == DATA
    digest = hashlib.sha256(DATA).hexdigest()
    assert f"no checksum is published; the file has sha256:{digest}" in caplog.text
    download(site, tmp_path, size=None, checksum=None)
    assert len(site.requests) == 1


def resumed(byte: int) -> str | None:
    return f"bytes={byte}-" if byte else None


def passing(replies: list[Reply], *ranges: int | None, **known) -> tuple:
    """Replies after which the file arrives, and where the requests after the first begin."""
    return replies, known, [None, *map(resumed, ranges)]


CUT = Reply(cut=1000)
STEPS = range(10_000, len(DATA), 10_000)
UNKNOWN = {"size": None, "checksum": None}
UNUSABLE = ("soon", "-5", "", formatdate(0, usegmt=True), "²".encode().decode("latin-1"))
WRONG_RANGES = ("", "bytes 999-299999/300000", "bytes 0-2/3", "chars 1000-1/2")
PLACES = (0, 1, 2, 8191, 8192, 8193, 65_536, 150_000, 262_144, len(DATA) - 1)
RECOVERED = [
    *(passing([Reply(cut=n)], n, size=None) for n in PLACES),
    *(passing([Reply(stall=n)], n) for n in (0, 1, 100_000)),
    passing([Reply(cut=n) for n in STEPS], *STEPS, trials=2),
    *(
        passing([Reply(status=n), CUT, *[Reply(status=n)] * 2], 0, 1000, 1000, 1000)
        for n in (408, 429, 500, 502, 503)
    ),
    *(passing([Reply(status=503, headers={"Retry-After": when})], 0) for when in UNUSABLE),
    passing([Reply(cut=1000, instead=OTHER)], 0, checksum=None),
    passing([CUT, Reply(ranges=False)], 1000),
    passing([Reply(cut=1000, instead=OTHER)], 1000, 0),  # parts of two files
    *(  # a part from another byte
        passing([CUT, Reply(headers={"Content-Range": there}, padding=b"x")], 1000, 0)
        for there in WRONG_RANGES
    ),
    passing([CUT, Reply(status=416)], 1000, 0),  # a range beyond the file
    *(
        passing(
            [Reply(chunked=True, cut=n), Reply(chunked=True)], 0 if known == UNKNOWN else n, **known
        )
        for n in (0, 1, 100_000)
        for known in ({}, {"size": None}, UNKNOWN)
    ),
    passing([Reply(length=None, cut=1000)], 1000),
    passing([Reply(length=None, cut=1000)], 0, checksum=None),
    passing([Reply(length=None, cut=1000)], 0, size=None),
    passing([Reply(headers={"Content-Encoding": "gzip"})]),
]


@pytest.mark.parametrize(("replies", "known", "ranges"), RECOVERED)
def test_faults_that_pass_are_recovered_from(site, tmp_path, replies, known, ranges):
    site.replies = [*replies]
    assert download(site, tmp_path, **known) == DATA
    assert site.ranges == ranges


def redirect(location: str, status: int = 302) -> Reply:
    return Reply(status=status, headers={"Location": location})


def lasting(said: str, *replies: Reply, requests: int = 1, **given) -> tuple:
    """Replies that make the download fail with a message after so many requests."""
    return replies, said, {"trials": 4} | given, requests


REFUSALS = (204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 451, 499)
ELSEWHERE = ["file:///etc/passwd", "http://example.org/a", "ftp://127.0.0.1/a", "https://"]
REJECTED = [
    lasting(
        "cut at byte 1,000.*1,000 bytes received are kept. Start again",
        *[CUT] * 4,
        requests=3,
        kept=LATER,
        trials=3,
    ),
    lasting(r"byte 1,000 of 300,000\. Start again", CUT, kept=LATER, checksum=None, trials=1),
    lasting("cut at byte 1,000", *[Reply(cut=1000, ranges=False)] * 9, requests=4, kept=LATER),
    lasting("500 Internal Server Error.*Start again when", *[Reply(status=500)] * 4, requests=4),
    *(lasting(f"answers {status}.*by hand", Reply(status=status)) for status in REFUSALS),
    *(
        lasting(
            r"429 Too Many Requests.*are kept\. Start again in \d{4,} s",
            *(Reply(cut=10), Reply(status=429, headers={"Retry-After": when})),
            requests=2,
            kept=LATER,
        )
        for when in ("3600", formatdate(4e9, usegmt=True))
    ),
    *(
        lasting(f"announces {length:,} bytes, 300,000 are published.*by hand", Reply(length=length))
        for length in (len(DATA) + 1, len(DATA) - 1, 0, 10**15)
    ),
    lasting(
        "no bytes from 300,000 on|cut at byte 300,000 of 300,001",
        *[Reply(length=len(DATA) + 1)] * 4,
        requests=3,
        kept=LATER,
        size=None,
        trials=3,
    ),
    lasting("complete, but its checksum is md5:.*is published", Reply(length=1000), size=None),
    lasting("sends more than 300,000 bytes", Reply(length=None, padding=b"x" * 100)),
    lasting("sends more than 300,000 bytes", Reply(chunked=True, padding=b"x")),
    lasting("sends no length.*A cut would not be noticed", Reply(length=None), **UNKNOWN),
    lasting(f"its checksum is {md5(DATA)}, {md5(OTHER)} is published", checksum=md5(OTHER)),
    *(
        lasting("redirects to .*not https.*by hand", redirect(place))
        for place in (*ELSEWHERE, "//example.org/a", "data:,x", "http://127.0.0.1:x/")
    ),
    lasting("Exceeded 30 redirects", *[redirect("/a.zip", 307)] * 40, requests=31),
]


@pytest.mark.parametrize(("replies", "said", "given", "requests"), REJECTED)
def test_faults_that_last_are_reported(site, tmp_path, replies, said, given, requests):
    site.replies = [*replies]
    rejected(site, tmp_path, said, **given)
    assert len(site.requests) == requests


@pytest.mark.parametrize("cut", [1, 5000, len(DATA) - 1])
def test_the_next_start_resumes_a_cut_download(site, tmp_path, cut):
    site.replies = [Reply(cut=cut)]
    rejected(site, tmp_path, "cut", kept=LATER)
    assert download(site, tmp_path, trials=1) == DATA
    assert site.ranges == [None, f"bytes={cut}-"]


def test_retry_after_is_waited_for(site, tmp_path, caplog):
    site.replies = [Reply(status=503, headers={"Retry-After": "1"})]
    with caplog.at_level(logging.INFO, "pipeline"):
        assert download(site, tmp_path) == DATA
    assert "a.zip: answers 503 Service Unavailable; trying again in 1 s" in caplog.text


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\0", b"nonsense\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n"),
        *(b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nLocation"),
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"Name%d: x\r\n" % n for n in range(200)) + b"\r\n",
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
def test_an_invalid_http_response_is_retried_or_rejected(site, tmp_path, raw):
    site.replies = [Reply(cut=1000), Reply(raw=raw)]
    try:
        assert download(site, tmp_path) == DATA
    except InputError:
        assert download(site, tmp_path) == DATA
    gc.collect()


@pytest.mark.parametrize("seed", range(24))
def test_random_faults_give_the_published_file_or_none(site, tmp_path, seed):
    rng = np.random.default_rng(seed)
    for place in rng.integers(len(DATA) + 1, size=8).tolist():
        faults = [
            *(Reply(cut=place), Reply(cut=place, chunked=True), Reply(cut=place, length=None)),
            *(Reply(cut=place, instead=OTHER), Reply(cut=place, ranges=False)),
            *(Reply(status=500), Reply(status=404), Reply(status=416), Reply(length=place)),
            Reply(instead=OTHER[:place]),
            Reply(headers={"Content-Range": f"bytes {place}-299999/300000"}),
        ]
        site.replies.append(faults[rng.integers(len(faults))])
    known = [{}, {"size": None}][seed % 2]
    while site.replies:
        try:
            assert download(site, tmp_path, trials=3, **known) == DATA
            break
        except InputError:
            assert {entry.name for entry in tmp_path.iterdir()} <= LATER
    assert download(site, tmp_path, **known) == DATA


def test_redirects_are_followed_and_resumed_through(site, tmp_path):
    site.files["b"] = DATA
    site.replies = [redirect("/b"), CUT, redirect("/b")]
    assert download(site, tmp_path) == DATA
    paths, ranges = ["/a.zip", "/b"] * 2, [None, None, "bytes=1000-", "bytes=1000-"]
    assert site.requests == list(zip(paths, ranges, strict=True))


def test_an_unreachable_server_is_named_and_received_bytes_are_kept(site, tmp_path):
    site.replies = [Reply(cut=1000)]
    rejected(site, tmp_path, "cut", kept=LATER)
    with serving() as gone:
        pass
    said = "cannot be reached.*refused.*1,000 bytes received are kept"
    rejected(gone, tmp_path, said, kept=LATER, trials=2)


def test_one_failed_file_does_not_stop_the_others(site, tmp_path):
    site.files["b.zip"] = OTHER
    names = {"c.zip": DATA, "a.zip": DATA, "d.zip": DATA, "b.zip": OTHER}
    wanted = [remote(site, name, data) for name, data in names.items()]
    with pytest.raises(InputError, match=r"(?s)c\.zip: answers 404.*d\.zip: answers 404"):
        fetch(wanted, tmp_path, waits=(), parallel=1)
    assert {entry.name for entry in tmp_path.iterdir()} == DONE | {"b.zip"}


def test_what_the_disk_cannot_hold_is_not_downloaded(site, tmp_path):
    said = r"1,000,000,000,300,000 bytes .* downloaded \(a\.zip, b\.zip\).*Make room"
    with pytest.raises(InputError, match=said):
        fetch([remote(site), remote(site, "b.zip", size=10**15)], tmp_path)
    assert site.requests == []
    site.replies = [Reply(length=10**15)]
    with pytest.raises(InputError, match="1,000,000,000,000,000 bytes are still to be downloaded"):
        download(site, tmp_path, size=None)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(
            ({"url": url}, "not an https address")
            for url in (*ELSEWHERE, "https:///a", "https://[::1/a")
        ),
        ({}, r"stored as a\.zip, like"),
        *(({"name": name}, "plain name") for name in ("../a", ".a", "", "a/b", "a\\b")),
        ({"size": -1}, "published size"),
        *(
            ({"checksum": checksum}, "hexadecimal digits")
            for checksum in ("crc:00", "", "md5:abc", "sha256:" + "g" * 64)
        ),
    ],
)
def test_an_invalid_remote_is_rejected(site, tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        fetch([remote(site, name="A.zip"), remote(site, **changes)], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def another_process(site: Site, folder: Path, options: str = "") -> subprocess.Popen:
    code = f"""
import signal
from pathlib import Path
# a shell starts a background process with SIGINT ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
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


def test_a_waiting_thread_logs_that_the_folder_is_locked(tmp_path, caplog):
    order = []

    def second() -> None:
        with locked(tmp_path / ".lock"):
            order.append("second")

    with caplog.at_level(logging.INFO), locked(tmp_path / ".lock"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert f"{tmp_path}: another process is working in this folder" in caplog.text
    assert (tmp_path / ".lock").read_bytes() == b""


def test_two_processes_download_a_file_once(site, tmp_path):
    with another_process(site, tmp_path) as one, another_process(site, tmp_path) as other:
        assert [one.wait(60), other.wait(60)] == [0, 0], one.stderr.read() + other.stderr.read()
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {
        "a.zip": DATA,
        ".fetch.lock": b"",
    }
    assert len(site.requests) == 1


def test_the_download_of_a_killed_process_is_resumed(site, tmp_path):
    site.replies = [Reply(stall=200_000)]
    partial = tmp_path / ".a.zip.partial"
    with another_process(site, tmp_path) as process:
        until(lambda: partial.exists() and partial.stat().st_size > 0, process)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    came = partial.stat().st_size
    assert download(site, tmp_path) == DATA
    assert 0 < came <= 200_000
    assert site.ranges == [None, f"bytes={came}-"]


def test_ctrl_c_ends_a_waiting_download_and_keeps_received_bytes(site, tmp_path):
    site.replies = [Reply(cut=1000), Reply(status=503)]
    with another_process(site, tmp_path, "waits=[0, 300]") as process:
        until(lambda: len(site.requests) == 2, process)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert download(site, tmp_path) == DATA
    assert site.ranges[2:] == ["bytes=1000-"]
