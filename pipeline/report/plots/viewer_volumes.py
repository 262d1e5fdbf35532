"""Volumes of a case, packed small for the viewer of the report."""

import gzip
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel
import numpy as np
from nibabel.affines import from_matvec
from PIL import Image

from ...core.schema import Schema
from ...metrics.uncertainty import STEP_PERCENT
from ..rendering import base64_bytes
from .planes import PLANES, View, planes_of, telling_modalities

STEPS = (1, 2, 4)
"""Lengths of a packed voxel's edge, in voxels of the case."""
UNCERTAINTY_LEVELS = 100 // STEP_PERCENT
_WEBP_QUALITY = 80
_LARGEST_SHEET = 16_000_000  # pixels that browsers of phones decode
_OPENED_ON = ("t1c", "t2f")


@dataclass(frozen=True)
class PackedVolumes:
    """The volumes of a case at one resolution, on canonical axes, cropped to the head.

    Attributes
    ----------
    step : int
        Length of a voxel's edge, in voxels of the case.
    modalities : dict of str to bytes
        Each modality as a WebP file in greys, compressed with loss: its axial slices in rows from
        the first on, `columns` to a row, each as an image of (Y, X) pixels.
    maps : dict of str to bytes
        Gzipped NIfTI files, uint8: class indices of the ``reference`` and the ``prediction``, and,
        if known, the ``uncertainty`` from 0 to `UNCERTAINTY_LEVELS`.
    shape, start : tuple of 3 int
        Shape in voxels; the voxel to start at.
    """

    step: int
    columns: int
    modalities: Mapping[str, bytes]
    maps: Mapping[str, bytes]
    shape: tuple[int, ...]
    start: tuple[int, ...]

    def files(self, modalities: Sequence[str]) -> list[bytes]:
        """The files of some modalities, then those of the maps."""
        return [*(self.modalities[name] for name in modalities), *self.maps.values()]

    def bytes_of(self, modalities: Sequence[str]) -> int:
        """Bytes in the page, in base64, with some of the modalities."""
        return base64_bytes(*self.files(modalities))


@dataclass(frozen=True)
class ViewerVolumes:
    """A case for the viewer.

    Attributes
    ----------
    modalities : tuple of str
        All of them.
    opened_on : str
        The modality to start with: T1c, else FLAIR, else the most telling one.
    telling : tuple of str
        The modalities that are kept where there is no room for all, `opened_on` first.
    planes : tuple of (str, int)
        Names of the planes to show, and the axis across each.
    offset, raw_shape : tuple of 3 int
        First voxel of the crop in the whole volume, and the shape of that.
    packed : tuple of PackedVolumes
        At the resolutions of `STEPS` that a browser can open, the finest first.
    """

    case: str
    modalities: tuple[str, ...]
    opened_on: str
    telling: tuple[str, ...]
    planes: tuple[tuple[str, int], ...]
    offset: tuple[int, ...]
    raw_shape: tuple[int, ...]
    packed: tuple[PackedVolumes, ...]


def viewer_volumes(view: View, schema: Schema) -> ViewerVolumes:
    """Pack a case; the same bytes for the same view."""
    opened_on = opening_modality(view, schema)
    telling = (view.modalities[channel] for channel in telling_modalities(view, schema))
    fit = [step for step in STEPS if math.prod(_shape(view, step)) <= _LARGEST_SHEET]
    return ViewerVolumes(
        case=view.case,
        modalities=view.modalities,
        opened_on=opened_on,
        telling=tuple(dict.fromkeys((opened_on, *telling))),
        planes=tuple((plane.name, plane.axis) for plane in planes_of(view, schema)),
        offset=view.offset,
        raw_shape=view.raw_shape,
        packed=tuple(_packed(view, schema, step) for step in fit or STEPS[-1:]),
    )


def opening_modality(view: View, schema: Schema) -> str:
    """The modality in which to look at a case first: T1c, else FLAIR, else the most telling one."""
    most_telling = view.modalities[telling_modalities(view, schema)[0]]
    return next((name for name in _OPENED_ON if name in view.modalities), most_telling)


def _packed(view: View, schema: Schema, step: int) -> PackedVolumes:
    shape, steps = _shape(view, step), _steps(view, step)
    columns = math.ceil(math.sqrt(shape[2] * shape[1] / shape[0]))
    greys = zip(view.modalities, np.moveaxis(view.grey, -1, 0), strict=True)
    # from the middle of the first voxel to that of the first block
    affine = view.affine @ from_matvec(np.diag(steps), (np.array(steps) - 1) / 2)
    classes = len(schema.labels) + 1
    maps = {
        "reference": _most_common(view.reference, steps, classes),
        "prediction": _most_common(view.prediction, steps, classes),
    }
    if view.uncertainty is not None:
        levels = _means(view.uncertainty, steps) / STEP_PERCENT
        maps["uncertainty"] = levels.round().astype(np.uint8)
    start = (view.busiest_slice(plane) for plane in reversed(PLANES))  # by axis
    return PackedVolumes(
        step=step,
        columns=columns,
        modalities={name: _sheet(_means(grey, steps), columns) for name, grey in greys},
        maps={name: _nifti(voxels, affine) for name, voxels in maps.items()},
        shape=shape,
        start=tuple(place // edge for place, edge in zip(start, steps, strict=True)),
    )


def _steps(view: View, step: int) -> tuple[int, ...]:
    """Edges of a block of voxels by axis; singleton axes stay."""
    return tuple(step if length > 1 else 1 for length in view.reference.shape)


def _shape(view: View, step: int) -> tuple[int, ...]:
    edges = zip(view.reference.shape, _steps(view, step), strict=True)
    return tuple(-(-length // edge) for length, edge in edges)


def _means(voxels: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """Mean of each block of voxels, float32; blocks at the end are filled with zeros."""
    if max(steps) == 1:
        return voxels.astype(np.float32)
    pads = [(0, -length % edge) for length, edge in zip(voxels.shape, steps, strict=True)]
    padded = np.pad(voxels, pads)
    split = [
        size
        for length, edge in zip(padded.shape, steps, strict=True)
        for size in (length // edge, edge)
    ]
    return padded.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)


def _most_common(classes: np.ndarray, steps: Sequence[int], count: int) -> np.ndarray:
    """The most common class of each block, the lowest of equally common ones: uint8."""
    if max(steps) == 1:
        return classes
    shares = [_means(classes == place, steps) for place in range(count)]
    return np.argmax(shares, axis=0).astype(np.uint8)


def _sheet(grey: np.ndarray, columns: int) -> bytes:
    """A WebP file of axial slices side by side."""
    width, height, slices = grey.shape
    rows = -(-slices // columns)
    cells = np.zeros((rows * columns, height, width), np.uint8)
    cells[:slices] = np.clip(grey.round(), 0, 255).transpose(2, 1, 0)
    sheet = cells.reshape(rows, columns, height, width).swapaxes(1, 2)
    file = io.BytesIO()
    pixels = sheet.reshape(rows * height, columns * width)
    Image.fromarray(pixels).save(file, "webp", quality=_WEBP_QUALITY)
    return file.getvalue()


def _nifti(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    """A gzipped NIfTI file of labels without a date."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_intent("label")
    return gzip.compress(image.to_bytes(), 9, mtime=0)
