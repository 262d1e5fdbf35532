"""Slices with the measured diameters, of the lesions that the page shows."""

from collections.abc import Iterator, Sequence

import nibabel.orientations as orientations
import numpy as np

from ..core.grid import Grid, canonical_spacing_mm, to_canonical
from ..report.plots.follow_up import Cut, measured_slice
from ..report.plots.planes import PLANES, cut
from .course import Course, Lesion
from .kinds import CAVITY, classes_in
from .reading import Examination, View

MOST_DRAWN = 6
"""Lesions of a kind that are drawn: those that count as target lesions first."""
SIDE_MM = 90.0
"""Least side of a picture."""
AROUND = 2.2
"""A picture is at least so many longest diameters wide."""
DPI = 140
_PERCENTILES = (1, 99.5)

Pictures = dict[tuple[str, str, int], bytes]
"""PNG files by kind, lesion and number of the visit."""


def pictures_of(examinations: Sequence[Examination], courses: Sequence[Course]) -> Pictures:
    """Draw the lesions that matter most at every visit where they are."""
    return {
        (course.kind.name, lesion, examinations[place].visit.number): drawn
        for course in courses
        for lesion in drawn_lesions(course)
        for place, drawn in _over_visits(examinations, course, lesion)
    }


def drawn_lesions(course: Course) -> list[str]:
    """Names of the lesions to draw: what counts as target at some visit, then new measurable
    ones, then the largest.
    """
    largest: dict[str, float] = {}
    targets = list(course.targets)
    for state in course.states:
        targets += [lesion.name for lesion in state.targets]
        for lesion in state.present:
            largest[lesion.name] = max(largest.get(lesion.name, 0.0), lesion.product_mm2)
    new = [
        lesion.name
        for number in range(len(course.states))
        for lesion in course.new_at(number)
        if lesion.measurable
    ]
    ranked = sorted(largest, key=lambda name: -largest[name])
    return list(dict.fromkeys((*targets, *new, *ranked)))[:MOST_DRAWN]


def _over_visits(
    examinations: Sequence[Examination], course: Course, name: str
) -> Iterator[tuple[int, bytes]]:
    seen = {
        place: lesion
        for place, state in enumerate(course.states)
        for lesion in state.present
        if lesion.name == name and lesion.lines
    }
    longest = max(lesion.lines.long_axis_mm for lesion in seen.values() if lesion.lines)
    side_mm = max(SIDE_MM, AROUND * longest)
    for place, lesion in seen.items():
        view = examinations[place].views[course.kind.name]
        cavity = np.isin(view.classes, classes_in(examinations[place].schema, CAVITY))
        mask = course.states[place].found.numbers == lesion.sighting.number
        yield place, measured_slice(cut_of(view, lesion, mask, cavity), side_mm, DPI)


def cut_of(view: View, lesion: Lesion, mask: np.ndarray, cavity: np.ndarray) -> Cut:
    """The slice in which a lesion was measured, upright, with its diameters."""
    lines = lesion.lines
    assert lines is not None
    ways = orientations.io_orientation(view.grid.affine)
    plane = next(each for each in PLANES if each.axis == int(ways[lines.plane, 0]))
    ends = _canonical(np.concatenate([lines.long_ends, lines.short_ends]), view.grid)
    index = round(float(ends[0, plane.axis]))
    image, inside, hole = (
        cut(to_canonical(voxels, view.grid.affine), plane, index)
        for voxels in (view.image, mask, cavity)
    )
    step = np.delete(canonical_spacing_mm(view.grid.affine), plane.axis)
    flat = np.delete(ends, plane.axis, axis=1)
    across, up = inside.shape[1], inside.shape[0]
    x_mm = (across - 0.5 - flat[:, 0]) * step[0]
    y_mm = (flat[:, 1] + 0.5) * step[1]
    return Cut(
        _grey(image, view.image),
        inside,
        hole,
        (across * float(step[0]), up * float(step[1])),
        np.stack([x_mm, y_mm], axis=1).reshape(2, 2, 2),
        plane,
    )


def _canonical(points: np.ndarray, grid: Grid) -> np.ndarray:
    """Voxel coordinates (N, 3) on the axes of `to_canonical`."""
    ways = orientations.io_orientation(grid.affine)
    turned = np.empty_like(points)
    for axis, (target, sign) in enumerate(ways):
        last = grid.shape[axis] - 1
        turned[:, int(target)] = points[:, axis] if sign > 0 else last - points[:, axis]
    return turned


def _grey(image: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Greys of a slice between percentiles of the foreground of its volume."""
    inside = whole[::2, ::2][whole[::2, ::2] > 0]
    low, high = np.percentile(inside, _PERCENTILES) if inside.size else (0.0, 1.0)
    scaled = (image.astype(np.float32) - low) * (255 / max(high - low, 1e-8))
    return np.clip(scaled, 0, 255).astype(np.uint8)
