"""The follow-up of a patient whose visits and labels are known: record and page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.progress import Bar
from ..registration.native import REFERENCES
from ..report.page.follow_up import Pictures
from .aligning import Aligned, align, unmoved
from .course import Course, courses, shared_kinds
from .pictures import pictures_of
from .reading import Examination, Labels, common_modality, read
from .record import record_of
from .visits import Visit


@dataclass(frozen=True, eq=False)
class FollowUp:
    """Visits registered, their lesions matched and measured.

    Attributes
    ----------
    record : dict
        Of `record.record_of`.
    pictures : mapping
        Of `pictures.pictures_of`, for `report.page.follow_up`.
    aligned : list of Aligned
        The transform of each visit, in order of time.
    anatomy : str
        The modality by which they were registered.
    """

    record: dict[str, Any]
    pictures: Pictures
    aligned: list[Aligned]
    anatomy: str


def follow_up(
    visits: Sequence[Visit],
    labels: Sequence[Labels],
    baseline: int,
    doubts: Sequence[str],
    dates: bool = False,
) -> FollowUp:
    """Read, register, match, measure, assess.

    Parameters
    ----------
    visits, labels
        In order of time.
    baseline : int
        Index of the reference visit.
    doubts : sequence of str
        Warnings about the visits so far.
    dates : bool
        Whether the record has dates.
    """
    anatomy = common_modality(list(visits), REFERENCES)
    pairs = Bar(zip(visits, labels, strict=True), "read", len(visits), unit="visit")
    examinations = [read(visit, own, anatomy) for visit, own in pairs]
    kinds, untold = shared_kinds(examinations)
    aligned = _aligned(examinations, baseline)
    followed = courses(examinations, kinds, aligned, baseline)
    warnings = [*doubts, *untold, *_warnings(examinations, aligned, followed)]
    record = record_of(examinations, aligned, followed, warnings, dates)
    return FollowUp(record, pictures_of(examinations, followed), aligned, anatomy)


def _aligned(examinations: Sequence[Examination], baseline: int) -> list[Aligned]:
    fixed = examinations[baseline].anatomy
    return [
        unmoved() if number == baseline else align(each.anatomy, fixed, each.visit.name)
        for number, each in enumerate(Bar(examinations, "register", unit="visit"))
    ]


def _warnings(
    examinations: Sequence[Examination], aligned: Sequence[Aligned], followed: Sequence[Course]
) -> Iterator[str]:
    """What to know about the files, the registration and the slices of the visits."""
    for examination in examinations:
        yield from examination.warnings
    for examination, way in zip(examinations, aligned, strict=True):
        if way.poor:
            name = examination.visit.name
            yield (
                f"{name}: poor registration, {way.poor}. Check that it is the same patient; lesions"
                " are not matched from here on, and no category is stated"
            )
    for course in followed:
        yield from _outside(examinations, course)
        planes = [state.slicing.plane for state in course.states]
        if len({*planes}) > 1:
            yield (
                f"{course.kind.title} is measured in different planes ({', '.join(planes)}), since"
                " the slices of the visits differ: products are not strictly comparable"
            )


def _outside(examinations: Sequence[Examination], course: Course) -> Iterator[str]:
    """Lesions that lie outside the images of the baseline, or those of a later visit."""
    for number, (examination, state) in enumerate(zip(examinations, course.states, strict=True)):
        name = examination.visit.name
        for lesion in () if course.unmatched_at(number) else state.lesions:
            if lesion.outside:
                yield (
                    f"{name}: {lesion.name} lies {_share(lesion.outside)} outside the images of the"
                    " baseline, where nobody can tell whether it was there"
                )
            if lesion.is_unseen:
                yield (
                    f"{name}: its images do not reach the place of {lesion.name}, which counts as"
                    " not seen, not as vanished"
                )


def _share(share: float) -> str:
    return "wholly" if share == 1 else f"by {max(round(100 * share), 1)} %"
