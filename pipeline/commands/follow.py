"""Follow a patient over visits: lesions matched and measured, RANO 2.0 categories, a table, a page.

    python -m pipeline follow PATIENT_FOLDER --out FOLDER --model models
    python -m pipeline follow PATIENT_FOLDER --out FOLDER --labels PREDICTIONS --baseline VISIT

PATIENT_FOLDER has a folder per visit, in BraTS naming or a DICOM study. A visit is measured by the
labels beside its images (CASE_seg.nii.gz), else by those of --labels, a folder that `predict`
wrote, else the network of --model segments it. Visits are in the order of their DICOM dates, or of
visits.csv in PATIENT_FOLDER: columns visit (the folder), date or day, steroid_mg (dexamethasone per
day), clinical_status (improved, stable, worse) and weeks_since_radiotherapy.

The visits are registered rigidly to the baseline, which should be the first MRI after radiotherapy.
FOLDER gets follow_up.csv, follow_up.json and follow_up.html; they hold days since the first visit,
no dates, and no names of folders. The category is the imaging part of RANO 2.0 where the fields of
the clinic are not given. Research use only, not for diagnosis.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import api
from ..core.errors import InputError
from ..core.progress import Bar, logged_above_bars
from ..core.records import write_bytes, write_csv, write_json
from ..following import labelled
from ..following.follow_up import follow_up
from ..following.rano import NOT_STATED
from ..following.reading import Labels
from ..following.record import table_of
from ..following.visits import named, ordered
from ..registration.native import REFERENCES
from ..report.page.follow_up import follow_up_page
from ..runtime.model_folder import model_folder
from ..segmenting.finding import in_parent

log = logging.getLogger(__name__)

NAME = "follow_up"
_FIRST = (
    "the first visit was taken as the baseline: RANO 2.0 asks for the first MRI after radiotherapy"
    " (--baseline)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "patient", type=Path, metavar="PATIENT_FOLDER", help="holds a folder per visit"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--labels", type=Path, metavar="FOLDER", help="of labels that `predict` wrote"
    )
    parser.add_argument(
        "--model",
        metavar="FOLDER|runs:/ID|models:/NAME@ALIAS|EXPERIMENT",
        help="network that segments visits without labels",
    )
    parser.add_argument(
        "--baseline",
        metavar="VISIT",
        help="folder or number of the baseline, the first MRI after radiotherapy (default: the"
        " first visit)",
    )
    parser.add_argument(
        "--source",
        metavar="NAME",
        help="whose naming the visits have (default: dicom if there are DICOM files, else brats)",
    )
    parser.add_argument(
        "--native",
        action="store_true",
        help="register the series of a visit and extract the brain before the network",
    )
    parser.add_argument(
        "--one-patient",
        action="store_true",
        help="the visits are of one patient although their identifiers differ",
    )
    parser.add_argument("--dates", action="store_true", help="write dates beside days")


def run(arguments: argparse.Namespace) -> None:
    """Read, register, match, measure, assess, write; print the categories."""
    place, out = arguments.patient, arguments.out
    if not place.is_dir():
        raise InputError(f"{place}: is not a folder. Name the folder of the patient.")
    api.check_outside(out, [place])
    visits, doubts = ordered(place, _cases(place, arguments.source), arguments.one_patient)
    baseline = named(visits, arguments.baseline, "--baseline")
    if arguments.baseline is None:
        doubts.append(_FIRST)
    with logged_above_bars():
        labels = _labels(arguments, [visit.case for visit in visits])
        followed = follow_up(visits, labels, baseline, doubts, arguments.dates)
    record = followed.record
    for warning in record["warnings"]:
        log.warning("warning: %s", warning)
    page = follow_up_page(record, followed.pictures)
    write_csv(out / f"{NAME}.csv", table_of(record))
    write_bytes(out / f"{NAME}.html", page.encode())
    write_json(out / f"{NAME}.json", record)
    print("\n".join(_printed(record)))
    print(f"written to {out / NAME}.html, .csv and .json. Research use only, not for diagnosis.")


def _cases(place: Path, source: str | None) -> list[api.OneCase]:
    found = in_parent(place, labelled.source_of(place, source), REFERENCES, incomplete=True)
    for case in found:
        if isinstance(case, api.Unusable):
            raise InputError(case.reason)
    return [case for case in found if isinstance(case, api.OneCase)]


def _labels(arguments: argparse.Namespace, cases: Sequence[api.OneCase]) -> list[Labels]:
    """The labels of every case; what has none is segmented."""
    known = {case.name: labelled.known(case, arguments.labels) for case in cases}
    lacking = [case for case in cases if known[case.name] is None]
    if lacking and not arguments.model:
        raise labelled.missing(lacking, arguments.patient)
    made = _segmented(arguments, lacking) if lacking else {}
    return [known[case.name] or made[case.name] for case in cases]


def _segmented(arguments: argparse.Namespace, cases: Sequence[api.OneCase]) -> dict[str, Labels]:
    """Segment cases into a folder beside the results; those that are done are not again."""
    model = api.load(model_folder(arguments.model))
    folder = arguments.out / "segmentations"
    outcomes = model.segment_many(cases, folder, native=arguments.native)
    made = {}
    for case, outcome in zip(
        cases, Bar(outcomes, "segment", len(cases), unit="visit"), strict=True
    ):
        if outcome.state == "failed":
            raise InputError(f"{outcome.case}: could not be segmented: {outcome.reason}")
        schema = model.written_schema(case, "model")
        made[case.name] = labelled.by_network(folder, case, schema, outcome.record)
    return made


def _printed(record: Mapping[str, Any]) -> list[str]:
    """A line for every visit and kind of disease."""
    lines = []
    for kind in record["kinds"]:
        lines.append(f"{kind['title']}, target lesions {', '.join(kind['targets']) or 'none'}")
        for visit, state in zip(record["visits"], kind["visits"], strict=True):
            day = "" if visit["day"] is None else f", day {visit['day']}"
            clinic = state["with_clinic"]["category"]
            lines.append(
                f"  visit {visit['visit']}{day}: {_sums(state)}"
                + (f"; with the fields of the clinic {clinic}" if clinic else "")
            )
    return lines


def _sums(state: Mapping[str, Any]) -> str:
    """Of the target lesions with both categories; of all where no category is stated."""
    product, volume = state["by_product"], state["by_volume"]
    if product["category"] == NOT_STATED:
        return f"{state['total_ml']:.1f} ml in all, not stated: {product['reason']}"
    return (
        f"{state['product_sum_mm2']:.0f} mm2 {product['category'] or '-'},"
        f" {state['target_ml']:.1f} ml {volume['category'] or '-'}"
    )
