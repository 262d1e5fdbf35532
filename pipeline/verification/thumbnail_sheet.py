"""A contact sheet of the thumbnails of all cases, and its inverse."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .thumbnail import SIDE

COLUMNS = 16


def sheet(thumbnails: Sequence[np.ndarray]) -> bytes:
    """Arrange (SIDE, SIDE, 3) uint8 thumbnails, sixteen in a row, in a PNG file."""
    rows = -(-len(thumbnails) // COLUMNS)
    paper = np.zeros((rows, SIDE, COLUMNS, SIDE, 3), np.uint8)
    for number, picture in enumerate(thumbnails):
        paper[number // COLUMNS, :, number % COLUMNS] = picture
    return _png(paper.reshape(rows * SIDE, COLUMNS * SIDE, 3))


def cut(data: bytes, numbers: Sequence[int]) -> list[bytes]:
    """Single thumbnails of a sheet, by their numbers from 0, each a PNG file."""
    paper = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    places = [(number // COLUMNS * SIDE, number % COLUMNS * SIDE) for number in numbers]
    return [_png(paper[row : row + SIDE, column : column + SIDE]) for row, column in places]


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
