"""Masks of two folders, paired by case: references and the predictions of any tool."""

import filecmp
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.regions import classes_to_regions, classes_to_values, regions_to_classes
from ..core.schema import Schema
from ..formats import nifti
from ..formats.affines import literal, repair_command
from ..formats.dicom_objects.matching import mask_of
from ..formats.dicom_objects.segments import (
    MANUFACTURER,
    is_segmentation,
    origin_of,
    own_grid,
    read_segments,
)
from ..formats.predictions import MAPS
from ..formats.raw_cases import few, on_grid_of, read_mask
from ..formats.volume import Volume
from ..formats.walking import files_below, is_volume, of_one_file, pattern_expression, volumes_in

_ENDING = re.compile(r"\.(nii|nii\.gz|mha|mhd|dcm|seg\.dcm)$", re.IGNORECASE)
_MASK = re.compile(r"[_-](seg|gtv|tumor_segmentation)$", re.IGNORECASE)
_MODALITY = re.compile(r"[_-](t1|t1ce|t1c|t1n|t2|t2w|t2f|flair|fla)$", re.IGNORECASE)
_OURS = re.compile(r"TumorFlow [0-9a-f]{16}")
_OF_NETWORKS = re.compile(
    r"(^|[_-])(pred(ict(ions?|ed))?s?|outputs?|infer(ence|red)?|results?)([_-]|$)", re.IGNORECASE
)
_OF_READERS = re.compile(
    r"(^|[_-])(labels?(Tr|Ts)?|gt|(ground)?_?truth|references?|manual|masks?|raw)([_-]|$)",
    re.IGNORECASE,
)
_NAMED = 5
_MOST_CHANNELS = 16  # of masks of regions; more is a series of volumes


@dataclass(frozen=True)
class Pair:
    """Two masks of one case."""

    case: str
    reference: Path
    prediction: Path


def masks_of(folder: Path, pattern: str | None = None) -> dict[str, Path]:
    """Find the mask of every case in a folder and its subfolders, sorted by case.

    Parameters
    ----------
    folder : Path
        Holds NIfTI or MetaImage files; hidden files and maps that `predict` wrote are ignored.
        DICOM segmentations (``.dcm``) are taken where there are none of these, or the pattern ends
        in ``.dcm``.
    pattern : str, optional
        Which files, and which part of their names is the case: ``{case}`` matches the same text
        wherever it is, ``*`` any text; neither matches a ``/``. Without a ``/`` it is a name in any
        folder, with one a path within this one. When None, the case is the name without its ending
        and without a last ``_seg``, ``-seg``, ``_gtv``, ``-gtv`` or ``_tumor_segmentation``; where
        some files have these, the others are no masks.

    Raises
    ------
    InputError
        If there is no such folder or file, a case has two files, or the pattern is invalid.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder. Name the folder that holds the masks.")
    files = _masks_below(folder, pattern or "")
    if not files:
        raise InputError(
            f"{folder}: holds no .nii, .nii.gz, .mha or .mhd file, and no DICOM segmentation"
            " (.dcm). Name the folder that holds the masks."
        )
    if pattern is None:
        marked = [path for path in files if _MASK.search(_stem(path))] or files
        named = [(_MASK.sub("", _stem(path)) or _stem(path), path) for path in marked]
    else:
        named = _matching(files, folder, pattern)
    masks: dict[str, Path] = {}
    for case, path in named:
        mask = of_one_file(path)
        known = masks.setdefault(case, mask)
        if known != mask and not known.samefile(mask):  # it is the same through a link
            raise InputError(
                f"{path}: case {case} is also in {known}. Keep one of the two, or choose by a"
                " pattern."
            )
    return dict(sorted(masks.items()))


def _masks_below(folder: Path, pattern: str) -> list[Path]:
    below = files_below(folder)
    files = [path for path in below if is_volume(path) and not _is_map(path, folder)]
    if files and not pattern.lower().endswith(".dcm"):
        return files
    return [path for path in below if is_segmentation(path)]


def _is_map(path: Path, folder: Path) -> bool:
    """Whether a file below a folder is a map that `predict` wrote beside labels."""
    return not {*path.relative_to(folder).parts[:-1]}.isdisjoint(MAPS)


def _stem(path: Path) -> str:
    return _ENDING.sub("", path.name)


def _matching(files: Iterable[Path], folder: Path, pattern: str) -> list[tuple[str, Path]]:
    if "{case}" not in pattern or re.search(r"[{}]", pattern.replace("{case}", "")):
        raise InputError(
            f"{pattern!r}: is not a pattern. It must contain {{case}} and may contain *, such as"
            " '{case}_seg.nii.gz'."
        )
    expression = pattern_expression(pattern, {"case": "[^/]+?"})
    names = {path: path.relative_to(folder).as_posix() for path in files}
    matches = {
        path: expression.fullmatch(name if "/" in pattern else path.name)
        for path, name in names.items()
    }
    found = [(match["case"], path) for path, match in matches.items() if match]
    if not found:
        raise InputError(
            f"{folder}: no file fits the pattern {pattern!r}; there are"
            f" {few([*names.values()], _NAMED)}. Fix the pattern."
        )
    return found


def paired(
    references: Mapping[str, Path],
    predictions: Mapping[str, Path],
    where: tuple[Path, Path],
    subset: bool = False,
) -> list[Pair]:
    """Pair references and predictions of the same case, as `masks_of` gives them, sorted by case.

    `where` are their folders, for messages; with `subset`, references without a prediction are left
    out.

    Raises
    ------
    InputError
        If a case lacks its partner, a file is on both sides, or all predictions are copies of their
        references.
    """
    lonely = (
        [case for case in predictions if case not in references],
        [case for case in references if case not in predictions],
    )
    pairs = [
        Pair(case, references[case], predictions[case])
        for case in references
        if case in predictions
    ]
    if lonely[0] or not pairs or (lonely[1] and not subset):
        raise InputError(_without_partner(lonely, references, predictions, where, len(pairs)))
    for pair in pairs:
        if pair.reference.samefile(pair.prediction):
            raise InputError(
                f"{pair.prediction}: is the same file as the reference of case {pair.case},"
                f" {pair.reference}. Name the folder of the predictions, or tell the files apart by"
                " patterns."
            )
    if all(filecmp.cmp(pair.reference, pair.prediction, shallow=False) for pair in pairs):
        raise InputError(
            f"{where[1]}: every prediction is a copy, byte for byte, of its reference in"
            f" {where[0]}, such as {pairs[0].prediction.name}. Name the folder of the predictions."
        )
    return pairs


def _without_partner(
    lonely: tuple[list[str], list[str]],
    references: Mapping[str, Path],
    predictions: Mapping[str, Path],
    where: tuple[Path, Path],
    pairs: int,
) -> str:
    lines = [
        f"{place}: has no {side} for {len(cases)} of {total} {others}, {few(cases, _NAMED)}."
        for place, side, cases, total, others in (
            (where[1], "prediction", lonely[1], len(references), "references"),
            (where[0], "reference", lonely[0], len(predictions), "predictions"),
        )
        if cases
    ]
    # a pattern by which a file with another name would be the partner of a case without one
    for side, cases, files in (
        ("prediction", lonely[1], [predictions[case] for case in lonely[0]]),
        ("reference", lonely[0], [references[case] for case in lonely[1]]),
    ):
        longest_first = sorted(cases, key=len, reverse=True)
        for path, case in product(files, longest_first):
            if case in path.name:
                pattern = path.name.replace(case, "{case}", 1)
                fix = f"The names seem to differ by a fixed part: try --{side}-pattern '{pattern}'."
                return "\n".join([*lines, fix])
    advice = (
        "Add or remove files, or give by --reference-pattern and --prediction-pattern the part of a"
        " name that is the case"
    )
    left_out = (
        "; --subset leaves out references without a prediction"
        if pairs and lonely[1] and not lonely[0]
        else ""
    )
    return "\n".join([*lines, f"{advice}{left_out}."])


def suspected_swap(pairs: list[Pair], where: tuple[Path, Path]) -> str:
    """Reason to suspect that references and predictions were swapped; empty where there is none.

    The mark of a segmentation tool on the references only is enough; names of folders, and images
    next to the predictions, count only together.
    """
    first = pairs[0]
    ours = _marked_by_network(first.reference, where[0])
    if ours and not _marked_by_network(first.prediction, where[1]):
        return f"{first.reference}: {ours}, yet it is given as a reference"
    references, predictions = (folder.resolve().name for folder in where)
    if not _OF_NETWORKS.search(references) or _OF_NETWORKS.search(predictions):
        return ""
    if _OF_READERS.search(predictions):
        return (
            f"{where[0]}: is given as the references and {where[1]} as the predictions, by their"
            " names the other way round"
        )
    beside_prediction, beside_reference = (
        any(_MODALITY.search(_stem(path)) for path in volumes_in(mask.parent))
        for mask in (first.prediction, first.reference)
    )
    if beside_prediction and not beside_reference:
        return (
            f"{where[0]}: is given as the references by its name of predictions, and"
            f" {first.prediction} is in the folder of the images of its case"
        )
    return ""


def _marked_by_network(mask: Path, folder: Path) -> str:
    if is_segmentation(mask) and origin_of(mask).manufacturer == MANUFACTURER:
        return "its header says that TumorFlow predicted it"
    if _OURS.match(nifti.read_description(mask)):
        return "its header says that TumorFlow predicted it"
    if (folder / "predict_from_raw_data_args.json").is_file():
        return (
            "its folder holds predict_from_raw_data_args.json, which nnU-Net writes with its"
            " predictions"
        )
    with suppress(OSError, ValueError, TypeError):
        if "network_sha256" in json.loads(mask.with_name(f"{mask.name}.json").read_bytes()):
            return f"{mask.name}.json next to it says that TumorFlow predicted it"
    return ""


def read_pair(pair: Pair, schema: Schema, channels: Sequence[str] = ()) -> tuple[Volume, Volume]:
    """Read reference and prediction as label values on the grid of the reference.

    A prediction with the same voxels and other axis order or direction is reordered, with a
    warning. `channels` are the regions of its channels of 0 and 1; empty where it holds labels. The
    frames of a DICOM segmentation are put where they lie on the grid of the other mask, and of two
    on the smallest that holds both.

    Raises
    ------
    InputError
        If a file is not readable, a prediction has channels that were not named, or the grids
        differ in shape, or by more than 0.001 mm apart from the order and direction of their axes.
    """
    paths = (pair.reference, pair.prediction)
    objects = {path: read_segments(path) for path in paths if is_segmentation(path)}
    if len(objects) == 2:
        grid = own_grid([*objects.values()])
        reference, prediction = (mask_of(objects[path], schema, grid) for path in paths)
        return reference, prediction
    if pair.prediction in objects:
        reference = read_mask(pair.reference)
        return reference, mask_of(objects[pair.prediction], schema, reference.grid)
    prediction = (
        _read_channels(pair.prediction, schema, channels)
        if channels
        else _read_labels(pair.prediction, schema)
    )
    if pair.reference in objects:
        return mask_of(objects[pair.reference], schema, prediction.grid), prediction
    reference = read_mask(pair.reference)
    return reference, on_grid_of(
        pair.prediction,
        prediction,
        pair.reference,
        reference.grid,
        _geometry_remedy(pair, prediction, reference),
    )


def _read_labels(path: Path, schema: Schema) -> Volume:
    shape = nifti.shape_of(path)
    # singleton axes are ignored: (X, Y, Z, 1, 3), as ITK writes vectors, holds 3
    count = math.prod(shape[3:])
    if len(shape) == 4 and 1 < shape[0] <= _MOST_CHANNELS < count:
        raise InputError(
            f"{path}: has shape {shape}: its first axis seems to hold {shape[0]} channels. Move it"
            " to the end where the file is written (numpy.moveaxis(array, 0, -1)), and name the"
            " channels by --channels."
        )
    if 1 < count <= _MOST_CHANNELS:
        listed = ",".join([*schema.regions, "..."][:count])
        raise InputError(
            f"{path}: holds {count} channels where one volume of labels is expected: masks of"
            " regions, as MONAI's BraTS networks write them? Name them in their order by"
            f" --channels, such as --channels {listed}; of probabilities, take those above 0.5"
            " first."
        )
    return read_mask(path)


def _read_channels(path: Path, schema: Schema, channels: Sequence[str]) -> Volume:
    """Label values of masks of regions, each a channel."""
    volumes = nifti.read_channels(path, len(channels))
    for name, volume in zip(channels, volumes, strict=True):
        if not np.isin(volume.voxels, (0, 1)).all():
            low, high = volume.voxels.min(), volume.voxels.max()
            raise InputError(
                f"{path}: channel {name} holds {low:g} to {high:g}, not 0 and 1. Of probabilities,"
                " take those above 0.5."
            )
    masks = np.stack(
        [volumes[channels.index(name)].voxels != 0 for name in schema.regions], axis=-1
    )
    classes = regions_to_classes(masks, schema)
    lost = int(np.count_nonzero(classes_to_regions(classes, schema) != masks))
    warning = (
        f"{path}: {lost} voxels of its regions lie outside of the region around them, and were"
        " left out"
    )
    return replace(
        volumes[0],
        voxels=classes_to_values(classes, schema),
        warnings=(*volumes[0].warnings, *([warning] if lost else [])),
    )


def _geometry_remedy(pair: Pair, prediction: Volume, reference: Volume) -> str:
    """Remedy for two grids; if their shapes are equal, most likely a header was lost or changed."""
    resampling = (
        "resample the prediction onto the grid of its reference by nearest neighbour, or fix its"
        " header."
    )
    if (
        prediction.grid.shape != reference.grid.shape
        or not nifti.is_nifti(pair.prediction)
        or not nifti.is_nifti(pair.reference)
    ):
        return f"\n{resampling.capitalize()}"
    change = (
        f"other, image = nibabel.load({literal(str(pair.reference))}),"
        f" nibabel.load({literal(str(pair.prediction))}); image ="
        " nibabel.Nifti1Image(numpy.asanyarray(image.dataobj), other.affine,"
        " dtype=image.get_data_dtype())"
    )
    return (
        "\nIf its voxels are in the order of the reference, and only the header was lost or"
        " changed, copy the geometry of the"
        f" reference:\n{repair_command(str(pair.prediction), change)}\nLook at it over the images."
        f" Else {resampling}"
    )
