"""Requests of other pages, for other hosts, for other files, too large or too slow are refused, and
every route is behind the same guard.
"""

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from starlette.routing import Mount, Route

from pipeline.serving import app, security
from pipeline.serving.access import LOGIN, Access, kept_token, read_token
from pipeline.serving.limits import Limits
from tests.serving import hostile
from tests.serving.hosted import hosting

pytestmark = pytest.mark.slow

TOKEN = "correct horse battery staple"
FAST = Limits(most_bytes=2**20, most_uploads=2, stall_s=1.0, most_waiting=3, reserve_bytes=2**20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with hosting(tmp_path_factory.mktemp("open") / "store", FAST) as server:
        yield server


@pytest.fixture(scope="module")
def done(server):
    """A case that is segmented."""
    case_id = server.upload(hostile.good(), "name")
    assert server.wait(case_id)["status"] == "done"
    return case_id


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A server that asks for a token."""
    store = tmp_path_factory.mktemp("closed") / "store"
    with hosting(store, FAST, Access(TOKEN, is_encrypted=False)) as server:
        yield server


def raw(server, request: bytes, wait_s: float = 10) -> bytes:
    """What the server answers to bytes, until it closes the connection or for some seconds."""
    host, port = server.address.removeprefix("http://").split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=wait_s) as connection:
        connection.sendall(request)
        try:
            while piece := connection.recv(65536):
                received += piece
        except (TimeoutError, ConnectionResetError):
            pass
    return received


def get(server, target: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """The answer to a request with exactly these headers."""
    lines = [f"{method} {target} HTTP/{version}", *headers, "Connection: close", "", ""]
    return raw(server, "\r\n".join(lines).encode("latin-1"))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def host(server) -> str:
    return f"Host: {server.address.removeprefix('http://')}"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (("Host: 127.0.0.1",), 200),
        (("Host: LOCALHOST:8765",), 200),
        (("Host: [::1]:8765",), 200),
        (("Host: evil.example",), 403),
        (("Host: 127.0.0.1.evil.example",), 403),
        (("Host: localhost.",), 403),
        (("Host: localhost:80:80",), 403),
        (("Host: user@localhost",), 403),
        (("Host: [::2]",), 403),
        (("Host: 192.168.0.7",), 403),
        (("Host:",), 403),
        ((), 400),
        (("Host: localhost", "Host: evil.example"), 400),
        (("Host: localhost", "X-Forwarded-Host: evil.example"), 200),
        (("Host: localhost", "Origin: http://localhost"), 200),
        (("Host: localhost", "Origin: http://evil.example"), 403),
        (("Host: localhost", "Origin: null"), 403),
        (("Host: localhost", "Origin: http://localhost:9"), 403),
        (("Host: localhost", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403),
        (("Host: localhost", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"), 403),
        (
            (
                *("Host: localhost", "Sec-Fetch-Site: cross-site"),
                *("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"),
            ),
            200,
        ),
        (
            (
                *("Host: localhost", "Sec-Fetch-Site: cross-site"),
                *("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
            ),
            403,
        ),
    ],
)
def test_only_the_page_of_this_server_is_answered(server, headers, expected):
    assert status(get(server, "/", *headers)) == expected


def test_an_old_request_without_a_host_is_refused(server):
    assert status(get(server, "/", version="1.0")) == 403


def test_a_server_for_every_address_is_not_asked_by_a_foreign_name():
    guard = security.Guard(lambda: None, ["localhost", security.ANY_ADDRESS], "token")
    for name in ("localhost", "10.1.2.3", "[fe80::1]"):
        assert guard._is_ours(name)
    for name in ("evil.example", "10.1.2.3.evil.example", "1.2.3", "[::1].evil"):
        assert not guard._is_ours(name)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"])
def test_a_change_without_the_token_of_the_page_is_refused(server, method):
    for headers in ({}, {"X-TumorFlow-Token": "x"}, {"X-TumorFlow-Token": ""}):
        answer = server.session.request(
            method,
            f"{server.address}/api/cases/x",
            headers={"X-TumorFlow-Token": None} | headers,
            timeout=20,
        )
        assert (answer.status_code, "Reload the page" in answer.text) == (403, True)


def test_a_method_cannot_be_hidden_in_another(server, done):
    for headers in ("X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE"):
        answer = get(server, f"/api/cases/{done}?_method=DELETE", host(server), headers)
        assert status(answer) == 200
    assert server.state(done)["status"] == "done"


@pytest.mark.parametrize(
    "name",
    [
        "../state.json",
        "..%2Fstate.json",
        "%2e%2e/state.json",
        "%2e%2e%2fstate.json",
        "..%252fstate.json",
        "..%5cstate.json",
        "%2Fetc%2Fpasswd",
        "//etc/passwd",
        "labels.nii.gz%00.png",
        "labels.nii.gz/",
        "../../../../../../etc/passwd",
        "....//....//state.json",
        "%c0%ae%c0%ae/state.json",
        ".",
        "..",
        "state.json",
        "*",
    ],
)
def test_no_path_leads_out_of_the_files_of_a_case(server, done, name):
    for folder in (
        f"/api/cases/{done}/files",
        f"/api/cases/{done}/scene",
        f"/api/cases/{done}/thumbnails",
        "/assets/page",
        "/assets/report",
    ):
        answer = get(server, f"{folder}/{name}", host(server))
        assert status(answer) in (400, 404, 405, 422), answer[:200]
        assert b"format_version" not in answer
        assert b"root:" not in answer


def test_other_ids_lead_nowhere(server):
    for case_id in ("x", "..", "%2e%2e", "A" * 22, "A" * 21 + "%00", "cases", "A" * 5000):
        for rest in ("", "/scene/scene.json", "/files/labels.nii.gz", "/thumbnails/0.png"):
            answer = get(server, f"/api/cases/{case_id}{rest}", host(server))
            assert status(answer) == 404, answer[:300]


def test_answers_are_words_in_json_without_traces(server, done):
    cases = {
        "GET /nowhere": 404,
        "PUT /api/cases": 405,
        f"GET /api/cases/{done}/thumbnails/x.png": 422,
        f"POST /api/cases/{done}/series": 422,
    }
    for request, expected in cases.items():
        method, path = request.split()
        answer = server.session.request(method, f"{server.address}{path}", data="{", timeout=20)
        assert (answer.status_code, set(answer.json())) == (expected, {"message"})
        assert answer.json()["message"].endswith(".")
        assert "server" not in answer.headers
        assert "Error" not in answer.text
    for path in ("/assets/page/", "/assets/report", "/docs", "/openapi.json", "/assets/"):
        assert server.session.get(f"{server.address}{path}", timeout=20).status_code == 404


def test_data_are_not_kept_by_browsers_and_assets_are_checked(server, done):
    for path in ("/", f"/api/cases/{done}", f"/api/cases/{done}/files/labels.nii.gz"):
        answer = server.ask("GET", path)
        assert answer.headers["cache-control"] == "no-store"
        assert "'unsafe-inline'" not in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
    asset = server.ask("GET", "/assets/page/page.css")
    assert asset.headers["cache-control"] == "no-cache"
    again = {"If-None-Match": asset.headers["etag"]}
    assert server.ask("GET", "/assets/page/page.css", headers=again).status_code == 304


def test_a_part_of_a_file_and_its_head_can_be_asked_for(server, done):
    path = f"/api/cases/{done}/files/labels.nii.gz"
    whole = server.ask("GET", path).content
    part = server.ask("GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    head = server.ask("HEAD", path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(whole)))
    beyond = server.session.get(
        f"{server.address}{path}", headers={"Range": "bytes=99999999-"}, timeout=20
    )
    assert beyond.status_code == 416


def post(server, *headers: str, token: str | None = None) -> bytes:
    lines = [
        "POST /api/cases HTTP/1.1",
        host(server),
        f"X-TumorFlow-Token: {server.token if token is None else token}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def cases_of(server) -> int:
    return len(list((server.cases.store.folder / "cases").iterdir()))


def test_uploads_are_bounded_in_size_whatever_they_announce(server):
    before = cases_of(server)
    announced = raw(server, post(server, f"Content-Length: {2**40}") + b"x", 15)
    assert status(announced) == 413
    chunk = b"40000\r\n" + bytes(2**18) + b"\r\n"
    chunked = raw(server, post(server, "Transfer-Encoding: chunked") + chunk * 6 + b"0\r\n\r\n")
    assert (status(chunked), b"More was sent" in chunked) == (413, True)
    both = post(server, "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n"
    assert status(raw(server, both)) == 400
    empty = raw(server, post(server, "Content-Length: 0", "Connection: close"))
    assert (status(empty), b"Nothing was sent" in empty) == (400, True)
    negative = raw(server, post(server, "Content-Length: -5"))
    assert status(negative) == 400
    assert cases_of(server) == before


def test_other_requests_have_small_bodies(server, done):
    answer = server.session.post(
        f"{server.address}/api/cases/{done}/series", data=b" " * 2**21, timeout=20
    )
    assert (answer.status_code, set(answer.json())) == (413, {"message"})


def test_an_upload_that_is_cut_leaves_nothing(server):
    before = cases_of(server)
    name, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((name, int(port))) as connection:
        connection.sendall(post(server, "Content-Length: 100000") + bytes(5000))
        time.sleep(0.3)
        assert cases_of(server) == before + 1
    end = time.monotonic() + 10
    while cases_of(server) > before and time.monotonic() < end:
        time.sleep(0.05)
    assert cases_of(server) == before


def test_an_upload_that_stalls_is_ended_in_words(server):
    before = cases_of(server)
    answer = raw(server, post(server, "Content-Length: 100000") + bytes(5000), 15)
    assert (status(answer), b"stopped coming" in answer) == (408, True)
    assert cases_of(server) == before


def test_only_so_many_send_at_once_and_two_do(server):
    name, port = server.address.removeprefix("http://").split(":")
    with (
        closing(socket.create_connection((name, int(port)))) as one,
        closing(socket.create_connection((name, int(port)))) as other,
    ):
        for connection in (one, other):
            connection.sendall(post(server, "Content-Length: 600") + bytes(300))
        time.sleep(0.3)
        third = server.session.post(f"{server.address}/api/cases", data=bytes(600), timeout=20)
        assert (third.status_code, "Others are sending" in third.text) == (503, True)
        for connection in (one, other):
            connection.sendall(bytes(300))
            assert b" 201 " in connection.recv(65536).split(b"\r\n")[0]


def test_a_connection_that_never_asks_is_closed(server, monkeypatch):
    from pipeline.serving import connections

    monkeypatch.setattr(connections, "HEADERS_S", 0.5)
    begun = time.monotonic()
    assert raw(server, b"GET / HTTP/1.1\r\nHost: loc", 15) == b""
    assert time.monotonic() - begun < 5


def test_a_disk_without_room_takes_no_upload(server, monkeypatch):
    monkeypatch.setattr(server.cases, "limits", Limits(reserve_bytes=2**60))
    before = cases_of(server)
    answer = server.session.post(f"{server.address}/api/cases", data=hostile.good(), timeout=20)
    assert (answer.status_code, "disk of the server is full" in answer.text) == (507, True)
    assert cases_of(server) == before


def routes_of(application) -> list[tuple[str, str]]:
    """Method and path of every route, with parameters filled in."""
    found = []
    for route in application.routes:
        assert isinstance(route, Route | Mount) or hasattr(route, "methods"), route
        if not isinstance(route, Mount):
            path = route.path
            for name in route.param_convertors:
                path = path.replace(f"{{{name}}}", "1")
            found += [(method, path) for method in sorted(route.methods)]
    return found


def test_every_route_is_behind_the_guard(server, closed):
    found = routes_of(app.routes(server.cases, "token"))
    assert len(found) > 8
    for method, path in found:
        connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=20)
        with closing(connection):
            connection.request(method, path, headers={"Host": "evil.example"})
            assert connection.getresponse().status == 403, path
        if method not in ("GET", "HEAD"):
            answer = server.session.request(
                method, f"{server.address}{path}", headers={"X-TumorFlow-Token": ""}, timeout=20
            )
            assert answer.status_code == 403, path
        answer = closed.session.request(
            method, f"{closed.address}{path}", allow_redirects=False, timeout=20
        )
        assert answer.status_code in (303, 401, 403), path
        assert TOKEN not in answer.text


def log_in(server, token: str):
    return server.session.post(
        f"{server.address}{LOGIN}", data={"token": token}, allow_redirects=False, timeout=30
    )


def test_a_login_sets_a_cookie_that_scripts_and_other_pages_do_not_get(closed):
    page = closed.session.get(f"{closed.address}/cases/x", timeout=20)
    assert (page.url, "<form" in page.text) == (f"{closed.address}{LOGIN}", True)
    assert log_in(closed, "wrong").status_code == 403
    assert log_in(closed, "").status_code == 403
    answer = log_in(closed, TOKEN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/"))
    assert TOKEN not in cookie
    assert closed.session.get(f"{closed.address}/api/cases", timeout=20).status_code == 200
    forged = closed.session.get(
        f"{closed.address}/api/cases", headers={"Cookie": "tumorflow=x"}, timeout=20
    )
    assert forged.status_code == 401
    change = closed.session.delete(f"{closed.address}/api/cases/x", timeout=20)
    assert (change.status_code, "Reload" in change.text) == (403, True)
    other = closed.session.post(
        f"{closed.address}{LOGIN}",
        data={"token": TOKEN},
        headers={"Origin": "http://evil.example"},
        timeout=20,
    )
    assert other.status_code == 403


def test_failed_logins_become_slow(closed):
    log_in(closed, TOKEN)
    took = []
    for _ in range(3):
        begun = time.monotonic()
        log_in(closed, "guess")
        took.append(time.monotonic() - begun)
    assert took[0] > 0.4
    assert took[2] > 1.5


def test_wrong_logins_at_once_do_not_keep_the_right_token_out(closed):
    with ThreadPoolExecutor(12) as pool:
        wrong = [pool.submit(log_in, closed, "guess") for _ in range(12)]
        time.sleep(0.2)
        begun = time.monotonic()
        assert log_in(closed, TOKEN).status_code == 303
        assert time.monotonic() - begun < 5
        assert {one.result().status_code for one in wrong} == {403, 429}


def test_a_token_is_made_once_for_its_owner_alone_and_a_weak_one_is_refused(tmp_path):
    token, is_new = kept_token(tmp_path / "token")
    assert (is_new, len(token) >= 32) == (True, True)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert kept_token(tmp_path / "token") == (token, False)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(Exception, match="others may read it"):
        read_token(tmp_path / "token")
    (tmp_path / "short").write_text("secret")
    (tmp_path / "short").chmod(0o600)
    with pytest.raises(Exception, match="at least 16"):
        read_token(tmp_path / "short")
