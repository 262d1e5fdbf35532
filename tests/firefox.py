"""A headless Firefox driven through Marionette, the protocol that geckodriver translates to:
nothing to install but the browser itself. Its page takes the calls of `tests.browser.Page` that an
upload, a look and a stroke need.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from tests.browser import Driven, address

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
_FLAGS = ("--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile")
_SETTINGS = """user_pref("marionette.port", 0);
user_pref("webgl.force-enabled", true);
user_pref("browser.download.folderList", 2);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
"""
_WEBGL = {"MOZ_WEBGL_FORCE_EGL": "1"}  # Mesa draws without a screen through EGL alone
_KEYS = {
    "Control": "\ue009",
    "Shift": "\ue008",
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "End": "\ue010",
    "Home": "\ue011",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
}
_PATIENCE_S = 60.0
# what pages ask for, and not what Firefox asks for itself
_WATCH = """window.asked = [];
Services.obs.addObserver(channel => {
  channel.QueryInterface(Ci.nsIHttpChannel);
  if (channel.loadInfo.browsingContext) window.asked.push(channel.URI.spec);
}, "http-on-opening-request");"""
_ERRORS = """return Services.console.getMessageArray()
  .filter(one => one instanceof Ci.nsIScriptError && /^(http|file)/.test(one.sourceName))
  .filter(one => !(one.flags & Ci.nsIScriptError.warningFlag)).map(one => one.errorMessage)"""
_SAID = """return Cc["@mozilla.org/consoleAPI-storage;1"].getService(Ci.nsIConsoleAPIStorage)
  .getEvents().filter(one => ["error", "warn", "assert"].includes(one.level))
  .map(one => Array.from(one.arguments).map(String).join(" "))"""


class Firefox(Driven):
    """One browser process with one page; a context that ends it.

    Raises RuntimeError where none is installed.
    """

    def __enter__(self) -> Self:
        if FIREFOX is None:
            raise RuntimeError("no firefox on PATH")
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder = Path(self._profile.name)
        (folder / "user.js").write_text(_SETTINGS)
        self._process = subprocess.Popen(
            [FIREFOX, *_FLAGS, folder],
            env=os.environ | _WEBGL | {"HOME": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._socket = socket.create_connection(("127.0.0.1", self._port(folder)), _PATIENCE_S)
        self._answers, self._sent = self._socket.makefile("rb"), 0
        self._read()  # the greeting
        self.send("WebDriver:NewSession")
        self.send("WebDriver:SetWindowRect", width=1280, height=1000)
        self._inside(_WATCH)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(_PATIENCE_S)
        self._profile.cleanup()

    def _port(self, folder: Path) -> int:
        end, written = time.monotonic() + _PATIENCE_S, folder / "MarionetteActivePort"
        while not (written.is_file() and written.read_text()):
            if self._process.poll() is not None or time.monotonic() > end:
                raise TimeoutError("Firefox does not start")
            time.sleep(0.05)
        return int(written.read_text())

    def _read(self) -> Any:
        length = b""
        while (letter := self._answers.read(1)) not in (b":", b""):
            length += letter
        return json.loads(self._answers.read(int(length)))

    def send(self, command: str, **arguments: Any) -> Any:
        """Give a command of the protocol and take its answer."""
        self._sent += 1
        message = json.dumps([0, self._sent, command, arguments]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, answer = self._read()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return answer["value"] if isinstance(answer, dict) and "value" in answer else answer

    def _inside(self, code: str) -> Any:
        """Run code in the browser itself instead of the page."""
        self.send("Marionette:SetContext", value="chrome")
        try:
            return self.send("WebDriver:ExecuteScript", script=code, args=[])
        finally:
            self.send("Marionette:SetContext", value="content")

    @property
    def complaints(self) -> list[str]:
        """Errors of pages and of their policies, and what scripts said as error or warning."""
        said = self.send("WebDriver:ExecuteScript", script=_SAID, args=[], sandbox="system")
        return self._inside(_ERRORS) + said

    @property
    def requests(self) -> list[str]:
        """Addresses of everything that pages requested."""
        return self._inside("return window.asked")

    def open(self, place: Path | str) -> Self:
        """Open a file or an address as `go` does; the page."""
        self.go(place)
        return self

    def go(self, place: Path | str) -> None:
        """Open a file or an address and wait until it is loaded."""
        self.send("WebDriver:Navigate", url=address(place))

    def evaluate(self, code: str) -> Any:
        return self.send(
            "WebDriver:ExecuteScript", script=f"return ({code})", args=[], sandbox=None
        )

    def _found(self, selector: str) -> dict[str, str]:
        return self.send("WebDriver:FindElement", using="css selector", value=selector)

    def click(self, selector: str) -> None:
        """Click the middle of the first element that a selector finds."""
        self.send("WebDriver:ElementClick", id=next(iter(self._found(selector).values())))

    def set_files(self, selector: str, *paths: Path) -> None:
        """Choose files in the ``<input type=file>`` that a selector finds."""
        chosen = "\n".join(str(path.resolve()) for path in paths)
        element = next(iter(self._found(selector).values()))
        self.send("WebDriver:ElementSendKeys", id=element, text=chosen)

    def press(self, keys: str) -> None:
        """Press and release a key by its name, or with others held: ``Control+Shift+z``."""
        names = keys.split("+") if len(keys) > 1 else [keys]
        values = [_KEYS.get(name, name) for name in names]
        down = [{"type": "keyDown", "value": value} for value in values]
        up = [{"type": "keyUp", "value": value} for value in reversed(values)]
        self._act({"type": "key", "id": "keys", "actions": down + up})

    def drag(self, selector: str, *points: tuple[float, float]) -> None:
        """Move the mouse along points, shares of an element's size, with its left button down."""
        element = self._found(selector)
        width, height = self.evaluate(
            f"(({{width, height}}) => [width, height])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        moves = [
            {"type": "pointerMove", "duration": 20, "origin": element}
            | {"x": round((across - 0.5) * width), "y": round((down - 0.5) * height)}
            for across, down in points
        ]
        press, release = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        self._act(
            {"type": "pointer", "id": "mouse", "actions": [moves[0], press, *moves[1:], release]}
        )

    def _act(self, actions: dict[str, Any]) -> None:
        self.send("WebDriver:PerformActions", actions=[actions])

    def screenshot(self, selector: str) -> bytes:
        """PNG file of the first element that a selector finds."""
        element = next(iter(self._found(selector).values()))
        return base64.b64decode(self.send("WebDriver:TakeScreenshot", id=element, full=False))
