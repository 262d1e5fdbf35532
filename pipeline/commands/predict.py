"""Segment one case with a trained network, prepared as in training, on the grid of its own files.

    python -m pipeline predict CASE_FOLDER --model models --out FILE.nii.gz

CASE_FOLDER holds one file per modality in BraTS naming (CASE_t1ce.nii.gz or CASE-t1c.nii.gz ...). The result
has the label values of the cohort the network was trained on, or of the case's own naming with --labels case.
FILE.nii.gz.json beside it tells what made it. Research use only, not for diagnosis.
"""

import argparse
from pathlib import Path

import numpy as np

from pipeline.domain.errors import InputError
from pipeline.domain.preparation import prepare
from pipeline.domain.regions import classes_to_values
from pipeline.domain.schema import Schema
from pipeline.io import cases, nifti
from pipeline.io.records import read_json, sha256, write_json
from pipeline.sources import brats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("case", type=Path, metavar="CASE_FOLDER", help="one file per modality, in BraTS naming")
    parser.add_argument("--model", type=Path, default=Path("models"), help="folder of the network and its card (default: models)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.nii.gz", help="where to write the labels")
    parser.add_argument("--labels", choices=("model", "case"), default="model", help="whose label values to write (default: model)")


def run(arguments: argparse.Namespace) -> None:
    """Read, prepare, infer, restore, write; print the volume of every region."""
    if not arguments.out.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{arguments.out}: must end in .nii or .nii.gz.")
    style, found = brats.read_folder(arguments.case)
    if arguments.out.resolve() in {path.resolve() for path in (*found.images.values(), found.labels) if path}:
        raise InputError(f"{arguments.out}: is a file of the case itself. Name another file.")
    from pipeline.nn import card  # the network's card first: a wrong folder is told before Keras is loaded

    described = card.read(arguments.model)
    case = cases.read(cases.Found(found.case, found.patient, found.folder, found.images, None), described.cohort)
    prepared = prepare(case, described.recipe)
    card.refuse_other_spacing(described, prepared.geometry.spacing_mm, str(found.folder))
    values = _label_values(described.cohort, style) if arguments.labels == "case" else described.cohort

    from pipeline.nn import archive, backend, segmentation

    settings = read_json(arguments.model / "inference.json", segmentation.Settings)
    backend.prepare(described.seed, described.train["precision"])
    network = archive.load_model(arguments.model / "unet.keras")
    probabilities = segmentation.probabilities_of(network, described, settings, prepared.image, found.case)
    classes = segmentation.classes_of(probabilities, prepared.geometry, described, settings)
    nifti.write(arguments.out, classes_to_values(classes, values), case.grid.affine, f"TumorFlow {described.network_sha256[:16]}")
    volumes = _volumes_ml(classes, described.cohort, case.grid.spacing_mm)
    write_json(
        arguments.out.with_name(f"{arguments.out.name}.json"),
        {
            "case": found.case,
            "inputs": {name: {"file": path.name, "sha256": sha256(path)} for name, path in sorted(found.images.items())},
            "network_sha256": described.network_sha256,
            "data_hash": described.data_hash,
            "settings": settings.model_dump(mode="json"),
            "labels": values.labels,
            "volumes_ml": volumes,
            "versions": backend.versions(),
            "use": described.use,
        },
    )
    print(f"{arguments.out}: " + ", ".join(f"{name} {volume:.1f} ml" for name, volume in volumes.items()))


def _label_values(cohort: Schema, style: str) -> Schema:
    """The schema of the case's naming, if its labels are those of the network under other values."""
    own = brats.schema(style)
    if list(own.labels) != list(cohort.labels):
        raise InputError(
            f"the network's labels {list(cohort.labels)} are not those of the case's naming, {list(own.labels)}. Use --labels model."
        )
    return own


def _volumes_ml(classes: np.ndarray, cohort: Schema, spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return {region: round(float(np.isin(classes, cohort.classes_of(region)).sum()) * voxel_ml, 3) for region in cohort.regions}
