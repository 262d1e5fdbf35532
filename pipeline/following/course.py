"""The course of one kind of disease over the visits: lesions measured, targets chosen, burdens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import InputError
from ..core.grid import Grid
from ..core.layout import counted
from ..core.progress import Bar
from ..metrics.diameters import Measured
from ..registration.mutual_information import Sampled, isotropic, resample
from .aligning import Aligned
from .fields import around, share_outside
from .kinds import CAVITY, CORE, KINDS, Kind, classes_in, kinds_of
from .lesions import LEAST_MM3, Found, Sighting, Tracker, find
from .measuring import Slicing, is_measurable, measure, slices_of, slicing_of
from .rano import (
    MOST_TARGETS,
    PRODUCT,
    PRODUCT_WITH_MINOR,
    UNREGISTERED,
    VOLUME,
    Burden,
    Category,
    Rule,
    categories,
)
from .reading import Examination

MATCHED_MM = 1.0
"""Isotropic spacing of the grid on which lesions are matched."""
MOSTLY = 0.5
"""A lesion of which a larger share lies outside of images was not seen on them."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion at a visit; 0, None and False of one that is not there.

    Attributes
    ----------
    sighting : Sighting
    volume_ml : float
    lines : Measured or None
        Its diameters, in voxels of the visit's own grid.
    slices : int
        How many hold a voxel of it.
    measurable, target : bool
    outside : float
        Share of it outside the images of the baseline, 0 to 1.
    unseen : float
        Of one that is not there: share of where it was at the baseline that lies outside the images
        of this visit.
    """

    sighting: Sighting
    volume_ml: float = 0.0
    lines: Measured | None = None
    slices: int = 0
    measurable: bool = False
    target: bool = False
    outside: float = 0.0
    unseen: float = 0.0

    @property
    def name(self) -> str:
        """The same at all visits."""
        return self.sighting.lesion

    @property
    def product_mm2(self) -> float:
        """Of its diameters."""
        return self.lines.product_mm2 if self.lines else 0.0

    @property
    def is_outside(self) -> bool:
        """Whether most of it lies outside the images of the baseline."""
        return self.outside > MOSTLY

    @property
    def is_unseen(self) -> bool:
        """Whether it is not there since the images of the visit do not reach it."""
        return self.unseen > MOSTLY


@dataclass(frozen=True, eq=False)
class State:
    """One kind of disease at one visit."""

    slicing: Slicing
    found: Found
    lesions: tuple[Lesion, ...]

    @property
    def present(self) -> list[Lesion]:
        """The lesions that are there."""
        return [lesion for lesion in self.lesions if lesion.sighting.number]

    @property
    def targets(self) -> list[Lesion]:
        """The target lesions that are there."""
        return [lesion for lesion in self.present if lesion.target]

    @property
    def product_mm2(self) -> float:
        """Sum over the target lesions."""
        return sum((lesion.product_mm2 for lesion in self.targets), 0.0)

    @property
    def target_ml(self) -> float:
        """Volume of the target lesions."""
        return sum((lesion.volume_ml for lesion in self.targets), 0.0)

    @property
    def total_ml(self) -> float:
        """Volume of all lesions, specks included."""
        return sum(lesion.volume_ml for lesion in self.present) + self.found.specks_mm3 / 1000


@dataclass(frozen=True, eq=False)
class Course:
    """One kind of disease over all visits, in order of time."""

    kind: Kind
    baseline: int
    targets: tuple[str, ...]
    states: tuple[State, ...]
    registered: tuple[bool, ...]
    """Whether each visit could be registered to the baseline."""

    def new_at(self, number: int) -> list[Lesion]:
        """Lesions of a later visit that are not, and do not come from, those of the baseline."""
        if number <= self.baseline:
            return []
        known = frozenset().union(
            *(lesion.sighting.lineage for lesion in self.states[self.baseline].present)
        )
        return [each for each in self.states[number].present if not each.sighting.lineage & known]

    def unmatched_at(self, number: int) -> str:
        """Why lesions of a visit cannot be matched with those of the baseline; empty if they can.

        Lesions are followed from visit to visit, so one that could not be registered breaks it.
        """
        failed = [place for place in range(number + 1) if not self.registered[place]]
        if number <= self.baseline or not failed:
            return ""
        return UNREGISTERED if number in failed else f"{UNREGISTERED} (visit {failed[-1] + 1})"

    def by_product(self) -> list[Category]:
        """Category of every visit by the sum of products."""
        rule = PRODUCT if self.kind is KINDS[0] else PRODUCT_WITH_MINOR
        return self._categories(rule, [state.product_mm2 for state in self.states])

    def by_volume(self) -> list[Category]:
        """Category of every visit by the volume of the target lesions."""
        return self._categories(VOLUME, [state.target_ml for state in self.states])

    def _categories(self, rule: Rule, values: Sequence[float]) -> list[Category]:
        burdens = [self._burden(number, value) for number, value in enumerate(values)]
        return categories(burdens, self.baseline, rule)

    def _burden(self, number: int, value: float) -> Burden:
        state = self.states[number]
        new = [lesion for lesion in self.new_at(number) if lesion.measurable]
        return Burden(
            value,
            any_left=bool(state.present or state.found.specks),
            new=tuple(lesion.name for lesion in new if not lesion.is_outside),
            targets_measurable=any(lesion.measurable for lesion in state.targets),
            unmatched=self.unmatched_at(number),
            unseen=tuple(
                lesion.name for lesion in state.lesions if lesion.target and lesion.is_unseen
            ),
            undated=tuple(lesion.name for lesion in new if lesion.is_outside),
        )

    def notes_at(self, number: int) -> list[str]:
        """What a reader has to decide about a visit after the baseline."""
        if number <= self.baseline or self.unmatched_at(number):
            return []
        at_baseline = {lesion.name: lesion for lesion in self.states[self.baseline].present}
        notes = [
            f"{lesion.name} is new and too small to be measurable"
            for lesion in self.new_at(number)
            if not lesion.measurable
        ]
        notes += [
            f"{lesion.name} lies outside the images of the baseline: nobody knows since when"
            for lesion in self.new_at(number)
            if lesion.is_outside
        ]
        state = self.states[number]
        if state.found.specks and not state.present:
            notes.append(
                f"{counted(state.found.specks, 'speck')} below {LEAST_MM3:g} mm3 left: complete"
                " response if that is no tumour"
            )
        origins = frozenset().union(*(lesion.sighting.lineage for lesion in state.targets))
        if alien := sorted(origins & at_baseline.keys() - {*self.targets}):
            notes.append(f"the sums now hold {', '.join(alien)}, no target at the baseline")
        for lesion in state.present:
            before = at_baseline.get(lesion.name)
            if before is None or lesion.target or not lesion.measurable:
                continue
            if not before.measurable:
                notes.append(f"{lesion.name} was not measurable at the baseline and is now")
            elif lesion.product_mm2 >= before.product_mm2 * (1 + PRODUCT.progression):
                notes.append(f"{lesion.name}, no target lesion, has grown since the baseline")
        return notes


def shared_kinds(examinations: Sequence[Examination]) -> tuple[tuple[Kind, ...], list[str]]:
    """The kinds that the labels of all visits have, and warnings about the others.

    Raises
    ------
    InputError
        If there is none.
    """
    shared = tuple(
        kind for kind in KINDS if all(kind in kinds_of(each.schema) for each in examinations)
    )
    if not shared:
        raise InputError(
            "the labels of the visits have no region in common, ET or WT. Name labels of one cohort"
            " for all visits, or a network by --model."
        )
    return shared, [
        f"{kind.title} is not followed: the labels of some visits have no region {kind.region}"
        for kind in KINDS
        if kind not in shared
    ]


def courses(
    examinations: Sequence[Examination],
    kinds: Sequence[Kind],
    aligned: Sequence[Aligned],
    baseline: int,
) -> list[Course]:
    """Follow kinds of disease over all visits, in order of time, on the grid of the reference
    visit `baseline`, extended to the lesions that lie outside it.
    """
    made = []
    with Bar(total=len(kinds) * len(examinations), desc="measure", unit="visit") as bar:
        for kind in kinds:
            found = [_found(examination, kind) for examination in examinations]
            sightings = _sightings(kind, examinations, found, aligned, baseline)
            states = []
            for place in range(len(examinations)):
                states.append(_state(examinations[place], kind, found[place], sightings[place]))
                bar.update()
            seen = _placed(kind, examinations, states, aligned, baseline)
            registered = tuple(not way.poor for way in aligned)
            made.append(_course(kind, baseline, seen, registered))
    return made


def _found(examination: Examination, kind: Kind) -> Found:
    """The lesions of a visit."""
    view, schema = examination.views[kind.name], examination.schema
    own = schema.classes_of(kind.region)
    mask = np.isin(view.classes, own)
    core = np.isin(view.classes, [index for index in classes_in(schema, CORE) if index not in own])
    return find(mask, core, view.grid.spacing_mm)


def _sightings(
    kind: Kind,
    examinations: Sequence[Examination],
    found: Sequence[Found],
    aligned: Sequence[Aligned],
    baseline: int,
) -> list[list[Sighting]]:
    """The lesions of every visit, matched on a grid that holds all of them."""
    grids = [examination.views[kind.name].grid for examination in examinations]
    own = isotropic(examinations[baseline].anatomy.grid, MATCHED_MM)
    common = around(own, [each.numbers for each in found], grids, aligned)
    tracker = Tracker(kind.mark, common.spacing_mm)
    return [
        tracker.add(
            resample(Sampled(each.numbers, grid), common, way.matrix, "nearest"),
            len(each.volumes_mm3),
        )
        for each, grid, way in zip(found, grids, aligned, strict=True)
    ]


def _state(
    examination: Examination, kind: Kind, found: Found, sightings: Sequence[Sighting]
) -> State:
    """A visit without target lesions."""
    view = examination.views[kind.name]
    cavity = np.isin(view.classes, classes_in(examination.schema, CAVITY))
    slicing = slicing_of(view.grid)
    lesions = [_lesion(sighting, found, cavity, view.grid, slicing) for sighting in sightings]
    return State(slicing, found, tuple(lesions))


def _lesion(
    sighting: Sighting, found: Found, cavity: np.ndarray, grid: Grid, slicing: Slicing
) -> Lesion:
    if not sighting.number:
        return Lesion(sighting)
    mask = found.numbers == sighting.number
    lines = measure(mask, cavity, grid, slicing)
    slices = slices_of(mask, slicing)
    volume_ml = found.volumes_mm3[sighting.number - 1] / 1000
    measurable = lines is not None and is_measurable(lines, slices, slicing)
    return Lesion(sighting, volume_ml, lines, slices, measurable)


def _placed(
    kind: Kind,
    examinations: Sequence[Examination],
    states: Sequence[State],
    aligned: Sequence[Aligned],
    baseline: int,
) -> list[State]:
    """The visits with what of their lesions lies outside the images of the baseline, and what of
    its lesions outside their own.
    """
    grids = [examination.views[kind.name].grid for examination in examinations]
    fixed, first = examinations[baseline].anatomy.grid, states[baseline]
    known = {lesion.name: lesion.sighting.number for lesion in first.present}

    def placed(lesion: Lesion, place: int) -> Lesion:
        number = lesion.sighting.number
        if number:
            mask = states[place].found.numbers == number
            outside = share_outside(mask, grids[place], aligned[place], fixed, aligned[baseline])
            return replace(lesion, outside=outside)
        if lesion.sighting.status != "vanished" or lesion.name not in known:
            return lesion
        mask = first.found.numbers == known[lesion.name]
        there, way = examinations[place].anatomy.grid, aligned[place]
        unseen = share_outside(mask, grids[baseline], aligned[baseline], there, way)
        return replace(lesion, unseen=unseen)

    return [
        replace(state, lesions=tuple(placed(lesion, place) for lesion in state.lesions))
        for place, state in enumerate(states)
    ]


def _course(
    kind: Kind, baseline: int, states: Sequence[State], registered: tuple[bool, ...]
) -> Course:
    """Choose the target lesions: the largest measurable ones at the baseline."""
    measurable = [lesion for lesion in states[baseline].present if lesion.measurable]
    measurable.sort(key=lambda lesion: -lesion.product_mm2)
    targets = tuple(lesion.name for lesion in measurable[:MOST_TARGETS])
    marked = tuple(
        replace(
            state, lesions=tuple(_as_target(each, frozenset(targets)) for each in state.lesions)
        )
        for state in states
    )
    return Course(kind, baseline, targets, marked, registered)


def _as_target(lesion: Lesion, targets: frozenset[str]) -> Lesion:
    return replace(lesion, target=bool(lesion.sighting.lineage & targets))
