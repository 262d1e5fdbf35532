"""The question to the user where headers do not decide which DICOM series is which modality: one
message, with one block to paste.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from ..formats.dicom.sequences import MODALITIES, Recognised, exact_key
from ..formats.dicom.study import Stack, Study

TABLE = "modalities.yaml"
BEGIN = f"# ---- {TABLE}: copy from here ----"
END = "# ---- to here ----"
_CHECK = "CHECK CONTRAST"
_WORDS = (
    "t1n is T1 before contrast, t1c T1 after contrast, t2w T2, t2f T2 FLAIR; null leaves the series"
    " out."
)
_RULE = (
    "Where several series may be one modality, the word is proposed at one of them by a rule, and"
    " the others are null:\n   nearly isotropic (3D) before thick slices, then axial before other"
    " planes, then smaller voxels, then the later series (for t1n\n   the earlier). The rule does"
    " not know your protocol. To take another series, swap its null with the word."
)
_LOOK = (
    "Headers do not say which T1 series were acquired after contrast was injected: see"
    f" {_CHECK} in the block, and compare the\n   times with the time of the injection."
)
_CONTRAST = {"t1n": ("t1c", "after"), "t1c": ("t1n", "before")}
_MAX_FINDINGS = 40
_LONGEST_KEY = 1000
_SURELY_SHORT = 40

_Line = tuple[str, str]
"""A line of the block: a row of the table, empty in a line of comment only, and its comment."""


@dataclass(frozen=True)
class Sorting:
    """The series of one examination, sorted into modalities: what each stack of the study is
    recognised as, and the stacks that may be a modality, as
    `pipeline.formats.dicom.sequences.choose` gives them.
    """

    study: Study
    recognised: tuple[Recognised, ...]
    candidates: dict[str, list[Stack]]

    @property
    def images(self) -> dict[str, Stack]:
        """The modalities with exactly one candidate series."""
        return {name: stacks[0] for name, stacks in self.candidates.items() if len(stacks) == 1}

    @cached_property
    def groups(self) -> dict[str, list[Stack]]:
        """The modalities with several candidate series, the proposed one first."""
        return {
            name: sorted(_in_time(stacks, name), key=_by_preference)
            for name, stacks in self.candidates.items()
            if len(stacks) > 1
        }

    def assumed(self, needed: Sequence[str]) -> dict[str, Stack]:
        """The needed T1 with or without contrast that is not recognised -> the one series that
        repeats the other one later, or earlier.
        """
        found = {}
        for modality, (other, _) in _CONTRAST.items():
            if modality in self.groups and other in needed and other not in self.candidates:
                chosen, *_ = stacks = self.groups[modality]
                in_time = _in_time(stacks, modality)
                repeats = [
                    stack
                    for stack in in_time[in_time.index(chosen) + 1 :]
                    if _description(stack) == _description(chosen)
                    and _moment(stack) != _moment(chosen)
                ]
                if len(repeats) == 1:
                    found[other] = repeats[0]
        return found

    def doubts(self, needed: Sequence[str]) -> dict[str, str]:
        """The modalities whose series is proposed and not recognised -> why, in words."""
        several = {
            name: f"{len(stacks)} series may be {name}" for name, stacks in self.groups.items()
        }
        untold = {
            name: f"no header names {name}, one series is proposed" for name in self.assumed(needed)
        }
        return several | untold

    def missing(self, needed: Sequence[str]) -> list[str]:
        """The needed modalities, or else all, without a recognised or assumed series."""
        found = self.candidates.keys() | self.assumed(needed)
        return [name for name in needed or MODALITIES if name not in found]

    def decided(self, needed: Sequence[str]) -> bool:
        """Whether each needed modality has one series; if none is needed, whether each recognised
        one has, and there is at least one.
        """
        if needed:
            return self.images.keys() >= set(needed)
        return bool(self.images) and not self.groups


def question(
    location: Path,
    sortings: Sequence[Sorting],
    table: Mapping[str, str | None],
    needed: Sequence[str],
    native: str,
) -> str:
    """Ask for everything that is undecided in one message.

    Parameters
    ----------
    location : Path
        Folder of `modalities.yaml`, of which `table` is the content.
    sortings : sequence of Sorting
        Undecided examinations; at least one.
    needed : sequence of str
        Modalities that each examination must have; empty if any will do.
    native : str
        How the user brings series on different grids to one grid, as an imperative.
    """
    findings = [_finding(sorting, needed) for sorting in sortings]
    hidden = len(findings[_MAX_FINDINGS:])
    more = [f"… and {hidden} more examinations, all of them in the block"] if hidden else []
    block = [line for sorting in sortings for line in _block(sorting, table, needed)]
    nothing_new = all(line.startswith("#") for line in block)
    steps = [
        *_about_file(location / TABLE, sortings, table, nothing_new),
        "\n   ".join(["Check the word before each #.", _WORDS, *_about_words(sortings, needed)]),
        *_about_grids(sortings, needed, native),
        "Run the same command again.",
    ]
    numbered = [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    lines = [*findings[:_MAX_FINDINGS], *more, "", BEGIN, *block, END, "", "Choose:", *numbered]
    return "\n".join(lines)


def _in_time(stacks: list[Stack], modality: str) -> list[Stack]:
    """Ascending for t1n, else descending."""
    return sorted(stacks, key=_moment, reverse=modality != "t1n")


def _moment(stack: Stack) -> tuple[str, str, int]:
    return (*stack.acquired, int(stack.number) if re.fullmatch("[0-9]{1,9}", stack.number) else 0)


def _by_preference(stack: Stack) -> tuple[bool, bool, float]:
    """The rule that the message states. The volume of a voxel counts with two digits, so that
    series of one protocol are equal.
    """
    across, along, between = stack.grid.spacing_mm if stack.grid else (float("inf"),) * 3
    return not stack.isotropic, stack.plane != "axial", float(f"{across * along * between:.2g}")


def _description(stack: Stack) -> str:
    return stack.acquisition.description


def _finding(sorting: Sorting, needed: Sequence[str]) -> str:
    missing = " or ".join(sorting.missing(needed))
    found = [*sorting.doubts(needed).values()]
    found += [f"no series is recognised as {missing}"] if missing else []
    if not sorting.candidates:
        found = [f"no series is recognised as one of {', '.join(MODALITIES)}"]
    return f"{sorting.study.folder} (study-{sorting.study.study}): {', '.join(found)}."


def _about_file(
    path: Path, sortings: Sequence[Sorting], table: Mapping[str, str | None], nothing_new: bool
) -> Iterator[str]:
    if nothing_new:
        yield f"Change the words in {path}, which has a line for every series of the block above."
        return
    keys = (
        key_of(stack, sorting.study)
        for sorting in sortings
        for stack in chain.from_iterable(sorting.groups.values())
    )
    if repeated := ", ".join(_quoted(key) for key in keys if key in table):
        yield f"Remove from {path} the lines of {repeated}: the block says them anew."
    if table:
        yield f"Add the block above at the end of {path}."
    else:
        yield f"Put the block above into a new text file {path}."


def _block(sorting: Sorting, table: Mapping[str, str | None], needed: Sequence[str]) -> list[str]:
    lines = [*_lines(sorting, table, needed)]
    width = max(len(line) for line, _ in lines)
    return [
        f"{line:{width}}  # {_plain(comment)}" if line else f"# {_plain(comment)}"
        for line, comment in lines
    ]


def _lines(
    sorting: Sorting, table: Mapping[str, str | None], needed: Sequence[str]
) -> Iterator[_Line]:
    study = sorting.study
    yield "", f"study-{study.study}"
    for name, stack in sorting.images.items():
        yield "", f"{name} is recognised: {stack.facts}"
    for name, stacks in sorting.groups.items():
        yield "", f"{len(stacks)} series may be {name}:"
        words = {stack: word for word, stack in sorting.assumed(needed).items()} | {stacks[0]: name}
        for stack in stacks:
            yield _row(key_of(stack, study), words.get(stack)), stack.facts
        if contrast := _about_contrast(sorting, name, needed):
            yield "", contrast
    if missing := " or ".join(sorting.missing(needed)):
        instead = f"if one of these is, write {missing} in place of its null:"
        yield "", f"no series is recognised as {missing}; {instead}"
        yield from _lines_passed_over(sorting, table)


def _lines_passed_over(sorting: Sorting, table: Mapping[str, str | None]) -> Iterator[_Line]:
    """One line per series of which no volume is a candidate, else one per volume; a comment if the
    table already has it.
    """
    taken = set(chain.from_iterable(sorting.candidates.values()))
    split = {stack.series for stack in taken}
    volumes: dict[str, list[str]] = defaultdict(list)
    for stack, found in zip(sorting.study.stacks, sorting.recognised, strict=True):
        if stack not in taken:
            behind = f"{found.modality}, but another series goes before it"
            reason = behind if found.modality else found.reason
            whole = stack.series and stack.series not in split and _is_short(stack.series)
            key = stack.series if whole else key_of(stack, sorting.study)
            volumes[key].append(f"{stack.facts}: {reason}")
    for key, (first, *more) in volumes.items():
        said = f"{first} (and {len(more)} more volumes)" if more else first
        if key in table:
            yield "", f"in this file already: {_quoted(key)}, {said}"
        else:
            yield _row(key, None), said


def _about_contrast(sorting: Sorting, modality: str, needed: Sequence[str]) -> str:
    """Two T1 series without a header about contrast are often one before and one after it: only the
    user knows.
    """
    other, side = _CONTRAST.get(modality, ("", ""))
    if not other or other in sorting.candidates:
        return ""
    if assumed := sorting.assumed(needed).get(other):
        return (
            f"{_CHECK}: the network needs {other}, and no header names one. {other} is proposed at"
            f" {_named(assumed)}, which repeats the one above. If it was not acquired {side} the"
            " injection, write null there"
        )
    in_time = _in_time(sorting.groups[modality], modality)
    repeats = [
        stack
        for place, stack in enumerate(in_time)
        if _description(stack) in map(_description, in_time[:place])
    ]
    others = [stack for stack in in_time if _moment(stack) != _moment(in_time[0])]
    listed = " or ".join(map(_named, repeats or others or in_time))
    return (
        f"{_CHECK}: no series is recognised as {other}. If {listed} was acquired {side} the"
        f" injection, write {other} in its line"
    )


def _named(stack: Stack) -> str:
    return f"series {stack.number or '?'} ({stack.time or 'no time'})"


def _about_words(sortings: Sequence[Sorting], needed: Sequence[str]) -> Iterator[str]:
    if any(sorting.groups for sorting in sortings):
        yield _RULE
    if any(
        _about_contrast(sorting, name, needed) for sorting in sortings for name in sorting.groups
    ):
        yield _LOOK
    missing = list(dict.fromkeys(name for sorting in sortings for name in sorting.missing(needed)))
    if needed and missing:
        yield (
            f"The network needs {' and '.join(missing)}: write it at a series; an examination that"
            " has none can be used by a network only that was trained with"
            " train.on_the_fly.modality_dropout.probability above 0."
        )
    elif not all(sorting.candidates for sorting in sortings):
        yield (
            "Where nothing is recognised, write at least one word, or move the examination out of"
            " the folder."
        )
    elif missing:
        yield (
            f"If no series is {' or '.join(missing)}, leave the nulls: the examination is used"
            " without it."
        )


def _about_grids(sortings: Sequence[Sorting], needed: Sequence[str], native: str) -> Iterator[str]:
    scattered = 0  # examinations of which the block selects series with different grids
    for sorting in sortings:
        proposed = sorting.images | {name: stacks[0] for name, stacks in sorting.groups.items()}
        proposed |= sorting.assumed(needed)
        stacks = [stack for name, stack in proposed.items() if not needed or name in needed]
        grids = [stack.grid for stack in stacks if stack.grid]
        scattered += any(grid.differs(grids[0]) for grid in grids)
    whose = f" of {scattered} of these {len(sortings)} examinations"
    if scattered:
        yield (
            f"The series proposed{whose if len(sortings) > 1 else ''} differ in matrix, spacing,"
            f" orientation or position: {native}, which brings them to one grid."
        )


def key_of(stack: Stack, study: Study) -> str:
    """The key of a stack in `modalities.yaml`: its UID, with the kind if the series has several, or
    the description of a series without UID.
    """
    volumes = [other for other in study.stacks if other.series == stack.series]
    key = stack.series if len(volumes) == 1 else exact_key(stack.series, stack.kind)
    if stack.series and _is_short(key):
        return key
    text = exact_key(_description(stack), stack.kind)
    whole = f"^{re.escape(text)}$"
    return whole if _is_short(whole) else f"^{re.escape(text[:_SURELY_SHORT])}"


def _is_short(key: str) -> bool:
    """Whether it is short enough for a key (YAML 1.2.2, 7.4.2: at most 1024 characters); a damaged
    header may contain any text.
    """
    return len(_quoted(key)) <= _LONGEST_KEY


def _row(key: str, modality: str | None) -> str:
    return f"{_quoted(key)}: {modality or 'null'}"


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar, valid for any text of a damaged header."""
    plain = (
        sign if sign.isprintable() and sign not in '"\\' else f"\\U{ord(sign):08x}" for sign in text
    )
    return f'"{"".join(plain)}"'


def _plain(comment: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in comment)
