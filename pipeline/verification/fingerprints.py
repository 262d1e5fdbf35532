"""Duplicate examinations: by exact content of the voxels, and by a robust fingerprint."""

import hashlib
import itertools

import numpy as np
from scipy import ndimage

from ..core.boxes import bounding_box
from ..core.grid import Grid, canonical_spacing_mm, to_canonical

SAME = 0.9
"""Similarity from which two volumes, or two slices, are one examination. Among 137 FLAIR volumes
the same ones, processed by other hands and one of them tilted by 20 degrees, reached at least 0.95,
others at most 0.83; among 1,221 slices the same patient at another time reached 0.84, others 0.81.
`python -m benchmarks leakage` prints such figures.
"""

_SAMPLES = 80  # along an axis, at least; finer voxels are skipped
_FAINT = 0.12  # of the 98th percentile; less is air
_CELLS = 24  # along an axis of the frame
_INSIDE = 0.9  # of a cell; those cut by the edge of the brain depend on how it was cut out
_REACH_SD = 2.1  # half the frame, in standard deviations; a solid ellipsoid ends at 5 ** 0.5
_WAVES = {3: (8, 8, 8), 2: (22, 22, 1)}  # cosines along each axis: about 500 numbers either way
_COARSEST = 3  # waves longer than this are what all heads share
_SCALE = 300  # of a unit vector, whose numbers seldom exceed 0.4, to int8
_BLOCK = 256


def content_sha256(voxels: np.ndarray, grid: Grid) -> str:
    """Hash the values of a volume, independent of file format, axes, dtype and empty margin.

    Returns
    -------
    str
        sha256 of the voxels as float32 in RAS+ order, cropped to the smallest box of non-zero ones,
        and of its shape.
    """
    canonical = to_canonical(voxels, grid.affine)
    cropped = canonical[bounding_box(canonical)]
    content = hashlib.sha256(repr(cropped.shape).encode())
    values = np.ascontiguousarray(cropped.transpose(2, 1, 0), np.float32)
    content.update((values + np.float32(0)).data)  # -0 becomes 0
    return content.hexdigest()


def fingerprint(voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """Describe the coarse appearance of a volume by about 1,000 numbers.

    The foreground sets a frame by its mean and standard deviation along each RAS+ axis, which
    neither empty margins nor the spacing change. Mean intensities of cells of that frame are
    replaced by their ranks, which no rescaling changes, and written as a discrete cosine transform
    without its longest waves. A flipped axis changes the sign of its odd waves and exchanged axes
    exchange the numbers, so `pairs` can undo both. A volume is described twice: as it lies, and
    turned to the principal axes of its foreground, which undoes a tilt of the head.

    Returns
    -------
    (2, 8, 8, 8) int8 array, of a slice (one axis of length 1) (1, 22, 22, 1)
        Zero throughout if there is no foreground.
    """
    canonical = to_canonical(voxels, grid.affine)
    if 1 in canonical.shape:
        flat = np.squeeze(canonical, axis=canonical.shape.index(1))[:, :, None]
        cells = _cells(flat.astype(np.float32), (2 * _CELLS, 2 * _CELLS, 1))
        return _transformed(cells, _WAVES[2])[None]
    steps = [max(1, length // _SAMPLES) for length in canonical.shape]
    strided = canonical[tuple(slice(None, None, step) for step in steps)].astype(np.float32)
    spacing_mm = np.multiply(steps, canonical_spacing_mm(grid.affine))
    poses = strided, _along_principal_axes(strided, spacing_mm)
    return np.stack([_transformed(_cells(samples, (_CELLS,) * 3), _WAVES[3]) for samples in poses])


def _along_principal_axes(samples: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The foreground turned so that the second moments of its shape are diagonal, in a cube of
    about 2 mm; air is 0.
    """
    raised = samples - air(samples)
    raised *= foreground(raised)
    points = np.argwhere(raised)
    if len(points) < 2:
        return raised
    middle = points.mean(axis=0)
    covariance_mm2 = np.cov(points, rowvar=False) * np.outer(spacing_mm, spacing_mm)
    variances, axes = np.linalg.eigh(covariance_mm2)  # their order is left to `pairs`
    turn = axes / spacing_mm[:, None] * (2 * _REACH_SD * np.sqrt(variances[-1]) / _SAMPLES)
    corner = middle - turn @ np.full(3, (_SAMPLES - 1) / 2)
    return ndimage.affine_transform(raised, turn, corner, (_SAMPLES,) * 3, order=1)


def _cells(samples: np.ndarray, cells: tuple[int, int, int]) -> np.ndarray:
    """Ranks of the mean intensities of the cells, from -1 to 1 where a cell lies in the foreground,
    0 elsewhere.
    """
    raised = samples - air(samples)
    mask = foreground(raised)
    ranks = np.zeros(cells, np.float32)
    if not mask.any():
        return ranks
    averages = [_averages(mask, axis, count) for axis, count in enumerate(cells)]
    full = _along_axes(mask.astype(np.float32), averages) > _INSIDE
    inside = ndimage.binary_fill_holes(full)  # a normalised image passes 0
    means = _along_axes(raised * mask, averages)[inside]
    ordered = np.empty(means.size, np.float32)
    ordered[means.argsort(kind="stable")] = np.linspace(-1, 1, means.size, dtype=np.float32)
    ranks[inside] = ordered
    return ranks


def foreground(raised: np.ndarray) -> np.ndarray:
    """Voxels that differ from the air, (X, Y, Z) bool; `raised` is the float32 intensity above that
    of the air, which a normalised image may have below 0.
    """
    sparse = raised[::2, ::2]
    level = _FAINT * np.percentile(np.abs(sparse), 98)
    if np.mean(sparse < -level) > 0.01:  # normalised: the brain has darker voxels than the air
        level *= 0.1
    return np.abs(raised) > max(level, 6 * np.median(np.abs(_edges(raised))))


def air(volume: np.ndarray) -> float:
    """Median intensity along the twelve edges of an (X, Y, Z) array, seldom part of a head."""
    return float(np.median(_edges(volume)))


def _edges(volume: np.ndarray) -> np.ndarray:
    ends = list(itertools.product((0, -1), repeat=2))
    return np.concatenate(
        [edge for i, j in ends for edge in (volume[:, i, j], volume[i, :, j], volume[i, j])]
    )


def _averages(mask: np.ndarray, axis: int, cells: int) -> np.ndarray:
    """(cells, samples) float32: the mean of the samples in each cell of the frame along an axis, 0
    beyond the volume.
    """
    profile = mask.sum(axis=tuple(other for other in range(3) if other != axis), dtype=np.float64)
    if profile.size == 1:  # of a slice
        return np.ones((1, 1), np.float32)
    samples = np.arange(profile.size)
    middle = np.average(samples + 0.5, weights=profile)
    variance = np.average((samples + 0.5 - middle) ** 2, weights=profile)
    deviation = np.sqrt(variance + 1 / 12)  # 1 / 12: of a sample's extent
    edges = middle + _REACH_SD * deviation * np.linspace(-1, 1, cells + 1)
    overlap = np.minimum(edges[1:, None], samples + 1) - np.maximum(edges[:-1, None], samples)
    return (np.clip(overlap, 0, None) / (edges[1] - edges[0])).astype(np.float32)


def _along_axes(volume: np.ndarray, operators: list[np.ndarray]) -> np.ndarray:
    for operator in operators:  # each takes the first axis and puts it last
        volume = np.moveaxis(np.tensordot(operator, volume, (1, 0)), 0, -1)
    return volume


def _transformed(cells: np.ndarray, waves: tuple[int, int, int]) -> np.ndarray:
    tables = [_cosines(count, length) for count, length in zip(waves, cells.shape, strict=True)]
    numbers = _along_axes(cells, tables)
    order = np.sqrt(sum(index**2 for index in np.ogrid[tuple(map(slice, waves))]))
    numbers *= order >= _COARSEST
    norm = np.linalg.norm(numbers)
    return np.clip(np.rint(numbers * (_SCALE / norm if norm else 0)), -127, 127).astype(np.int8)


def _cosines(waves: int, length: int) -> np.ndarray:
    """Orthonormal DCT-II, (waves, length) float32."""
    angles = np.pi / length * np.arange(waves)[:, None] * (np.arange(length) + 0.5)
    table = np.cos(angles) * np.sqrt(2 / length)
    table[0] /= np.sqrt(2)
    return table.astype(np.float32)


def pairs(fingerprints: np.ndarray, threshold: float) -> list[tuple[int, int, float]]:
    """Find similar fingerprints, independent of order and direction of their axes.

    Parameters
    ----------
    fingerprints : (N, P, A, A, B) int8 array
        From `fingerprint`, all of volumes or all of slices, and all of one modality.
    threshold : float
        Least similarity, in (0, 1]; see `SAME`.

    Returns
    -------
    list of (int, int, float)
        First and second index, first < second, and similarity, the largest first.

    Notes
    -----
    Similarity is the cosine of two fingerprints, the largest over the P poses and over all flips
    and exchanges of the axes of one of them: 48 for volumes. The waves of each parity (even or odd
    along each axis) are multiplied apart; all flips are signed sums of these products, so that
    eight flips cost one product.
    """
    if len(fingerprints) < 2:
        return []
    found = []
    poses = [_prepared(pose) for pose in fingerprints.swapaxes(0, 1)]
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(fingerprints), _BLOCK)]
    for rows, columns in itertools.combinations_with_replacement(blocks, 2):
        similarities = []
        for turned, norms in poses:
            for others in turned:
                products = [
                    one[rows] @ other[columns].T
                    for one, other in zip(turned[0], others, strict=True)
                ]
                similarities.append(_best_flip(products) / norms[rows, None] / norms[columns])
        similarity = np.maximum.reduce(similarities)
        for i, j in np.argwhere(similarity >= threshold).tolist():
            if rows.start + i < columns.start + j:
                found.append((rows.start + i, columns.start + j, float(similarity[i, j])))
    return sorted(found, key=lambda pair: (-pair[2], pair))


def _prepared(numbers: np.ndarray) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Fingerprints of one pose in every order of their axes that preserves their shape, the
    identity first, split by parity; and their (N,) norms.
    """
    norms = np.sqrt(np.square(numbers, dtype=np.float64).sum(axis=(1, 2, 3)))
    shape = numbers.shape
    turned = [
        _by_parity(numbers.astype(np.float32).transpose(0, *axes))
        for axes in itertools.permutations((1, 2, 3))
        if tuple(shape[axis] for axis in axes) == shape[1:]
    ]
    return turned, np.where(norms == 0, np.inf, norms)


def _by_parity(numbers: np.ndarray) -> list[np.ndarray]:
    """Eight (N, D) float32 arrays: waves even or odd along each axis. Products of such whole
    numbers are exact.
    """
    return [
        np.ascontiguousarray(numbers[:, x::2, y::2, z::2]).reshape(len(numbers), -1)
        for x, y, z in itertools.product((0, 1), repeat=3)
    ]


def _best_flip(products: list[np.ndarray]) -> np.ndarray:
    """Largest signed sum over the flips of three axes: a Walsh-Hadamard transform, axis by axis."""
    for step in (1, 2, 4):
        for first in (index for index in range(8) if not index & step):
            products[first], products[first + step] = (
                products[first] + products[first + step],
                products[first] - products[first + step],
            )
    return np.maximum.reduce(products)
