"""Separable linear operators: blur, coarsening, smooth random fields."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def along_axes(volume: np.ndarray, operators: "tuple[csr_array, ...]") -> np.ndarray:
    """Apply a matrix along each axis: (X, A), (Y, B) and (Z, C) to (A, B, C) samples, all float32.

    Sparse matrices, because a banded one costs less than a dense product and sums in a fixed order:
    the bytes do not depend on the number of threads.
    """
    for operator in operators:
        first, *others = volume.shape
        volume = (operator @ volume.reshape(first, -1)).reshape(-1, *others)
        volume = np.ascontiguousarray(np.moveaxis(volume, 0, -1))  # the next axis comes first
    return volume


def gaussian(size: int, sigma: float) -> "csr_array":
    """Blur with a Gaussian of `sigma` samples, cut at four sigma: (size, size) float32.

    Nothing lies beyond the ends: rows in the middle sum to 1, those near the ends to less.
    """
    reach = max(1, int(4 * sigma + 0.5))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    rows = np.repeat(np.arange(size), offsets.size)
    columns = (np.arange(size)[:, None] + offsets).ravel()
    inside = (columns >= 0) & (columns < size)
    values = np.tile(weights / weights.sum(), size)[inside].astype(np.float32)
    return _sparse((values, (rows[inside], columns[inside])), shape=(size, size))


def coarsening(size: int, factor: float) -> "csr_array":
    """Average into cells `factor` samples long and interpolate linearly back between their centres:
    (size, size) float32, rows sum to 1.

    The factor is at least 1, and rounded so that whole cells fill the axis.
    """
    cells = max(1, round(size / factor))
    edges = np.arange(cells + 1) * (size / cells)
    samples = np.arange(size)
    overlap = np.minimum(edges[1:, None], samples + 1) - np.maximum(edges[:-1, None], samples)
    average = np.clip(overlap, 0, None) / (size / cells)  # (cells, size)
    place = np.clip((samples + 0.5) * (cells / size) - 0.5, 0, cells - 1)
    interpolate = np.clip(1 - np.abs(place[:, None] - np.arange(cells)), 0, None)  # (size, cells)
    return _sparse(interpolate.astype(np.float32)) @ _sparse(average.astype(np.float32))


def bspline(size: int, step: float) -> "csr_array":
    """Uniform cubic B-spline from knots, `step` samples apart, to samples: (size, knots) float32.

    Four weights per row, their sum 1 (Rueckert et al., IEEE TMI 1999, eq. 3).
    """
    place = np.arange(size) / step
    first = np.floor(place).astype(int)
    u = place - first
    pieces = [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]
    weights = (np.stack(pieces, axis=1) / 6).ravel().astype(np.float32)
    columns = (first[:, None] + np.arange(4)).ravel()
    rows = np.repeat(np.arange(size), 4)
    return _sparse((weights, (rows, columns)), shape=(size, int(first[-1]) + 4))


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: tuple[float, ...], knots_mm: float
) -> np.ndarray:
    """A smooth random field (X, Y, Z) float32 with values in -1..1, one of which has magnitude 1: a
    cubic B-spline of knots `knots_mm` apart, drawn uniformly in -1..1.
    """
    operators = tuple(
        bspline(size, knots_mm / edge) for size, edge in zip(shape, spacing_mm, strict=True)
    )
    knots = rng.uniform(-1, 1, [operator.shape[1] for operator in operators]).astype(np.float32)
    field = along_axes(knots, operators)
    return field / max(field.max(), -field.min())


def _sparse(*arguments: Any, **options: Any) -> "csr_array":
    from scipy.sparse import csr_array  # here, so that params.yaml is checked without SciPy

    return csr_array(*arguments, **options)
