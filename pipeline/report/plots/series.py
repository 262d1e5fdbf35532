"""A picture of a volume, by which a person tells which series it is."""

import io

import numpy as np
from PIL import Image

from ...core.grid import canonical_spacing_mm, to_canonical
from .planes import PLANES, WINDOW_PERCENTILES, cut

_HEIGHT = 180


def series_picture(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    """The middle cuts of a volume (X, Y, Z) in three planes, side by side, in true proportions.

    Returns
    -------
    bytes
        A PNG file, 180 pixels high.
    """
    upright = to_canonical(voxels, affine)
    edges_mm = canonical_spacing_mm(affine)
    low, high = np.percentile(upright[::4, ::4, ::2], WINDOW_PERCENTILES)
    cuts = []
    for plane in PLANES:
        across, up = (edge for axis, edge in enumerate(edges_mm) if axis != plane.axis)
        pixels = cut(upright, plane, upright.shape[plane.axis] // 2).astype(np.float32)
        grey = np.clip((pixels - low) * (255 / max(high - low, 1e-8)), 0, 255).astype(np.uint8)
        rows, columns = grey.shape
        width = round(min(columns * across / (rows * up), 4) * _HEIGHT)
        cuts.append(Image.fromarray(grey).resize((max(width, 1), _HEIGHT)))
    sheet = Image.new("L", (sum(each.width for each in cuts), _HEIGHT))
    left = 0
    for each in cuts:
        sheet.paste(each, (left, 0))
        left += each.width
    file = io.BytesIO()
    sheet.save(file, "png")
    return file.getvalue()
