"""A real DICOMweb server for tests: Orthanc with its plugin, on loopback, with an empty store."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

PROGRAM = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
PLUGINS = [
    Path(folder) / "libOrthancDicomWeb.so"
    for folder in ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")
]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@contextmanager
def running(folder: Path, **settings) -> Iterator[str]:
    """The address of a server with its files in a folder; the test is skipped without Orthanc."""
    plugin = next((path for path in PLUGINS if path.exists()), None)
    if not Path(PROGRAM).exists() or plugin is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    port = free_port()
    values = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(values | settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/system", process, folder / "log")
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(200):
        try:
            requests.get(url, timeout=5)
            return
        except requests.ConnectionError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def upload(url: str, folder: Path) -> None:
    """Put all files below a folder into the server, by its own interface."""
    for path in sorted(folder.rglob("*.dcm")):
        answer = requests.post(
            url.replace("/dicom-web", "/instances"), data=path.read_bytes(), timeout=20
        )
        answer.raise_for_status()


def series_of(url: str, study: str) -> list[dict]:
    """What the server shows of the series of a study."""
    return requests.get(f"{url}/studies/{study}/series", timeout=20).json()
