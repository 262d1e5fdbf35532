"""Segment one case with a trained network, prepared as in training, on the grid of its own files.

    python -m pipeline predict CASE_FOLDER --model models --out FILE.nii.gz
    python -m pipeline predict --t1n FILE --t1c FILE --t2w FILE --t2f FILE --model models --out
    FILE.nii.gz

CASE_FOLDER holds one case of a source (`python -m pipeline sources`), with or without its mask: one
file per modality in BraTS naming (CASE_t1ce.nii.gz or CASE-t1c.nii.gz ...), a DICOM study, or with
--source folder what its cohort.yaml describes. Name files of any other name one by one; together
with a CASE_FOLDER they replace its files. --native registers series as acquired, each on a grid of
its own; the labels are then also written on the grid of each series, as FILE.t1c.nii.gz and so on.
A network trained with modality dropout segments a case that lacks modalities, too; --missing leaves
one out that is there. The result has the label values of the cohort that the network was trained
on, or of the case's own source with --labels case. Warnings (a missing modality, swapped ones, a
skull that the network never saw, air that is not 0, a contradictory header) go to stderr and
FILE.nii.gz.json, which also records the inputs, the network and the settings. Research use only,
not for diagnosis.
"""

import argparse
from pathlib import Path

from .. import api
from ..core.errors import InputError
from ..runtime.model_folder import model_folder

_MODALITIES = {"t1n": "T1", "t1c": "T1 with contrast agent", "t2w": "T2", "t2f": "FLAIR"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "case",
        type=Path,
        nargs="?",
        metavar="CASE_FOLDER",
        help="one file per modality, or a DICOM study",
    )
    parser.add_argument(
        "--model",
        default="models",
        metavar="FOLDER|runs:/ID|EXPERIMENT",
        help="folder of the network and its card, MLflow run or DVC experiment (default: models)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.nii.gz", help="where to write the labels"
    )
    parser.add_argument(
        "--source",
        metavar="NAME",
        help="whose naming the case has (default: dicom if it holds DICOM files, else brats)",
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
        help="a modality to leave out, or that the case lacks; may be repeated",
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


def run(arguments: argparse.Namespace) -> None:
    """Segment, write, and print the volume of every region."""
    api.check_name(arguments.out)
    model = api.load(model_folder(arguments.model))
    case = model.find(arguments.case, _files(arguments), arguments.source, tuple(arguments.missing))
    if arguments.out.resolve() in {path.resolve() for path in case.paths}:
        raise InputError(f"{arguments.out}: is a file of the case itself. Name another file.")
    result = model.segment(case, native=arguments.native, label_values=arguments.labels)
    result.save(arguments.out)
    volumes = ", ".join(f"{name} {volume:.1f} ml" for name, volume in result.volumes_ml.items())
    count = len(result.warnings)
    seen = f"; {count} warnings above and in {arguments.out.name}.json" if count else ""
    print(f"{arguments.out}: {volumes}{seen}")


def _files(arguments: argparse.Namespace) -> dict[str, Path]:
    """Files named one by one, by modality."""
    named = [(name, getattr(arguments, name)) for name in _MODALITIES if getattr(arguments, name)]
    named += [(name, Path(file)) for name, file in arguments.image]
    if len(dict(named)) < len(named):
        raise InputError("one modality is named twice. Name one file for each.")
    return dict(named)
