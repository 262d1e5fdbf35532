"""Segment one case with a trained network, prepared as in training, on the grid of its own files.

    python -m pipeline predict CASE_FOLDER --model models --out FILE.nii.gz
    python -m pipeline predict --t1n FILE --t1c FILE --t2w FILE --t2f FILE --model models --out
    FILE.nii.gz

CASE_FOLDER holds one case of a source (`python -m pipeline sources`), with or without its mask: one
file per modality in BraTS naming (CASE_t1ce.nii.gz or CASE-t1c.nii.gz ...), a DICOM study, or with
--source folder what its cohort.yaml says. Files of any other name are named one by one; together
with a CASE_FOLDER they take the place of what it holds. Series as the scanner left them, each on a
grid of its own, are brought to one grid first with --native; the labels then also go back onto each
series, as FILE.t1c.nii.gz and so on. The result has the label values of the cohort the network was
trained on, or of the case's own source with --labels case. What looks wrong with the case
(modalities under each other's names, a skull that the network never saw, air that is not 0, a
header that contradicts itself) is a warning, on stderr and in FILE.nii.gz.json, which also tells
what made the file. Research use only, not for diagnosis.
"""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..cohorts import brats, dicom, folder
from ..cohorts.registry import SOURCES
from ..core.case import Case
from ..core.errors import InputError
from ..core.records import read_json, write_json
from ..core.regions import classes_to_values
from ..core.schema import Schema
from ..formats import cases, metaimage, nifti
from ..formats.dicom.header import is_dicom
from ..formats.volume import Part, Volume
from ..formats.walking import files_below, is_volume, of_one_file
from ..preparation.preprocessing import prepare
from ..registration.aligned_files import align_case
from ..registration.native import Native, NativeRecipe, labels_to_series
from ..verification import checks

log = logging.getLogger(__name__)

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
        type=Path,
        default=Path("models"),
        help="folder of the network and its card (default: models)",
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
    """Read, check, prepare, infer, restore, write; print the volume of every region."""
    if not arguments.out.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{arguments.out}: must end in .nii or .nii.gz.")
    # the card first: a wrong folder is reported before Keras is loaded
    from ..network.card import check_spacing, network_file, read_card

    described = read_card(arguments.model)
    own, found = _found(arguments.case, arguments.source, _named_files(arguments), described.cohort)
    if arguments.out.resolve() in {_path(origin).resolve() for origin in found.images.values()}:
        raise InputError(f"{arguments.out}: is a file of the case itself. Name another file.")
    case, native, volumes = _read(found, described.cohort, arguments.native)
    nonzero = described.preprocess.foreground == "nonzero" and not arguments.native
    stripped = None if arguments.native and described.stripped else described.stripped
    warnings = checks.alone(found, case, volumes, described.cohort.modalities, stripped, nonzero)
    for warning in warnings:
        log.warning("warning: %s", warning)
    prepared = prepare(case, described.preprocess)
    check_spacing(described, prepared.geometry.spacing_mm, str(found.folder))
    values = (
        _label_values(described.cohort, own) if arguments.labels == "case" else described.cohort
    )

    from ..network import backend, predictor, saving

    settings = read_json(arguments.model / "inference.json", predictor.Settings)
    backend.prepare(described.seed, described.train["precision"])
    network = saving.load_model(network_file(arguments.model), described.network.architecture)
    probabilities = predictor.probabilities_of(
        network, described, settings, prepared.image, found.case
    )
    classes = predictor.classes_of(probabilities, prepared.geometry, described, settings)
    made_by = f"TumorFlow {described.network_sha256[:16]}"
    labels = classes_to_values(classes, values)
    nifti.write(arguments.out, labels, case.grid.affine, made_by)
    for name, place in native.series.items() if native else ():
        stem = arguments.out.name.removesuffix(".gz").removesuffix(".nii")
        path = arguments.out.with_name(arguments.out.name.replace(stem, f"{stem}.{name}", 1))
        nifti.write(path, labels_to_series(labels, native, name), place.grid.affine, made_by)
    volumes_ml = _volumes_ml(classes, described.cohort, case.grid.spacing_mm)
    write_json(
        arguments.out.with_name(f"{arguments.out.name}.json"),
        {
            "case": found.case,
            "inputs": _inputs(found, volumes),
            "native": native and native.model_dump(mode="json"),
            "network_sha256": described.network_sha256,
            "data_hash": described.data_hash,
            "settings": settings.model_dump(mode="json"),
            "labels": values.labels,
            "volumes_ml": volumes_ml,
            "versions": backend.versions(),
            "use": described.use,
            "warnings": warnings,
        },
    )
    looked = (
        f"; {len(warnings)} warnings above and in {arguments.out.name}.json" if warnings else ""
    )
    print(
        f"{arguments.out}: "
        + ", ".join(f"{name} {volume:.1f} ml" for name, volume in volumes_ml.items())
        + looked
    )


def _path(origin: Path | Part) -> Path:
    return origin.path if isinstance(origin, Part) else origin


def _named_files(arguments: argparse.Namespace) -> dict[str, Path | Part]:
    """Files that the user named one by one, by modality."""
    told = [(name, getattr(arguments, name)) for name in _MODALITIES] + [
        (name, Path(file)) for name, file in arguments.image
    ]
    named = {name: file for name, file in told if file}
    if len(named) < sum(file is not None for _, file in told):
        raise InputError("one modality is named twice. Name one file for each.")
    files = {name: of_one_file(file) for name, file in named.items()}
    for name, file in files.items():
        if not file.is_file() or not is_volume(file):
            found = (
                "a folder"
                if file.is_dir()
                else "not there"
                if not file.exists()
                else "no volume by its name"
            )
            raise InputError(
                f"{file}: is {found}. Name one .nii, .nii.gz, .mha or .mhd file as {name}; of a"
                " DICOM study name the folder alone."
            )
    return {name: metaimage.whole(file) for name, file in files.items()}


def _found(
    place: Path | None, source: str | None, files: Mapping[str, Path | Part], cohort: Schema
) -> tuple[Schema, cases.Found]:
    """The one case, of a folder or of files named one by one, and the schema of its own source."""
    if place is None and not files:
        raise InputError(
            "no case: name its folder, or its files by --t1n FILE --t1c FILE --t2w FILE --t2f FILE."
        )
    foreign = [name for name in files if name not in cohort.modalities]
    if foreign:
        raise InputError(
            f"{', '.join(foreign)}: is no modality of the network, which takes"
            f" {', '.join(cohort.modalities)}. Name those."
        )
    if files and (place is None or set(cohort.modalities) <= set(files)):
        first = _path(next(iter(files.values())))
        name = first.name.split(".")[0]
        return cohort, cases.Found(name, name, place or first.parent, dict(files), None)
    if place.is_file() or not place.exists():
        found = "is a file" if place.exists() else "is not there"
        raise InputError(
            f"{place}: {found}. Name the folder of the case, or single files by --t1n FILE --t1c"
            " FILE --t2w FILE --t2f FILE."
        )
    schema, found = _in_folder(
        place, source, tuple(name for name in cohort.modalities if name not in files)
    )
    return schema, replace(found, images=found.images | files)


def _in_folder(
    place: Path, source: str | None, needed: tuple[str, ...]
) -> tuple[Schema, cases.Found]:
    """The one case of a folder, and the schema of its own source; `needed` are the modalities that
    the folder must give.
    """
    if source is None:
        has_dicom = not brats.holds_images(place) and any(
            path.is_file() and is_dicom(path) for path in files_below(place)
        )
        source = "dicom" if has_dicom else "brats"
    if source == "brats":
        style, found = brats.read_folder(place)
        return brats.schema(style), found
    if source == "dicom":
        found = dicom.read_study(place, needed)
        return dicom.schema(tuple(found.images)), found
    if source not in SOURCES or SOURCES[source].find is None:
        raise InputError(
            f"--source is {source!r}, but cases are read by"
            f" {', '.join(name for name, known in SOURCES.items() if known.find)}."
        )
    schema, listed = (
        folder.find(place, masked=False) if source == "folder" else SOURCES[source].find(place, 0)
    )
    if len(listed) != 1:
        one = (
            f"Let `case` in its {folder.NAME} match one."
            if source == "folder"
            else "Name the folder of one."
        )
        raise InputError(
            f"{place}: holds {len(listed)} cases, among them"
            f" {', '.join(case.case for case in listed[:3])}. {one}"
        )
    return schema, listed[0]


def _read(
    found: cases.Found, cohort: Schema, native: bool
) -> tuple[Case, Native | None, dict[str, Volume]]:
    """The case with the modalities of the network, the way back to its series, and the volumes
    read.
    """
    found = replace(found, labels=None)
    if not native:
        case, volumes = cases.read_volumes(found, cohort)
        return case, None, volumes
    recipe = NativeRecipe(
        enabled=True,
        template_transform="rigid",
        interpolation="linear",
        correct_bias=False,
        extract_brain=True,
    )
    cases.refuse_missing(found, cohort)
    aligned, volumes = align_case(found, recipe)
    image = np.stack([aligned.images[name] for name in cohort.modalities], axis=-1)
    return Case(found.case, image, None, aligned.native.grid), aligned.native, volumes


def _inputs(found: cases.Found, volumes: dict[str, Volume]) -> dict[str, dict[str, str]]:
    """Files by name, parts by what they are: the folder of a DICOM series may bear the patient's
    name.
    """
    names = {
        name: f"{found.case}_{name}" if isinstance(origin, Part) else origin.name
        for name, origin in found.images.items()
    }
    return {
        name: {"file": names[name], "sha256": volume.sha256}
        for name, volume in sorted(volumes.items())
    }


def _label_values(cohort: Schema, own: Schema) -> Schema:
    """The schema of the case's source, if its labels are those of the network under other values."""
    if list(own.labels) != list(cohort.labels):
        raise InputError(
            f"the network's labels {list(cohort.labels)} are not those of the case's naming,"
            f" {list(own.labels)}. Use --labels model."
        )
    return own


def _volumes_ml(
    classes: np.ndarray, cohort: Schema, spacing_mm: tuple[float, float, float]
) -> dict[str, float]:
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return {
        region: round(float(np.isin(classes, cohort.classes_of(region)).sum()) * voxel_ml, 3)
        for region in cohort.regions
    }
