"""Distances between surfaces, beside the libraries that measure them: processor seconds, and
whether the numbers agree.

Both sides take turns in one process, on one core, by the interpreter of the peers' environment (see
nnunet.py) where that is installed: what is measured of ours needs NumPy and SciPy only, and this
file imports the rest where it is used.
"""

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from pipeline.core.boxes import bounding_box
from pipeline.metrics.nearest_points import nearest_mm
from pipeline.metrics.registry import TOLERANCES_MM
from pipeline.metrics.surface_distance import ROUNDING_MM, SurfaceDistances
from pipeline.phantom.random_fields import normal_field

REPEATS = 3
SPECKS = 200
SMALL_PAIRS = 60
ENOUGH_SECONDS = 8.0
"""Who has taken this long in all is not repeated further."""
AT_MOST_SECONDS = {"compact": 0.15, "speckled": 0.4}
SAME_MM = 1e-6
SINGLE, SINGLE_ROUNDING = "single precision there", 2**-22
CUBIC_MM = (1.0, 1.0, 1.0)

Masks = tuple[np.ndarray, np.ndarray, tuple[float, float, float]]
Measure = Callable[[np.ndarray, np.ndarray, tuple[float, float, float]], Iterable[float]]


@dataclass(frozen=True)
class Way:
    """How a library measures a quantity.

    Attributes
    ----------
    quantity, whose : str
        What it measures and who does.
    measure : function
        Of reference, prediction and spacing.
    by_ours : function, optional
        Its definition, read off our distances; without one the definition is that of the quantity.
    note : str
        What one must know to read the figures.
    """

    quantity: str
    whose: str
    measure: Measure
    by_ours: Measure | None = None
    note: str = ""


def figures(repeats: int) -> Iterator:
    """Processor seconds of each quantity and pair of masks, ours first; then the largest
    differences.
    """
    from benchmarks.measuring import Figure, watched
    from benchmarks.nnunet import ENVIRONMENT

    python = ENVIRONMENT / "bin/python"
    with tempfile.TemporaryDirectory() as folder:
        for name, (reference, prediction) in _pairs():
            np.savez_compressed(
                Path(folder) / f"{name}.npz", reference=reference, prediction=prediction
            )
        command = [
            str(python if python.is_file() else sys.executable),
            "-m",
            "benchmarks.surfaces",
            folder,
            str(repeats),
        ]
        found = json.loads(
            next(
                line
                for _, line in reversed(watched(command, cores=1).lines)
                if line.startswith("{")
            )
        )
    for measured in found["measured"]:
        of = f"{measured['quantity']}, {measured['pair']}"
        taken = {
            whose: Figure(f"{of}, {whose}", "cpu s", **figure)
            for whose, figure in measured["taken"].items()
        }
        ours, theirs = taken.pop("ours"), sorted(taken.values(), key=lambda figure: figure.median)
        yield ours
        yield from (replace(figure, beside=(ours.median, "ours")) for figure in theirs)
        if theirs:
            yield Figure(
                f"{of}, the fastest other over ours",
                "times",
                [theirs[0].median / ours.median],
                at_least=1,
                note=theirs[0].name,
            )
    for agreement in found["agreements"]:
        name = f"{agreement['quantity']}, ours and {agreement['whose']}, largest difference"
        yield Figure(
            name, "", [agreement["largest"]], at_most=agreement["at_most"], note=agreement["note"]
        )
    for whose in found["missing"]:
        yield Figure(
            f"surfaces, {whose}",
            "cpu s",
            (),
            note="skipped: it is not installed beside nnU-Net or here",
        )


def _pairs() -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Whole tumours and predictions made by moving their border, without and with specks."""
    from benchmarks import cohorts
    from pipeline.formats import nifti

    paths = {"generated": sorted(cohorts.phantoms(1).glob("*/*_seg.nii.gz"))[0]}
    if cohorts.REAL.is_dir():
        paths["real"] = sorted(cohorts.REAL.glob("*/*_seg.nii.gz"))[0]
    for name, path in paths.items():
        rng = np.random.default_rng(0)
        reference = np.ascontiguousarray(nifti.read(path).voxels) > 0
        prediction = _predicted(reference, rng)
        yield f"{name} compact", (reference, prediction)
        yield f"{name} speckled", (reference, prediction | _specks(reference.shape, rng))


def _predicted(reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask with its border moved inwards and outwards by a millimetre or two, smoothly."""
    prediction, box = np.zeros_like(reference), bounding_box(reference, margin_voxels=8)
    inside = reference[box]
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    prediction[box] = depth + 1.5 * normal_field(rng, inside.shape, 10) > 0
    return prediction


def _specks(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    specks, place = np.zeros(shape, bool), np.indices((7, 7, 7)) - 3
    for _ in range(SPECKS):
        first = [rng.integers(length // 6, length - length // 6 - 7) for length in shape]
        specks[tuple(slice(start, start + 7) for start in first)] |= (place**2).sum(
            axis=0
        ) <= rng.uniform(1, 9)
    return specks


def main() -> None:
    """Measure what is saved in a folder and print one line of JSON."""
    warnings.simplefilter("ignore")
    folder, repeats = Path(sys.argv[1]), int(sys.argv[2])
    ways, missing = _ways()
    pairs = {
        path.stem: (*np.load(path).values(), CUBIC_MM) for path in sorted(folder.glob("*.npz"))
    }
    reference, prediction, _ = next(_small_pairs())
    for measure in (*OURS.values(), *(way.measure for way in ways)):
        measure(reference, prediction, CUBIC_MM)  # tables and imports that wait for the first use
    measured = [
        _taken(quantity, name, masks, ways, repeats)
        for name, masks in pairs.items()
        for quantity in OURS
    ]
    agreements = list(_agreements(ways, [*pairs.values(), *_small_pairs()]))
    print(json.dumps({"measured": measured, "agreements": agreements, "missing": missing}))


def _taken(quantity: str, name: str, masks: Masks, ways: list[Way], repeats: int) -> dict:
    """Processor seconds of everybody who measures a quantity, by turns."""
    sides = [
        Way(quantity, "ours", OURS[quantity]),
        *(way for way in ways if way.quantity == quantity),
    ]
    taken: dict[str, dict] = {way.whose: {"values": [], "note": way.note} for way in sides}
    for way in sides * repeats:
        if sum(taken[way.whose]["values"]) < ENOUGH_SECONDS:
            started = time.process_time()
            way.measure(*masks)
            taken[way.whose]["values"].append(time.process_time() - started)
    if quantity == ALL:
        taken["ours"]["at_most"] = AT_MOST_SECONDS[name.split()[-1]]
    return {"quantity": quantity, "pair": name, "taken": taken}


def _agreements(ways: list[Way], pairs: list[Masks]) -> Iterator[dict]:
    """Largest difference between ours and theirs by one definition, and between the definitions
    where they are two.
    """
    for way in ways:
        found = [
            np.array([list(f(*masks)) for masks in pairs])
            for f in (way.measure, way.by_ours or OURS[way.quantity])
        ]
        largest = float(np.abs(found[0] - found[1]).max())
        at_most = SAME_MM + (float(found[1].max()) * SINGLE_ROUNDING if SINGLE in way.note else 0)
        note = f"{len(pairs)} pairs" + (f"; {way.note}" if way.note else "")
        if way.by_ours is not None:
            other = np.array([list(OURS[way.quantity](*masks)) for masks in pairs])
            note += f"; from our definition by up to {np.abs(found[0] - other).max():.3g}"
        yield {
            "quantity": way.quantity,
            "whose": way.whose,
            "largest": largest,
            "at_most": at_most,
            "note": note,
        }


def _small_pairs() -> Iterator[Masks]:
    """Random masks off the border on voxels of all kinds: lumps, sponges, single voxels."""
    rng = np.random.default_rng(1)
    for number in range(SMALL_PAIRS):
        rough = ndimage.gaussian_filter(rng.normal(size=(2, 16, 14, 12)), (0, *[number % 3] * 3))
        reference, prediction = (
            np.pad(part > np.quantile(part, rng.choice([0.3, 0.7, 0.95, 0.999])), 2)
            for part in rough
        )
        yield reference, prediction, tuple(rng.uniform(0.4, 5, 3).round(2).tolist())


def _hd95(*masks: Masks) -> list[float]:
    return [SurfaceDistances.of(*masks).hd95_mm]


def _pooled_hd95(*masks: Masks) -> list[float]:
    return [float(np.percentile(np.concatenate(SurfaceDistances.of(*masks).directed_mm), 95))]


def _pooled_hd95_of_thick_contours(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
) -> list[float]:
    """A voxel is of the contour if one of its 26 neighbours is outside; as `_pooled_hd95`
    otherwise.
    """
    pair = SurfaceDistances.of(reference, prediction, spacing_mm)
    contours = [
        mask & ~ndimage.binary_erosion(mask, np.ones((3, 3, 3))) for mask in (pair.one, pair.other)
    ]
    return [float(np.percentile(np.concatenate(nearest_mm(*contours, pair.steps_mm)), 95))]


def _hd_and_assd(*masks: Masks) -> list[float]:
    both = np.concatenate(SurfaceDistances.of(*masks).directed_mm)
    return [float(both.max()), float(both.mean())]


def _surface_dice(*masks: Masks) -> list[float]:
    bound = SurfaceDistances.of(*masks, max(TOLERANCES_MM) + ROUNDING_MM)
    return [bound.nsd(tolerance) for tolerance in TOLERANCES_MM]


def _robust_hausdorff(*masks: Masks) -> list[float]:
    return [SurfaceDistances.of(*masks).robust_hausdorff_mm()]


def _all(*masks: Masks) -> list[float]:
    measured = SurfaceDistances.of(*masks, max(TOLERANCES_MM) + ROUNDING_MM)
    between = [measured.hd_mm, measured.hd95_mm, measured.assd_mm]
    return between + [measured.nsd(tolerance) for tolerance in TOLERANCES_MM]


HD95, NSD, ROBUST, AVERAGE, ALL = (
    "HD95",
    "NSD at 1, 2, 3 mm",
    "robust Hausdorff",
    "HD and ASSD",
    "all distances",
)
OURS: dict[str, Measure] = {
    HD95: _hd95,
    NSD: _surface_dice,
    ROBUST: _robust_hausdorff,
    AVERAGE: _hd_and_assd,
    ALL: _all,
}


def _ways() -> tuple[list[Way], list[str]]:
    """What is installed, and the names of what is not."""
    ways, missing = [], []
    for whose, ways_of in PEERS.items():
        try:
            ways += ways_of(whose)
        except ImportError:
            missing.append(whose)
    return ways, missing


def _monai(whose: str) -> list[Way]:
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    torch.set_num_threads(1)

    def run(metric: Callable, masks: Masks, *arguments: object, **options: object) -> float:
        reference, prediction = (torch.from_numpy(mask)[None, None] for mask in masks[:2])
        return float(
            metric(
                prediction,
                reference,
                *arguments,
                include_background=True,
                spacing=masks[2],
                **options,
            )
        )

    def hd95(*masks: Masks) -> list[float]:
        return [run(compute_hausdorff_distance, masks, percentile=95)]

    def surface_dice(*masks: Masks) -> list[float]:
        return [
            run(compute_surface_dice, masks, [float(tolerance)], use_subvoxels=True)
            for tolerance in TOLERANCES_MM
        ]

    def hd_and_assd(*masks: Masks) -> list[float]:
        return [
            run(compute_hausdorff_distance, masks),
            run(compute_average_surface_distance, masks, symmetric=True),
        ]

    def everything(*masks: Masks) -> list[float]:
        largest, average = hd_and_assd(*masks)
        return [largest, *hd95(*masks), average, *surface_dice(*masks)]

    note = f"{SINGLE}"
    measures = {HD95: hd95, NSD: surface_dice, AVERAGE: hd_and_assd, ALL: everything}
    return [Way(quantity, whose, measure, note=note) for quantity, measure in measures.items()]


def _deepmind(whose: str) -> list[Way]:
    import surface_distance

    def surface_dice(*masks: Masks) -> list[float]:
        distances = surface_distance.compute_surface_distances(*masks)
        return [
            surface_distance.compute_surface_dice_at_tolerance(distances, tolerance)
            for tolerance in TOLERANCES_MM
        ]

    def robust_hausdorff(*masks: Masks) -> list[float]:
        return [
            surface_distance.compute_robust_hausdorff(
                surface_distance.compute_surface_distances(*masks), 95
            )
        ]

    return [
        Way(NSD, whose, surface_dice),
        Way(ROBUST, whose, robust_hausdorff),
        Way(HD95, whose, robust_hausdorff, _robust_hausdorff, "surface elements weighed by area"),
    ]


def _medpy(whose: str) -> list[Way]:
    from medpy.metric import binary

    def hd95(
        reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
    ) -> list[float]:
        return [binary.hd95(prediction, reference, spacing_mm)]

    def hd_and_assd(
        reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
    ) -> list[float]:
        return [
            binary.hd(prediction, reference, spacing_mm),
            binary.assd(prediction, reference, spacing_mm),
        ]

    return [
        Way(HD95, whose, hd95, _pooled_hd95, "one percentile of both directions"),
        Way(AVERAGE, whose, hd_and_assd),
    ]


def _simpleitk(whose: str) -> list[Way]:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def directed(*masks: Masks) -> list[np.ndarray]:
        contours, away = [], []
        for mask in masks[:2]:
            image = sitk.GetImageFromArray(mask.view(np.uint8))
            image.SetSpacing(masks[2][::-1])
            contours.append(sitk.LabelContour(image))
            away.append(
                sitk.Abs(
                    sitk.SignedMaurerDistanceMap(
                        contours[-1], squaredDistance=False, useImageSpacing=True
                    )
                )
            )
        points = [sitk.GetArrayViewFromImage(contour) > 0 for contour in contours]
        return [
            sitk.GetArrayViewFromImage(far)[start]
            for far, start in zip(away[::-1], points, strict=True)
        ]

    def hd95(*masks: Masks) -> list[float]:
        return [max(float(np.percentile(lengths, 95)) for lengths in directed(*masks))]

    def hd_and_assd(*masks: Masks) -> list[float]:
        both = np.concatenate(directed(*masks)).astype(float)
        return [both.max(), both.mean()]

    note = f"LabelContour and SignedMaurerDistanceMap; {SINGLE}"
    return [Way(HD95, whose, hd95, note=note), Way(AVERAGE, whose, hd_and_assd, note=note)]


def _seg_metrics(whose: str) -> list[Way]:
    from seg_metrics.seg_metrics import write_metrics

    def hd95(
        reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float]
    ) -> list[float]:
        images = {"gdth_img": reference.view(np.uint8), "pred_img": prediction.view(np.uint8)}
        return [
            float(write_metrics([1], **images, spacing=spacing_mm, metrics=["hd95"])[0]["hd95"][0])
        ]

    note = f"contours by 26 neighbours, one percentile of both directions; {SINGLE}"
    return [Way(HD95, whose, hd95, _pooled_hd95_of_thick_contours, note)]


PEERS = {
    "MONAI": _monai,
    "surface-distance": _deepmind,
    "MedPy": _medpy,
    "SimpleITK": _simpleitk,
    "seg-metrics": _seg_metrics,
}


if __name__ == "__main__":
    main()
