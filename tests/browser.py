"""A headless Chromium driven through the DevTools protocol over a pipe: nothing to install but the
browser itself.
"""

import base64
import io
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from PIL import Image

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# a container's root has no sandbox, and the pages are our own
_FLAGS = """--headless --remote-debugging-pipe --no-first-run --disable-extensions --mute-audio
--hide-scrollbars --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader
--force-color-profile=srgb --no-sandbox"""
_KEYS = {
    "Backspace": 8,
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Delete": 46,
    " ": 32,
    "+": 187,
    "=": 187,
    ",": 188,
    "-": 189,
    ".": 190,
    "/": 191,
    "[": 219,
    "]": 221,
}
_MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
_CONTROLS = (
    "a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary,"
    " [tabindex='0']"
)
_DESCRIBE = """one => !one || one === document.body ? null : [
  one.tagName.toLowerCase(), [...document.querySelectorAll("*")].indexOf(one),
  one.id || one.getAttribute("aria-label") || one.textContent.trim().slice(0, 40),
].join(" ")"""
_SERIOUS = ("error", "warning")
_PATIENCE_S = 60.0
_SHOWN = 200  # letters of an address, of which those with data inside are long


def address(place: Path | str) -> str:
    """Address of a file, or an address as it is."""
    return place.resolve().as_uri() if isinstance(place, Path) else place


def one_colour(picture: bytes) -> bool:
    """Whether nothing is seen in a PNG file."""
    seen = Image.open(io.BytesIO(picture)).convert("RGB").getextrema()
    return all(smallest == largest for smallest, largest in seen)


def _words(thrown: dict[str, Any]) -> str:
    return thrown.get("exception", {}).get("description", thrown["text"])


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
        command = [
            "sh",
            "-c",
            line,
            CHROMIUM,
            *_FLAGS.split(),
            f"--user-data-dir={self._profile.name}",
        ]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs, ours), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(ours)
        self._rest, self._sent, self.pages = b"", 0, {}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE_S)
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def open(self, place: Path | str) -> "Page":
        """Open a file or an address and wait until it is loaded."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = Page(self, attached["sessionId"], target)
        self.pages[attached["sessionId"]] = page
        for part in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{part}.enable")
        page.look()
        page.go(place)
        return page

    def download_to(self, folder: Path) -> None:
        """Save what the pages download under its own name in a folder."""
        self.send("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})

    def send(
        self, method: str, arguments: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        """Give a command and take its answer; what happens meanwhile goes to the pages."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": arguments or {}}
        message |= {"sessionId": session} if session else {}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        end, sent = time.monotonic() + _PATIENCE_S, self._sent
        while (left := end - time.monotonic()) > 0:  # whatever else happens
            answer = self._read(left) or {}
            if answer.get("id") == sent:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
        raise TimeoutError(f"{method} got no answer in {_PATIENCE_S:g} s")

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


class Driven:
    """What a page of any browser can do with its expressions and requests."""

    complaints: list[str]
    requests: list[str]

    def evaluate(self, code: str) -> Any:
        """Value of a JavaScript expression; a promise is awaited."""
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        """Let the page go on for a while."""
        time.sleep(seconds)

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression holds, on this page or the next."""
        end, found = time.monotonic() + _PATIENCE_S, None
        while found is not True:
            if time.monotonic() > end:
                told = f"{condition} does not hold ({found}); complaints: {self.complaints}"
                raise TimeoutError(told)
            try:
                found = self.evaluate(f"Boolean({condition})")
            except RuntimeError as error:  # as while a page is left
                found = error
            self.wait(0.05)

    @property
    def hosts(self) -> set[str]:
        """Hosts and ports that were asked for something; empty if nothing left the page."""
        return {urlsplit(asked).netloc for asked in self.requests} - {""}


class Page(Driven):
    """A page in a browser.

    Attributes
    ----------
    complaints : list of str
        Errors and warnings of the console, exceptions, and what the page's policy blocked.
    requests : list of str
        Addresses of everything that was requested.
    """

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self._session, self._target = browser, session, target
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        self._asking: int | None = None  # the input whose file chooser is open

    def send(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Give a command of the protocol to this page."""
        return self.browser.send(method, arguments, self._session)

    def happened(self, event: str, details: dict[str, Any]) -> None:
        """Note an event of the protocol."""
        if event == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"][:_SHOWN])
        elif event == "Network.webSocketCreated":
            self.requests.append(details["url"])
        elif event == "Page.fileChooserOpened":
            self._asking = details["backendNodeId"]
        elif event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(_words(details["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and details["type"] in (*_SERIOUS, "assert"):
            parts = [str(part.get("value", part.get("description"))) for part in details["args"]]
            self.complaints.append(" ".join(parts))
        elif event == "Log.entryAdded" and details["entry"]["level"] in _SERIOUS:
            self.complaints.append(details["entry"]["text"])

    def go(self, place: Path | str) -> None:
        """Open a file or an address and wait until it is loaded."""
        self._loaded = False
        self.send("Page.navigate", url=address(place))
        end = time.monotonic() + _PATIENCE_S
        while not self._loaded:
            if time.monotonic() > end:
                raise TimeoutError(f"{place} was not loaded in {_PATIENCE_S:g} s")
            self.wait(0.02)

    def wait(self, seconds: float) -> None:
        self.browser.listen(seconds)

    def look(
        self,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        touch: bool = False,
        still: bool = False,
    ) -> None:
        """Set the size of the window, the colours that the reader prefers, whether it is a phone,
        and whether the reader wants no motion.
        """
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.send("Emulation.setDeviceMetricsOverride", **screen)
        preferred = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        features = [{"name": name, "value": value} for name, value in preferred.items()]
        self.send("Emulation.setEmulatedMedia", features=features)

    def evaluate(self, code: str) -> Any:
        options = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        answer = self.send("Runtime.evaluate", expression=code, **options)
        if "exceptionDetails" in answer:
            raise RuntimeError(_words(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, keys: str) -> None:
        """Press and release a key by its name, such as ``Tab`` or ``a``, or with others held down,
        such as ``Control+Shift+z``.
        """
        *held, key = keys.split("+") if len(keys) > 1 else [keys]
        key = key.upper() if "Shift" in held and len(key) == 1 else key
        modifiers = sum(_MODIFIERS[name] for name in held)
        described = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0].upper()))}
        described |= {"code": key if len(key) > 1 else f"Key{key.upper()}" if key.isalpha() else ""}
        described |= {"modifiers": modifiers}
        typing = len(key) == 1 and not set(held) - {"Shift"}
        text = "\r" if key == "Enter" else key if typing else ""
        typed = {"text": text} if text else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **described, **typed)
        self.send("Input.dispatchKeyEvent", type="keyUp", **described)

    def set_files(self, selector: str, *paths: Path) -> None:
        """Choose files, or a folder, in the ``<input type=file>`` that a selector finds."""
        found = self.send(
            "Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})"
        )
        files = [str(path.resolve()) for path in paths]
        self.send("DOM.setFileInputFiles", files=files, objectId=found["result"]["objectId"])

    def choose(self, keys: str, *paths: Path) -> None:
        """Press keys that open the browser's file chooser, and choose files in it."""
        self.send("Page.setInterceptFileChooserDialog", enabled=True)
        self.press(keys)
        end = time.monotonic() + _PATIENCE_S
        while self._asking is None:
            if time.monotonic() > end:
                raise TimeoutError(f"{keys} opens no file chooser")
            self.wait(0.05)
        files = [str(path.resolve()) for path in paths]
        self.send("DOM.setFileInputFiles", files=files, backendNodeId=self._asking)
        self._asking = None

    def drop(self, selector: str, *paths: Path) -> None:
        """Drag files and folders from the desktop and drop them on an element."""
        files = [str(path.resolve()) for path in paths]
        for kind in ("dragEnter", "dragOver", "drop"):
            at = self.at(selector)
            data = {"items": [], "files": files, "dragOperationsMask": 1}
            self.send("Input.dispatchDragEvent", type=kind, **at, data=data)

    def drag(
        self,
        selector: str,
        *points: tuple[float, float],
        held: Sequence[str] = (),
        button: str = "left",
    ) -> None:
        """Move the mouse along points with a button down, as for a stroke of a brush.

        The points are shares of the element's width and height; `held` are names of modifier keys.
        """
        places = [self.at(selector, *point) for point in points]
        used = {"button": button, "modifiers": sum(_MODIFIERS[name] for name in held)}
        pressed = {"left": 1, "right": 2}[button]
        steps = [("mousePressed", places[0]), *(("mouseMoved", place) for place in places[1:])]
        for kind, at in (*steps, ("mouseReleased", places[-1])):
            down = {"buttons": 0 if kind == "mouseReleased" else pressed, "clickCount": 1}
            self.send("Input.dispatchMouseEvent", type=kind, **at, **used, **down)

    def download(self, folder: Path, start: Callable[[], None]) -> Path:
        """Start a download by a click or a key, and wait until its file is in an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.browser.download_to(folder)
        start()
        end = time.monotonic() + _PATIENCE_S
        while True:
            files = list(folder.iterdir())
            if files and not any(file.suffix == ".crdownload" for file in files):
                return files[0]
            if time.monotonic() > end:
                raise TimeoutError(f"nothing was downloaded; complaints: {self.complaints}")
            self.wait(0.05)

    def click(self, selector: str) -> None:
        """Click the middle of the first element that a selector finds, once it rests."""
        end, box = time.monotonic() + _PATIENCE_S, None
        while box != (box := self.box(selector)):
            if time.monotonic() > end:
                raise TimeoutError(f"{selector} does not rest in {_PATIENCE_S:g} s")
            self.wait(0.03)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, selector, button="left", clickCount=1)

    def mouse(self, kind: str, selector: str, **details: Any) -> None:
        """Send an event of the mouse over the middle of the first element that a selector finds."""
        self.send("Input.dispatchMouseEvent", type=kind, **self.at(selector), **details)

    def at(self, selector: str, across: float = 0.5, down: float = 0.5) -> dict[str, float]:
        """Point of the window at shares of an element's width and height, after scrolling to it."""
        box = self.box(selector)
        return {"x": box["x"] + box["width"] * across, "y": box["y"] + box["height"] * down}

    def box(self, selector: str) -> dict[str, float]:
        """Place and size of an element in the window, after scrolling to it."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{found}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        return self.evaluate(f"{found}.getBoundingClientRect().toJSON()")

    def screenshot(self, selector: str) -> bytes:
        """PNG file of the first element that a selector finds."""
        box, scroll = self.box(selector), self.evaluate("[scrollX, scrollY]")
        place = {"x": box["x"] + scroll[0], "y": box["y"] + scroll[1], "scale": 1}
        clip = {name: box[name] for name in ("width", "height")} | place
        return base64.b64decode(
            self.send("Page.captureScreenshot", format="png", clip=clip)["data"]
        )

    def tab_stops(self, most: int = 500) -> list[str]:
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
        self.browser.send("Target.closeTarget", {"targetId": self._target})
