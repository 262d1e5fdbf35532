"""A small DICOMweb server whose answers go wrong as a test says."""

import json
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pydicom

STALL_S = 0.3
"""What tests give a client as `stall_s`; a stall lasts longer."""


class Faulty(ThreadingHTTPServer):
    """Holds instances in memory.

    `faults` are taken in turn by requests of a kind: ``series``, ``instances``, ``has``, ``wado``
    and ``stow``. `stored` are the UIDs of instances as they arrived, `asked` the kinds and paths of
    requests, `headers` those of the last one, `slowest_s` how long it took to receive the last
    instance.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.files: dict[str, bytes] = {}
        self.places: dict[str, tuple[str, str]] = {}
        self.stored: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.slowest_s = 0.0
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/dicom-web"

    def hold(self, data: bytes) -> str:
        """Keep an instance; its UID."""
        dataset = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
        uid = str(dataset.SOPInstanceUID)
        self.files[uid] = data
        self.places[uid] = (str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID))
        return uid

    def hold_all(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*.dcm")):
            self.hold(path.read_bytes())

    def count(self, kind: str) -> int:
        return sum(asked == kind for asked, _ in self.asked)


@contextmanager
def serving() -> Iterator[Faulty]:
    with Faulty() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


class _Answers(BaseHTTPRequestHandler):
    server: Faulty
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        names = parts.path.removeprefix("/dicom-web/studies").strip("/").split("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if "instances" in names[:-1]:
            self._take("wado")
            return self._wado(names[-1])
        if names[-1] == "instances":
            self._take("has" if "SOPInstanceUID" in query else "instances")
            return self._json(self._found_instances(names, query))
        self._take("series")
        return self._json(self._found_series(names[0], query))

    def do_POST(self) -> None:
        self._take("stow")
        fault, start = self.fault, time.monotonic()
        body, left = b"", int(self.headers["Content-Length"])
        while left:
            piece = self.rfile.read(min(left, 2**17))
            body, left = body + piece, left - len(piece)
            time.sleep(0.02 if fault == "slow" else 0)
        self.server.slowest_s = time.monotonic() - start
        (part,) = re.findall(rb"\r\n\r\n(.*)\r\n--[^\r\n]+--", body, re.DOTALL)
        uid = str(pydicom.dcmread(BytesIO(part), stop_before_pixels=True).SOPInstanceUID)
        if not re.match(r"\d|refuse|busy|stall without storing", fault):
            self.server.stored.append(self.server.hold(part))
        item = {"00081155": {"vr": "UI", "Value": [uid]}}
        answer = {"00081199": {"vr": "SQ", "Value": [item]}}
        if fault.startswith("refuse"):
            item["00081197"] = {"vr": "US", "Value": [0x0122]}
            answer = {"00081198": {"vr": "SQ", "Value": [item]}}
        if fault == "nothing":
            answer = {}
        self._json(answer, 409 if fault == "refuse 409" else 202 if fault == "refuse" else 200)

    def _take(self, kind: str) -> None:
        """Note a request and its fault."""
        faults = self.server.faults[kind]
        self.fault = faults.pop(0) if faults else ""
        self.server.asked.append((kind, self.path))
        self.server.headers = dict(self.headers)

    def _found_series(self, study: str, query: dict[str, str]) -> list[dict]:
        series = {place[1] for place in self.server.places.values() if place[0] == study}
        if int(query.get("offset", 0)):
            return []
        return [
            {"0020000E": {"vr": "UI", "Value": [uid]}, "00080060": {"vr": "CS", "Value": ["MR"]}}
            for uid in sorted(series)
        ]

    def _found_instances(self, names: list[str], query: dict[str, str]) -> list[dict]:
        found = [
            uid
            for uid, place in self.server.places.items()
            if place[0] == names[0] and (len(names) < 4 or place[1] == names[2])
        ]
        if wanted := query.get("SOPInstanceUID"):
            found = [uid for uid in found if uid == wanted]
        found = [] if int(query.get("offset", 0)) and self.fault != "same page" else found
        return [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in found]

    def _wado(self, uid: str) -> None:
        data = self.server.files[uid]
        if self.fault == "another":
            data = next(file for other, file in self.server.files.items() if other != uid)
        if self.fault == "short file":
            data = data[:200]
        part = b"--x y\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--x y--"
        self._answer('multipart/related; type="application/dicom"; boundary="x y"', part)

    def _json(self, value: object, status: int = 200) -> None:
        self._answer("application/dicom+json", json.dumps(value).encode(), status)

    def _answer(self, kind: str, body: bytes, status: int = 200) -> None:
        """Answer, or fail as the fault says."""
        fault = self.fault
        if fault in ("lost", "stall", "stall without storing"):
            if fault.startswith("stall"):
                self.server.ended.wait(STALL_S * 3)
            self.close_connection = True
            return
        if fault == "html":
            kind, body = "text/html", b"<html>Please log in, Jane Roe</html>"
        if found := re.fullmatch(r"(?:stored )?(\d{3})", fault):
            status, body = int(found[1]), b"Jane Roe is not here"
        self.send_response(503 if fault == "busy" else status)
        self.send_header("Content-Type", kind)
        if fault == "busy":
            self.send_header("Retry-After", "86400")
        if status // 100 == 3:
            self.send_header("Location", "http://example.org/dicom-web")
        if fault in ("cut without length", "endless"):
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "endless":
            while not self.server.ended.is_set():
                try:
                    self.wfile.write(b" " * 100_000)
                except OSError:
                    return
        if fault.startswith("cut"):
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)
