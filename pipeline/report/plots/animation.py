"""A film through the slices of a tumour, reference beside prediction."""

import io
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from ...core.regions import classes_to_regions
from ...core.schema import Schema
from .palette import label_colours, region_colours, rgb
from .planes import Plane, View, cut, planes_of, telling_modalities

Kind = Literal["gif", "webp", "mp4"]

_GREYS = 64
_FILL_ALPHA = 0.45
_PANEL_PIXELS = 290
_HEAD, _FOOT, _GAP = 22, 40, 4
_MARGIN_SLICES = 1
_WEBP_QUALITY = 80
_FONT = ImageFont.load_default(12)
_BILINEAR, _NEAREST = Image.Resampling.BILINEAR, Image.Resampling.NEAREST


def animation(
    view: View, schema: Schema, frames: int, seconds_per_frame: float, kind: Kind = "gif"
) -> bytes:
    """Draw the slices from below the tumour to above it.

    Parameters
    ----------
    frames : int
        At most so many slices, evenly spread; one for a single-slice case.
    seconds_per_frame : float
        How long each is shown, in steps of 0.01.
    kind : {"gif", "webp", "mp4"}
        Of the file. A GIF has 256 colours, a WebP is small and has all, an MP4 suits slides and
        players; it needs ffmpeg with libx264.

    Returns
    -------
    bytes
        A file, the same for the same view; a GIF and a WebP loop. The reference is on the left, the
        prediction on the right, labels filled and regions outlined; rows are the modalities in
        which the outermost and the innermost region stand out most.

    Raises
    ------
    ValueError
        If an MP4 is to be made and ffmpeg is missing or fails.
    """
    ink, plane = _ink(schema), planes_of(view, schema)[0]
    canvas = _Canvas(view, plane, telling_modalities(view, schema))
    images = []
    for index in _slices(view, plane, frames):
        image = Image.fromarray(canvas.frame(index, schema, ink))
        image.putpalette(ink.palette)
        images.append(image if kind == "gif" else image.convert("RGB"))
    # GIF counts in 10 ms; readers take less than 20 ms for 100 ms
    milliseconds = max(round(seconds_per_frame * 100), 2) * 10
    if kind == "mp4":
        return _mp4(images, milliseconds)
    options: dict[str, Any] = {"optimize": False} if kind == "gif" else {"quality": _WEBP_QUALITY}
    options |= {"save_all": True, "append_images": images[1:], "duration": milliseconds, "loop": 0}
    file = io.BytesIO()
    images[0].save(file, kind, **options)
    return file.getvalue()


def _mp4(images: list[Image.Image], milliseconds: int) -> bytes:
    """H.264 by one thread and without the name of its maker, so that the bytes depend on the
    pictures and ffmpeg's version alone.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            "an MP4 needs ffmpeg on PATH, got none: install it (apt install ffmpeg, brew install"
            " ffmpeg) or take a GIF or WebP"
        )
    width, height = images[0].size
    pixels = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -framerate 1000/{milliseconds} -i -"
    film = (
        "-vf pad=ceil(iw/2)*2:ceil(ih/2)*2 -c:v libx264 -crf 18 -pix_fmt yuv420p"
        " -movflags +faststart -threads 1 -fflags +bitexact -flags:v +bitexact -map_metadata -1"
    )
    with tempfile.TemporaryDirectory() as folder:
        # a pipe will not do: the index is written last and moved to the front
        path = Path(folder) / "film.mp4"
        command = [program, "-v", "error", *pixels.split(), *film.split(), str(path)]
        source = b"".join(image.tobytes() for image in images)
        done = subprocess.run(command, input=source, capture_output=True, check=False)
        if done.returncode:
            raise ValueError(f"ffmpeg made no MP4: {done.stderr.decode(errors='replace').strip()}")
        return path.read_bytes()


def _slices(view: View, plane: Plane, frames: int) -> list[int]:
    """Slices through the reference and the prediction, or the middle one where both are empty."""
    across = tuple(axis for axis in range(3) if axis != plane.axis)
    marked = np.flatnonzero(((view.reference > 0) | (view.prediction > 0)).any(axis=across))
    if not marked.size:
        return [view.busiest_slice(plane)]
    first = max(marked[0] - _MARGIN_SLICES, 0)
    last = min(marked[-1] + _MARGIN_SLICES, view.reference.shape[plane.axis] - 1)
    places = np.linspace(first, last, min(frames, last - first + 1)).round().astype(int)
    return sorted(set(places.tolist()))


@dataclass(frozen=True, eq=False)
class _Ink:
    """Palette bytes and the indices in it: of a pixel by class and grey, of each region's outline,
    of each label's mark.
    """

    palette: bytes
    fills: np.ndarray
    outlines: list[int]
    marks: dict[str, int]


def _ink(schema: Schema) -> _Ink:
    """Share 256 colours out: greys, then per label as many tinted greys, then one colour per
    region, and one per label.
    """
    labels = [rgb(colour) for colour in label_colours(schema).values()]
    regions = [rgb(colour) for colour in region_colours(schema).values()]
    shades = min(_GREYS, (256 - _GREYS - len(regions) - len(labels)) // len(labels))
    colours = [np.linspace(0, 255, _GREYS).round()[:, None].repeat(3, axis=1)]
    fills = [np.arange(256) * (_GREYS - 1) // 255]
    for number, colour in enumerate(labels):
        fills.append(_GREYS + number * shades + np.arange(256) * (shades - 1) // 255)
        greys = np.linspace(0, 255, shades)[:, None]
        colours.append(((1 - _FILL_ALPHA) * greys + _FILL_ALPHA * np.array(colour)).round())
    first = _GREYS + len(labels) * shades
    outlines = list(range(first, first + len(regions)))
    marks = {label: first + len(regions) + place for place, label in enumerate(schema.labels)}
    palette = np.concatenate([*colours, regions, labels]).astype(np.uint8).tobytes()
    return _Ink(palette, np.array(fills, np.uint8), outlines, marks)


class _Canvas:
    """Two columns, one row per channel; pixels are square in millimetres."""

    def __init__(self, view: View, plane: Plane, channels: tuple[int, ...]) -> None:
        self.view, self.plane, self.channels = view, plane, channels
        width_mm, height_mm = view.size_mm(plane)
        scale = _PANEL_PIXELS / max(width_mm, height_mm)
        self.panel = max(round(width_mm * scale), 1), max(round(height_mm * scale), 1)
        width, height = self.panel
        self.size = 2 * width + _GAP, _HEAD + len(channels) * (height + _GAP) + _FOOT

    def frame(self, index: int, schema: Schema, ink: _Ink) -> np.ndarray:
        """(height, width) uint8 palette indices of one slice."""
        width, height = self.panel
        pixels = self._text(index, schema) // 4  # 256 greys to 64
        for name, place in self._legend(schema):
            pixels[self.size[1] - 34 : self.size[1] - 26, place : place + 8] = ink.marks[name]
        greys = [
            self._scaled(cut(self.view.grey[..., channel], self.plane, index), _BILINEAR)
            for channel in self.channels
        ]
        for column, classes in enumerate((self.view.reference, self.view.prediction)):
            marked = self._scaled(cut(classes, self.plane, index), _NEAREST)
            regions = np.moveaxis(classes_to_regions(marked, schema), -1, 0)
            outlines = [mask & ~binary_erosion(mask) for mask in regions]
            for row, grey in enumerate(greys):
                panel = ink.fills[marked, grey]
                for outline, colour in zip(outlines, ink.outlines, strict=True):
                    panel[outline] = colour
                left, top = column * (width + _GAP), _HEAD + row * (height + _GAP)
                space = pixels[top : top + height, left : left + width]
                space[:] = np.where(space > 0, space, panel)
        return pixels

    def _scaled(self, pixels: np.ndarray, how: Image.Resampling) -> np.ndarray:
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(self.panel, how))

    def _legend(self, schema: Schema) -> list[tuple[str, int]]:
        """Labels and the pixel column of each one's mark, centred together."""
        widths = [round(_FONT.getlength(name)) + 30 for name in schema.labels]
        starts = (self.size[0] - sum(widths)) // 2 + 8 + np.cumsum([0, *widths[:-1]])
        return list(zip(schema.labels, starts.tolist(), strict=True))

    def _text(self, index: int, schema: Schema) -> np.ndarray:
        """(height, width) uint8 greys of everything written on a frame."""
        (width, height), (right, bottom) = self.panel, self.size
        texts = [
            (width / 2, _HEAD / 2, "reference", "mm"),
            (width / 2 + width + _GAP, _HEAD / 2, "prediction", "mm"),
        ]
        for row, channel in enumerate(self.channels):
            top = _HEAD + row * (height + _GAP)
            texts += [
                (3, top + 2, self.view.modalities[channel], "lt"),
                (2, top + height / 2, self.plane.left, "lm"),
                (right - 3, top + height / 2, self.plane.right, "rm"),
            ]
        texts += [(place + 13, bottom - 30, name, "lm") for name, place in self._legend(schema)]
        paper = Image.new("L", self.size)
        pen = ImageDraw.Draw(paper)
        for x, y, text, anchor in texts:
            pen.text((x, y), text, 235, _FONT, anchor=anchor)
        name = f"{self.view.case}, {self.view.cut_name(self.plane, index)}"
        pen.text((right / 2, bottom - 11), name, 200, _FONT, anchor="mm")
        return np.array(paper)
