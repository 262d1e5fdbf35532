"""Corrected cases in a split: for training alone, and never where their person is held out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .catalogue import CaseEntry, Catalogue
from .folds import Split

FROM = "corrected_from"
"""Attribute of a corrected case: beginning of the hash of the network that predicted its labels."""

RECORD = "correction.json"
"""In the folder of a corrected case: who corrected it, when, and from what."""
REPLACED = ".replaced-"
"""Before the name of the folder of a corrected case that makes way for its next version."""


class Joined(NamedTuple):
    """A split with corrected cases, why some of them are in no part, and which of the cohort's own
    training cases they replace: case to the reason, or to the correction.
    """

    split: Split
    left_out: dict[str, str]
    replaced: dict[str, str]


def cohort_alone(catalogue: Catalogue) -> Catalogue:
    """A catalogue without the corrected cases that joined it."""
    names = set(catalogue.corrections)
    cases = tuple(entry for entry in catalogue.cases if entry.case not in names)
    alike = tuple(pair for pair in catalogue.alike if names.isdisjoint(pair[:2]))
    return catalogue.model_copy(update={"cases": cases, "alike": alike, "corrections": ()})


def join(split: Split, catalogue: Catalogue) -> Joined:
    """Add the corrected cases of a catalogue to the training part of the split of its other cases.

    A person is known by patient, or by examinations that look alike. A corrected case of a person
    who is in val or test is in no part. One that is the examination of a training case takes its
    place, since its labels are the later ones.

    Parameters
    ----------
    split : Split
        Of `cohort_alone`.
    catalogue : Catalogue
    """
    persons = catalogue.persons()
    person = {entry.case: persons[entry.patient] for entry in catalogue.cases}
    own: dict[str, list[str]] = defaultdict(list)
    for case in split.patients:
        own[person[case]].append(case)
    left_out, patients, added = {}, dict(split.patients), set()
    for case in catalogue.corrections:
        known = own[person[case]]
        patients[case] = split.patients[known[0]] if known else person[case]
        if reason := _why_left_out(known, split):
            left_out[case] = reason
        else:
            added.add(case)
    train = set(split.train)
    replaced = {
        other: case
        for first, second, _ in catalogue.alike
        for case, other in ((first, second), (second, first))
        if case in added and other in train
    }
    joined = split.model_copy(
        update={
            "train": tuple(sorted((train | added) - set(replaced))),
            "patients": dict(sorted(patients.items())),
        }
    )
    return Joined(joined, left_out, replaced)


def _why_left_out(known: Sequence[str], split: Split) -> str:
    """Why a corrected case of a person with these cases is in no part; empty if it may train."""
    part = split.part_of
    held_out = [case for case in known if part.get(case) != "train"]
    if held_out:
        return f"its patient is that of {held_out[0]}, which is in {part.get(held_out[0], 'none')}"
    if len({split.patients[case] for case in known}) > 1:
        return f"it looks like examinations of several patients: {', '.join(known)}"
    return ""


def provenance_of(entries: Sequence[CaseEntry], corrections: Sequence[str]) -> Mapping[str, int]:
    """Number of corrected cases by the network that predicted their labels, the most first; an
    empty name stands for an unknown one.
    """
    joined, counts = set(corrections), defaultdict[str, int](int)
    for entry in entries:
        if entry.case in joined or FROM in entry.attributes:
            counts[entry.attributes.get(FROM, "")] += 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
