"""The question to the user where headers do not decide which DICOM series is which modality: one
message, with one block to paste.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    (
        "Where several series may be one modality, the word is proposed at one of them by a rule,"
        " and the others are null:"
    ),
    (
        "nearly isotropic (3D) before thick slices, then axial before other planes, then smaller"
        " voxels, then the later series (for t1n"
    ),
    (
        "the earlier). The rule does not know your protocol. To take another series, swap its null"
        " with the word."
    ),
)
_LOOK = (
    (
        "Headers do not say which T1 series were acquired after contrast was injected: see"
        f" {_CHECK} in the block, and compare the"
    ),
    "times with the time of the injection.",
)
_CONTRAST = {"t1n": ("t1c", "after"), "t1c": ("t1n", "before")}
_MAX_FINDINGS = 40
_LONGEST_KEY = 1000
_SURELY_SHORT = 40


@dataclass(frozen=True)
class Sorting:
    """The series of one examination, sorted into modalities.

    Attributes
    ----------
    study : Study
        The examination.
    recognised : tuple of Recognised
        Of each of its stacks.
    candidates : dict of str to list of int
        Modality -> indices of the stacks that may be it, as
        `pipeline.formats.dicom.sequences.choose` gives them.
    """

    study: Study
    recognised: tuple[Recognised, ...]
    candidates: dict[str, list[int]]

    @property
    def images(self) -> dict[str, Stack]:
        """The modalities with exactly one candidate series."""
        return {
            name: self.study.stacks[indices[0]]
            for name, indices in self.candidates.items()
            if len(indices) == 1
        }

    @cached_property
    def groups(self) -> dict[str, list[Stack]]:
        """The modalities with several candidate series, the proposed one first."""
        stacks = self.study.stacks
        return {
            name: _by_preference([stacks[i] for i in those], name)
            for name, those in self.candidates.items()
            if len(those) > 1
        }

    def proposed(self, needed: Sequence[str]) -> dict[str, Stack]:
        """Modality -> the series that the printed block selects."""
        return (
            self.images
            | {name: stacks[0] for name, stacks in self.groups.items()}
            | self.assumed(needed)
        )

    def assumed(self, needed: Sequence[str]) -> dict[str, Stack]:
        """The needed T1 with or without contrast that is not recognised -> the one series that
        repeats the other one later, or earlier.
        """
        found = {}
        for modality, (other, _) in _CONTRAST.items():
            if modality in self.groups and other in needed and other not in self.candidates:
                chosen, in_time = self.groups[modality][0], self.in_time(modality)
                following = in_time[in_time.index(chosen) + 1 :]
                repeats = [
                    stack
                    for stack in following
                    if _description(stack) == _description(chosen)
                    and _moment(stack) != _moment(chosen)
                ]
                if len(repeats) == 1:
                    found[other] = repeats[0]
        return found

    def in_time(self, modality: str) -> list[Stack]:
        """The candidates of a modality by time: ascending for t1n, else descending."""
        return sorted(self.groups[modality], key=_moment, reverse=modality != "t1n")

    @property
    def passed_over(self) -> list[tuple[Stack, str]]:
        """The series that are not candidates, and why."""
        taken = {index for indices in self.candidates.values() for index in indices}
        return [
            (
                stack,
                (
                    f"{found.modality}, but another series goes before it"
                    if found.modality
                    else found.reason
                ),
            )
            for index, (stack, found) in enumerate(
                zip(self.study.stacks, self.recognised, strict=True)
            )
            if index not in taken
        ]

    def missing(self, needed: Sequence[str]) -> list[str]:
        """The needed modalities, or else all, without a recognised or assumed series."""
        return [
            name
            for name in needed or MODALITIES
            if name not in self.candidates and name not in self.assumed(needed)
        ]

    def decided(self, needed: Sequence[str]) -> bool:
        """Whether each needed modality has one series; if none is needed, whether each recognised
        one has, and there is at least one.
        """
        return (
            all(name in self.images for name in needed)
            if needed
            else bool(self.images) and not self.groups
        )


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
        Folder of `modalities.yaml`.
    sortings : sequence of Sorting
        Undecided examinations; at least one.
    table : mapping of str to (str or None)
        Content of that file.
    needed : sequence of str
        Modalities that each examination must have; empty if any will do.
    native : str
        How the user brings series on different grids to one grid, as an imperative.

    Returns
    -------
    str
        The finding for each examination; a block of lines for the file, which is complete if no
        needed modality is missing; the meaning of its words; and further obstacles in the headers.
    """
    hidden = len(sortings) - _MAX_FINDINGS
    block = [line for sorting in sortings for line in _block(sorting, table, needed)]
    steps = [
        *_about_file(
            location / TABLE, sortings, table, all(line.startswith("#") for line in block)
        ),
        "\n   ".join(["Check the word before each #.", _WORDS, *_about_words(sortings, needed)]),
        *_about_grids(sortings, needed, native),
        "Run the same command again.",
    ]
    return "\n".join(
        [
            *(_finding(sorting, needed) for sorting in sortings[:_MAX_FINDINGS]),
            *(
                [f"… and {hidden} more examinations, all of them in the block"]
                if hidden > 0
                else []
            ),
            "",
            BEGIN,
            *block,
            END,
            "",
            "Choose:",
            *(f"{number}. {step}" for number, step in enumerate(steps, 1)),
        ]
    )


def _by_preference(stacks: list[Stack], modality: str) -> list[Stack]:
    """Sort by the rule that the message states."""
    in_time = sorted(stacks, key=_moment, reverse=modality != "t1n")
    return sorted(
        in_time, key=lambda stack: (not stack.isotropic, stack.plane != "axial", _voxel_mm3(stack))
    )


def _moment(stack: Stack) -> tuple[str, str, int]:
    return (*stack.acquired, int(stack.number) if re.fullmatch("[0-9]{1,9}", stack.number) else 0)


def _voxel_mm3(stack: Stack) -> float:
    """Volume of a voxel to two digits, so that series of one protocol are equal."""
    if not stack.grid:
        return float("inf")
    across, along, between = stack.grid.spacing_mm
    return float(f"{across * along * between:.2g}")


def _finding(sorting: Sorting, needed: Sequence[str]) -> str:
    if not sorting.candidates:
        found = f"no series is recognised as one of {', '.join(MODALITIES)}"
    else:
        missing = sorting.missing(needed)
        several = [f"{len(stacks)} series may be {name}" for name, stacks in sorting.groups.items()]
        assumed = [
            f"no header names {name}, one series is proposed" for name in sorting.assumed(needed)
        ]
        found = ", ".join(
            [
                *several,
                *assumed,
                *([f"no series is recognised as {' or '.join(missing)}"] if missing else []),
            ]
        )
    return f"{sorting.study.folder} (study-{sorting.study.study}): {found}."


def _about_file(
    path: Path, sortings: Sequence[Sorting], table: Mapping[str, str | None], nothing_new: bool
) -> list[str]:
    if nothing_new:
        return [
            f"Change the words in {path}, which has a line for every series of the block above."
        ]
    keys = [
        _key(stack, sorting.study)
        for sorting in sortings
        for stacks in sorting.groups.values()
        for stack in stacks
    ]
    repeated = [_quoted(key) for key in keys if key in table]
    removal = (
        [f"Remove from {path} the lines of {', '.join(repeated)}: the block says them anew."]
        if repeated
        else []
    )
    return [
        *removal,
        (
            f"Add the block above at the end of {path}."
            if table
            else f"Put the block above into a new text file {path}."
        ),
    ]


def _block(sorting: Sorting, table: Mapping[str, str | None], needed: Sequence[str]) -> list[str]:
    study = sorting.study
    lines: list[tuple[str, str]] = [("", f"study-{study.study}")]
    lines.extend(
        ("", f"{name} is recognised: {stack.facts}") for name, stack in sorting.images.items()
    )
    for name, stacks in sorting.groups.items():
        lines.append(("", f"{len(stacks)} series may be {name}:"))
        words = {stack: word for word, stack in sorting.assumed(needed).items()} | {stacks[0]: name}
        lines.extend((_line(_key(stack, study), words.get(stack)), stack.facts) for stack in stacks)
        lines.extend(("", note) for note in _about_contrast(sorting, name, needed))
    missing = " or ".join(sorting.missing(needed))
    if missing:
        lines.append(
            (
                "",
                (
                    f"no series is recognised as {missing}; if one of these is, write {missing} in"
                    " place of its null:"
                ),
            )
        )
        lines.extend(_lines_passed_over(sorting, table, needed))
    width = max(len(line) for line, _ in lines)
    return [
        f"{line:{width}}  # {_plain(comment)}" if line else f"# {_plain(comment)}"
        for line, comment in lines
    ]


def _lines_passed_over(
    sorting: Sorting, table: Mapping[str, str | None], needed: Sequence[str]
) -> list[tuple[str, str]]:
    """One line per series of which no volume is a candidate, else one per volume; a comment if the
    table already has it.
    """
    passed_over = sorting.passed_over
    alone = {stack.series for stack, _ in passed_over if stack.series and _is_short(stack.series)}
    alone -= {stack.series for stack in sorting.proposed(needed).values()}
    alone -= {stack.series for stacks in sorting.groups.values() for stack in stacks}
    lines: dict[str, str] = {}
    more: dict[str, int] = {}
    for stack, reason in passed_over:
        key = stack.series if stack.series in alone else _key(stack, sorting.study)
        more[key] = more.get(key, -1) + 1
        lines.setdefault(key, f"{stack.facts}: {reason}")
    lines = {
        key: f"{said} (and {more[key]} more volumes)" if more[key] else said
        for key, said in lines.items()
    }
    return [
        (
            ("", f"in this file already: {_quoted(key)}, {said}")
            if key in table
            else (_line(key, None), said)
        )
        for key, said in lines.items()
    ]


def _about_contrast(sorting: Sorting, modality: str, needed: Sequence[str]) -> list[str]:
    """Two T1 series without a header about contrast are often one before and one after it: only the
    user knows.
    """
    other, side = _CONTRAST.get(modality, ("", ""))
    if not other or other in sorting.candidates:
        return []
    in_time = sorting.in_time(modality)
    assumed = sorting.assumed(needed).get(other)
    if assumed:
        return [
            f"{_CHECK}: the network needs {other}, and no header names one. {other} is proposed at"
            f" series {assumed.number or '?'} ({assumed.time or 'no time'}), which repeats the one"
            f" above. If it was not acquired {side} the injection, write null there"
        ]
    repeats = [
        stack
        for place, stack in enumerate(in_time)
        if _description(stack) in map(_description, in_time[:place])
    ]
    meant = (
        repeats or [stack for stack in in_time if _moment(stack) != _moment(in_time[0])] or in_time
    )
    listed = " or ".join(
        f"series {stack.number or '?'} ({stack.time or 'no time'})" for stack in meant
    )
    return [
        f"{_CHECK}: no series is recognised as {other}. If {listed} was acquired {side} the"
        f" injection, write {other} in its line"
    ]


def _description(stack: Stack) -> str:
    return stack.acquisition.description


def _about_words(sortings: Sequence[Sorting], needed: Sequence[str]) -> list[str]:
    missing = list(dict.fromkeys(name for sorting in sortings for name in sorting.missing(needed)))
    if needed and missing:
        last = [
            f"The network needs {' and '.join(missing)}: write it at a series; an examination that"
            " has none cannot be used."
        ]
    elif not all(sorting.candidates for sorting in sortings):
        last = [
            "Where nothing is recognised, write at least one word, or move the examination out of"
            " the folder."
        ]
    else:
        last = (
            [
                f"If no series is {' or '.join(missing)}, leave the nulls: the examination is used"
                " without it."
            ]
            if missing
            else []
        )
    contrast = any(
        _about_contrast(sorting, name, needed) for sorting in sortings for name in sorting.groups
    )
    return [
        *(_RULE if any(sorting.groups for sorting in sortings) else ()),
        *(_LOOK if contrast else ()),
        *last,
    ]


def _about_grids(sortings: Sequence[Sorting], needed: Sequence[str], native: str) -> list[str]:
    scattered = [sorting for sorting in sortings if _is_scattered(sorting, needed)]
    if not scattered:
        return []
    whose = (
        "" if len(sortings) == 1 else f" of {len(scattered)} of these {len(sortings)} examinations"
    )
    return [
        f"The series proposed{whose} differ in matrix, spacing, orientation or position: {native},"
        " which brings them to one grid."
    ]


def _is_scattered(sorting: Sorting, needed: Sequence[str]) -> bool:
    grids = [
        stack.grid
        for name, stack in sorting.proposed(needed).items()
        if stack.grid and (not needed or name in needed)
    ]
    return any(grid.differs(grids[0]) for grid in grids)


def _key(stack: Stack, study: Study) -> str:
    """The key of a stack in `modalities.yaml`: its UID, with the kind if the series has several, or
    the description of a series without UID.
    """
    alone = sum(other.series == stack.series for other in study.stacks) == 1
    key = stack.series if alone else exact_key(stack.series, stack.kind)
    if stack.series and _is_short(key):
        return key
    text = exact_key(stack.acquisition.description, stack.kind)
    return (
        f"^{re.escape(text)}$"
        if _is_short(re.escape(text))
        else f"^{re.escape(text[:_SURELY_SHORT])}"
    )


def _is_short(key: str) -> bool:
    """Whether it is short enough for a key (YAML 1.2.2, 7.4.2: at most 1024 characters); a damaged
    header may contain any text.
    """
    return len(_quoted(key)) <= _LONGEST_KEY


def _line(key: str, modality: str | None) -> str:
    return f"{_quoted(key)}: {modality or 'null'}"


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar, valid for any text of a damaged header."""
    return (
        '"'
        + "".join(
            sign if sign.isprintable() and sign not in '"\\' else f"\\U{ord(sign):08x}"
            for sign in text
        )
        + '"'
    )


def _plain(comment: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in comment)
