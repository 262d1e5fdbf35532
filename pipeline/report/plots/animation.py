"""A walk through the slices of a tumour as a film, reference beside prediction."""

import io
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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


def animation(
    view: View, schema: Schema, frames: int, seconds_per_frame: float, kind: Kind = "gif"
) -> bytes:
    """Draw the slices from below the tumour to above it.

    Parameters
    ----------
    view : View
        The case.
    schema : Schema
        Names labels and regions.
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
        If an MP4 is asked for and ffmpeg is not there or fails.
    """
    ink, plane = _ink(schema), planes_of(view, schema)[0]
    canvas = _Canvas(view, plane, telling_modalities(view, schema))
    images = []
    for index in _slices(view, plane, frames):
        image = Image.fromarray(canvas.frame(index, schema, ink))
        image.putpalette(ink.palette)
        images.append(image)
    milliseconds = (
        max(round(seconds_per_frame * 100), 2) * 10
    )  # GIF counts in 10 ms; readers take less than 20 ms for 100 ms
    return {"gif": _gif, "webp": _webp, "mp4": _mp4}[kind](images, milliseconds)


def _gif(images: list[Image.Image], milliseconds: int) -> bytes:
    file = io.BytesIO()
    images[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=milliseconds,
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def _webp(images: list[Image.Image], milliseconds: int) -> bytes:
    first, *rest = (image.convert("RGB") for image in images)
    file = io.BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=milliseconds,
        loop=0,
        quality=_WEBP_QUALITY,
    )
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
    source = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-framerate",
        f"1000/{milliseconds}",
        "-i",
        "-",
    ]
    coded = [
        "-vf",
        "pad=ceil(iw/2)*2:ceil(ih/2)*2",
        "-c:v",
        "libx264",
        "-crf",
        "18",
        "-pix_fmt",
        "yuv420p",
        "-movflags",
        "+faststart",
    ]
    same = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    with tempfile.TemporaryDirectory() as folder:
        path = (
            Path(folder) / "film.mp4"
        )  # a pipe will not do: the index is written last and moved to the front
        command = [program, "-v", "error", *source, *coded, *same, str(path)]
        pixels = b"".join(image.convert("RGB").tobytes() for image in images)
        done = subprocess.run(command, input=pixels, capture_output=True, check=False)
        if done.returncode:
            raise ValueError(f"ffmpeg made no MP4: {done.stderr.decode(errors='replace').strip()}")
        return path.read_bytes()


def _slices(view: View, plane: Plane, frames: int) -> list[int]:
    """Slices through the reference and the prediction, or the middle one where both are empty."""
    across = tuple(axis for axis in range(3) if axis != plane.axis)
    marked = np.flatnonzero(((view.reference > 0) | (view.prediction > 0)).any(axis=across))
    if not marked.size:
        return [view.busiest_slice(plane)]
    first, last = (
        max(marked[0] - _MARGIN_SLICES, 0),
        min(marked[-1] + _MARGIN_SLICES, view.reference.shape[plane.axis] - 1),
    )
    return sorted(
        set(np.linspace(first, last, min(frames, last - first + 1)).round().astype(int).tolist())
    )


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
    region.
    """
    labels = [rgb(colour) for colour in label_colours(schema).values()]
    shades = min(_GREYS, (256 - _GREYS - len(schema.regions) - len(labels)) // len(labels))
    colours = [(grey, grey, grey) for grey in np.linspace(0, 255, _GREYS).round().astype(int)]
    fills = np.empty((len(labels) + 1, 256), np.uint8)
    fills[0] = np.arange(256) * (_GREYS - 1) // 255
    for index, colour in enumerate(labels, 1):
        fills[index] = len(colours) + np.arange(256) * (shades - 1) // 255
        greys = np.linspace(0, 255, shades)[:, None]
        colours += (
            ((1 - _FILL_ALPHA) * greys + _FILL_ALPHA * np.array(colour))
            .round()
            .astype(int)
            .tolist()
        )
    outlines = list(range(len(colours), len(colours) + len(schema.regions)))
    colours += [rgb(colour) for colour in region_colours(schema).values()]
    marks = {label: len(colours) + place for place, label in enumerate(schema.labels)}
    return _Ink(np.array([*colours, *labels], np.uint8).tobytes(), fills, outlines, marks)


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
        for column, classes in enumerate((self.view.reference, self.view.prediction)):
            marked = self._scaled(cut(classes, self.plane, index), Image.Resampling.NEAREST)
            outlines = [
                mask & ~binary_erosion(mask)
                for mask in np.moveaxis(classes_to_regions(marked, schema), -1, 0)
            ]
            for row, channel in enumerate(self.channels):
                panel = ink.fills[
                    marked,
                    self._scaled(
                        cut(self.view.grey[..., channel], self.plane, index),
                        Image.Resampling.BILINEAR,
                    ),
                ]
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
        width, height = self.panel
        paper = Image.new("L", self.size)
        pen = ImageDraw.Draw(paper)
        for column, name in enumerate(("reference", "prediction")):
            pen.text(
                (column * (width + _GAP) + width / 2, _HEAD / 2), name, 235, _FONT, anchor="mm"
            )
        for row, channel in enumerate(self.channels):
            top = _HEAD + row * (height + _GAP)
            pen.text((3, top + 2), self.view.modalities[channel], 235, _FONT, anchor="lt")
            pen.text((2, top + height / 2), self.plane.left, 235, _FONT, anchor="lm")
            pen.text(
                (self.size[0] - 3, top + height / 2), self.plane.right, 235, _FONT, anchor="rm"
            )
        for name, place in self._legend(schema):
            pen.text((place + 13, self.size[1] - 30), name, 235, _FONT, anchor="lm")
        name = f"{self.view.case}, {self.view.cut_name(self.plane, index)}"
        pen.text((self.size[0] / 2, self.size[1] - 11), name, 200, _FONT, anchor="mm")
        return np.array(paper)
