"""Numbered pieces of masks: merged where they lie close, dropped where small, joined where they
touch the same piece of another mask.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cc3d
import numpy as np

from ..core.boxes import Box, bounding_box

CONNECTIVITY = 26
"""Voxels that share a face, an edge or a corner belong to one piece."""
FEW_PAIRS = 2**20
"""Up to so many possible pairs of numbers are counted in a table of all; more are sorted."""


@dataclass(frozen=True)
class Pieces:
    """Pieces of a mask by their numbers. Tumours are small in an image, so most is done on the list
    of their voxels.

    Attributes
    ----------
    labels : (x, y, z) unsigned integer array, in the order of Fortran
        Numbers in a crop of the image, 0 outside; numbers may be missing.
    box : tuple of 3 slices
        Where in the image the crop lies; it holds all pieces.
    places : (V,) int64 array
        Where in the crop there is a piece, counted along the first axis first, ascending.
    """

    labels: np.ndarray
    box: Box
    places: np.ndarray

    @cached_property
    def numbers_at(self) -> np.ndarray:
        """(V,) array: the number of the piece at each place."""
        return self.labels.ravel(order="F")[self.places]

    @cached_property
    def voxels(self) -> np.ndarray:
        """(N + 1,) int64 array: voxels by number, 0 where there is no such piece and for the
        background.
        """
        return np.bincount(self.numbers_at, minlength=1)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(P,) int64 array: the numbers that there are, ascending."""
        return np.flatnonzero(self.voxels)

    @cached_property
    def _by_number(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in the order of their numbers, and where those of each number begin."""
        return self.places[np.argsort(self.numbers_at, kind="stable")], np.cumsum([0, *self.voxels])

    def box_of(self, number: int) -> Box:
        """The smallest box in the image around a piece."""
        places, starts = self._by_number
        left, sides = places[starts[number] : starts[number + 1]], []
        for length, whole in zip(self.labels.shape, self.box, strict=True):
            indices = left % length
            sides.append(
                slice(whole.start + int(indices.min()), whole.start + int(indices.max()) + 1)
            )
            left = left // length
        return tuple(sides)

    def within(self, box: Box) -> np.ndarray:
        """Numbers in another box of the image, of its shape; 0 where the crop does not reach."""
        if all(
            inner.start >= outer.start and inner.stop <= outer.stop
            for inner, outer in zip(box, self.box, strict=True)
        ):
            return self.labels[_from(box, self.box)]
        labels = np.zeros([side.stop - side.start for side in box], self.labels.dtype, order="F")
        both = tuple(
            slice(
                max(one.start, other.start), max(min(one.stop, other.stop), one.start, other.start)
            )
            for one, other in zip(box, self.box, strict=True)
        )
        labels[_from(both, box)] = self.labels[_from(both, self.box)]
        return labels

    def renumbered(self, table: np.ndarray) -> "Pieces":
        """The pieces with new numbers, ``table[old]``, 0 to drop one."""
        labels, numbers = np.zeros(self.labels.shape, np.uint32, order="F"), table[self.numbers_at]
        labels.ravel(order="K")[self.places] = numbers
        return Pieces(labels, self.box, self.places[numbers != 0])


def cropped(array: np.ndarray, margin_voxels: int) -> tuple[np.ndarray, Box]:
    """What of a mask or class map is not background, with a margin, and where it lies."""
    box = bounding_box(array, margin_voxels)
    return np.asfortranarray(array[box]), box


def mask_of(crop: tuple[np.ndarray, Box], members: Sequence[int]) -> tuple[np.ndarray, Box]:
    """Where a cropped class map has one of some classes, and where the crop lies."""
    classes, box = crop
    mask = classes == members[0]
    for member in members[1:]:
        mask |= classes == member
    return mask, box


def _from(inner: Box, outer: Box) -> Box:
    """A box of the image as one of a crop of it."""
    return tuple(
        slice(side.start - whole.start, side.stop - whole.start)
        for side, whole in zip(inner, outer, strict=True)
    )


def numbered(mask: np.ndarray, box: Box, connectivity: int = CONNECTIVITY) -> Pieces:
    """Number the connected pieces of a mask.

    Parameters
    ----------
    mask : (x, y, z) bool array
        A crop of the image that holds all of it.
    box : tuple of 3 slices
        Where in the image the crop lies.
    connectivity : {6, 18, 26}
        Which neighbours belong together.

    Returns
    -------
    Pieces
        1, 2, ... in the order in which a scan meets the pieces, the first axis running fastest,
        whatever the memory layout.
    """
    mask = np.asfortranarray(mask)
    labels = (
        cc3d.connected_components(mask, connectivity=connectivity)
        if mask.size
        else np.zeros(mask.shape, np.uint16)
    )
    return Pieces(labels, box, np.flatnonzero(mask.ravel(order="K")))


def merged(
    mask: np.ndarray, box: Box, times: int, connectivity: int = CONNECTIVITY
) -> tuple[Pieces, Pieces]:
    """Number a mask by the connected pieces of its dilation.

    Parameters
    ----------
    mask : (x, y, z) bool array
        A crop of the image that reaches as far beyond the mask as it is dilated, or to the image's
        border.
    box : tuple of 3 slices
        Where in the image the crop lies.
    times : int
        How often it is dilated, see `dilated`.
    connectivity : {6, 18, 26}
        Which neighbours belong together.

    Returns
    -------
    drawn, extents : Pieces
        Of the mask, and of its dilation with the same numbers. Two extents do not touch, so each is
        the dilation of its own piece.
    """
    inner = bounding_box(mask, times)
    drawn = np.asfortranarray(mask[inner])
    place = tuple(
        slice(whole.start + side.start, whole.start + side.stop)
        for side, whole in zip(inner, box, strict=True)
    )
    extents = numbered(dilated(drawn, times), place, connectivity)
    return Pieces(extents.labels * drawn, place, np.flatnonzero(drawn.ravel(order="K"))), extents


def without_small(pieces: Pieces, most_voxels: float) -> Pieces:
    """Drop the pieces of at most so many voxels; the others keep their numbers."""
    small = pieces.voxels <= most_voxels
    return (
        pieces.renumbered(np.where(small, 0, np.arange(len(small))))
        if small[pieces.numbers].any()
        else pieces
    )


def shared_voxels(one: Pieces, other: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the voxels that each piece of one mask shares with each of another.

    Parameters
    ----------
    one, other : Pieces
        Of one image.

    Returns
    -------
    ones, others : (P,) int64 array
        The numbers of every pair that shares a voxel, sorted.
    voxels : (P,) int64 array
        How many voxels it shares, at least 1.
    """
    partners = other.within(one.box).ravel(order="F")[one.places]
    return _pairs(one.numbers_at, partners)


def _pairs(ones: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair of numbers but 0 at the same place of two lists, sorted, and how often it is
    there.
    """
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


def joining(pieces: Pieces, partners: Pieces) -> np.ndarray:
    """New numbers that are the same for pieces which touch the same partner.

    A piece that touches several partners follows the one of the lowest number, as in the BraTS
    challenges of 2024.

    Parameters
    ----------
    pieces, partners : Pieces
        Of one image; they touch if a voxel of one is among the 18 neighbours of a voxel of the
        other, or the same.

    Returns
    -------
    (N + 1,) int64 array
        For `Pieces.renumbered`.
    """
    table = np.arange(len(pieces.voxels))
    touching = np.array(sorted(_touching(pieces, partners)), np.int64).reshape(-1, 2)
    own, first = np.unique(
        touching[:, 0], return_index=True
    )  # pairs are sorted: the first of a piece names its lowest partner
    table[own] = len(table) + touching[first, 1]
    return np.unique(table, return_inverse=True)[1]


def _touching(pieces: Pieces, partners: Pieces) -> Iterable[tuple[int, int]]:
    """All pairs of numbers that touch."""
    around = tuple(slice(side.start - 1, side.stop + 1) for side in pieces.box)
    others, found = partners.within(around), set()
    for shift in np.ndindex(3, 3, 3):
        if sum(step != 1 for step in shift) <= 2:
            there = others[
                tuple(
                    slice(step, step + length)
                    for step, length in zip(shift, pieces.labels.shape, strict=True)
                )
            ]
            ones, twos, _ = _pairs(pieces.numbers_at, there.ravel(order="F")[pieces.places])
            found |= set(zip(ones.tolist(), twos.tolist(), strict=True))
    return found


def dilated(mask: np.ndarray, times: int) -> np.ndarray:
    """Grow a mask by its 18-neighbourhood (over faces and edges, not corners), again and again.

    The neighbourhood is the union of the 3x3 squares in the three planes through a voxel, and a
    square is a line along one axis widened along another. Two widenings of the mask itself, along x
    and y, thus lead to all three: x along y, and x or y along z.

    Parameters
    ----------
    mask : (X, Y, Z) bool array
    times : int
        0 gives the mask.

    Returns
    -------
    (X, Y, Z) bool array
        Equal to ``scipy.ndimage.binary_dilation`` with ``generate_binary_structure(3, 2)`` and so
        many iterations.
    """
    for _ in range(times):
        along_x, along_y = _widened(mask, 0), _widened(mask, 1)
        mask = _widened(along_x, 1)
        along_x |= along_y
        mask |= _widened(along_x, 2)
    return mask


def _widened(mask: np.ndarray, axis: int) -> np.ndarray:
    wide = mask.copy(order="K")
    target, source = np.moveaxis(wide, axis, 0), np.moveaxis(mask, axis, 0)
    target[1:] |= source[:-1]
    target[:-1] |= source[1:]
    return wide
