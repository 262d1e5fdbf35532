"""Strides and kernels that follow from the size of a voxel, read without Keras."""

from collections.abc import Sequence

from ..core.errors import InputError
from .params import Axes, NetworkParams

LEAST_SIDE = 4
"""Voxels that the coarsest level keeps along an axis."""


def chosen(
    params: NetworkParams, patch: Sequence[int], spacing_mm: Sequence[float]
) -> NetworkParams:
    """Put numbers in the place of ``auto`` strides and kernels.

    Along an axis of thick slices, neighbouring voxels have little in common until the others are as
    coarse. So an axis is halved at a level if its voxels are less than twice as long as the
    shortest among the axes that are long enough to be halved, and its kernel is 1 until its voxels
    are less than twice as long as the shortest; from there on it is 3, and always at the coarsest
    level [1]_.

    Parameters
    ----------
    params : NetworkParams
    patch : sequence of int
        Sides of a training patch.
    spacing_mm : sequence of float
        Voxel edge lengths per axis, the median of the training cases; the third is not used for
        networks of slices.

    Returns
    -------
    NetworkParams
        The same if nothing is ``auto``.

    Raises
    ------
    InputError
        If a patch is too small to be halved as often as the depth demands.

    References
    ----------
    .. [1] Isensee et al., "nnU-Net", Nature Methods 18 (2021), supplementary note 2; the bounds are
       those of its experiment planner.
    """
    edges = tuple(map(float, spacing_mm[: params.dimensions]))
    if params.strides == "auto":
        params = params.model_copy(update={"strides": _strides(params.depth, patch, edges)})
    if params.kernels == "auto":
        params = params.model_copy(update={"kernels": _kernels(params, edges)})
    return params


def _strides(depth: int, patch: Sequence[int], edges: Sequence[float]) -> tuple[Axes, ...]:
    sides, lengths, rows = list(patch), list(edges), []
    for level in range(1, depth):
        long = [axis for axis, side in enumerate(sides) if side >= 2 * LEAST_SIDE]
        finest = min((lengths[axis] for axis in long), default=0.0)
        halved = [axis for axis in long if lengths[axis] < 2 * finest]
        if not halved or (len(halved) == 1 and sides[halved[0]] < 3 * LEAST_SIDE):
            raise InputError(
                f"params.yaml: train.patch {list(patch)} can be halved {level - 1} times by"
                f" network.strides auto, but network.depth {depth} needs {depth - 1}. Choose a"
                " larger patch or a smaller depth."
            )
        rows.append(tuple(2 if axis in halved else 1 for axis in range(len(sides))))
        for axis in halved:
            sides[axis], lengths[axis] = sides[axis] // 2, 2 * lengths[axis]
    return tuple(rows)


def _kernels(params: NetworkParams, edges: Sequence[float]) -> tuple[Axes, ...]:
    rows, kernel = [], [1] * len(edges)
    for level in range(params.depth - 1):
        lengths = [
            edge * factor for edge, factor in zip(edges, params.factors_at(level), strict=True)
        ]
        kernel = [
            3 if length < 2 * min(lengths) else side
            for length, side in zip(lengths, kernel, strict=True)
        ]
        rows.append(tuple(kernel))
    return (*rows, (3,) * len(edges))
