"""Pictures of the page for the documentation, of phantoms.

    python -m tests.serving.screens

Segments phantoms on a server of its own, with a new store, and writes docs/screens/*.png. Needs the
results of `make run`. The second of two models is the first with a higher threshold.
"""

import base64
import io
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.browser import Browser, Page
from tests.serving.served import ROOT, Served, packed, serving

FOLDER = ROOT / "docs" / "screens"
RAW = ROOT / "data" / "raw"
_EXACT, _GREY = 64, 24  # colours of each kind; difference of channels of those that are grey
_CASES = 5
_DRAWN = "document.querySelector('.viewer canvas') && !document.querySelector('.viewer[aria-busy]')"
_MADE = f"!document.querySelector('.when-made').hidden && {_DRAWN}"
_WHOLE = f"{_DRAWN} && document.querySelector('#all a')"


def upload(served: Served, name: str, files: list[Path]) -> str:
    """Send files as a case; its page."""
    return f"{served.address}/cases/{served.upload(packed(files, RAW), name)}"


def files_of(case: Path) -> list[Path]:
    """The pictures of a phantom."""
    return [path for path in sorted(case.iterdir()) if "_seg." not in path.name]


def _palette(picture: Image.Image) -> Image.Image:
    """Colours for a picture: the most frequent of the grey ones and of the others as they are, and
    more between them, so that small coloured marks keep their colours.
    """
    seen, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    seen = seen[np.argsort(-counts)]
    is_grey = np.ptp(seen.astype(int), axis=1) < _GREY
    exact = np.concatenate([seen[is_grey][:_EXACT], seen[~is_grey][:_EXACT]])
    between = Image.fromarray(seen[None]).quantize(256 - len(exact)).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*exact.ravel().tolist(), *between])
    return palette


def save(page: Page, name: str, most_height: int) -> None:
    """Write what a page looks like, from its top, as a small PNG file."""
    page.wait(0.5)
    page.evaluate("scrollTo({top: 0, behavior: 'instant'}), document.activeElement.blur()")
    width, height = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, most_height), "scale": 1}
    beyond = {"captureBeyondViewport": True, "clip": clip}
    shot = page.send("Page.captureScreenshot", format="png", **beyond)["data"]
    picture = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB")
    FOLDER.mkdir(parents=True, exist_ok=True)
    small = picture.quantize(palette=_palette(picture), dither=Image.Dither.NONE)
    small.save(FOLDER / f"{name}.png", optimize=True)
    print(f"{name}.png", *page.complaints)


def main() -> None:
    """Write all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        other = stricter(place / "strict")
        options = ("--also", f"strict={other}", "--corrections", str(place / "corrected"))
        with serving(ROOT / "models", place / "store", *options) as served, Browser() as browser:
            page = browser.open("about:blank")
            cases = cases_screens(page, served)
            correction_screens(page, cases[0])
            review_screens(browser.open("about:blank"), served)  # the other asks before it leaves


def stricter(folder: Path) -> Path:
    """A copy of the network that marks a voxel from a probability of 0.9 on."""
    shutil.copytree(ROOT / "models", folder)
    inference = folder / "inference.json"
    values = json.loads(inference.read_bytes())
    regions = json.loads((folder / "card.json").read_bytes())["cohort"]["regions"]
    values["postprocess"]["thresholds"] = dict.fromkeys(regions, 0.9)
    inference.write_text(json.dumps(values))
    return folder


def cases_screens(page: Page, served: Served) -> list[str]:
    """Pictures of the list and of cases; the addresses of those that are done."""
    page.look(1280, 760)
    page.go(f"{served.address}/")
    page.wait_for("document.getElementById('empty').checkVisibility()")
    save(page, "drop", 760)
    cases = sorted(path for path in RAW.iterdir() if path.is_dir())[:_CASES]
    links = [upload(served, case.name, files_of(case)) for case in cases]
    unclear = upload(served, "T1 and T2 alone", files_of(cases[0])[1::2])
    page.go(links[-1])
    page.wait_for("document.querySelector('#modalities img')?.complete")
    page.wait_for("document.getElementById('step').textContent")
    save(page, "progress", 860)
    for link in (*links, unclear):
        served.wait(link.rsplit("/", 1)[1])
    show(page, unclear, "document.querySelector('#modalities img')?.complete")
    save(page, "series", 700)
    show(page, links[0], _WHOLE)
    save(page, "case", 1500)
    page.evaluate(_change("viewer-plane", "planes"))
    page.look(1280, 760, dark=True)
    save(page, "planes", 1200)
    page.look(390, 844, dark=True)
    show(page, links[1], _WHOLE)
    save(page, "phone", 1300)
    page.look(1280, 760)
    show(page, f"{served.address}/", "document.querySelectorAll('#cases tbody tr').length > 5")
    page.evaluate(_change("order", "worth"))
    save(page, "list", 1100)
    return links


def correction_screens(page: Page, case: str) -> None:
    """Pictures of a stroke of the brush, and of the question for the name."""
    page.look(1280, 900)
    show(page, case, _WHOLE)
    page.click("#correction-start")
    page.wait_for("!document.getElementById('correction-tools').hidden")
    page.wait_for(_DRAWN)
    page.evaluate("document.querySelector('.viewer canvas').focus()")
    page.press("b")
    page.press("2")
    page.drag(".viewer canvas", (0.44, 0.42), (0.48, 0.46), (0.52, 0.5))
    page.wait_for("document.getElementById('correction-changes').textContent.includes('ml')")
    save(page, "correct", 1300)
    page.click("#correction-save")
    page.wait_for("document.querySelector('dialog[open]')")
    save(page, "correct-save", 900)
    page.press("Escape")


def review_screens(page: Page, served: Served) -> None:
    """Pictures of a held-out case, of two models on it, and of the last runs."""
    page.look(1280, 900)
    show(page, f"{served.address}/held-out", "document.querySelector('td a, th a')")
    worst = page.evaluate("document.querySelector('main a[href^=\"/held-out/\"]').pathname")
    show(page, f"{served.address}{worst}", _MADE)
    save(page, "held-out", 1300)
    case = worst.removeprefix("/")
    show(page, f"{served.address}/compare?case={case}&models=served,strict", _MADE)
    save(page, "two-models", 1700)
    show(page, f"{served.address}/projects", "document.querySelector('#runs tbody tr')")
    save(page, "runs", 1000)


def show(page: Page, address: str, condition: str) -> None:
    """Open a page and wait until it shows what it shall."""
    page.go(address)
    page.wait_for(condition)


def _change(control: str, value: str) -> str:
    return f"""(one => {{
      one.value = "{value}";
      one.dispatchEvent(new Event("change"));
    }})(document.getElementById("{control}"))"""


if __name__ == "__main__":
    main()
