"""Segment cases with a trained network, prepared as in training, on the grid of their own files.

    python -m pipeline predict CASES... --model models --out FOLDER
    python -m pipeline predict CASE_FOLDER --model models --out FILE.nii.gz
    python -m pipeline predict --t1n FILE --t1c FILE --t2w FILE --t2f FILE --model models --out
    FILE.nii.gz

Each of CASES is the folder of one case or of many, or a list of cases. A case is that of a source
(`python -m pipeline sources`), with or without its mask: one file per modality in BraTS naming
(CASE_t1ce.nii.gz or CASE-t1c.nii.gz ...), a DICOM study, or what --source names, as a folder with a
cohort.yaml. A list is a text file (.txt) with a folder a line, or a table (.csv) with columns case,
folder and modalities. Name files of any other name one by one; together with one CASE_FOLDER they
replace its files. --native registers series as acquired, each on a grid of its own; the labels are
then also written on the grid of each series, as FILE.t1c.nii.gz and so on. A network trained with
modality dropout segments a case that lacks modalities, too; --missing leaves one out that is there.

In a FOLDER the labels of each case are CASE.nii.gz, and volumes.csv has a row for every case in the
folder. Given again, the command skips cases that are done: those whose record, CASE.nii.gz.json,
names the same inputs, network and settings. A case that fails is named with its reason, the others
are segmented, and the exit status is 1.

--formats adds DICOM objects of a DICOM study, on the geometry of its series, which name the patient
as its files do: CASE.seg.dcm (segmentation), CASE.sr.dcm (report of the measurements) and
CASE.rtstruct.dcm (contours).

The labels have the values of the cohort that the network was trained on, or of the case's own
source with --labels case. Warnings (a missing modality, swapped ones, a skull that the network
never saw, air that is not 0, a contradictory header) go to stderr and FILE.nii.gz.json, the run
manifest, which also has the inputs, the network, the settings, the volumes with their errors on
validation cases, and the quality flag: ok, or check where the case is unlike those of the training.
Research use only, not for diagnosis.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

from .. import api
from ..core.errors import InputError
from ..core.progress import Bar, logged_above_bars
from ..network.settings import Engine
from ..runtime import gpus
from ..runtime.model_folder import add_model, model_folder
from ..segmenting.extras import formats_of
from ..segmenting.many import summary

_NO_FOLDER = ("nii", "gz", "mha", "mhd", "nrrd", "dcm", "png", "csv", "json")
"""Endings that folders seldom have."""
_MODALITIES = {"t1n": "T1", "t1c": "T1 with contrast agent", "t2w": "T2", "t2f": "FLAIR"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "cases",
        type=Path,
        nargs="*",
        metavar="CASES",
        help="folders of one case or of many, or lists of cases (.txt, .csv)",
    )
    add_model(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where to write; FILE.nii.gz for the labels of one case",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="segment cases again that are done (FOLDER)"
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="also write probabilities/CASE_REGION.nii.gz, float32, rounded to 1/1024",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="also write uncertainty/CASE_REGION.nii.gz, the entropy of the probability in bits",
    )
    parser.add_argument(
        "--overlay",
        action="store_true",
        help="also draw overlays/CASE.png, the labels over t2f in three planes",
    )
    parser.add_argument(
        "--summary",
        action="store_true",
        help="also draw summaries/CASE.pdf and CASE.png, one page of slices, volumes and quality",
    )
    parser.add_argument(
        "--formats",
        type=formats_of,
        default=("nifti",),
        metavar="NAME,NAME",
        help=f"of {', '.join(api.FORMATS)}: the labels, and the DICOM objects of a DICOM study"
        " (default: nifti)",
    )
    parser.add_argument(
        "--seg-type",
        choices=api.SEG_TYPES,
        default="binary",
        help="type of the DICOM segmentation (default: binary, which most viewers read)",
    )
    parser.add_argument(
        "--segments",
        choices=api.SEGMENTS,
        default="labels",
        help="segments of the DICOM segmentation: labels, or regions, which overlap"
        " (default: labels)",
    )
    parser.add_argument(
        "--device",
        metavar="DEVICE",
        help="cpu, gpu (the first), gpu:1 (the second), ... (default: a GPU if there is one)",
    )
    parser.add_argument(
        "--engine",
        choices=get_args(Engine),
        help="what runs the network (default: as in its inference.json, from evaluate.engine)",
    )
    parser.add_argument(
        "--source",
        metavar="NAME",
        help="whose naming the cases have (default: dicom if there are DICOM files, else brats)",
    )
    for name, title in _MODALITIES.items():
        parser.add_argument(
            f"--{name}", type=Path, metavar="FILE", help=f"the {title} image, whatever its name"
        )
    parser.add_argument(
        "--image",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="any other modality of the network",
    )
    parser.add_argument(
        "--missing",
        action="append",
        default=[],
        metavar="NAME",
        help="a modality to leave out, or that cases lack; may be repeated",
    )
    parser.add_argument(
        "--labels",
        choices=("model", "case"),
        default="model",
        help="whose label values to write (default: model)",
    )
    parser.add_argument(
        "--native",
        action="store_true",
        help="register the series and extract the brain first; labels go back onto each series",
    )


def run(arguments: argparse.Namespace) -> int:
    """Segment, write, and print the volume of every region; 1 if a case failed."""
    is_file = _names_file(arguments.out)
    api.check_outside(arguments.out, arguments.cases)
    if arguments.device:
        gpus.use(arguments.device)
    extras = api.Extras(
        arguments.probabilities,
        arguments.uncertainty,
        arguments.overlay,
        arguments.formats,
        arguments.seg_type,
        arguments.segments,
        arguments.summary,
    )
    model = api.load(model_folder(arguments.model), arguments.engine)
    cases = _found(arguments, model)
    if arguments.device and arguments.device != "cpu":
        _require_accelerator(arguments.device)
    if not is_file:
        return _into_folder(arguments, model, cases, extras)
    _into_file(arguments, model, cases, extras)
    return 0


def _names_file(out: Path) -> bool:
    """Whether the results are those of one case, under this name; InputError if it is neither such
    a name nor one of a folder.
    """
    if out.is_dir() or out.suffix[1:].lower() not in _NO_FOLDER:
        return False
    api.check_name(out)
    return True


def _require_accelerator(device: str) -> None:
    from ..network import backend

    if not backend.on_accelerator():
        raise InputError(
            f"--device {device}: {backend.name()} runs on the CPU, although a GPU is there. Install"
            " its GPU support (docs/how-to/gpu.md), or use --device cpu."
        )


def _found(arguments: argparse.Namespace, model: api.Model) -> list[api.OneCase | api.Unusable]:
    files, missing = _files(arguments), tuple(arguments.missing)
    places = arguments.cases
    if files and len(places) > 1:
        raise InputError(
            "files named one by one are of one case, but there are several CASES. Name one, or list"
            " the files of each case in a table (.csv)."
        )
    if files or not places:
        place = places[0] if places else None
        return [model.find(place, files, arguments.source, missing)]
    return model.find_all(places, arguments.source, missing)


def _into_file(
    arguments: argparse.Namespace,
    model: api.Model,
    cases: list[api.OneCase | api.Unusable],
    extras: api.Extras,
) -> None:
    """Segment the only case."""
    out = arguments.out
    if len(cases) != 1:
        raise InputError(
            f"{out}: is the file of one case, but there are {len(cases)} cases. Name a folder."
        )
    case = cases[0]
    if isinstance(case, api.Unusable):
        raise InputError(case.reason)
    if out.resolve() in {path.resolve() for path in case.paths}:
        raise InputError(f"{out}: is a file of the case itself. Name another file.")
    model.require(case, arguments.native, extras)
    result = model.segment(case, native=arguments.native, label_values=arguments.labels)
    result.save(out, extras)
    count = len(result.warnings)
    seen = f"; {count} warning{'s' * (count > 1)} above and in {out.name}.json" if count else ""
    print(f"{out}: {summary(result.record)}{seen}")


def _into_folder(
    arguments: argparse.Namespace,
    model: api.Model,
    cases: list[api.OneCase | api.Unusable],
    extras: api.Extras,
) -> int:
    """Segment every case that is not done; 1 if one failed."""
    outcomes = model.segment_many(
        cases,
        arguments.out,
        native=arguments.native,
        label_values=arguments.labels,
        extras=extras,
        overwrite=arguments.overwrite,
    )
    states: Counter[str] = Counter()
    failed = []
    with logged_above_bars():
        for outcome in Bar(outcomes, "predict", len(cases), unit="case"):
            states[outcome.state] += 1
            if outcome.state == "done":
                Bar.write(f"{outcome.case}: {outcome.summary}")
            if outcome.state == "failed":
                failed.append(outcome.case)
                Bar.write(f"failed: {outcome.failure}", sys.stderr)
    names = f": {', '.join(failed)}" if failed else ""
    print(
        f"{arguments.out}: {states['done']} done, {states['skipped']} skipped,"
        f" {len(failed)} failed{names}; volumes in {arguments.out / api.VOLUMES}"
    )
    return 1 if failed else 0


def _files(arguments: argparse.Namespace) -> dict[str, Path]:
    """Files named one by one, by modality."""
    named = [(name, getattr(arguments, name)) for name in _MODALITIES if getattr(arguments, name)]
    named += [(name, Path(file)) for name, file in arguments.image]
    if len(dict(named)) < len(named):
        raise InputError("one modality is named twice. Name one file for each.")
    return dict(named)
