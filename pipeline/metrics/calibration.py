"""Calibration and uncertainty of the probabilities of a case, region by region."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import nan
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.schema import Schema
from . import registry
from .overlap import ratio
from .uncertainty import aurc, aurc_oracle, aurc_random, count_errors, entropy_bits

BINS = 15
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Bins:
    """Voxels of one region by its predicted probability (not the confidence of the decision, which
    lies in [0.5, 1]) in bins [i/B, (i + 1)/B), the last with 1. Those of several cases add up.

    Attributes
    ----------
    voxels, positives : (B,) int64 array
        Voxels of each bin, and those that the reference has in the region.
    probability : (B,) float64 array
        Their summed probability.
    squared_error : float
        Sum over all voxels of (probability - reference)^2, the reference being 1 in the region, 0
        outside.
    """

    voxels: np.ndarray
    positives: np.ndarray
    probability: np.ndarray
    squared_error: float

    def __add__(self, other: "Bins") -> "Bins":
        """Bins of the voxels of both."""
        return Bins(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(Bins))
        )

    @property
    def brier(self) -> float:
        """Mean squared error of the probabilities, in [0, 1]. Brier, Monthly Weather Review 78
        (1950): half of his two-sided score.
        """
        return ratio(self.squared_error, int(self.voxels.sum()))

    @property
    def ece(self) -> float:
        """Expected calibration error, in [0, 1]: sum over bins of voxels/all |mean probability -
        share positive|.

        Naeini, Cooper and Hauskrecht, AAAI 2015, for two classes, with the 15 bins and the weights
        of Guo et al., ICML 2017, eq. 3.
        """
        error = float(np.abs(self.probability - self.positives).sum())
        return ratio(error, int(self.voxels.sum()))


def bin_probabilities(probabilities: np.ndarray, reference: np.ndarray) -> Bins:
    """Sort the voxels of one region into bins.

    Parameters
    ----------
    probabilities : (N,) float32 array
        Of the region, in [0, 1] but for what interpolation rounds.
    reference : (N,) bool array
        Whether the voxel belongs to it.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1].
    """
    if not (
        probabilities.min(initial=0) >= -_ROUNDING and probabilities.max(initial=1) <= 1 + _ROUNDING
    ):
        raise ValueError(
            f"probabilities must lie in [0, 1], got {probabilities.min():g} to"
            f" {probabilities.max():g}"
        )
    place = (probabilities * np.float32(BINS)).astype(np.intp)
    np.clip(place, 0, BINS - 1, out=place)
    sums = np.bincount(place, probabilities, minlength=BINS)
    place += BINS * reference
    outside, inside = np.bincount(place, minlength=2 * BINS).reshape(2, BINS)
    squared_error = float(np.square(probabilities - reference).sum(dtype=np.float64))
    return Bins(outside + inside, inside, sums, squared_error)


def calibration_rows(
    probabilities: np.ndarray,
    disagreement: np.ndarray | None,
    reference: np.ndarray,
    brain: np.ndarray,
    schema: Schema,
) -> tuple[list[dict[str, Any]], dict[str, Bins]]:
    """Measure calibration and uncertainty of every region of one case on all voxels of the brain.

    The background around the head is most of the volume and easily classified: with it any network
    would look calibrated. A band around the predicted tumour would depend on the prediction.

    Parameters
    ----------
    probabilities : (X, Y, Z, R) float32 array
        Of each region in the schema's order, in [0, 1], before any decision and post-processing.
    disagreement : (X, Y, Z, R) float32 array or None
        Standard deviation of each probability over mirror images, in [0, 0.5].
    reference : (X, Y, Z) uint8 array
        Class indices 0..K.
    brain : (X, Y, Z) bool array
        Voxels to measure.

    Returns
    -------
    rows : list of dict
        One per region: ``name``, ``voxels`` and the metrics of the table "calibration". A voxel is
        wrong where probability > 0.5 differs from the reference (`pipeline.metrics.uncertainty`).
        NaN for a disagreement without mirror images, and for all if there is no brain.
    bins : dict of str to Bins

    Raises
    ------
    ValueError
        If the arrays lie on different grids, or a probability is not in [0, 1].
    """
    expected = (*brain.shape, len(schema.regions))
    if reference.shape != brain.shape or any(
        array is not None and array.shape != expected for array in (probabilities, disagreement)
    ):
        shapes = [
            array.shape for array in (probabilities, disagreement, reference) if array is not None
        ]
        raise ValueError(
            f"expected arrays on the grid {brain.shape} of the brain with {len(schema.regions)}"
            f" regions, got {shapes}"
        )
    box = bounding_box(brain)
    inside = brain[box].ravel(order="F")  # volumes of the raw grid lie in memory with x first

    def within(volume: np.ndarray) -> np.ndarray:
        return volume[box].ravel(order="F")[inside]

    classes, rows, bins = within(reference), [], {}
    for column, region in enumerate(schema.regions):
        drawn = np.isin(np.arange(256), schema.classes_of(region))[classes]
        own = within(probabilities[..., column])
        spread = None if disagreement is None else within(disagreement[..., column])
        bins[region] = bin_probabilities(own, drawn)
        measured = SimpleNamespace(
            bins=bins[region], **_uncertainty(own, spread, (own > 0.5) != drawn)
        )
        rows.append(
            {"name": region, "voxels": len(classes)} | registry.readings("calibration", measured)
        )
    return rows, bins


def _uncertainty(
    probabilities: np.ndarray, disagreement: np.ndarray | None, wrong: np.ndarray
) -> dict[str, float]:
    entropy = entropy_bits(probabilities)
    counts = count_errors(entropy, wrong, 1.0)
    found = {
        "mean_entropy": _mean(entropy),
        "mean_disagreement": nan,
        "aurc": aurc(counts),
        "aurc_random": aurc_random(counts),
        "aurc_oracle": aurc_oracle(counts),
        "aurc_disagreement": nan,
    }
    if disagreement is not None:
        found["mean_disagreement"] = _mean(disagreement)
        found["aurc_disagreement"] = aurc(count_errors(disagreement, wrong, 0.5))
    return found


def pooled(cases: Iterable[dict[str, Bins]]) -> dict[str, Bins]:
    """Bins of each region over all cases, every voxel with equal weight, so that large brains count
    for more.
    """
    total: dict[str, Bins] = {}
    for bins in cases:
        for name, own in bins.items():
            total[name] = total[name] + own if name in total else own
    return total


def reliability_rows(bins: dict[str, Bins]) -> list[dict[str, Any]]:
    """The reliability curve of each region as a table.

    Returns
    -------
    list of dict
        One per region and bin: ``name``, ``bin`` (0..), ``low``, ``high``, ``voxels``,
        ``mean_probability``, ``share_positive``, the last two NaN where the bin is empty.
    """
    return [
        {
            "name": name,
            "bin": place,
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "voxels": int(own.voxels[place]),
            "mean_probability": ratio(float(own.probability[place]), int(own.voxels[place])),
            "share_positive": ratio(int(own.positives[place]), int(own.voxels[place])),
        }
        for name, own in bins.items()
        for place in range(BINS)
    ]


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else nan
