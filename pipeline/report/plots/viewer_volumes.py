"""Volumes of a case, packed small for the viewer of the report."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel
import numpy as np

from ...core.schema import Schema
from ..rendering import base64_bytes
from .planes import PLANES, View, disagreement, planes_of, telling_modalities

GREYS = 64
"""Grey levels: more can hardly be distinguished, and the volumes take a third fewer bytes."""


@dataclass(frozen=True)
class ViewerVolumes:
    """A case for the viewer: NIfTI files, gzipped, uint8 on canonical axes, cropped to the head.

    Attributes
    ----------
    modalities : dict of str to bytes
        Each modality in `GREYS` levels between 0 and 252.
    telling : tuple of str
        The modalities that are kept where there is no room for all.
    maps : dict of str to bytes
        Class indices of the ``reference`` and the ``prediction``, and their ``disagreement`` (0 to
        3).
    planes : tuple of (str, int)
        Names of the planes to show, and the axis across each.
    shape, offset, raw_shape, start : tuple of 3 int
        Shape of the crop; its first voxel in the whole volume, and the shape of that; the voxel of
        the crop to start at.
    """

    case: str
    modalities: Mapping[str, bytes]
    telling: tuple[str, ...]
    maps: Mapping[str, bytes]
    planes: tuple[tuple[str, int], ...]
    shape: tuple[int, ...]
    offset: tuple[int, ...]
    raw_shape: tuple[int, ...]
    start: tuple[int, ...]

    def files(self, modalities: Sequence[str]) -> list[bytes]:
        """The files of some modalities, then those of the maps."""
        return [*(self.modalities[name] for name in modalities), *self.maps.values()]

    def bytes_of(self, modalities: Sequence[str]) -> int:
        """Bytes in the page, in base64, with some of the modalities."""
        return base64_bytes(*self.files(modalities))


def viewer_volumes(view: View, schema: Schema) -> ViewerVolumes:
    """Pack a case; the same bytes for the same view."""
    maps = {
        "reference": view.reference,
        "prediction": view.prediction,
        "disagreement": disagreement(view.reference, view.prediction),
    }
    step = 256 // GREYS
    greys = zip(view.modalities, np.moveaxis(view.grey // step * step, -1, 0), strict=True)
    return ViewerVolumes(
        case=view.case,
        modalities={name: _packed(grey, view.affine) for name, grey in greys},
        telling=tuple(view.modalities[channel] for channel in telling_modalities(view, schema)),
        maps={name: _packed(classes, view.affine, "label") for name, classes in maps.items()},
        planes=tuple((plane.name, plane.axis) for plane in planes_of(view, schema)),
        shape=view.reference.shape,
        offset=view.offset,
        raw_shape=view.raw_shape,
        start=tuple(view.busiest_slice(plane) for plane in reversed(PLANES)),  # by axis
    )


def _packed(voxels: np.ndarray, affine: np.ndarray, intent: str = "none") -> bytes:
    """A gzipped NIfTI file without a date."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_intent(intent)
    return gzip.compress(image.to_bytes(), 9, mtime=0)
