"""Connected components of masks (26 neighbours): merged where close, dropped where small, joined
where they touch the same component of another mask.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cc3d
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..core.boxes import Box, bounding_box

Crop = tuple[np.ndarray, Box]
"""A part of an image, and its position there."""
FEW_PAIRS = 2**20
"""Up to so many possible pairs of components are counted by `numpy.bincount`; more are sorted."""


@dataclass(frozen=True)
class Components:
    """Connected components of a mask. Tumours are small in an image, so most is done on the list of
    their voxels.

    Attributes
    ----------
    labels : (x, y, z) unsigned integer array, in the order of Fortran
        Component of each voxel in a crop of the image, 0 outside; numbers may be missing.
    box : tuple of 3 slices
        Position of the crop in the image; it holds all components.
    places : (V,) int64 array
        Flat indices (order of Fortran) in the crop of the voxels of all components, ascending.
    """

    labels: np.ndarray
    box: Box
    places: np.ndarray

    @cached_property
    def numbers_at(self) -> np.ndarray:
        """(V,) array: the component at each of the places."""
        return self.labels.ravel(order="F")[self.places]

    @cached_property
    def voxels(self) -> np.ndarray:
        """(N + 1,) int64 array: voxels by component number, 0 where there is no such component and
        for the background.
        """
        return np.bincount(self.numbers_at, minlength=1)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(P,) int64 array: the component numbers in use, ascending."""
        return np.flatnonzero(self.voxels)

    @cached_property
    def _boxes(self) -> Sequence[Box]:
        return cc3d.statistics(self.labels)["bounding_boxes"]

    def box_of(self, number: int) -> Box:
        """The bounding box of a component in the image."""
        return _shifted(self._boxes[number], self.box, 1)

    def within(self, box: Box) -> np.ndarray:
        """Components in another box of the image, of its shape; 0 where the crop does not reach."""
        labels = np.zeros([side.stop - side.start for side in box], self.labels.dtype, order="F")
        both = tuple(
            slice(
                max(one.start, other.start), max(min(one.stop, other.stop), one.start, other.start)
            )
            for one, other in zip(box, self.box, strict=True)
        )
        labels[_shifted(both, box, -1)] = self.labels[_shifted(both, self.box, -1)]
        return labels

    def renumbered(self, table: np.ndarray) -> "Components":
        """The components with new numbers, ``table[old]``, 0 to drop one."""
        labels, numbers = np.zeros(self.labels.shape, np.uint32, order="F"), table[self.numbers_at]
        labels.ravel(order="K")[self.places] = numbers
        return Components(labels, self.box, self.places[numbers != 0])


def cropped(array: np.ndarray, margin_voxels: int) -> Crop:
    """Crop a mask or class map to its foreground with a margin."""
    box = bounding_box(array, margin_voxels)
    return np.asfortranarray(array[box]), box


def mask_of(crop: Crop, members: Sequence[int]) -> Crop:
    """Mask of some classes in a cropped class map."""
    classes, box = crop
    mask = classes == members[0]
    for member in members[1:]:
        mask |= classes == member
    return mask, box


def _shifted(inner: Box, outer: Box, sign: int) -> Box:
    """A box in the coordinates of a crop as one in those of the image (1), or the inverse (-1)."""
    return tuple(
        slice(side.start + sign * whole.start, side.stop + sign * whole.start)
        for side, whole in zip(inner, outer, strict=True)
    )


def around(boxes: list[Box], shape: tuple[int, ...]) -> Box:
    """The box around all boxes, with a margin of a voxel within the image."""
    return tuple(
        slice(
            max(min(side.start for side in sides) - 1, 0),
            min(max(side.stop for side in sides) + 1, length),
        )
        for sides, length in zip(zip(*boxes, strict=True), shape, strict=True)
    )


def labelled(mask: np.ndarray, box: Box) -> Components:
    """Label the connected components of a mask in a crop of the image that holds all of it: 1, 2,
    ... in the order of their first voxels, the first axis running fastest, in any memory layout.
    """
    mask = np.asfortranarray(mask)
    labels = cc3d.connected_components(mask, connectivity=26)
    return Components(labels, box, np.flatnonzero(mask.ravel(order="K")))


def merged(mask: np.ndarray, box: Box, times: int) -> tuple[Components, Components]:
    """Label a mask by the connected components of its dilation, `dilated` so many times; the crop
    must reach as far beyond the mask, or to the image's border.

    Returns
    -------
    drawn, extents : Components
        Of the mask, and of its dilation with the same numbers. Two extents do not touch, so each is
        the dilation of its own component.
    """
    inner = bounding_box(mask, times)
    drawn = np.asfortranarray(mask[inner])
    place = _shifted(inner, box, 1)
    extents = labelled(dilated(drawn, times), place)
    places = np.flatnonzero(drawn.ravel(order="K"))
    return Components(extents.labels * drawn, place, places), extents


def without_small(components: Components, most_voxels: float) -> Components:
    """Drop the components of at most so many voxels; the others keep their numbers."""
    small = components.voxels <= most_voxels
    if not small[components.numbers].any():
        return components
    return components.renumbered(np.where(small, 0, np.arange(len(small))))


def shared_voxels(one: Components, other: Components) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the voxels that each component of one mask shares with each of another.

    Returns
    -------
    ones, others, voxels : (P,) int64 array
        The components of every pair that shares a voxel, sorted, and how many it shares.
    """
    partners = other.within(one.box).ravel(order="F")[one.places]
    return _pairs(one.numbers_at, partners)


def _pairs(ones: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair of numbers other than 0 at the same place of two arrays, sorted, and its count."""
    both = (ones != 0) & (others != 0)
    ones, others = ones[both].astype(np.int64), others[both]
    base = int(others.max(initial=0)) + 1
    keys = ones * base + others
    if keys.max(initial=0) < FEW_PAIRS:
        counts = np.bincount(keys)
        pairs = np.flatnonzero(counts)
        return pairs // base, pairs % base, counts[pairs]
    pairs, counts = np.unique(keys, return_counts=True)
    return pairs // base, pairs % base, counts


def joining(components: Components, partners: Components) -> np.ndarray:
    """New numbers for `Components.renumbered`, equal for components that touch the same partner.

    They touch if a voxel of one is among the 18 neighbours of a voxel of the other, or the same. A
    component that touches several partners follows the one of the lowest number, as in the BraTS
    challenges of 2024.
    """
    table = np.arange(len(components.voxels))
    touching = np.array(sorted(_touching(components, partners)), np.int64).reshape(-1, 2)
    # pairs are sorted: the first of a component names its lowest partner
    own, first = np.unique(touching[:, 0], return_index=True)
    table[own] = len(table) + touching[first, 1]
    return np.unique(table, return_inverse=True)[1]


def _touching(components: Components, partners: Components) -> Iterable[tuple[int, int]]:
    """All pairs that touch."""
    around = tuple(slice(side.start - 1, side.stop + 1) for side in components.box)
    others, found = partners.within(around), set()
    for shift in np.ndindex(3, 3, 3):
        if sum(step != 1 for step in shift) <= 2:
            there = sliding_window_view(others, components.labels.shape)[shift]
            ones, twos, _ = _pairs(components.numbers_at, there.ravel(order="F")[components.places])
            found |= set(zip(ones.tolist(), twos.tolist(), strict=True))
    return found


def dilated(mask: np.ndarray, times: int) -> np.ndarray:
    """Dilate a mask repeatedly by the 18-neighbourhood (faces and edges, not corners).

    The neighbourhood is the union of the 3x3 squares in the three planes through a voxel, and a
    square is a line along one axis dilated along another. Two dilations of the mask itself, along x
    and y, thus lead to all three: x along y, and x or y along z.

    It equals ``scipy.ndimage.binary_dilation`` with ``generate_binary_structure(3, 2)`` and so many
    iterations, but that 0 of them give the mask.
    """
    for _ in range(times):
        along_x, along_y = _dilated_along(mask, 0), _dilated_along(mask, 1)
        mask = _dilated_along(along_x, 1)
        along_x |= along_y
        mask |= _dilated_along(along_x, 2)
    return mask


def _dilated_along(mask: np.ndarray, axis: int) -> np.ndarray:
    wide = mask.copy(order="K")
    target, source = np.moveaxis(wide, axis, 0), np.moveaxis(mask, axis, 0)
    target[1:] |= source[:-1]
    target[:-1] |= source[1:]
    return wide
