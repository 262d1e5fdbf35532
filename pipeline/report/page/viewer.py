"""A viewer of volumes inside the report: slices, planes and 3D, from the page alone."""

import gzip
from collections.abc import Sequence
from typing import Any

from ...core.schema import Schema
from ..plots.palette import label_colours, rgb
from ..plots.planes import DISAGREEMENT, convention
from ..plots.viewer_volumes import GREYS, ViewerVolumes
from ..rendering import ASSETS, base64_of

ROOM_BYTES = 8_000_000
"""Of the page, for volumes; NiiVue itself takes 1.1 MB more."""


def viewer(
    cases: Sequence[ViewerVolumes], schema: Schema, room: int = ROOM_BYTES
) -> dict[str, Any] | None:
    """Volumes, script data and texts of sections/viewer.html.j2.

    Parameters
    ----------
    cases : sequence of ViewerVolumes
        They go in from the first on, with all modalities, until one does not fit; if the first
        alone is too large, it comes with its telling modalities.
    room : int
        Bytes of the page that the volumes may take.

    Returns
    -------
    dict or None
        None if there is no case. ``shown`` is empty where not even the first case fits.
    """
    if not cases:
        return None
    shown = _fitting(cases, room)
    first = cases[0]
    found: dict[str, Any] = {
        "first": first.case,
        "first_mb": first.bytes_of(first.telling) / 1e6,
        "shown": [case.case for case, _ in shown],
    }
    if not shown:
        return found
    kept = shown[0][1]
    return found | {
        "convention": convention(schema),
        "greys": GREYS,
        "room_mb": room / 1e6,
        "kept_modalities": kept if len(kept) < len(first.modalities) else (),
        "left_out": [case.case for case in cases[len(shown) :]],
        "labels": label_colours(schema),
        "disagreement": DISAGREEMENT,
        "description": _description(shown, schema),
        "files": {
            f"viewer-{place}-{number}": base64_of(file)
            for place, (case, modalities) in enumerate(shown)
            for number, file in enumerate(case.files(modalities))
        },
        "niivue": base64_of(
            gzip.compress((ASSETS / "niivue/niivue.umd.js").read_bytes(), 9, mtime=0)
        ),
        "licences": (ASSETS / "niivue/LICENSES.txt").read_text(encoding="utf-8"),
    }


_Shown = Sequence[tuple[ViewerVolumes, tuple[str, ...]]]
"""Cases, each with the modalities that are shown."""


def _fitting(cases: Sequence[ViewerVolumes], room: int) -> _Shown:
    shown, taken = [], 0
    for case in cases:
        taken += case.bytes_of(tuple(case.modalities))
        if taken > room:
            break
        shown.append((case, tuple(case.modalities)))
    if not shown and cases[0].bytes_of(cases[0].telling) <= room:
        shown = [(cases[0], cases[0].telling)]
    return shown


def _description(shown: _Shown, schema: Schema) -> dict[str, Any]:
    """What assets/viewer.js reads.

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
    tables: dict[str, Any] = {
        kind: {"names": list(named), "colours": [rgb(colour) for colour in named.values()]}
        for kind, named in colours.items()
    }
    own = {next(iter(labels)): region for region, labels in schema.own_labels.items()}
    tables["labels"]["inside"] = [schema.classes_of(own[label]) for label in schema.labels]
    return {"cases": cases, "sides": schema.dimensions == 3} | tables
