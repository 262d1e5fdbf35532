"""Score segmentations of any tool against references: two folders of NIfTI, MetaImage or DICOM
segmentation files.

    python -m pipeline score REFERENCE PREDICTION --cohort brats2018-2021 --out scores

Files are paired by the name of their case: CASE.nii.gz with CASE.nii.gz, and in BraTS's folders
CASE_seg.nii.gz or CASE-seg.nii.gz with it; other names by patterns, such as --prediction-pattern
'{case}_output.nii.gz'. Every pair must lie on one grid and hold the label values of the cohort
(`python -m pipeline sources`, or a folder's cohort.yaml); nothing is resampled, and labels are not
mapped. Axes in another order or direction are put in that of the reference; masks of regions in
channels are read with --channels. In DICOM segmentations (.dcm) each segment is the label or region
that the code of its type or its label names. The scores, their definitions and the rules for empty
regions are those of the stage `evaluate`. It prints a verdict and means over cases with their 95 %
intervals (BCa bootstrap); with --out the folder gets cases.csv, lesionwise.csv, matched.csv,
lesions.csv, instances.csv, multiclass.csv, confusion.csv and summary.json, which also holds the
warnings.
"""

import argparse
import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..cohorts import folder, pairs, registry
from ..cohorts.brats_patients import patient_of
from ..cohorts.registry import SOURCES
from ..core.errors import InputError
from ..core.layout import counted
from ..core.records import write_json, write_tables
from ..core.schema import Schema
from ..formats.raw_cases import classes_of, without_folder
from ..metrics.case_scores import CaseScores, Tables, score_masks, summarise, tables_of
from ..metrics.overlap import looks_mirrored
from ..metrics.score_lines import exchanged_lines, score_lines
from ..metrics.verdict import verdict
from ..runtime.parallel import over_cases

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
        help="cohort whose labels and regions apply; or a folder with cohort.yaml, or that file",
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
    """Pair, score, print, write; InputError if the folders look swapped."""
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
    cases = [{"case": pair.case, "patient": patient(pair.case)} for pair in found]
    tables = tables_of(cases, [scores for scores, _ in results], schema)
    summary = summarise(tables, schema) | {
        "references_left_out": len(references) - len(found),
        "warnings": [warning for _, warnings in results for warning in warnings],
    }
    print("\n".join(_printed(summary, tables, schema)))
    if arguments.out:
        write_tables(arguments.out, tables)
        write_json(arguments.out / "summary.json", summary)
        print(f"\nwritten to {arguments.out}")


def _channels(names: str | None, schema: Schema) -> tuple[str, ...]:
    """The regions of the channels of a prediction, in order."""
    channels = tuple(name.strip() for name in names.split(",")) if names else ()
    if channels and sorted(channels) != sorted(schema.regions):
        raise InputError(
            f"--channels {names}: must name each region of cohort {schema.cohort} once,"
            f" {', '.join(schema.regions)}."
        )
    return channels


def cohort_named(name: str) -> tuple[Schema, Callable[[str], str]]:
    """The schema of a cohort, and a function from case to patient.

    `name` is that of a cohort schema, of a source with one schema, or of a year within a range such
    as ``brats2018-2021``; or the path of a folder with a cohort.yaml. InputError if there is none.
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
    if within is None or not name.startswith(within["family"]):
        return False
    year = name.removeprefix(within["family"])
    return year.isdecimal() and within["first"] <= year <= within["last"]


def _described_patient(expression: str | None, case: str) -> str:
    match = re.match(expression, case) if expression and expression != "{case}" else None
    return match[1] if match else case


def scored(
    pair: pairs.Pair, schema: Schema, channels: Sequence[str] = ()
) -> tuple[CaseScores, list[str]]:
    """Read and score one case; the scores, and warnings. `channels` as for
    `pipeline.cohorts.pairs.read_pair`.

    Raises
    ------
    InputError
        If a file is not readable, the grids differ or a label value is not in the schema.
    """
    drawn, predicted = pairs.read_pair(pair, schema, channels)
    read = ((pair.reference, drawn), (pair.prediction, predicted))
    reference, prediction = (
        classes_of(path, volume, schema, partial(_remedy, volume.voxels, schema))
        for path, volume in read
    )
    _require_scorable(reference, pair.reference, schema)
    scores = score_masks(reference, prediction, schema, drawn.grid.spacing_mm)
    warnings = [
        f"{path.name}: {without_folder(warning, path)}"
        for path, volume in read
        for warning in volume.warnings
    ]
    if mirrored := looks_mirrored(reference > 0, prediction > 0):
        warnings.append(
            f"{pair.prediction.name}: its mirror image fits the reference far better, {mirrored},"
            " all labels together. It was scored as it is: check the tool that wrote it."
        )
    return scores, warnings


def _require_scorable(reference: np.ndarray, path: Path, schema: Schema) -> None:
    if sum(length > 1 for length in reference.shape) < 2:
        raise InputError(
            f"{path}: is a line of {reference.shape} voxels, which has no outline. Give slices or"
            " volumes."
        )
    found = [name for index, name in enumerate(schema.labels, 1) if (reference == index).any()]
    if schema.types and len(found) > 1:
        raise InputError(
            f"{path}: has the labels {', '.join(found)}, but in cohort {schema.cohort} each case"
            " has one type. Fix the mask, or describe the cohort without `types`."
        )


def _remedy(voxels: np.ndarray, schema: Schema) -> str:
    """What to do about values that are not in the schema: which cohorts have them."""
    if not np.isfinite(voxels).all() or (voxels != np.round(voxels)).any():
        return "Masks hold whole numbers: convert probabilities to labels first."
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


def _printed(summary: Mapping[str, Any], tables: Tables, schema: Schema) -> Iterator[str]:
    yield from verdict(summary, tables["cases"]).sentences
    if left_out := summary["references_left_out"]:
        yield f"{counted(left_out, 'reference')} without a prediction left out"
    yield ""
    yield from score_lines(summary, tables, schema)
    yield from exchanged_lines(tables["confusion"], schema)
    warnings = summary["warnings"]
    yield from (f"Warning: {line}" for line in warnings[:_PRINTED])
    if len(warnings) > _PRINTED:
        more = len(warnings) - _PRINTED
        yield f"and {more} more warnings (--out FOLDER writes all to summary.json)"
