"""A viewer of volumes inside the report: slices, planes, 3D, reference and prediction, all from the
page itself.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from ...core.schema import Schema
from ..plots.palette import label_colours, rgb
from ..plots.planes import (
    DISAGREEMENT,
    PLANES,
    View,
    convention,
    disagreement,
    planes_of,
    telling_modalities,
)
from .html import Html, element, join

ROOM_BYTES = 8_000_000
"""Of the page, for volumes; NiiVue itself takes 1.1 MB more."""

GREYS = 64
"""Steps of grey in the viewer: the eye hardly tells more, and the volumes take two thirds of the
bytes.
"""

_ASSETS = Path(__file__).parents[1] / "assets"
_NIIVUE = "NiiVue 0.69.0"


@dataclass(frozen=True)
class Viewed:
    """A case as the viewer gets it: NIfTI files, gzipped, uint8 on canonical axes, cropped to the
    head.

    Attributes
    ----------
    case : str
        Its name.
    modalities : dict of str to bytes
        Each modality in `GREYS` steps between 0 and 252.
    telling : tuple of str
        The modalities that are kept where there is no room for all.
    maps : dict of str to bytes
        Class indices of the ``reference`` and the ``prediction``, and their ``disagreement`` (0 to
        3).
    planes : tuple of (str, int)
        Names of the planes to look at, and the axis across each.
    shape, offset, raw_shape, start : tuple of 3 int
        Of the crop; its first voxel in the whole volume, and the shape of that; where to begin, in
        the crop.
    """

    case: str
    modalities: Mapping[str, bytes]
    telling: tuple[str, ...]
    maps: Mapping[str, bytes]
    planes: tuple[tuple[str, int], ...]
    shape: tuple[int, int, int]
    offset: tuple[int, int, int]
    raw_shape: tuple[int, int, int]
    start: tuple[int, int, int]

    def bytes_of(self, modalities: Sequence[str]) -> int:
        """What the case takes in the page with some of its modalities."""
        files = [*(self.modalities[name] for name in modalities), *self.maps.values()]
        return sum(-(-len(file) // 3) * 4 for file in files)


def viewed(view: View, schema: Schema) -> Viewed:
    """Pack a case for the viewer.

    Parameters
    ----------
    view : View
        The case.
    schema : Schema
        Names modalities, labels and regions.

    Returns
    -------
    Viewed
        The same bytes for the same view.
    """
    maps = {
        "reference": view.reference,
        "prediction": view.prediction,
        "disagreement": disagreement(view.reference, view.prediction),
    }
    step = 256 // GREYS
    greys = {
        name: view.grey[..., channel] // step * step for channel, name in enumerate(view.modalities)
    }
    return Viewed(
        case=view.case,
        modalities={name: _packed(grey, view.affine) for name, grey in greys.items()},
        telling=tuple(view.modalities[channel] for channel in telling_modalities(view, schema)),
        maps={name: _packed(classes, view.affine, "label") for name, classes in maps.items()},
        planes=tuple((plane.name, plane.axis) for plane in planes_of(view, schema)),
        shape=view.reference.shape,
        offset=view.offset,
        raw_shape=view.raw_shape,
        start=tuple(
            view.busiest_slice(plane) for plane in sorted(PLANES, key=lambda plane: plane.axis)
        ),
    )


def _packed(voxels: np.ndarray, affine: np.ndarray, intent: str = "none") -> bytes:
    """A gzipped NIfTI file without a date."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_intent(intent)
    return gzip.compress(image.to_bytes(), 9, mtime=0)


def viewer(cases: Sequence[Viewed], schema: Schema, room: int = ROOM_BYTES) -> Html:
    """The viewer with its cases, its script and NiiVue, to be put into a page once.

    Parameters
    ----------
    cases : sequence of Viewed
        They go in from the first on, with all modalities, until one does not fit; if the first
        alone is too large, it comes with its telling modalities. The text says so and names those
        left out.
    schema : Schema
        Names labels.
    room : int
        Bytes of the page that the volumes may take.

    Returns
    -------
    Html
        Nothing if there is no case. The page's policy must be
        `pipeline.report.page.html.INTERACTIVE`.
    """
    if not cases:
        return Html("")
    shown = _fitting(cases, room)
    if not shown:
        text = (
            f"Not shown: the volumes of {cases[0].case} alone would take"
            f" {_megabytes(cases[0].bytes_of(cases[0].telling))} of this page."
        )
        return element("p", f"{text} The pictures above and the files in metrics/figures show it.")
    script = _read("viewer.js")
    return join(
        element("style", Html(_read("viewer.css"))),
        element("p", _INTRO.format(convention=convention(schema))),
        element("p", _rule(cases, shown, room), class_="faint"),
        element(
            "noscript",
            element(
                "p",
                "The viewer needs JavaScript, which is switched off here. The pictures above do"
                " without.",
            ),
        ),
        element("div", _opener(), _panel(shown, schema), class_="viewer"),
        *(_volumes(place, case, modalities) for place, (case, modalities) in enumerate(shown)),
        element(
            "script",
            Html(_json(_description(shown, schema))),
            type="application/json",
            id="viewer-description",
        ),
        _data(
            "viewer-niivue",
            gzip.compress((_ASSETS / "niivue/niivue.umd.js").read_bytes(), 9, mtime=0),
        ),
        element("script", Html(script)),
        element(
            "details",
            element("summary", f"Licences of {_NIIVUE}, which draws the viewer"),
            element("pre", _read("niivue/LICENSES.txt")),
        ),
    )


_INTRO = (
    "Scroll through the volumes, lay reference, prediction and their disagreement over any"
    " modality, turn the tumour in 3D. A click on the picture goes there, and from then on the"
    " wheel scrolls it. {convention} Nothing is fetched: the volumes lie in this page."
)


def _fitting(cases: Sequence[Viewed], room: int) -> list[tuple[Viewed, tuple[str, ...]]]:
    """The cases that there is room for, each with its modalities."""
    shown, taken = [], 0
    for case in cases:
        taken += case.bytes_of(tuple(case.modalities))
        if taken > room:
            break
        shown.append((case, tuple(case.modalities)))
    if not shown and cases[0].bytes_of(cases[0].telling) <= room:
        shown = [(cases[0], cases[0].telling)]
    return shown


def _rule(
    cases: Sequence[Viewed], shown: Sequence[tuple[Viewed, tuple[str, ...]]], room: int
) -> str:
    first, modalities = shown[0]
    partly = (
        f" {first.case} comes with {', '.join(modalities)} alone."
        if len(modalities) < len(first.modalities)
        else ""
    )
    names = [case.case for case in cases[len(shown) :]]
    rest = f" Left out: {', '.join(names)}." if names else ""
    return (
        f"The volumes are cropped to the head, in {GREYS} greys, voxel by voxel as in the files."
        f" Cases go in one after the other until they would take more than {_megabytes(room)} of"
        f" this page.{partly}{rest}"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def _opener() -> Html:
    button = element(
        "button",
        "Open the viewer",
        type="button",
        class_="viewer-open",
        aria_expanded="false",
        aria_controls="viewer-panel",
    )
    return element(
        "p", button, " ", element("output", class_="viewer-status", aria_live="polite"), hidden=""
    )


def _panel(shown: Sequence[tuple[Viewed, tuple[str, ...]]], schema: Schema) -> Html:
    """Controls above, canvas below; the script fills the choices."""
    fill, outline = ("fill", "filled"), ("outline", "outlined")
    controls = element(
        "div",
        element(
            "div",
            _choice("case", "Case", ()),
            _choice("modality", "Modality", ()),
            _choice("plane", "View", ()),
            class_="viewer-row",
        ),
        element(
            "fieldset",
            element("legend", "Show"),
            element(
                "span",
                _tick("reference", "Reference", True),
                _choice("reference-as", "Reference drawn", (outline, fill), True),
            ),
            element(
                "span",
                _tick("prediction", "Prediction", True),
                _choice("prediction-as", "Prediction drawn", (fill, outline), True),
            ),
            element(
                "span",
                _tick("disagreement", "Disagreement", False),
                *map(_mark, DISAGREEMENT.items()),
            ),
            _slide("opacity", "Opacity of fills", 0, 100, 50),
            class_="viewer-row",
        ),
        element(
            "fieldset",
            element("legend", "Labels"),
            *(
                _tick(f"label-{place}", mark, True)
                for place, mark in enumerate(map(_mark, label_colours(schema).items()), 1)
            ),
            class_="viewer-row",
        ),
        element(
            "div",
            *(_slide(f"slice-{axis}", "", 1, 1, 1) for axis in (2, 1, 0)),
            _slide("turn", "Turn", 0, 359, 120),
            _slide("tilt", "Tilt", -90, 90, 15),
            _slide("zoom", "Zoom", 100, 500, 100),
            element("button", "Go to the tumour", type="button", id="viewer-start"),
            class_="viewer-row",
        ),
        class_="viewer-controls",
    )
    fallback = "This browser cannot draw the volumes."
    canvas = element(
        "canvas", fallback, role="img", aria_label="The volumes of the chosen case", tabindex="-1"
    )
    where = element("p", element("output", class_="viewer-where", aria_live="polite"))
    screen = element("div", canvas, class_="viewer-screen")
    return element(
        "div",
        controls,
        screen,
        where,
        id="viewer-panel",
        role="group",
        aria_label="Viewer",
        hidden="",
    )


def _choice(
    name: str, title: str, options: Sequence[tuple[str, str]], untitled: bool = False
) -> Html:
    chosen = [element("option", text, value=value) for value, text in options]
    if untitled:
        return element("select", *chosen, id=f"viewer-{name}", aria_label=title)
    return element("label", f"{title} ", element("select", *chosen, id=f"viewer-{name}"))


def _tick(name: str, title: str, ticked: bool) -> Html:
    box = element(
        "input",
        type="checkbox",
        id=f"viewer-{name}",
        autocomplete="off",
        **({"checked": ""} if ticked else {}),
    )
    return element("label", box, " ", title, " ")


def _slide(name: str, title: str, low: int, high: int, value: int) -> Html:
    slider = element(
        "input",
        type="range",
        id=f"viewer-{name}",
        min=str(low),
        max=str(high),
        value=str(value),
        autocomplete="off",
    )
    return element("label", element("span", title), " ", slider, class_="viewer-slide")


def _mark(named: tuple[str, str]) -> Html:
    """A name beside its colour."""
    return element(
        "span", element("i", style=f"background:{named[1]}"), named[0], class_="viewer-mark"
    )


def _volumes(place: int, case: Viewed, modalities: Sequence[str]) -> Html:
    files = {name: case.modalities[name] for name in modalities} | dict(case.maps)
    return join(
        *(_data(f"viewer-{place}-{number}", file) for number, file in enumerate(files.values()))
    )


def _data(name: str, file: bytes) -> Html:
    """Bytes that the page holds and no one runs."""
    return element(
        "script", Html(base64.b64encode(file).decode()), type="application/gzip", id=name
    )


def _description(shown: Sequence[tuple[Viewed, tuple[str, ...]]], schema: Schema) -> dict[str, Any]:
    """What the script must know.

    The volumes of a case are numbered: modalities, reference, prediction, disagreement. ``inside``
    are the classes of the region that each label adds to.
    """
    cases = [
        {
            "name": case.case,
            "modalities": modalities,
            "telling": case.telling[0],
            "planes": case.planes,
            "shape": case.shape,
            "offset": case.offset,
            "whole": case.raw_shape,
            "start": case.start,
        }
        for case, modalities in shown
    ]
    colours = {"labels": label_colours(schema), "disagreement": DISAGREEMENT}
    tables = {
        kind: {"names": list(named), "colours": [rgb(colour) for colour in named.values()]}
        for kind, named in colours.items()
    }
    own = {next(iter(labels)): region for region, labels in schema.own_labels.items()}
    tables["labels"]["inside"] = [schema.classes_of(own[label]) for label in schema.labels]
    return {"cases": cases, "sides": schema.dimensions == 3} | tables


def _json(value: Any) -> str:
    """JSON that ends no element of the page."""
    return json.dumps(value, sort_keys=True).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
