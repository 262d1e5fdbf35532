"""Any folder of NIfTI or MetaImage files, described by a `cohort.yaml`: the paths of modalities and
masks, the meaning of labels.
"""

import difflib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..core.errors import InputError
from ..core.params import explain, read_yaml
from ..core.schema import RulesName, Schema
from ..core.strict import Strict
from ..formats import metaimage
from ..formats.raw_cases import Found, noting_passed_over, with_note
from ..formats.volume import Part
from ..formats.walking import (
    ENDINGS,
    expanded,
    files_below,
    is_volume,
    of_one_file,
    pattern_expression,
)
from .nnunet import nnunet_hint
from .source import Source, read_table, require_plain_name

NAME = "cohort.yaml"
_REMEDY = "Correct the description as docs/data.md shows."
_ELSEWHERE = {
    "t1": "t1n",
    "t1ce": "t1c",
    "t1gd": "t1c",
    "t2": "t2w",
    "flair": "t2f",
    "fla": "t2f",
    "seg": "mask, beside modalities",
    "mask": "mask, beside modalities",
}
_MASK = "mask"


def _modality(name: str) -> str:
    if name.lower() in _ELSEWHERE:
        raise ValueError(f"{name} is called {_ELSEWHERE[name.lower()]} here")
    return name


def _within_the_folder(pattern: str) -> str:
    if pattern.startswith("/") or "\\" in pattern or ".." in pattern.split("/"):
        raise ValueError("a pattern is a path within the folder, its parts joined by /")
    names = set(re.findall(r"{[^}]*}?|}", pattern))
    if names - {"{case}", "{patient}", "{session}"}:
        raise ValueError("a pattern may hold {case}, {patient}, {session} and * only")
    if "{case}" not in names and not {"{patient}", "{session}"} <= names:
        raise ValueError(
            "a pattern must hold {case}, the name of the case, or both {patient} and {session}"
        )
    if {"{case}", "{session}"} <= names:
        raise ValueError(
            "a pattern holds {case} or {session}, not both: with {session} the case is named"
            " PATIENT_SESSION"
        )
    return pattern


def _naming_cases(expression: str) -> str:
    for before in ("", "(?P<patient>.)"):  # at any place of a pattern
        _compiled(f"{before}(?P<case>{expression})")
    return expression


def _naming_patients(expression: str | None) -> str | None:
    if expression not in (None, "{case}") and _compiled(expression).groups != 1:
        raise ValueError("patient is {case}, or a regular expression with one group in parentheses")
    return expression


def _compiled(expression: str) -> re.Pattern:
    try:
        return re.compile(expression)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Modality = Annotated[str, Field(pattern=r"^[a-z0-9]+$"), AfterValidator(_modality)]
Pattern = Annotated[str, AfterValidator(_within_the_folder)]


class Description(Strict):
    """The content of a `cohort.yaml`, whose keys docs/reference/cohort-yaml.md explains.

    Patterns are relative to the folder: ``{case}``, ``{patient}`` and ``{session}`` stand for the
    same text wherever they are, as short as it can be, ``*`` for any text; none of them for a
    ``/``.
    """

    cohort: Word
    dimensions: Literal[2, 3]
    modalities: Annotated[dict[Modality, Pattern], Field(min_length=1)]
    mask: Pattern
    labels: Annotated[dict[Word, int], Field(min_length=1)]
    regions: dict[Word, tuple[Word, ...]]
    empty_rule: Literal["brats", "nan"] = "nan"
    types: bool = False
    lesion_rules: RulesName | tuple[RulesName, ...] | None = None
    root: str = "."
    case: Annotated[str, AfterValidator(_naming_cases)] = r"[^/]+?"
    patient: Annotated[str | None, AfterValidator(_naming_patients)] = None
    table: str | None = None
    licence: str = "not stated"
    citation: str = ""

    @model_validator(mode="after")
    def _names_cases_in_one_way(self) -> Self:
        by_session = {name for name, pattern in self.patterns.items() if "{session}" in pattern}
        if by_session and by_session != set(self.patterns):
            others = [name for name in self.patterns if name not in by_session]
            raise ValueError(
                "all patterns must hold {case}, or all {patient} and {session};"
                f" {', '.join(others)} hold {{case}}"
            )
        if by_session and (named := sorted({"case", "patient"} & self.model_fields_set)):
            raise ValueError(
                f"patterns with {{session}} define case and patient: remove {' and '.join(named)}"
            )
        return self

    @property
    def patterns(self) -> dict[str, str]:
        """Patterns of the modalities and, last, of the mask."""
        return self.modalities | {_MASK: self.mask}

    @property
    def cohort_schema(self) -> Schema:
        """What the voxels mean."""
        meaning = {name: getattr(self, name) for name in Schema.model_fields}
        return Schema(**meaning | {"modalities": tuple(self.modalities)})


def read(location: Path) -> tuple[Path, Description]:
    """Read the description of a folder, or such a file of any name; returns the file first.

    Raises
    ------
    InputError
        If there is no file, it is not YAML, a key is unknown or missing, or a value is not valid;
        names file, key and value.
    """
    path = location / NAME if location.is_dir() else location
    if not path.is_file():
        raise InputError(
            (location.is_dir() and nnunet_hint(location))
            or f"{path}: there is no such file. Describe the folder in it as docs/data.md shows. If"
            " the folder is read-only, put the file elsewhere, name the folder as its `root`, and"
            " set cohort.location to the file."
        )
    values = read_yaml(path, _REMEDY)
    try:
        description = Description.model_validate_json(json.dumps(values))
        _ = description.cohort_schema  # labels and regions must fit together
    except ValidationError as error:
        raise InputError(f"{explain(error, str(path), values)}\n{_REMEDY}") from None
    return path, description


def find(
    location: Path, limit: int = 0, masked: bool = True, incomplete: bool = False
) -> tuple[Schema, list[Found]]:
    """Find the cases of a folder as its description says and `Source.find` states.

    Parameters
    ----------
    masked : bool
        Whether masks are expected, as for training: the pattern of masks must match a file, and
        files that match no pattern are noted.
    incomplete : bool
        Whether modalities may be missing; `Found.passed_over` then lists the volumes that match no
        pattern.

    Raises
    ------
    InputError
        As `read`; if a pattern matches nothing, two patterns match one file or two files one
        pattern, a case lacks a modality or its row in the table, or its patient is ambiguous.
    """
    path, description = read(location)
    root = path.parent / expanded(description.root)
    if not root.is_dir():
        raise InputError(
            f"{path}: its root, {root}, is not a folder. Give it relative to the file."
        )
    files = [file.relative_to(root).as_posix() for file in files_below(root)]
    required = description.patterns if masked else description.modalities
    cases: dict[str, dict[str, re.Match]] = {}
    owners: dict[str, tuple[str, str]] = {}
    for name, pattern in description.patterns.items():
        taken = _take(name, pattern, description.case, root, files)
        if name in required and not taken and not incomplete:
            raise InputError(
                f"{root}: holds no file for {name}, {pattern!r}. {_nearest(pattern, files)} Correct"
                " the pattern in the description."
            )
        for case, match in taken.items():
            other, other_case = owners.setdefault(match[0], (name, case))
            if other != name:
                raise InputError(
                    f"{path}: {match[0]} is {other} of case {other_case} and {name} of case {case}."
                    " Write the patterns so that each file fits one, or say by `case` which names"
                    " are cases, such as '[0-9]+'."
                )
            cases.setdefault(case, {})[name] = match
    if incomplete and not cases:
        return find(location, limit, masked)  # which names the first pattern that matches nothing
    wanted = {case: cases[case] for case in sorted(cases)[: limit or None]}
    if not incomplete:
        _check_complete(wanted, path, description)
    rows = _rows(path.parent / expanded(description.table), wanted) if description.table else {}
    found = [
        _found(case, root, matches, rows.get(case, {}), path, description)
        for case, matches in wanted.items()
    ]
    others = [root / file for file in files if file not in owners]
    if incomplete:
        unknown = tuple(other.name for other in others if is_volume(other))
        found = [replace(case, passed_over=unknown) for case in found]
    if not masked:
        return description.cohort_schema, found
    if absent := [case for case in rows if case not in cases]:
        missing = f"{len(absent)} of {len(rows)} cases of the table have no files"
        found = with_note(found, f"in the whole folder {missing}, such as {absent[0]}")
    return description.cohort_schema, noting_passed_over(found, others)


def _take(
    name: str, pattern: str, case_name: str, root: Path, files: Sequence[str]
) -> dict[str, re.Match]:
    """The file that a pattern matches for each case."""
    named = {"case": case_name, "patient": "[^/]+?", "session": "[^/]+?"}
    taken: dict[str, re.Match] = {}
    for match in filter(None, map(pattern_expression(pattern, named).fullmatch, files)):
        file, said = root / match[0], match.groupdict()
        if not is_volume(file):
            raise InputError(
                f"{file}: {name} must be one of {', '.join(ENDINGS)}. Narrow the pattern"
                f" {pattern!r}, or convert the file; slices, 4D files and DICOM series have sources"
                " of their own."
            )
        case = said["case"] if "case" in said else f"{said['patient']}_{said['session']}"
        require_plain_name(case, file)
        other = taken.setdefault(case, match)
        if said.get("session") != other.groupdict().get("session"):
            raise InputError(
                f"{file}: has another patient and session than {root / other[0]}, but both are case"
                f" {case}. Rename a folder or file, so that PATIENT_SESSION names one case."
            )
        if other is not match:
            raise InputError(
                f"{file}: {name} of case {case} is also in {root / other[0]}. Keep one, or narrow"
                f" {pattern!r}."
            )
    return taken


def _nearest(pattern: str, files: Sequence[str]) -> str:
    """The files, one of each kind, whose names are most similar to a pattern."""
    kinds = {re.sub(r"\d+", "0", file): file for file in reversed(files[:1000])}
    names = [kinds[kind] for kind in difflib.get_close_matches(pattern, kinds, 3, cutoff=0)]
    return (
        f"Of {len(files)} files there the nearest are {', '.join(names)}."
        if names
        else "There are no files in it."
    )


def _check_complete(
    cases: Mapping[str, Mapping[str, re.Match]], path: Path, description: Description
) -> None:
    missing = [
        (case, name) for case in cases for name in description.modalities if name not in cases[case]
    ]
    lines = []
    for case, name in missing[:8]:
        expected = description.patterns[name]
        for key, said in next(iter(cases[case].values())).groupdict().items():
            expected = expected.replace(f"{{{key}}}", said)
        lines.append(f"{path}: case {case} has no {name}, {expected!r}")
    if missing:
        listed, count = "\n".join(lines), len({case for case, _ in missing})
        raise InputError(
            f"{listed}\n{count} of {len(cases)} cases are incomplete. Add the files, remove the"
            " cases, or correct the patterns."
        )


def _rows(path: Path, cases: Collection[str]) -> dict[str, dict[str, str]]:
    """The rows of the table by case, empty fields left out."""
    columns, table = read_table(path, "Save it as CSV in UTF-8, or correct `table`.")
    is_unique = len(set(columns)) == len(columns)
    if "case" not in columns or not is_unique or any("" in row for row in (columns, *table)):
        raise InputError(
            f"{path}: its columns are {columns}. It needs `case`, each column once, and commas"
            " between the fields."
        )
    rows: dict[str, dict[str, str]] = {}
    for row in table:
        if row["case"] in rows:
            raise InputError(f"{path}: case {row['case']} has two rows. Keep one row of each case.")
        rows[row["case"]] = {name: said for name in row if (said := row[name].strip())}
    if absent := [case for case in cases if case not in rows]:
        raise InputError(
            f"{path}: has no row for {len(absent)} of {len(cases)} cases, such as"
            f" {', '.join(absent[:5])}. Add the rows."
        )
    return rows


def _found(
    case: str,
    root: Path,
    matches: Mapping[str, re.Match],
    row: Mapping[str, str],
    path: Path,
    description: Description,
) -> Found:
    files: dict[str, Path | Part] = {
        name: metaimage.whole(of_one_file(root / match[0])) for name, match in matches.items()
    }
    named = case if description.patient == "{case}" else None
    if description.patient not in (None, "{case}"):
        match = re.match(description.patient, case)
        named = match and match[1]
        if not named:
            raise InputError(
                f"{path}: patient, {description.patient!r}, finds no patient in the name of case"
                f" {case}. Correct the expression."
            )
    first = next(iter(matches.values()))
    session = first.groupdict().get("session")
    labels = files.pop(_MASK, None)
    stated = [match.groupdict().get("patient") for match in matches.values()]
    patients = set(filter(None, (*stated, row.get("patient"), named)))
    if len(patients) > 1:
        raise InputError(
            f"{path}: case {case} belongs to patients {', '.join(sorted(patients))}. Let patterns,"
            " `patient` and table agree."
        )
    return Found(
        case=case,
        patient=patients.pop() if patients else case,
        folder=(root / first[0]).parent,
        images=files,
        labels=labels,
        attributes=({"timepoint": session} if session else {})
        | {column: field for column, field in row.items() if column not in ("case", "patient")},
        terms=f"{description.licence} {description.citation}".strip(),
    )


SOURCE = Source(
    name="folder",
    title="Any folder of NIfTI or MetaImage files",
    schemas=(),
    patients=(
        f"As {NAME} says: a group in the case's name, {{patient}} in the file names or a table;"
        " else every case is a patient."
    ),
    licence=f"As {NAME} says.",
    citation="",
    access=f"Describe your folder in a {NAME} beside the data. docs/data.md explains its keys.",
    find=find,
)
