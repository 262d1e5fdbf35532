"""A viewer of volumes inside the report: slices, planes and 3D, from the page alone."""

import gzip
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from ...core.schema import Schema
from ..plots.palette import label_colours, rgb
from ..plots.planes import DISAGREEMENT, convention
from ..plots.viewer_volumes import UNCERTAINTY_LEVELS, PackedVolumes, ViewerVolumes
from ..rendering import ASSETS, base64_of

ROOM_BYTES = 11_000_000
"""Of the page, for volumes; NiiVue itself takes 1.1 MB more."""
_UNCERTAIN = ((70, 20, 130), (200, 60, 90), (255, 235, 120))
"""Colours of a low, a medium and a high uncertainty."""


class _Shown(NamedTuple):
    """A case as the page has it: volumes at one resolution, and the modalities that are kept."""

    case: ViewerVolumes
    volumes: PackedVolumes
    modalities: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """In the page."""
        return self.volumes.bytes_of(self.modalities)


def viewer(
    cases: Sequence[ViewerVolumes], schema: Schema, poster: bytes = b"", room: int = ROOM_BYTES
) -> dict[str, Any] | None:
    """Volumes, script data and texts of sections/viewer.html.j2.

    Parameters
    ----------
    cases : sequence of ViewerVolumes
        All go in as good as there is room for all; what is left makes the first ones better. If
        not even the smallest volumes of all fit, the last cases are left out.
    poster : bytes
        WebP picture of the first case.
    room : int
        Bytes of the page that the volumes may take.

    Returns
    -------
    dict or None
        None if there is no case. ``shown`` is empty where not even the first case fits.
    """
    if not cases:
        return None
    shown, first = _fitting(cases, room), cases[0]
    found: dict[str, Any] = {
        "first": first.case,
        "opened_on": first.opened_on,
        "poster": poster,
        "shown": [each.case.case for each in shown],
    }
    if not shown:
        return found | {"first_mb": _options(first)[-1].bytes / 1e6}
    return found | {
        "convention": convention(schema),
        "room_mb": room / 1e6,
        "kept": _kept(shown),
        "left_out": [case.case for case in cases[len(shown) :]],
        "uncertain": any("uncertainty" in each.volumes.maps for each in shown),
        "labels": label_colours(schema),
        "disagreement": DISAGREEMENT,
        "description": _description(shown, schema),
        "files": {
            f"viewer-{place}-{number}": base64_of(file)
            for place, each in enumerate(shown)
            for number, file in enumerate(each.volumes.files(each.modalities))
        },
        "niivue": base64_of(
            gzip.compress((ASSETS / "niivue/niivue.umd.js").read_bytes(), 9, mtime=0)
        ),
        "licences": (ASSETS / "niivue/LICENSES.txt").read_text(encoding="utf-8"),
    }


def _options(case: ViewerVolumes) -> list[_Shown]:
    """Ways to show a case, from the best to the smallest: fewer modalities, then larger voxels."""
    kept = [(case.modalities, case.telling), (case.modalities, case.telling, (case.opened_on,))]
    return [
        _Shown(case, volumes, modalities)
        for place, volumes in enumerate(case.packed)
        for modalities in dict.fromkeys(kept[min(place, 1)])
    ]


def _fitting(cases: Sequence[ViewerVolumes], room: int) -> list[_Shown]:
    """As many cases as fit, all as good as possible, the first ones better if room is left."""
    options = [_options(case) for case in cases]
    for level in range(max(map(len, options))):
        shown = [own[min(level, len(own) - 1)] for own in options]
        room_left = room - sum(each.bytes for each in shown)
        if room_left >= 0:
            break
    while room_left < 0:
        room_left += shown.pop().bytes
    for place, each in enumerate(shown):
        better = next(own for own in options[place] if own.bytes <= each.bytes + room_left)
        room_left -= better.bytes - each.bytes
        shown[place] = better
    return shown


def _kept(shown: Sequence[_Shown]) -> list[dict[str, Any]]:
    """Names of the cases that are kept in the same way, and how."""
    return [
        {"names": [each.case.case for each in alike], "step": step, "modalities": modalities}
        for (step, modalities), own in groupby(
            shown, lambda each: (each.volumes.step, each.modalities)
        )
        if (alike := list(own))
    ]


def _description(shown: Sequence[_Shown], schema: Schema) -> dict[str, Any]:
    """What assets/viewer.js reads.

    The files of a case are numbered: its modalities, then its maps. ``inside`` are the classes of
    the region that each label adds to.
    """
    cases = [
        {
            "name": case.case,
            "modalities": modalities,
            "opened_on": case.opened_on,
            "planes": case.planes,
            "offset": case.offset,
            "whole": case.raw_shape,
            "step": volumes.step,
            "columns": volumes.columns,
            "maps": list(volumes.maps),
            "shape": volumes.shape,
            "start": volumes.start,
        }
        for case, volumes, modalities in shown
    ]
    return {
        "cases": cases,
        "sides": schema.dimensions == 3,
        "labels": label_table(schema),
        "disagreement": colour_table(DISAGREEMENT),
        "uncertainty": {"colours": uncertainty_colours(UNCERTAINTY_LEVELS)},
    }


def label_table(schema: Schema) -> dict[str, Any]:
    """Names and colours of the labels, and the classes of the region that each adds to."""
    own = {next(iter(labels)): region for region, labels in schema.own_labels.items()}
    inside = [schema.classes_of(own[label]) for label in schema.labels]
    return colour_table(label_colours(schema)) | {"inside": inside}


def colour_table(colours: Mapping[str, str]) -> dict[str, Any]:
    """Names and, in the same order, their colours as three bytes."""
    return {"names": list(colours), "colours": [rgb(colour) for colour in colours.values()]}


def uncertainty_colours(levels: int) -> list[list[int]]:
    """Red, green, blue and opacity of each level from 1 on; the last one is 1 bit."""
    shares = np.arange(1, levels + 1) / levels
    channels = [
        np.interp(shares, (0, 0.5, 1), channel) for channel in zip(*_UNCERTAIN, strict=True)
    ]
    return np.stack([*channels, 255 * np.sqrt(shares)], axis=-1).round().astype(int).tolist()
