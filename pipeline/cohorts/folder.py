"""Any folder of NIfTI or MetaImage files, described by a `cohort.yaml`: the paths of modalities and
masks, the meaning of labels.
"""

import csv
import difflib
import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..core.errors import InputError
from ..core.params import explain, read_yaml
from ..core.schema import RulesName, Schema
from ..core.strict import Strict
from ..formats import metaimage
from ..formats.cases import Found, noting_passed_over, with_note
from ..formats.volume import Part
from ..formats.walking import ENDINGS, as_expression, expanded, files_below, of_one_file
from .nnunet import nnunet_hint
from .source import Source

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
_CASE_NAME = re.compile(r"[A-Za-z0-9._-]+")
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
    """The content of a `cohort.yaml`.

    Attributes
    ----------
    cohort : str
        Name of the cohort.
    dimensions : {2, 3}
        2 for single slices, 3 for volumes.
    modalities : dict of str to str
        Pattern of each modality's files, relative to the folder: ``{case}``, ``{patient}`` and
        ``{session}`` stand for the same text wherever they are, as short as it can be, ``*`` for
        any text; none of them for a ``/``. Patterns without ``{case}`` hold both ``{patient}`` and
        ``{session}``, whose values, joined by ``_``, name the case.
    mask : str
        Pattern of the masks.
    labels : dict of str to int
        Name of each label and its one value in the masks.
    regions : dict of str to tuple of str
        Labels that each region unites, outer before inner.
    empty_rule : {"brats", "nan"}
        What a score of an empty region counts for, see `pipeline.metrics.case_scores`.
    types : bool
        Whether each case has one label, the type of its tumour; every region is one label then.
    lesion_rules : str or None
        Rules by which lesions are scored, see `pipeline.metrics.lesion_rules`; None scores none.
    root : str
        The folder, relative to the file.
    case : str
        Regular expression that the names of the cases match, where ``{case}`` alone would take too
        much. Not with ``{session}``.
    patient : str or None
        Regular expression whose one group, at the start of a case's name, is the patient;
        ``{case}`` where every case is a patient of its own. None takes ``{patient}`` of the
        patterns, the table's column, or the case. Not with ``{session}``.
    table : str or None
        CSV file, relative to the description, with the columns `case`, perhaps `patient`, and any
        attribute.
    licence, citation : str
        Terms of use, and what to cite.
    """

    cohort: Word
    dimensions: Literal[2, 3]
    modalities: Annotated[dict[Modality, Pattern], Field(min_length=1)]
    mask: Pattern
    labels: Annotated[dict[Word, int], Field(min_length=1)]
    regions: dict[Word, tuple[Word, ...]]
    empty_rule: Literal["brats", "nan"] = "nan"
    types: bool = False
    lesion_rules: RulesName | None = None
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
        return Schema(
            cohort=self.cohort,
            dimensions=self.dimensions,
            modalities=tuple(self.modalities),
            labels=self.labels,
            regions=self.regions,
            empty_rule=self.empty_rule,
            types=self.types,
            lesion_rules=self.lesion_rules,
        )


def _expression(pattern: str, case: str) -> re.Pattern:
    """The expression of a pattern: the first use of a name captures it, others repeat it."""
    named = {
        "{case}": f"(?P<case>{case})",
        "{patient}": "(?P<patient>[^/]+?)",
        "{session}": "(?P<session>[^/]+?)",
    }
    expression, free = "", dict(named)
    for part in re.split(r"({case}|{patient}|{session}|\*)", pattern):
        if part == "*":
            expression += "[^/]*"
        elif part in named:
            expression += free.pop(part, f"(?P={part[1:-1]})")
        else:
            expression += as_expression(part)
    return re.compile(expression)


def _case(match: re.Match) -> str:
    """Name of the case that a file belongs to."""
    said = match.groupdict()
    return said["case"] if "case" in said else f"{said['patient']}_{said['session']}"


def read(location: Path) -> tuple[Path, Description]:
    """Read the description of a folder.

    Parameters
    ----------
    location : Path
        A folder that holds a `cohort.yaml`, or such a file of any name.

    Returns
    -------
    Path
        The file.
    Description

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
        raise InputError(f"{explain(error, str(path))}\n{_REMEDY}") from None
    return path, description


def find(location: Path, limit: int = 0, masked: bool = True) -> tuple[Schema, list[Found]]:
    """Find the cases of a folder as its description says.

    Parameters
    ----------
    location : Path
        A folder that holds a `cohort.yaml`, or such a file elsewhere.
    limit : int
        Largest number of cases, in the order of their names; 0 for all.
    masked : bool
        Whether masks are expected, as for training: the pattern of masks must match a file, and
        files that match no pattern are noted.

    Returns
    -------
    Schema
        As described.
    list of Found
        Sorted by case.

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
    taken = {
        name: _take(name, pattern, description, root, files, name in required)
        for name, pattern in description.patterns.items()
    }
    _check_distinct(taken, path)
    cases = sorted(set().union(*taken.values()))[: limit or None]
    _check_complete(cases, description.modalities, taken, path, description)
    rows = _rows(path.parent / expanded(description.table), cases) if description.table else {}
    found = [_found(case, root, taken, rows.get(case, {}), path, description) for case in cases]
    absent = [case for case in rows if not any(case in files for files in taken.values())]
    if absent and masked:
        note = (
            f"in the whole folder {len(absent)} of {len(rows)} cases of the table have no files,"
            f" such as {absent[0]}"
        )
        found = with_note(found, note)
    fitting = {match[0] for matches in taken.values() for match in matches.values()}
    return description.cohort_schema, (
        noting_passed_over(found, [root / file for file in files if file not in fitting])
        if masked
        else found
    )


def _take(
    name: str,
    pattern: str,
    description: Description,
    root: Path,
    files: Sequence[str],
    required: bool,
) -> dict[str, re.Match]:
    """The file that a pattern matches for each case; InputError if it is required and has none."""
    taken: dict[str, re.Match] = {}
    for match in filter(None, map(_expression(pattern, description.case).fullmatch, files)):
        file, case = root / match[0], _case(match)
        if not match[0].lower().endswith(ENDINGS):
            raise InputError(
                f"{file}: {name} must be one of {', '.join(ENDINGS)}. Narrow the pattern"
                f" {pattern!r}, or convert the file; slices, 4D files and DICOM series have sources"
                " of their own."
            )
        if not _CASE_NAME.fullmatch(case):
            raise InputError(
                f"{file}: {case!r} is not valid as the name of a case. Use letters, digits, dots, _"
                " and - in names for {case}, or {patient} and {session}."
            )
        if case in taken and taken[case].groupdict().get("session") != match.groupdict().get(
            "session"
        ):
            raise InputError(
                f"{file}: has another patient and session than {root / taken[case][0]}, but both"
                f" are case {case}. Rename a folder or file, so that PATIENT_SESSION names one"
                " case."
            )
        if case in taken:
            raise InputError(
                f"{file}: {name} of case {case} is also in {root / taken[case][0]}. Keep one, or"
                f" narrow {pattern!r}."
            )
        taken[case] = match
    if required and not taken:
        raise InputError(
            f"{root}: holds no file for {name}, {pattern!r}. {_nearest(pattern, files)} Correct the"
            " pattern in the description."
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


def _check_distinct(taken: dict[str, dict[str, re.Match]], path: Path) -> None:
    owners: dict[str, tuple[str, str]] = {}
    for name, case, match in (
        (name, case, match) for name, cases in taken.items() for case, match in cases.items()
    ):
        other, other_case = owners.setdefault(match[0], (name, case))
        if (other, other_case) != (name, case):
            raise InputError(
                f"{path}: {match[0]} is {other} of case {other_case} and {name} of case {case}."
                " Write the patterns so that each file fits one, or say by `case` which names are"
                " cases, such as '[0-9]+'."
            )


def _check_complete(
    cases: Sequence[str],
    required: Iterable[str],
    taken: dict[str, dict[str, re.Match]],
    path: Path,
    description: Description,
) -> None:
    missing = [(case, name) for case in cases for name in required if case not in taken[name]]
    if missing:
        matches = [
            next(files[case] for files in taken.values() if case in files)
            for case, _ in missing[:8]
        ]
        listed = "\n".join(
            f"{path}: case {case} has no {name}, {_filled(description.patterns[name], match)!r}"
            for (case, name), match in zip(missing, matches, strict=False)
        )
        count = len({case for case, _ in missing})
        raise InputError(
            f"{listed}\n{count} of {len(cases)} cases are incomplete. Add the files, remove the"
            " cases, or correct the patterns."
        )


def _filled(pattern: str, match: re.Match) -> str:
    """A pattern with the names from another file of the case."""
    for name, said in match.groupdict().items():
        pattern = pattern.replace(f"{{{name}}}", said)
    return pattern


def _rows(path: Path, cases: Sequence[str]) -> dict[str, dict[str, str]]:
    """The rows of the table by case, empty fields left out."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines, restkey="")
            columns, lines_read = table.fieldnames or [], list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: the table cannot be read ({error}). Save it as CSV in UTF-8, or correct"
            " `table`."
        ) from None
    if (
        "case" not in columns
        or len(set(columns)) != len(columns)
        or "" in columns
        or any("" in row for row in lines_read)
    ):
        raise InputError(
            f"{path}: its columns are {columns}. It needs `case`, each column once, and commas"
            " between the fields."
        )
    rows: dict[str, dict[str, str]] = {}
    for row in lines_read:
        if row["case"] in rows:
            raise InputError(f"{path}: case {row['case']} has two rows. Keep one row of each case.")
        rows[row["case"]] = {
            column: field.strip() for column, field in row.items() if field and field.strip()
        }
    absent = [case for case in cases if case not in rows]
    if absent:
        raise InputError(
            f"{path}: has no row for {len(absent)} of {len(cases)} cases, such as"
            f" {', '.join(absent[:5])}. Add the rows."
        )
    return rows


def _found(
    case: str,
    root: Path,
    taken: dict[str, dict[str, re.Match]],
    row: dict[str, str],
    path: Path,
    description: Description,
) -> Found:
    matches = {name: cases[case] for name, cases in taken.items() if case in cases}
    files: dict[str, Path | Part] = {
        name: metaimage.whole(of_one_file(root / match[0])) for name, match in matches.items()
    }
    session = next(iter(matches.values())).groupdict().get("session")
    labels = files.pop(_MASK, None)
    return Found(
        case=case,
        patient=_patient(case, matches.values(), row, path, description),
        folder=(root / next(iter(matches.values()))[0]).parent,
        images=files,
        labels=labels,
        attributes=({"timepoint": session} if session else {})
        | {column: field for column, field in row.items() if column not in ("case", "patient")},
        terms=f"{description.licence} {description.citation}".strip(),
    )


def _patient(
    case: str,
    matches: Iterable[re.Match],
    row: dict[str, str],
    path: Path,
    description: Description,
) -> str:
    """The patient of a case, on which patterns, `patient` and table must agree."""
    said = set(
        filter(
            None,
            chain((match.groupdict().get("patient") for match in matches), [row.get("patient")]),
        )
    )
    if description.patient == "{case}":
        said.add(case)
    elif description.patient:
        match = re.match(description.patient, case)
        if not match or not match[1]:
            raise InputError(
                f"{path}: patient, {description.patient!r}, finds no patient in the name of case"
                f" {case}. Correct the expression."
            )
        said.add(match[1])
    if len(said) > 1:
        raise InputError(
            f"{path}: case {case} belongs to patients {', '.join(sorted(said))}. Let patterns,"
            " `patient` and table agree."
        )
    return said.pop() if said else case


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
