"""Lesions of a visit, and the same lesions at other visits."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from ..core.boxes import bounding_box
from ..metrics.components import joining, labelled

LEAST_MM3 = 50.0
"""Smaller components are specks: counted, not followed. The lesion-wise scores of BraTS 2023 leave
out the same."""
REACH_MM = 2.0
"""Lesions are matched as if they reached so much farther, since registration is not exact."""
LEAST_SHARE = 0.25
"""A lesion that shares at least so much of its voxels with one that follows it merged into it, or
split from it."""


@dataclass(frozen=True, eq=False)
class Found:
    """The lesions of one kind at a visit.

    Attributes
    ----------
    numbers : (X, Y, Z) uint16 array
        1, 2, ... in each lesion, 0 elsewhere, the largest lesion first.
    volumes_mm3 : tuple of float
        By number, from 1.
    specks : int
    specks_mm3 : float
        How many components are smaller than `LEAST_MM3`, and their volume in all.
    """

    numbers: np.ndarray
    volumes_mm3: tuple[float, ...]
    specks: int
    specks_mm3: float


def find(mask: np.ndarray, core: np.ndarray, spacing_mm: tuple[float, float, float]) -> Found:
    """Separate the lesions of a mask.

    Parameters
    ----------
    mask : (X, Y, Z) bool array
        Of one kind of disease.
    core : (X, Y, Z) bool array
        Tumour core that is not in the mask, such as necrosis: parts of the mask that touch the same
        part of it are one lesion, as the fragments of an enhancing rim. A resection cavity is no
        core and joins nothing.
    spacing_mm : tuple of 3 floats

    Returns
    -------
    Found
        Connected components (26 neighbours), joined so.
    """
    numbers = np.zeros(mask.shape, np.uint16)
    if not mask.any():
        return Found(numbers, (), 0, 0.0)
    box, voxel_mm3 = bounding_box(mask | core), float(np.prod(spacing_mm))
    components = labelled(mask[box], box)
    if core.any():
        components = components.renumbered(joining(components, labelled(core[box], box)))
    volumes_mm3 = components.voxels * voxel_mm3
    ranked = sorted(components.numbers.tolist(), key=lambda number: -volumes_mm3[number])
    large = [number for number in ranked if volumes_mm3[number] >= LEAST_MM3]
    table = np.zeros(len(volumes_mm3), np.uint16)
    table[large] = np.arange(1, len(large) + 1)
    numbers[box] = table[components.labels]
    specks = ranked[len(large) :]
    return Found(
        numbers, tuple(volumes_mm3[large].tolist()), len(specks), float(volumes_mm3[specks].sum())
    )


@dataclass(frozen=True)
class Sighting:
    """What became of a lesion at a visit.

    Attributes
    ----------
    lesion : str
        Its name, the same at all visits.
    number : int
        In `Found.numbers` of the visit; 0 where it is not there.
    status : str
        ``first`` at the first visit, later ``same``, ``new``, ``returned``, ``split``, and, where
        it is not there, ``vanished`` or ``merged``.
    others : tuple of str
        The lesion that it split from or merged into; those that merged into it.
    lineage : frozenset of str
        It, and all lesions that it came from.
    """

    lesion: str
    number: int
    status: str
    others: tuple[str, ...] = ()
    lineage: frozenset[str] = frozenset()


@dataclass
class _Track:
    name: str
    places: np.ndarray  # flat voxels of the reference grid where it was seen last
    lineage: frozenset[str]
    present: bool = True
    merged: bool = False


@dataclass
class Tracker:
    """Follows lesions over visits, given in order of time on one grid.

    Attributes
    ----------
    mark : str
        Start of their names.
    spacing_mm : tuple of 3 floats
        Of the common grid.
    """

    mark: str
    spacing_mm: tuple[float, float, float]
    _tracks: list[_Track] = field(default_factory=list)
    _started: bool = False

    def add(self, numbers: np.ndarray, count: int) -> list[Sighting]:
        """Match the lesions of the next visit with those known.

        Parameters
        ----------
        numbers : (X, Y, Z) uint16 array
            As of `Found`, on the common grid; a lesion may have no voxel there.
        count : int
            Lesions of the visit.

        Returns
        -------
        list of Sighting
            One for every lesion of the visit, and for every known one that is not there.

        Notes
        -----
        The assignment maximises the sum of Dice over all pairs that overlap, each lesion in one
        pair at most (`scipy.optimize.linear_sum_assignment`).
        """
        wide = widened(numbers, self.spacing_mm)
        sizes = np.bincount(wide.ravel(), minlength=count + 1)[1 : count + 1]
        open_tracks = [track for track in self._tracks if not track.merged]
        shared = np.zeros((len(open_tracks), count), np.int64)
        for row, track in enumerate(open_tracks):
            shared[row] = np.bincount(wide.ravel()[track.places], minlength=count + 1)[
                1 : count + 1
            ]
        seen = self._matched(open_tracks, shared, sizes)
        seen += self._gone(open_tracks, shared, seen)
        seen += self._appeared(open_tracks, shared, sizes, seen)
        self._remember(seen, wide)
        self._started = True
        return sorted(seen, key=lambda sighting: _order(sighting.lesion))

    def _matched(
        self, tracks: Sequence[_Track], shared: np.ndarray, sizes: np.ndarray
    ) -> list[Sighting]:
        total = np.array([[len(track.places)] for track in tracks]).reshape(-1, 1) + sizes
        dice = np.divide(2.0 * shared, total, out=np.zeros(shared.shape), where=total > 0)
        pairs = zip(*linear_sum_assignment(dice, maximize=True), strict=True)
        return [
            Sighting(
                tracks[row].name,
                int(column) + 1,
                "same" if tracks[row].present else "returned",
                lineage=tracks[row].lineage,
            )
            for row, column in pairs
            if shared[row, column]
        ]

    def _gone(
        self, tracks: Sequence[_Track], shared: np.ndarray, seen: list[Sighting]
    ) -> list[Sighting]:
        """Known lesions that are not there: merged into another one, or vanished."""
        gone, known = [], {sighting.lesion for sighting in seen}
        for row, track in enumerate(tracks):
            if track.name in known:
                continue
            place = _largest_share(shared[row], len(track.places))
            into = next((one for one in seen if one.number == place + 1), None)
            if into is None or not track.present:
                gone.append(Sighting(track.name, 0, "vanished", lineage=track.lineage))
                continue
            gone.append(Sighting(track.name, 0, "merged", (into.lesion,), track.lineage))
            seen[seen.index(into)] = replace(
                into, others=(*into.others, track.name), lineage=into.lineage | track.lineage
            )
        return gone

    def _appeared(
        self,
        tracks: Sequence[_Track],
        shared: np.ndarray,
        sizes: np.ndarray,
        seen: Sequence[Sighting],
    ) -> list[Sighting]:
        """Lesions that no known one was assigned to: split from one, or new."""
        taken, names = {sighting.number for sighting in seen}, len(self._tracks)
        appeared = []
        for number in range(1, len(sizes) + 1):
            if number in taken:
                continue
            names += 1
            name = f"{self.mark}{names}"
            row = _largest_share(shared[:, number - 1], int(sizes[number - 1]))
            if row >= 0 and tracks[row].present:
                lineage = tracks[row].lineage | {name}
                appeared.append(Sighting(name, number, "split", (tracks[row].name,), lineage))
            else:
                status = "new" if self._started else "first"
                appeared.append(Sighting(name, number, status, lineage=frozenset({name})))
        return appeared

    def _remember(self, seen: Sequence[Sighting], wide: np.ndarray) -> None:
        known = {track.name: track for track in self._tracks}
        for sighting in sorted(seen, key=lambda sighting: _order(sighting.lesion)):
            places = (
                np.flatnonzero(wide == sighting.number) if sighting.number else np.empty(0, int)
            )
            track = known.get(sighting.lesion)
            if track is None:
                track = _Track(sighting.lesion, places, sighting.lineage)
                self._tracks.append(track)
            track.present, track.lineage = bool(sighting.number), sighting.lineage
            track.merged = sighting.status == "merged"
            if sighting.number:
                track.places = places


def _largest_share(shared: np.ndarray, size: int) -> int:
    """Place of the lesion that shares most, -1 if that is less than `LEAST_SHARE` of the size."""
    if not shared.size or shared.max() < LEAST_SHARE * size or not size:
        return -1
    return int(shared.argmax())


def _order(lesion: str) -> int:
    return int("".join(filter(str.isdigit, lesion)))


def widened(numbers: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Every lesion with all that lies within `REACH_MM` of it and no nearer to another, (X, Y, Z)
    uint16.
    """
    wide = numbers.copy()
    margin = int(np.ceil(REACH_MM / min(spacing_mm)))
    box = bounding_box(numbers, margin)
    inner = numbers[box]
    if inner.size and inner.any():
        distance_mm, nearest = ndimage.distance_transform_edt(
            inner == 0, sampling=spacing_mm, return_indices=True
        )
        wide[box] = np.where(distance_mm <= REACH_MM, inner[tuple(nearest)], 0)
    return wide
