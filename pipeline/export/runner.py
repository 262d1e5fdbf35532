"""Segment a case with an exported network: NumPy, nibabel, and onnxruntime or OpenVINO.

    python run.py --t1n FILE --t1c FILE --t2w FILE --t2f FILE --out LABELS.nii.gz

The network and `pipeline.json` lie beside this file, which imports nothing of TumorFlow. Research
use only, not for diagnosis.
"""

import argparse
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil, prod
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel import orientations

FORMAT_VERSION = 1
KEYS: dict[str, Any] = {
    "use": str,
    "network": dict,
    "modalities": list,
    "accepts_missing_modalities": bool,
    "labels": dict,
    "regions": list,
    "preprocess": dict,
    "spacing_mm": list,
    "patch": list,
    "slices": int,
    "output": str,
    "type_head": bool,
    "overlap": float,
    "mirrored_axes": list,
    "batch_size": int,
    "postprocess": dict,
}
"""What pipeline.json holds beside its version, and of which type."""
WITHIN: dict[str, dict[str, Any]] = {
    "network": {"file": str, "sha256": dict, "precision": str},
    "preprocess": {"spacing_mm": (list, type(None)), "foreground": str, "margin_voxels": int}
    | {"clip_percentiles": list, "dtype": str},
    "postprocess": {"min_component_ml": float, "fill_holes": bool, "min_innermost_ml": float}
    | {"temperature": float},
    "regions": {"name": str, "labels": list, "around": (str, type(None)), "own_label": str}
    | {"innermost": bool, "threshold": float},
}
Network = Callable[[np.ndarray], list[np.ndarray]]
Slices = tuple[slice, ...]


class BadInput(Exception):
    """A file that cannot be used; the message says what to do."""


def read_pipeline(folder: Path) -> dict[str, Any]:
    """Read pipeline.json; BadInput if it is missing, of another version, or incomplete."""
    path = folder / "pipeline.json"
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}). Export the network again.") from None
    found = values.get("format_version") if isinstance(values, dict) else None
    if found != FORMAT_VERSION:
        raise BadInput(
            f"{path}: has format_version {found}, and this runner reads {FORMAT_VERSION}. Take both"
            " from one export."
        )
    _check(path, values, KEYS, "")
    for section, keys in WITHIN.items():
        parts = values[section] if isinstance(values[section], list) else [values[section]]
        for number, part in enumerate(parts):
            at = f"{section}[{number}]." if len(parts) > 1 else f"{section}."
            _check(path, part, keys, at)
    return values


def _check(path: Path, values: Any, keys: Mapping[str, Any], at: str) -> None:
    """BadInput unless there is a value of its type under each key."""
    for key, kind in keys.items():
        value = values.get(key) if isinstance(values, dict) else None
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        missing = not isinstance(values, dict) or key not in values
        if missing or not (isinstance(value, kind) or number):
            what = "is missing" if missing else f"is {value!r}"
            raise BadInput(f"{path}: {at}{key} {what}. Export the network again.")


def open_network(folder: Path, pipeline: Mapping[str, Any], threads: int = 0) -> Network:
    """Load the network, checked to be the one of pipeline.json; 0 threads are all.

    It maps windows (B, C, *patch) float32 to logits (B, O, *patch), and with a type head to (B,
    O - 1).
    """
    for name, expected in pipeline["network"]["sha256"].items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise BadInput(
                f"{path}: is missing, or not the network that pipeline.json describes. Export the"
                " network again."
            )
    path, precision = folder / pipeline["network"]["file"], pipeline["network"]["precision"]
    if path.suffix == ".xml":
        return _openvino(path, "bf16" if precision == "bfloat16" else "f32", threads)
    return _onnxruntime(path, threads)


def _onnxruntime(path: Path, threads: int) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda windows: session.run(None, {"image": windows})


def _openvino(path: Path, precision: str, threads: int) -> Network:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it would report
    import openvino

    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda windows: [np.array(compiled(windows)[port]) for port in compiled.outputs]


def segment(
    network: Network,
    pipeline: Mapping[str, Any],
    image: np.ndarray,
    affine: np.ndarray,
    present: Sequence[bool],
) -> np.ndarray:
    """Label values (X, Y, Z) uint8 of a case.

    Parameters
    ----------
    network : callable
        From `open_network`.
    pipeline : dict
        From `read_pipeline`.
    image : (X, Y, Z, C) int16 or float32 array
        The modalities that the case has, 0 in the air around the brain.
    affine : (4, 4) array
        Voxel indices to RAS+ mm.
    present : (M,) sequence of bool
        Which of the network's modalities these are.
    """
    classes = classes_of(network, pipeline, image, affine, present)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    classes = postprocess(classes, pipeline, prod(spacing_mm.tolist()) / 1000)
    return np.array([0, *pipeline["labels"].values()], np.uint8)[classes]


def classes_of(
    network: Network,
    pipeline: Mapping[str, Any],
    image: np.ndarray,
    affine: np.ndarray,
    present: Sequence[bool],
) -> np.ndarray:
    """Class indices (X, Y, Z) uint8 before postprocessing; arguments as of `segment`."""
    prepared, box = prepare(image, affine, pipeline, present)
    probabilities, types = predict(network, pipeline, prepared)
    crop = [span.stop - span.start for span in box]
    classes = to_classes(resample(probabilities, crop), types, pipeline)
    whole = np.zeros(image.shape[:3], np.uint8)
    canonical(whole, affine)[box] = classes
    return whole


def canonical(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A view of (X, Y, Z, ...) voxels on axes that run right, front and up."""
    return orientations.apply_orientation(voxels, orientations.io_orientation(affine))


def prepare(image, affine, pipeline, present) -> tuple[np.ndarray, Slices]:
    """The network's input (X, Y, Z, M), and the crop of the image, on canonical axes, that it
    shows: cropped to the brain, resampled, clipped and z-scored.
    """
    config = pipeline["preprocess"]
    image = canonical(image, affine)
    brain = _brain(image, config["foreground"])
    box = _bounding_box(brain, config["margin_voxels"])
    image, brain = image[box], brain[box]
    order = orientations.io_orientation(affine)[:, 0].argsort()
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)[order].tolist()
    wanted = config["spacing_mm"] or spacing_mm
    shape = tuple(
        max(round(n * s / w), 1)
        for n, s, w in zip(image.shape[:3], spacing_mm, wanted, strict=True)
    )
    sides = zip(spacing_mm, brain.shape, shape, strict=True)
    _check_spacing(pipeline, [edge * before / after for edge, before, after in sides])
    resampled = shape != brain.shape
    if resampled:
        brain = resample(brain[..., None].astype(np.float32), shape)[..., 0] >= 0.5
    if not brain.any():
        raise BadInput("no voxel of the brain is left. Check that the images show a brain.")
    prepared = np.zeros((*shape, len(present)), config["dtype"])
    for channel, place in enumerate(np.flatnonzero(present)):
        voxels = image[..., channel]
        if resampled:
            voxels = resample(voxels[..., None].astype(np.float32), shape)[..., 0]
        normalised = _normalised(voxels[brain], config["clip_percentiles"])
        prepared[..., place][brain] = normalised.astype(prepared.dtype)
    return prepared, box


def _check_spacing(pipeline: Mapping[str, Any], spacing_mm: Sequence[float]) -> None:
    trained = pipeline["spacing_mm"]
    if any(abs(own / mm - 1) > 0.25 for own, mm in zip(spacing_mm, trained, strict=True)):
        raise BadInput(
            f"prepared voxels of {[round(mm, 3) for mm in spacing_mm]} mm, but the network was"
            f" trained on {trained} mm. Resample the case to that size."
        )


def _brain(image: np.ndarray, rule: str) -> np.ndarray:
    if rule == "nonzero":
        return np.any(image != 0, axis=-1)
    brain: np.ndarray = np.zeros(image.shape[:3], bool)
    for channel in range(image.shape[-1]):
        brain |= image[..., channel] > _otsu(image[..., channel])
    for level in range(brain.shape[2]):
        brain[..., level] |= _enclosed(brain[..., level])
    return brain


def _otsu(voxels: np.ndarray) -> float:
    """The threshold between dark and bright with the largest variance between the two."""
    counts, edges = np.histogram(voxels, 256)
    below, total = counts.cumsum(), (counts * (edges[:-1] + edges[1:]) / 2).cumsum()
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.nan_to_num(below * above * (total / below - (total[-1] - total) / above) ** 2)
    return float(edges[1:][between.argmax()])


def _bounding_box(mask: np.ndarray, margin: int = 0) -> Slices:
    """Slices around all that is not 0 and a margin; empty ones if there is nothing."""
    box = []
    for axis, length in enumerate(mask.shape):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        if not hits.size:
            return (slice(0, 0),) * mask.ndim
        first, last = int(hits[0]), int(hits[-1])
        box.append(slice(max(first - margin, 0), min(last + 1 + margin, length)))
    return tuple(box)


def resample(voxels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Interpolate (X, Y, Z, R) linearly to (*shape, R) float32, averaging over larger voxels."""
    voxels = np.asarray(voxels, np.float32)
    for axis, target in enumerate(shape):
        if voxels.shape[axis] != target:
            positions, weights = _taps(voxels.shape[axis], target)
            along = [1] * voxels.ndim
            along[axis] = target
            # in ascending order, as a sparse product sums
            voxels = sum(
                np.take(voxels, at, axis) * share.reshape(along)
                for at, share in zip(positions, weights, strict=True)
            )
    return voxels


def _taps(length: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """For every target the positions and weights of its K sources along one axis, (K, target)
    each: a triangle kernel as wide as the larger of both voxels, whose weights sum to 1.
    """
    step = length / target
    centres = (np.arange(target) + 0.5) * step - 0.5
    distance = np.abs(np.arange(length)[None, :] - centres[:, None])
    weights = np.clip(1 - distance / max(step, 1), 0, None)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    count = max(1, int(np.count_nonzero(weights, axis=1).max()))
    first = np.minimum(np.argmax(weights != 0, axis=1), length - count)
    positions = first + np.arange(count)[:, None]
    return positions, np.take_along_axis(weights, positions.T, axis=1).T


def _normalised(inside: np.ndarray, percentiles: Sequence[float]) -> np.ndarray:
    """Clip and z-score the voxels of the brain, (N,); percentiles of every eighth of them."""
    low, high = np.percentile(inside[::8], percentiles)
    values = np.clip(inside, low, high)
    values -= np.average(values)
    return (values / max(np.sqrt(np.average(np.square(values))), 1e-8)).astype(np.float32)


def predict(network, pipeline, image) -> tuple[np.ndarray, np.ndarray | None]:
    """Probabilities (X, Y, Z, O) float32 of an image from `prepare`, by sliding windows and mirror
    images, and of a type head (O - 1,) those of the types, if a tumour was seen.
    """
    patch, count = pipeline["patch"], pipeline["batch_size"]
    box, importance = _box_of(patch), _importance(patch)
    sums, weight = None, np.zeros(image.shape[:3], np.float32)
    of_types = []
    for members in _batches(occupied(image, patch, pipeline["overlap"]), count):
        windows = np.zeros((count, pipeline["slices"] * image.shape[-1], *patch), np.float32)
        for number, origin in enumerate(members):
            windows[number] = window_at(image, origin, patch, pipeline["slices"])
        found, types = _mean_of_mirror_images(network, pipeline, windows)
        if sums is None:
            sums = np.zeros((found.shape[1], *image.shape[:3]), np.float32)
        for window, origin in zip(found, members, strict=False):
            inside, covered = _overlap(image.shape[:3], origin, box)
            weights, window = importance[covered], window.reshape(-1, *box)
            sums[(slice(None), *inside)] += weights * window[(slice(None), *covered)]
            weight[inside] += weights
        if types is not None:
            of_types.append(types[: len(members)].sum(axis=0, dtype=np.float64))
    if sums is None:
        raise BadInput("the image is empty. Check the files.")
    np.divide(sums, weight, out=sums, where=weight > 0)
    if pipeline["output"] == "labels":
        sums[0][weight == 0] = 1
    total = np.sum(of_types, axis=0)
    types = (total / total.sum()).astype(np.float32) if np.any(total) else None
    return np.moveaxis(sums, 0, -1), types


def _batches(origins: Sequence, count: int) -> Iterator[Sequence]:
    for first in range(0, len(origins), count):
        yield origins[first : first + count]


def _mean_of_mirror_images(network, pipeline, windows) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean probabilities (B, O, *patch); of a type head (B, O - 1), times the tumour in each."""
    axes = [axis + 2 for axis in pipeline["mirrored_axes"]]
    mean: Any = np.float32(0)
    mean_types: Any = None
    mirrorings = [
        each for count in range(len(axes) + 1) for each in itertools.combinations(axes, count)
    ]
    for number, mirrored in enumerate(mirrorings, 1):
        logits, *types = network(np.ascontiguousarray(np.flip(windows, mirrored)))
        found = np.flip(_activated(logits, pipeline["output"]), mirrored)
        mean = mean + (found - mean) / np.float32(number)
        if types:
            of_window = _activated(types[0], "labels")
            before = np.float32(0) if mean_types is None else mean_types
            mean_types = before + (of_window - before) / np.float32(number)
    if mean_types is not None:
        tumour = np.sum(1 - mean[:, 0], axis=tuple(range(1, mean.ndim - 1)))
        mean_types = tumour[:, None] * mean_types
    return mean, mean_types


def _activated(logits: np.ndarray, output: str) -> np.ndarray:
    if output == "regions":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _box_of(patch: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = (*patch, 1)[:3]
    return x, y, z


def _importance(patch: Sequence[int]) -> np.ndarray:
    """Weight of each voxel of a window, a Gaussian around its centre."""
    weights = np.ones((), np.float32)
    for side in _box_of(patch):
        from_centre = np.arange(side) - (side - 1) / 2
        weights = np.multiply.outer(weights, np.exp(-0.5 * (from_centre / (side / 8)) ** 2))
    return (weights / weights.max()).astype(np.float32)


def occupied(image: np.ndarray, patch: Sequence[int], overlap: float) -> list[tuple[int, ...]]:
    """Origins of the windows that hold anything but 0."""
    occupied, box = np.any(image, axis=-1), _box_of(patch)
    inside, axes = _bounding_box(occupied), []
    for length, side, span in zip(occupied.shape, box, inside, strict=True):
        along = _origins_along(length, side, overlap)
        within = [span.start + at for at in _origins_along(span.stop - span.start, side, overlap)]
        axes.append(min(along, within, key=len))
    return [
        origin
        for origin in itertools.product(*axes)
        if occupied[_overlap(occupied.shape, origin, box)[0]].any()
    ]


def _origins_along(length: int, side: int, overlap: float) -> list[int]:
    if side >= length:
        return [-((side - length) // 2)]
    stride = max(int(side * (1 - overlap)), 1)
    gaps = -(-(length - side) // stride)
    return [round(gap * (length - side) / gaps) for gap in range(gaps + 1)]


def _overlap(shape, origin, box) -> tuple[Slices, Slices]:
    """Where a box lies in a volume, and that part of the box."""
    inside, covered = [], []
    for length, lowest, side in zip(shape, origin, box, strict=True):
        start, stop = max(lowest, 0), min(lowest + side, length)
        inside.append(slice(start, stop))
        covered.append(slice(start - lowest, stop - lowest))
    return tuple(inside), tuple(covered)


def window_at(image: np.ndarray, origin, patch, slices: int) -> np.ndarray:
    """A window of the image, a slice with its neighbours, as (slices * C, *patch) float32."""
    x, y, z = origin
    box = (*patch, slices)[:3]
    inside, covered = _overlap(image.shape[:3], (x, y, z - slices // 2), box)
    slab = np.zeros((*box, image.shape[-1]), np.float32)
    slab[covered] = image[inside]
    return np.moveaxis(slab.reshape(*patch, -1), -1, 0)


def to_classes(probabilities, types, pipeline) -> np.ndarray:
    """Class indices (X, Y, Z) uint8 of probabilities (X, Y, Z, O)."""
    if types is not None:
        tumour = probabilities[..., 1:].sum(axis=-1) > probabilities[..., 0]
        return np.where(tumour, types.argmax() + 1, 0).astype(np.uint8)
    if pipeline["output"] == "labels":
        return probabilities.argmax(axis=-1).astype(np.uint8)
    regions, names = pipeline["regions"], list(pipeline["labels"])
    masks = {r["name"]: probabilities[..., n] > r["threshold"] for n, r in enumerate(regions)}
    for outer in dict.fromkeys(region["around"] for region in regions):
        beside = [n for n, region in enumerate(regions) if region["around"] == outer]
        largest = probabilities[..., beside].argmax(axis=-1)
        for place, number in enumerate(beside):
            masks[regions[number]["name"]] &= largest == place
    classes = np.zeros(probabilities.shape[:3], np.uint8)
    for region in regions:  # outer ones first
        if region["around"]:
            masks[region["name"]] &= masks[region["around"]]
        classes[masks[region["name"]]] = names.index(region["own_label"]) + 1
    return classes


def postprocess(classes: np.ndarray, pipeline: Mapping[str, Any], voxel_ml: float) -> np.ndarray:
    """Remove small components, fill holes, dissolve a too small innermost region."""
    rules, names = pipeline["postprocess"], list(pipeline["labels"])
    classes = classes.copy()
    crop = classes[_bounding_box(classes, 1)]
    least = ceil(round(rules["min_component_ml"] / voxel_ml, 6))
    if least > 1 and crop.size:
        components = connected(crop != 0, 3)
        small = np.bincount(components.ravel()) < least
        crop[small[components]] = 0
    for region in pipeline["regions"] if rules["fill_holes"] else ():
        if region["around"] is None or not region["innermost"]:
            inside = np.isin(crop, [names.index(label) + 1 for label in region["labels"]])
            crop[_enclosed(inside)] = names.index(region["own_label"]) + 1
    own = {region["name"]: names.index(region["own_label"]) + 1 for region in pipeline["regions"]}
    least = ceil(round(rules["min_innermost_ml"] / voxel_ml, 6))
    for region in pipeline["regions"]:
        inner = crop == own[region["name"]]
        if region["innermost"] and region["around"] and np.count_nonzero(inner) < least:
            crop[inner] = own[region["around"]]
    return classes


def _enclosed(mask: np.ndarray) -> np.ndarray:
    """Voxels outside a mask that no path over faces connects to the border of the image."""
    if not mask.size:
        return mask
    outside = connected(~mask, 1)
    enclosed = np.ones(outside.max() + 1, bool)
    enclosed[0] = False
    for axis, length in enumerate(mask.shape):
        if length > 1 or mask.ndim == 2:
            enclosed[np.take(outside, [0, -1], axis=axis)] = False
    return enclosed[outside]


def connected(mask: np.ndarray, reach: int) -> np.ndarray:
    """Numbers, from 1, of the connected components of a mask, 0 outside.

    Voxels touch if they differ along at most `reach` axes: 1 for faces, 3 for corners. Each voxel
    points to one of a lower number in its component until all point to the lowest (Shiloach and
    Vishkin, Journal of Algorithms 3, 1982).
    """
    numbers = np.zeros(np.add(mask.shape, 2), np.int64)
    inner = (slice(1, -1),) * mask.ndim
    numbers[inner][mask] = np.arange(1, np.count_nonzero(mask) + 1)
    here, there = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in itertools.product((-1, 0, 1), repeat=mask.ndim):
        if step > (0,) * mask.ndim and np.count_nonzero(step) <= reach:
            one, other = numbers[inner], np.roll(numbers, step, range(mask.ndim))[inner]
            both = (one > 0) & (other > 0)
            here.append(one[both])
            there.append(other[both])
    first, second = np.concatenate(here), np.concatenate(there)
    parent = np.arange(numbers.max() + 1)
    while (differ := parent[first] != parent[second]).any():
        first, second = first[differ], second[differ]
        one, other = parent[first], parent[second]
        np.minimum.at(parent, np.maximum(one, other), np.minimum(one, other))
        while (parent[parent] != parent).any():
            parent = parent[parent]
    found = np.unique(parent[numbers[inner]], return_inverse=True)[1].reshape(mask.shape)
    return found if not mask.all() else found + 1


def read_case(files: Mapping[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (X, Y, Z, C) of NIfTI files on one grid, without air, and their affine."""
    images = {name: _read(path) for name, path in files.items()}
    first = next(iter(images))
    volumes, airs, affine = [], [], images[first][1]
    for name, (voxels, own) in images.items():
        if voxels.shape != images[first][0].shape or not np.allclose(own, affine, atol=1e-3):
            raise BadInput(
                f"{files[name]}: lies on another grid than {files[first]}. Resample it onto that"
                " grid."
            )
        airs.append(_air(voxels))
        volumes.append(voxels.astype(np.float32) - np.float32(airs[-1]) if airs[-1] else voxels)
    whole = all(np.can_cast(voxels.dtype, np.int16) for voxels in volumes)
    return np.stack(volumes, axis=-1).astype(np.int16 if whole else np.float32), affine


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        image: Any = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):
            raise ValueError(f"it is {type(image).__name__}")
        stored: Any = image.dataobj
        voxels = np.asanyarray(stored)
    except Exception as error:  # nibabel raises many kinds
        raise BadInput(f"{path}: is not a readable NIfTI file ({error}).") from None
    voxels = voxels.reshape(voxels.shape[:3]) if voxels.ndim > 3 else voxels
    if voxels.ndim != 3 or voxels.dtype.kind not in "iuf":
        raise BadInput(f"{path}: has shape {voxels.shape}, expected one volume of real numbers.")
    if stored.slope != 1 or stored.inter != 0:
        voxels = voxels.astype(np.float32)
    if not np.isfinite(voxels).all() or voxels.min() == voxels.max():
        raise BadInput(f"{path}: is empty, or holds NaN or infinite voxels. Set those to 0.")
    return voxels, image.affine


def _air(voxels: np.ndarray) -> float:
    """The constant around a skull-stripped brain: the value of more than half of the outer faces,
    with hardly any noise on both sides of it; 0 if there is none.
    """
    along = [np.moveaxis(voxels, axis, 0) for axis, length in enumerate(voxels.shape) if length > 1]
    faces = [volume[end].ravel() for volume in along for end in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    most, total = counts.argmax(), counts.sum()
    noise = min(counts[:most].sum(), counts[most + 1 :].sum())
    return float(values[most]) if counts[most] > 0.5 * total and noise <= 0.02 * total else 0.0


def write(path: Path, labels: np.ndarray, affine: np.ndarray, use: str) -> None:
    """Write labels as NIfTI, whole or not at all."""
    image = nibabel.Nifti1Image(labels, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = use.encode()[:79]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        nibabel.save(image, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None, folder: Path = Path(__file__).parent) -> int:
    """Segment a case; 1 and a line on stderr if it cannot be."""
    try:
        pipeline = read_pipeline(folder)
        parser = argparse.ArgumentParser(
            description=f"Segment a case. {pipeline['use']}", allow_abbrev=False
        )
        for name in pipeline["modalities"]:
            parser.add_argument(f"--{name}", type=Path, metavar="FILE", help="NIfTI")
        parser.add_argument("--out", type=Path, required=True, metavar="LABELS.nii.gz")
        parser.add_argument("--threads", type=int, default=0, help="0 for all (default)")
        given = vars(parser.parse_args(arguments))
        files = {name: given[name] for name in pipeline["modalities"] if given[name]}
        _check_files(pipeline, files, given["out"])
        image, affine = read_case(files)
        network = open_network(folder, pipeline, given["threads"])
        present = [name in files for name in pipeline["modalities"]]
        labels = segment(network, pipeline, image, affine, present)
        write(given["out"], labels, affine, pipeline["use"])
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    voxel_ml = prod(np.linalg.norm(affine[:3, :3], axis=0).tolist()) / 1000
    for region in pipeline["regions"]:
        values = [pipeline["labels"][label] for label in region["labels"]]
        print(f"{region['name']} {np.isin(labels, values).sum() * voxel_ml:.1f} ml")
    return 0


def _check_files(pipeline: Mapping[str, Any], files: Mapping[str, Path], out: Path) -> None:
    missing = [name for name in pipeline["modalities"] if name not in files]
    if not files or (missing and not pipeline["accepts_missing_modalities"]):
        named = " ".join(f"--{name} FILE" for name in missing)
        raise BadInput(f"{', '.join(missing)}: missing, and the network needs them. Add {named}.")
    if not out.name.endswith((".nii", ".nii.gz")):
        raise BadInput(f"{out}: must end in .nii or .nii.gz.")
    if out.resolve() in {path.resolve() for path in files.values()}:
        raise BadInput(f"{out}: is an image of the case. Name another file.")


if __name__ == "__main__":
    sys.exit(main())
