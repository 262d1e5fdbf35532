"""Separable linear operators: blur, coarsening, smooth random fields."""

import numpy as np
from scipy.sparse import csr_array


def along_axes(volume: np.ndarray, operators: tuple[csr_array, ...]) -> np.ndarray:
    """Apply one matrix along each axis.

    Sparse matrices, because a banded one costs less than a dense product and sums in a fixed order:
    the bytes do not depend on the number of threads.

    Parameters
    ----------
    volume : (A, B, C) float32 array
        Samples.
    operators : three csr_array, (X, A), (Y, B) and (Z, C) float32
        One per axis, in the order of the axes.

    Returns
    -------
    (X, Y, Z) float32 array
    """
    for operator in operators:
        first, *others = volume.shape
        volume = (operator @ volume.reshape(first, -1)).reshape(-1, *others)
        volume = np.ascontiguousarray(np.moveaxis(volume, 0, -1))  # the next axis comes first
    return volume


def gaussian(size: int, sigma: float) -> csr_array:
    """Blur with a Gaussian of `sigma` samples, cut at four sigma; nothing lies beyond the ends.

    Parameters
    ----------
    size : int
        Samples along the axis.
    sigma : float
        Standard deviation in samples, above 0.

    Returns
    -------
    (size, size) float32 csr_array
        Rows in the middle sum to 1, those near the ends to less.
    """
    reach = max(1, int(4 * sigma + 0.5))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    rows = np.repeat(np.arange(size), offsets.size)
    columns = (np.arange(size)[:, None] + offsets).ravel()
    inside = (columns >= 0) & (columns < size)
    values = np.tile(weights / weights.sum(), size)[inside]
    return csr_array(
        (values.astype(np.float32), (rows[inside], columns[inside])), shape=(size, size)
    )


def coarsening(size: int, factor: float) -> csr_array:
    """Average into cells `factor` samples long and interpolate linearly back between their centres.

    Parameters
    ----------
    size : int
        Samples along the axis.
    factor : float
        Length of a cell in samples, at least 1; rounded so that whole cells fill the axis.

    Returns
    -------
    (size, size) float32 csr_array
        Rows sum to 1.
    """
    cells = max(1, round(size / factor))
    edges = np.arange(cells + 1) * (size / cells)
    samples = np.arange(size)
    overlap = np.minimum(edges[1:, None], samples + 1) - np.maximum(edges[:-1, None], samples)
    average = np.clip(overlap, 0, None) / (size / cells)  # (cells, size)
    place = np.clip((samples + 0.5) * (cells / size) - 0.5, 0, cells - 1)
    interpolate = np.clip(1 - np.abs(place[:, None] - np.arange(cells)), 0, None)  # (size, cells)
    return csr_array(interpolate.astype(np.float32)) @ csr_array(average.astype(np.float32))


def bspline(size: int, step: float) -> csr_array:
    """Uniform cubic B-spline from knots to samples.

    Parameters
    ----------
    size : int
        Samples along the axis.
    step : float
        Distance between knots in samples, above 0.

    Returns
    -------
    (size, knots) float32 csr_array
        Four weights per row, their sum 1 (Rueckert et al., IEEE TMI 1999, eq. 3).
    """
    place = np.arange(size) / step
    first = np.floor(place).astype(int)
    u = place - first
    weights = (
        np.stack(
            [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1
        )
        / 6
    )
    columns = first[:, None] + np.arange(4)
    rows = np.repeat(np.arange(size), 4)
    return csr_array(
        (weights.ravel().astype(np.float32), (rows, columns.ravel())),
        shape=(size, int(first[-1]) + 4),
    )


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: tuple[float, ...], knots_mm: float
) -> np.ndarray:
    """A smooth random field with values in -1..1, one of which has magnitude 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the knots' values, uniform in -1..1.
    shape : tuple of int
        (X, Y, Z).
    spacing_mm : tuple of float
        Voxel edge lengths.
    knots_mm : float
        Distance between the knots of the cubic B-spline.

    Returns
    -------
    (X, Y, Z) float32 array
    """
    operators = tuple(
        bspline(size, knots_mm / edge) for size, edge in zip(shape, spacing_mm, strict=True)
    )
    knots = rng.uniform(-1, 1, [operator.shape[1] for operator in operators]).astype(np.float32)
    field = along_axes(knots, operators)
    return field / max(field.max(), -field.min())
