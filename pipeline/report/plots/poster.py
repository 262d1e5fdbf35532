"""The picture that stands in the report before its viewer is opened."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from ...core.regions import classes_to_regions
from ...core.schema import Schema
from .drawing import LIGHT
from .palette import label_colours, painted, region_colours, rgb
from .planes import View, cut, planes_of

_PIXELS = 640
_FILL_ALPHA = 0.4
_WEBP_QUALITY = 85
_FONT = ImageFont.load_default(18)


def poster(view: View, schema: Schema, modality: str) -> bytes:
    """Draw the slice with the largest tumour area as a WebP file, 640 pixels wide or high: labels
    of the prediction filled, regions of the reference outlined, sides of the patient at the edges.
    """
    plane = planes_of(view, schema)[0]
    index = view.busiest_slice(plane)
    width_mm, height_mm = view.size_mm(plane)
    scale = _PIXELS / max(width_mm, height_mm)
    size = max(round(width_mm * scale), 1), max(round(height_mm * scale), 1)

    def scaled(volume: np.ndarray, how: Image.Resampling) -> np.ndarray:
        pixels = np.ascontiguousarray(cut(volume, plane, index))
        return np.asarray(Image.fromarray(pixels).resize(size, how))

    grey = view.grey[..., view.modalities.index(modality)]
    prediction = scaled(view.prediction, Image.Resampling.NEAREST)
    fills = painted(prediction, label_colours(schema), round(255 * _FILL_ALPHA))
    alpha = fills[..., 3:] / 255
    pixels = (
        scaled(grey, Image.Resampling.BICUBIC)[..., None] * (1 - alpha) + fills[..., :3] * alpha
    )
    reference = classes_to_regions(scaled(view.reference, Image.Resampling.NEAREST), schema)
    for mask, colour in zip(
        np.moveaxis(reference, -1, 0), region_colours(schema).values(), strict=True
    ):
        pixels[mask & ~binary_erosion(mask, iterations=2)] = rgb(colour)
    picture = Image.fromarray(pixels.round().astype(np.uint8))
    pen, (width, height) = ImageDraw.Draw(picture), size
    letters = (
        (plane.left, (6, height / 2), "lm"),
        (plane.right, (width - 6, height / 2), "rm"),
        (plane.top, (width / 2, 4), "mt"),
        (plane.bottom, (width / 2, height - 4), "mb"),
    )
    for letter, place, anchor in letters:
        pen.text(place, letter, rgb(LIGHT), _FONT, anchor=anchor)
    file = io.BytesIO()
    picture.save(file, "webp", quality=_WEBP_QUALITY)
    return file.getvalue()
