"""Lesion-wise scores of one case by others' means, run by the interpreter of their environment: it
imports nothing of ours.

    .venv-peers/bin/python benchmarks/lesions_peers.py published FOLDER 3

FOLDER holds reference.nii.gz and prediction.nii.gz with values 1 necrotic, 2 edema, 3 enhancing.
`published` goes through BraTS 2023 as the challenge's code does (rachitsaluja/BraTS-2023-Metrics,
which has no licence and is not copied): every region reads both files, every component is compared
in the whole volume, distances come from the package surface-distance. The others count and score
instances, with the arrays read before: `panoptica` with the distances of those that match,
`panoptica-counts` without, `monai` with the distances of lesions.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

REGIONS = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
DILATIONS, LEAST_MM3, PENALTY_MM = 3, 50, 374.0
TOLERANCES_MM = (1.0, 2.0, 3.0)


def main() -> None:
    name, folder, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    score = PROCEDURES[name](folder)
    taken, scores = [], {}
    for _ in range(repeats):
        started = time.process_time()
        scores = {region: score(region, members) for region, members in REGIONS.items()}
        taken.append(time.process_time() - started)
    print(json.dumps({"cpu_seconds": taken, "scores": scores}))


def masks(
    folder: Path, members: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    images = [nib.load(folder / f"{name}.nii.gz") for name in ("reference", "prediction")]
    reference, prediction = (np.isin(image.get_fdata(), members) for image in images)
    return reference, prediction, tuple(float(mm) for mm in images[1].header.get_zooms())


def published(folder: Path):
    import cc3d

    surface_distance = patched()
    neighbours = ndimage.generate_binary_structure(3, 2)

    def hausdorff(one: np.ndarray, other: np.ndarray, spacing_mm: tuple[float, ...]) -> float:
        return surface_distance.compute_robust_hausdorff(
            surface_distance.compute_surface_distances(one, other, spacing_mm), 95
        )

    def merged(mask: np.ndarray) -> np.ndarray:
        pieces = cc3d.connected_components(mask, connectivity=26)
        extents = cc3d.connected_components(
            ndimage.binary_dilation(mask, neighbours, DILATIONS), connectivity=26
        )
        lesions = np.zeros_like(extents)
        for number in range(1, extents.max() + 1):
            lesions[pieces * (extents == number) > 0] = number
        return lesions

    def whole(
        reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, ...]
    ) -> list[float]:
        """Scores of the region as a whole, which the procedure reports beside."""
        right = np.where(reference == prediction, 1, 0)[prediction].sum()
        dice = (
            2
            * np.logical_and(reference, prediction).sum()
            / max(reference.sum() + prediction.sum(), 1)
        )
        return [
            dice,
            hausdorff(reference, prediction, spacing_mm),
            right / max(reference.sum(), 1),
            np.count_nonzero(~(reference | prediction)),
        ]

    def score(region: str, members: tuple[int, ...]) -> dict[str, float]:
        reference, prediction, spacing_mm = masks(folder, members)
        whole(reference, prediction, spacing_mm)
        lesions, pieces = merged(reference), cc3d.connected_components(prediction, connectivity=26)
        touched, rows = [], []
        for number in range(1, lesions.max() + 1):
            lesion = np.zeros_like(lesions)
            lesion[lesions == number] = 1
            extent = ndimage.binary_dilation(lesion, neighbours, DILATIONS)
            partners = np.setdiff1d(np.unique(pieces * extent), [0])
            touched += partners.tolist()
            found = np.isin(pieces, partners)
            lesion = lesion.astype(bool)
            dice = 2 * np.logical_and(found, lesion).sum() / (found.sum() + lesion.sum())
            hd95_mm = hausdorff(lesion, found, spacing_mm)
            rows.append(
                (
                    lesion.sum() * np.prod(spacing_mm),
                    dice,
                    PENALTY_MM if np.isinf(hd95_mm) else hd95_mm,
                )
            )
        false = len(np.unique(pieces[np.isin(pieces, [*touched, 0], invert=True)]))
        kept = [row for row in rows if row[0] > LEAST_MM3]
        count = len(kept) + false
        return {
            "lesion_dice": float(sum(row[1] for row in kept) / count) if count else 1.0,
            "lesion_hd95_mm": float((sum(row[2] for row in kept) + false * PENALTY_MM) / count)
            if count
            else 0.0,
            "lesions": len(kept),
            "false_positives": false,
        }

    return score


def patched():
    """The package surface-distance, which was written for NumPy 1 and an older SciPy."""
    np.Inf = np.inf
    ndimage.filters = ndimage.morphology = ndimage
    import surface_distance

    return surface_distance


def of_panoptica(folder: Path, distances: bool = True):
    from panoptica import (
        ConnectedComponentsInstanceApproximator,
        InputType,
        Metric,
        NaiveThresholdMatching,
        Panoptica_Evaluator,
    )
    from panoptica.utils.edge_case_handling import (
        EdgeCaseHandler,
        EdgeCaseResult,
        MetricZeroTPEdgeCaseHandling,
    )

    metrics = [Metric.IOU, *([Metric.DSC, Metric.HD95, Metric.NSD] if distances else [])]
    without_match = {
        metric: MetricZeroTPEdgeCaseHandling(default_result=EdgeCaseResult.NAN)
        for metric in metrics
    }  # it raises on HD95
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(),
        instance_matcher=NaiveThresholdMatching(
            matching_metric=Metric.IOU, matching_threshold=0.5, strict_threshold=True
        ),
        edge_case_handler=EdgeCaseHandler(without_match),
        instance_metrics=metrics,
        global_metrics=[],
    )
    read = {region: masks(folder, members) for region, members in REGIONS.items()}

    def score(region: str, members: tuple[int, ...]) -> dict[str, float]:
        reference, prediction, spacing_mm = read[region]
        found = evaluator.evaluate(
            prediction.view(np.uint8),
            reference.view(np.uint8),
            voxelspacing=spacing_mm,
            verbose=False,
        )
        result = next(iter(found.values()))
        return {"f1": float(result.rq), "sq": float(result.sq), "pq": float(result.pq)}

    score("WT", REGIONS["WT"])  # the first call asks for a citation, and imports
    return score


def of_monai(folder: Path):
    """MONAI scores masks, so that components and lesions are found by SciPy and by the challenge's
    rules before the clock runs.
    """
    import torch
    from monai.metrics import (
        compute_dice,
        compute_hausdorff_distance,
        compute_panoptic_quality,
        compute_surface_dice,
    )

    torch.set_num_threads(1)
    neighbours, cube = ndimage.generate_binary_structure(3, 2), np.ones((3, 3, 3))

    def laid_out(mask: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(mask[None, None])

    def prepared(members: tuple[int, ...]) -> tuple:
        reference, prediction, spacing_mm = masks(folder, members)
        instances = [
            torch.from_numpy(ndimage.label(mask, cube)[0]) for mask in (prediction, reference)
        ]
        pieces = ndimage.label(prediction, cube)[0]
        lesions = ndimage.label(ndimage.binary_dilation(reference, neighbours, DILATIONS), cube)[0]
        pairs = []
        for number in range(1, lesions.max() + 1):
            partners = np.setdiff1d(np.unique(pieces[lesions == number]), [0])
            lesion = (lesions == number) & reference
            if len(partners) and lesion.sum() * np.prod(spacing_mm) > LEAST_MM3:
                pairs.append((laid_out(np.isin(pieces, partners)), laid_out(lesion)))
        return instances, pairs, spacing_mm

    read = {region: prepared(members) for region, members in REGIONS.items()}

    def score(region: str, members: tuple[int, ...]) -> dict[str, float]:
        instances, pairs, spacing_mm = read[region]
        for found, lesion in pairs:
            compute_dice(found, lesion)
            compute_hausdorff_distance(
                found, lesion, include_background=True, percentile=95, spacing=spacing_mm
            )
            for tolerance_mm in TOLERANCES_MM:
                compute_surface_dice(
                    found,
                    lesion,
                    [tolerance_mm],
                    include_background=True,
                    spacing=spacing_mm,
                    use_subvoxels=True,
                )
        return {
            name: float(compute_panoptic_quality(*instances, metric_name=kind))
            for name, kind in (("f1", "rq"), ("sq", "sq"), ("pq", "pq"))
        }

    return score


PROCEDURES = {
    "published": published,
    "panoptica": of_panoptica,
    "panoptica-counts": lambda folder: of_panoptica(folder, distances=False),
    "monai": of_monai,
}


if __name__ == "__main__":
    main()
