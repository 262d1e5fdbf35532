"""One colour per meaning, distinct to colour-blind readers, on grey as well as on white."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np

from ...core.schema import Schema

_OKABE_ITO = ("#CC79A7", "#56B4E9", "#E69F00", "#009E73", "#D55E00", "#0072B2", "#F0E442")
"""Okabe and Ito, "Color Universal Design" (2008), the order ours; black is left out: pictures are
dark.
"""

MISSED, SURPLUS, MISTAKEN = "#FF5A36", "#F0E442", "#59D3C8"
"""Tumour in the reference alone, in the prediction alone, in both but under another label."""


def label_colours(schema: Schema) -> dict[str, str]:
    """Colour (``#RRGGBB``) of each label by its place in the schema; they repeat after seven."""
    return dict(zip(schema.labels, cycle(_OKABE_ITO), strict=False))


def region_colours(schema: Schema) -> dict[str, str]:
    """Colour of each region: that of the one label which no smaller region holds."""
    colours = label_colours(schema)
    return {region: colours[next(iter(own))] for region, own in schema.own_labels.items()}


def rgb(colour: str) -> tuple[int, int, int]:
    """The three bytes of a colour ``#RRGGBB``."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def painted(classes: np.ndarray, colours: Mapping[str, str], alpha: int) -> np.ndarray:
    """(height, width, 4) uint8: classes from 1 on in their colours, 0 transparent."""
    paints = [(0, 0, 0, 0), *((*rgb(colour), alpha) for colour in colours.values())]
    return np.array(paints, np.uint8)[classes]
