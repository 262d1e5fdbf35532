"""A headless Chromium driven through the DevTools protocol over a pipe: nothing to install but the
browser itself.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = (
    *(
        "--headless",
        "--remote-debugging-pipe",
        "--no-first-run",
        "--disable-extensions",
        "--mute-audio",
        "--hide-scrollbars",
    ),
    *(
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--force-color-profile=srgb",
    ),
    "--no-sandbox",  # a container's root has no other way, and the pages are our own
)
_KEYS = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}
_TEXTS = {"Enter": "\r", " ": " "}
_CONTROLS = (
    "a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary,"
    " [tabindex='0']"
)
_DESCRIBE = """one => !one || one === document.body ? null : [
  one.tagName.toLowerCase(), [...document.querySelectorAll("*")].indexOf(one),
  one.id || one.getAttribute("aria-label") || one.textContent.trim().slice(0, 40),
].join(" ")"""
_PATIENCE_S = 60.0
_SHOWN = 200  # letters of an address, of which those with data inside are long


class Browser:
    """One browser process; a context that ends it. Raises RuntimeError where none is installed."""

    def __enter__(self) -> Self:
        if CHROMIUM is None:
            raise RuntimeError("no chromium on PATH")
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, self._out = os.pipe()
        self._in, ours = os.pipe()
        line = (  # Chromium reads from 3 and writes to 4
            f'exec "$0" "$@" 3</dev/fd/{theirs} 4>/dev/fd/{ours}'
        )
        command = ["sh", "-c", line, CHROMIUM, *_FLAGS, f"--user-data-dir={self._profile.name}"]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs, ours), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(ours)
        self._rest, self._asked, self.pages = b"", 0, {}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE_S)
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> "Page":
        """Open a file and wait until it is loaded."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})[
            "sessionId"
        ]
        page = self.pages[session] = Page(self, session, target)
        for part in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{part}.enable")
        page.look(width, height, dark)
        page.go(path)
        return page

    def ask(
        self, method: str, arguments: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        """Give a command and take its answer; what happens meanwhile goes to the pages."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": arguments or {}} | (
            {"sessionId": session} if session else {}
        )
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._read(_PATIENCE_S)
            if answer is None:
                raise TimeoutError(f"{method} got no answer in {_PATIENCE_S:g} s")
            if answer.get("id") == self._asked:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def listen(self, seconds: float) -> None:
        """Take what happens in the next while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> dict[str, Any] | None:
        end = time.monotonic() + seconds
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], max(end - time.monotonic(), 0))[0]:
                return None
            data = os.read(self._in, 1 << 20)
            if not data:
                raise RuntimeError("the browser ended")
            self._rest += data
        line, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(line)
        if message.get("sessionId") in self.pages and "method" in message:
            self.pages[message["sessionId"]].happened(message["method"], message["params"])
        return message


class Page:
    """A page in a browser.

    Attributes
    ----------
    complaints : list of str
        Errors and warnings of the console, exceptions, and what the page's policy refused.
    requests : list of str
        Addresses of everything that was asked for.
    """

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self._session, self._target = browser, session, target
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = False

    def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Give a command of the protocol to this page."""
        return self.browser.ask(method, arguments, self._session)

    def happened(self, event: str, details: dict[str, Any]) -> None:
        """Note an event of the protocol."""
        if event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"][:_SHOWN])
        elif event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            self.complaints.append(thrown.get("exception", {}).get("description", thrown["text"]))
        elif event == "Runtime.consoleAPICalled" and details["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.complaints.append(
                " ".join(
                    str(part.get("value", part.get("description"))) for part in details["args"]
                )
            )
        elif event == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.complaints.append(details["entry"]["text"])

    def go(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self._loaded = False
        self.ask("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + _PATIENCE_S
        while not self._loaded:
            if time.monotonic() > end:
                raise TimeoutError(f"{path} was not loaded in {_PATIENCE_S:g} s")
            self.browser.listen(0.02)

    def look(
        self, width: int = 1280, height: int = 900, dark: bool = False, touch: bool = False
    ) -> None:
        """Set the size of the window, the colours that the reader prefers, and whether it is a
        phone.
        """
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        scheme = "dark" if dark else "light"
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def evaluate(self, code: str) -> Any:
        """Value of a JavaScript expression; a promise is awaited."""
        answer = self.ask(
            "Runtime.evaluate",
            expression=code,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"]
            raise RuntimeError(thrown.get("exception", {}).get("description", thrown["text"]))
        return answer["result"].get("value")

    def wait_for(self, condition: str, seconds: float = _PATIENCE_S) -> None:
        """Wait until a JavaScript expression holds."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(
                    f"{condition} does not hold after {seconds:g} s; complaints: {self.complaints}"
                )
            self.browser.listen(0.05)

    def press(self, key: str, shift: bool = False) -> None:
        """Press and release a key by its name, such as ``Tab`` or ``a``."""
        described = {
            "key": key,
            "modifiers": 8 * shift,
            "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0].upper())),
        }
        described |= {"code": key} if key in _KEYS and key != " " else {}
        text = _TEXTS.get(key, key if len(key) == 1 else "")
        self.ask(
            "Input.dispatchKeyEvent",
            type="keyDown",
            **described,
            **({"text": text} if text else {}),
        )
        self.ask("Input.dispatchKeyEvent", type="keyUp", **described)

    def click(self, selector: str) -> None:
        """Click the middle of the first element that a selector finds."""
        box = self.box(selector)
        at = {
            "x": box["x"] + box["width"] / 2,
            "y": box["y"] + box["height"] / 2,
            "button": "left",
            "clickCount": 1,
        }
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, **at)

    def box(self, selector: str) -> dict[str, float]:
        """Place and size of an element in the window, after scrolling to it."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{found}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        return self.evaluate(
            "(({x, y, width, height}) => ({x, y, width,"
            f" height}}))({found}.getBoundingClientRect())"
        )

    def screenshot(self, selector: str | None = None, whole: bool = False) -> bytes:
        """PNG file of the window, the first element that a selector finds, or the whole page."""
        clip = {}
        if selector:
            box = self.box(selector)
            scroll = self.evaluate("[scrollX, scrollY]")
            clip = {
                "clip": box | {"x": box["x"] + scroll[0], "y": box["y"] + scroll[1], "scale": 1}
            }
        answer = self.ask(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip
        )
        return base64.b64decode(answer["data"])

    def tab_walk(self, most: int = 500) -> list[str]:
        """Press Tab from the top of the page to its end; what had the focus, described as by
        `controls`, in order.
        """
        self.evaluate(
            "document.body.tabIndex = -1, document.body.focus(),"
            " document.body.removeAttribute('tabindex')"
        )
        places: list[str] = []
        for _ in range(most):
            self.press("Tab")
            place = self.evaluate(f"({_DESCRIBE})(document.activeElement)")
            if place in (None, *places[:1]):
                break
            places.append(place)
        return places

    def controls(self) -> list[str]:
        """What ought to be reached by Tab: visible links, buttons, fields and what else takes the
        focus, in order.
        """
        return self.evaluate(
            f"[...document.querySelectorAll({json.dumps(_CONTROLS)})].filter(one =>"
            f" one.checkVisibility()).map({_DESCRIBE})"
        )

    def seconds_to_interactive(self) -> float:
        """From the start of loading until the document is parsed, its scripts have run and it is
        painted.
        """
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return self.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000

    def close(self) -> None:
        """Close the page."""
        del self.browser.pages[self._session]
        self.browser.ask("Target.closeTarget", {"targetId": self._target})
