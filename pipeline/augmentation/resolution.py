"""Blur and lower resolution of a modality, in one normalised convolution."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator, Field

from ..core import separable
from .transform import AmountSpan, Drawn, Sample, Sometimes, Transform, ordered

if TYPE_CHECKING:
    from scipy.sparse import csr_array

AtLeastOne = Annotated[float, Field(ge=1)]


class Blur(Sometimes):
    """Standard deviation of a Gaussian blur."""

    sigma_mm: AmountSpan


class LowResolution(Sometimes):
    """Averages over coarse voxels, interpolated back: edge of a coarse voxel, in voxels."""

    factors: Annotated[tuple[AtLeastOne, AtLeastOne], AfterValidator(ordered)]


class Resolution(Transform):
    """Blur, then lower resolution, of each modality by itself."""

    blur: Blur
    low_resolution: LowResolution

    def draw(
        self, rng: np.random.Generator, shape: Sequence[int], modalities: Sequence[str]
    ) -> Drawn:
        """Sigmas, 0 for none, then coarse edges, 1 for none."""
        return {
            f"blur_mm_{name}": self.blur.amount(rng, self.blur.sigma_mm) for name in modalities
        } | {
            f"coarse_voxels_{name}": self.low_resolution.factor(rng, self.low_resolution.factors)
            for name in modalities
        }

    def apply(self, sample: Sample, drawn: Drawn, seed: int) -> Sample:
        amounts = np.reshape(list(drawn.values()), (2, -1)).T.tolist()
        for modality, (sigma_mm, edge) in enumerate(amounts if sample.brain.any() else ()):
            if sigma_mm or edge != 1:
                channel = sample.image[..., modality]
                channel[sample.brain] = soften(
                    channel[sample.brain], sample.brain, sample.spacing_mm, sigma_mm, edge
                )
        return sample


def soften(
    values: np.ndarray,
    brain: np.ndarray,
    spacing_mm: Sequence[float],
    blur_mm: float,
    coarsening: float,
) -> np.ndarray:
    """Blur, then lower the resolution, inside the brain only.

    Sums over the neighbourhood are divided by the brain's share of it (normalised convolution,
    Knutsson and Westin, CVPR 1993), so that the zeros outside do not leak into the cortex.

    Parameters
    ----------
    values : (N,) float32 array
        Intensities of the brain's voxels.
    brain : (X, Y, Z) bool array
        True at the N voxels.
    spacing_mm : sequence of 3 floats
    blur_mm : float
        Standard deviation of the Gaussian; 0 for none.
    coarsening : float
        Edge of a coarse voxel in voxels, at least 1; 1 for none.

    Returns
    -------
    (N,) float32 array
    """
    x, y, z = (
        _softening(size, blur_mm / edge, coarsening)
        for size, edge in zip(brain.shape, spacing_mm, strict=True)
    )
    volume = np.zeros(brain.shape, np.float32)
    volume[brain] = values
    weight = separable.along_axes(brain.astype(np.float32), (x, y, z))
    return separable.along_axes(volume, (x, y, z))[brain] / weight[brain]


def _softening(size: int, sigma: float, coarsening: float) -> "csr_array":
    """Blur and coarsening of one axis as one matrix."""
    cells = separable.coarsening(size, coarsening)
    return cells @ separable.gaussian(size, sigma) if sigma > 0 else cells
