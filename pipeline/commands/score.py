"""Score segmentations against references: two folders of NIfTI or MetaImage files, whatever made
them.

    python -m pipeline score REFERENCE PREDICTION --cohort brats2018-2021 --out scores

Files are paired by the name of their case: CASE.nii.gz with CASE.nii.gz, and in BraTS's folders
CASE_seg.nii.gz or CASE-seg.nii.gz with it; other names by patterns, such as --prediction-pattern
'{case}_output.nii.gz'. Every pair must lie on one grid and hold the label values of the cohort
(`python -m pipeline sources`, or a folder's cohort.yaml); nothing is resampled or mapped unasked.
Axes in another order or direction are put in that of the reference; masks of regions in channels
are read with --channels. The scores, their definitions and what an empty region counts for are
those of the stage `evaluate`. Printed are means over cases with their 95 % intervals (BCa
bootstrap); with --out the folder gets cases.csv, lesionwise.csv, lesions.csv, instances.csv,
multiclass.csv, confusion.csv and summary.json, which also holds the warnings.
"""

import argparse
import difflib
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..cohorts import folder, pairs, registry
from ..cohorts.brats_patients import patient_of
from ..cohorts.registry import SOURCES
from ..core.confusion import confusion
from ..core.errors import InputError
from ..core.records import write_csv, write_json
from ..core.schema import Schema
from ..formats.cases import classes_of, without_folder
from ..formats.volume import Volume
from ..metrics.instances import instance_rows
from ..metrics.lesion_rules import why_unscored
from ..metrics.lesionwise import lesion_rows
from ..metrics.mirrored import looks_mirrored
from ..metrics.multiclass import confusion_rows, score_classes
from ..metrics.scores import score_case
from ..metrics.summary import summarise_masks
from ..metrics.tumour_types import type_rows
from ..runtime.parallel import over_cases

_REGION_HEADER = (
    "region",
    "n",
    "Dice",
    "md",
    "HD95 mm",
    "md",
    "NSD 1 mm",
    "2 mm",
    "3 mm",
    "filled",
    "undef.",
)
_LESION_HEADER = ("region", "lesions", "found", "false", "Dice", "md", "HD95 mm", "md")
_INSTANCE_HEADER = ("region", "F1", "PQ")
_WIDTH = 118
_PRINTED = 20  # warnings
_RANGE = re.compile(r"(?P<family>[a-z-]+)(?P<first>\d{4})-(?P<last>\d{4})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "reference", type=Path, metavar="REFERENCE", help="folder of the reference masks"
    )
    parser.add_argument(
        "prediction", type=Path, metavar="PREDICTION", help="folder of the masks to score"
    )
    parser.add_argument(
        "--cohort",
        required=True,
        metavar="NAME",
        help="whose labels and regions; or a folder with cohort.yaml, or that file",
    )
    parser.add_argument(
        "--reference-pattern",
        metavar="PATTERN",
        help="names of the references, e.g. '{case}_seg.nii.gz'",
    )
    parser.add_argument("--prediction-pattern", metavar="PATTERN", help="names of the predictions")
    parser.add_argument(
        "--channels",
        metavar="REGION,REGION",
        help="predictions are masks of regions in channels of one file, as TC,WT,ET of MONAI",
    )
    parser.add_argument(
        "--subset",
        action="store_true",
        help="leave out references without a prediction, and say how many",
    )
    parser.add_argument(
        "--as-given", action="store_true", help="score even if the two folders look swapped"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to write the tables (default: nowhere)"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one for every core)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Pair, score, print, write.

    Raises
    ------
    InputError
        If the cohort is not known, a case has no partner, two grids differ, a label value is
        foreign, or the folders look swapped.
    """
    schema, patient = cohort_named(arguments.cohort)
    channels = _channels(arguments.channels, schema)
    where = arguments.reference, arguments.prediction
    references = pairs.masks_of(arguments.reference, arguments.reference_pattern)
    predictions = pairs.masks_of(arguments.prediction, arguments.prediction_pattern)
    found = pairs.paired(references, predictions, where, arguments.subset)
    suspicion = "" if arguments.as_given else pairs.suspected_swap(found, where)
    if suspicion:
        raise InputError(
            f"{suspicion}. Give first the folder of the references, then that of the predictions;"
            " --as-given scores them so."
        )
    results = over_cases(
        partial(scored, schema=schema, channels=channels), found, "score", arguments.workers
    )
    tables = _tables(found, results, schema, patient)
    left_out = len(references) - len(found)
    summary = _summary(tables, schema, left_out) | {
        "warnings": [said for result in results for said in result.warnings]
    }
    print("\n".join(_printed(summary, tables, schema)))
    if arguments.out:
        _write(arguments.out, tables, summary)
        print(f"\nwritten to {arguments.out}")


def _channels(names: str | None, schema: Schema) -> tuple[str, ...]:
    """The regions that the channels of a prediction hold, in their order."""
    channels = tuple(name.strip() for name in names.split(",")) if names else ()
    if channels and sorted(channels) != sorted(schema.regions):
        raise InputError(
            f"--channels {names}: must name each region of cohort {schema.cohort} once,"
            f" {', '.join(schema.regions)}."
        )
    return channels


def cohort_named(name: str) -> tuple[Schema, Callable[[str], str]]:
    """The schema of a cohort, and which patient a case is of.

    Parameters
    ----------
    name : str
        Of a cohort schema, of a source that has only one, of a year within such as
        ``brats2018-2021``; or a path of a described folder.

    Raises
    ------
    InputError
        If there is none; names those there are.
    """
    schemas = _schemas()
    if name in schemas:
        return schemas[name], patient_of
    if Path(name).exists():
        description = folder.read(Path(name))[1]
        return description.cohort_schema, partial(_described_patient, description.patient)
    schemas |= _schemas_of(name)
    years = [cohort for cohort in schemas if _holds_year(cohort, name)]
    own = [*_schemas_of(name)] or years
    if len(own) == 1:
        return schemas[own[0]], patient_of
    nearest = own or difflib.get_close_matches(name, schemas, 3)
    hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
    raise InputError(
        f"--cohort {name}: no such cohort.{hint} There are {', '.join(schemas)}; or name a folder"
        " that holds a cohort.yaml."
    )


def _schemas_of(name: str) -> dict[str, Schema]:
    """The schemas of one source, if the name is one's or package.module:attribute."""
    known = name in SOURCES or ":" in name
    schemas = registry.source(name, "--cohort").schemas if known else ()
    return {schema.cohort: schema for schema in schemas}


def _schemas() -> dict[str, Schema]:
    return {schema.cohort: schema for source in SOURCES.values() for schema in source.schemas}


def _holds_year(cohort: str, name: str) -> bool:
    within = _RANGE.fullmatch(cohort)
    year = within and name.removeprefix(within["family"])
    return bool(
        year and name != year and year.isdecimal() and within["first"] <= year <= within["last"]
    )


def _described_patient(expression: str | None, case: str) -> str:
    match = re.match(expression, case) if expression and expression != "{case}" else None
    return match[1] if match else case


@dataclass(frozen=True)
class Scored:
    """The scores of one case, as tables hold them: rows without their case, voxels by reference
    class and predicted class, and warnings.
    """

    rows: list[dict[str, Any]]
    lesionwise: list[dict[str, Any]]
    lesions: list[dict[str, Any]]
    instances: list[dict[str, Any]]
    multiclass: dict[str, Any]
    confusion: np.ndarray
    warnings: tuple[str, ...]


def scored(pair: pairs.Pair, schema: Schema, channels: Sequence[str] = ()) -> Scored:
    """Read and score one case; `channels` as for `pipeline.cohorts.pairs.read_pair`.

    Raises
    ------
    InputError
        If a file is not readable, the grids differ or a label value is foreign to the schema.
    """
    reference_volume, prediction_volume = pairs.read_pair(pair, schema, channels)
    reference, prediction = (
        _classes(reference_volume, pair.reference, schema),
        _classes(prediction_volume, pair.prediction, schema),
    )
    _refuse_unscorable(reference, pair.reference, schema)
    spacing_mm = reference_volume.grid.spacing_mm
    lesionwise, lesions = lesion_rows(reference, prediction, schema, spacing_mm)
    return Scored(
        rows=score_case(reference, prediction, schema, spacing_mm),
        lesionwise=lesionwise,
        lesions=lesions,
        instances=instance_rows(reference, prediction, schema),
        multiclass=score_classes(reference, prediction, schema),
        confusion=confusion(reference, prediction, len(schema.labels) + 1),
        warnings=(
            *_told(pair.reference, reference_volume),
            *_told(pair.prediction, prediction_volume),
            *_mirrored(pair.prediction, reference > 0, prediction > 0),
        ),
    )


def _told(path: Path, volume: Volume) -> list[str]:
    """What reading a file told, without its folders."""
    return [f"{path.name}: {without_folder(said, path)}" for said in volume.warnings]


def _mirrored(path: Path, reference: np.ndarray, prediction: np.ndarray) -> list[str]:
    found = looks_mirrored(reference, prediction)
    fits = (
        f"{path.name}: its mirror image fits the reference far better, {found}, all labels together"
    )
    return [f"{fits}. It was scored as it is: look at what wrote it."] if found else []


def _refuse_unscorable(reference: np.ndarray, path: Path, schema: Schema) -> None:
    if sum(length > 1 for length in reference.shape) < 2:
        raise InputError(
            f"{path}: is a line of {reference.shape} voxels, which has no outline. Give images of"
            " slices or volumes."
        )
    found = [
        name
        for index, name in enumerate(schema.labels, 1)
        if schema.types and (reference == index).any()
    ]
    if len(found) > 1:
        raise InputError(
            f"{path}: has the labels {', '.join(found)}, but in cohort {schema.cohort} each case"
            " has one type. Mend the mask, or describe the cohort without `types`."
        )


def _classes(volume: Volume, path: Path, schema: Schema) -> np.ndarray:
    return classes_of(path, volume, schema, lambda: _remedy(volume.voxels, schema))


def _remedy(voxels: np.ndarray, schema: Schema) -> str:
    """What may be meant by values that a schema does not know."""
    if not np.isfinite(voxels).all() or (voxels != np.round(voxels)).any():
        return "Masks hold whole numbers: of probabilities, take the label of each voxel first."
    values = set(np.unique(voxels).astype(int).tolist()) - {0}
    generated = {
        other.cohort for source in SOURCES.values() if source.generate for other in source.schemas
    }
    fitting = sorted(
        (other for other in _schemas().values() if values <= set(other.labels.values())),
        key=lambda other: (
            set(other.labels) != set(schema.labels),
            len(other.labels),
            other.cohort in generated,
        ),
    )
    own = f"Write the file with the values of {schema.cohort}"
    if not fitting:
        return f"{own}."
    named = [f"{other.cohort}{_renumbered(other, schema)}" for other in fitting[:2]]
    return (
        f"Its values are those of {' or '.join(named)}: name that by --cohort if both folders are"
        f" of it. {own} otherwise."
    )


def _renumbered(other: Schema, schema: Schema) -> str:
    if set(other.labels) != set(schema.labels):
        return ""
    moved = [
        f"{name} is {value}, here {schema.labels[name]}"
        for name, value in other.labels.items()
        if value != schema.labels[name]
    ]
    return f" ({'; '.join(moved)})" if moved else ""


Tables = Mapping[str, list[dict[str, Any]]]


def _tables(
    found: Sequence[pairs.Pair],
    results: Sequence[Scored],
    schema: Schema,
    patient: Callable[[str], str],
) -> Tables:
    """The rows of every table, by the name of its file."""
    cases = [{"case": pair.case, "patient": patient(pair.case)} for pair in found]
    together = list(zip(cases, results, strict=True))
    rows = [case | row for case, result in together for row in result.rows]
    return {
        "cases": rows,
        "lesionwise": [case | row for case, result in together for row in result.lesionwise],
        "lesions": [case | row for case, result in together for row in result.lesions],
        "instances": [case | row for case, result in together for row in result.instances],
        "multiclass": [case | result.multiclass for case, result in together],
        "confusion": confusion_rows(sum(result.confusion for result in results), schema),
        "types": type_rows(rows, schema) if schema.types else [],
    }


def _summary(tables: Tables, schema: Schema, left_out: int) -> dict[str, Any]:
    """What metrics/evaluate.json says of the same rows, and how many references were left out."""
    masks = summarise_masks(
        *(tables[name] for name in ("cases", "multiclass", "lesionwise", "instances")), schema
    )
    return masks | {"references_left_out": left_out}


def _printed(summary: Mapping[str, Any], tables: Tables, schema: Schema) -> Iterator[str]:
    mean, left_out = summary["mean_region_dice"], summary["references_left_out"]
    yield (
        f"{_number(summary['cases'], 'case')} of cohort {schema.cohort}: mean region Dice"
        f" {_interval(mean, 'value', 3)}"
    )
    if left_out:
        yield f"{_number(left_out, 'reference')} without a prediction left out"
    yield ""
    yield from _aligned(
        [_REGION_HEADER, *(_region_row(name, summary["region"][name]) for name in schema.regions)]
    )
    yield ""
    yield from _lesion_by_lesion(summary, tables["lesionwise"], schema)
    yield ""
    yield "connected components, matched by IoU above 0.5"
    yield from _aligned(
        [
            _INSTANCE_HEADER,
            *(_instance_row(name, summary["instances"][name]) for name in schema.regions),
        ]
    )
    yield ""
    yield (
        "Means over n cases [95 % interval], medians (md). filled: how many Dice and HD95 the"
        " cohort's rule for empty regions gave;"
    )
    by_lesion = (
        "Lesion by lesion, missed and false lesions enter the means. "
        if schema.lesion_rules
        else ""
    )
    yield f"undef.: how many are undefined and left out. {by_lesion}See docs/metrics.md."
    yield from _exchanged(tables["confusion"], schema)
    said = summary["warnings"]
    yield from (f"Warning: {line}" for line in said[:_PRINTED])
    if len(said) > _PRINTED:
        yield f"and {len(said) - _PRINTED} more warnings (--out FOLDER writes all to summary.json)"


def _lesion_by_lesion(
    summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], schema: Schema
) -> Iterator[str]:
    if schema.lesion_rules is None:
        yield from textwrap.wrap(why_unscored(schema.cohort), _WIDTH, break_on_hyphens=False)
        return
    yield f"lesion by lesion, rules {schema.lesion_rules}"
    yield from _aligned(
        [
            _LESION_HEADER,
            *(_lesion_row(name, summary["lesionwise"][name], rows) for name in schema.regions),
        ]
    )


def _region_row(name: str, summary: Mapping[str, Any]) -> tuple[str, ...]:
    dice, distance = summary["dice"], summary["hd95_mm"]
    return (
        name,
        str(dice["cases"]),
        *(
            _interval(dice, "mean", 3),
            _text(dice["median"], 3),
            _interval(distance, "mean", 1),
            _text(distance["median"], 1),
        ),
        *(_text(summary[f"nsd_{tolerance}mm"]["mean"], 3) for tolerance in (1, 2, 3)),
        *(f"{dice[count]}, {distance[count]}" for count in ("filled", "undefined")),
    )


def _lesion_row(
    name: str, summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    dice, distance = summary["lesion_dice"], summary["lesion_hd95_mm"]
    return (
        name,
        *(
            str(sum(row[count] for row in rows if row["name"] == name))
            for count in ("lesions", "found", "false_positives")
        ),
        *(
            _interval(dice, "mean", 3),
            _text(dice["median"], 3),
            _interval(distance, "mean", 1),
            _text(distance["median"], 1),
        ),
    )


def _instance_row(name: str, summary: Mapping[str, Any]) -> tuple[str, ...]:
    return (name, *(_text(summary[metric]["mean"], 3) for metric in ("f1", "pq")))


def _exchanged(counts: Sequence[Mapping[str, Any]], schema: Schema) -> Iterator[str]:
    """A warning where the predictions agree far better with the references under other names of
    their labels.
    """
    names = list(schema.labels)
    voxels = {(row["reference"], row["prediction"]): row["voxels"] for row in counts}
    table = np.array([[voxels[one, other] for other in names] for one in names])
    best = linear_sum_assignment(table, maximize=True)
    if table[best].sum() > 2 * np.trace(table):
        called = ", ".join(
            f"{names[one]} is mostly called {names[other]}"
            for one, other in zip(*best, strict=True)
            if one != other
        )
        yield ""
        yield f"Warning: {called}. Were the predictions written with the values of another cohort?"


def _interval(summary: Mapping[str, Any], name: str, digits: int) -> str:
    low, high = (
        _text(summary[f"{'' if name == 'value' else f'{name}_'}{end}"], digits)
        for end in ("low", "high")
    )
    return f"{_text(summary[name], digits)} [{low}, {high}]"


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if value == value else "-"


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines, columns as wide as they must be, all but the first to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        yield "  ".join(
            [
                f"{first:<{widths[0]}}",
                *(f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)),
            ]
        )


def _write(out: Path, tables: Tables, summary: Mapping[str, Any]) -> None:
    for name, rows in tables.items():
        path = out / f"{name}.csv"
        if rows:
            write_csv(path, rows)
        else:
            path.unlink(missing_ok=True)  # of an earlier scoring by other rules
    write_json(out / "summary.json", summary)
