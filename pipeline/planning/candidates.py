"""The trainings that a plan chooses from: grids, patches and networks that fit a cohort."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError
from ..network import topology
from ..network.params import Axes, NetworkParams
from .fingerprint import Fingerprint, Triple

COARSEST_MM = 4.0
"""No grid is coarser, but the raw one."""
TUMOUR_EDGES = 4.0
"""Voxel edges that the diameter of a median tumour has at least, but on the raw grid."""
LEAST_IN_PLANE = 32
"""Voxels of the brain along the two finer axes at least, but on the raw grid."""
MOST_LEVELS = 6
CUBES = (32, 48, 64, 80, 96, 112, 128, 160, 192)
"""Sides of cubes with the most voxels of a patch of a volume."""
SQUARES = (64, 96, 128, 160, 192, 256, 320, 384, 512)
"""The same for slices."""
BATCH_VOLUMES = 2
BATCH_PIXELS = 150_000
"""Pixels of a batch of slices, as in the preset `phantom` (16 of 96 x 96)."""
LEAST_SLICES, MOST_SLICES = 8, 64
"""Of a batch of slices, whatever their size."""
_LEAST_LENGTH = 16  # slices of a volume, below which only networks of slices are tried


@dataclass(frozen=True)
class Shape:
    """A network: its family, by what the presets and nnU-Net use."""

    filters: int
    max_filters: int
    encoder: str = "plain"
    blocks: int | tuple[int, ...] = 1
    decoder_convolutions: int = 2


RESENC = (1, 3, 4, 6, 6, 6)
SHAPES = {
    2: (Shape(8, 128), Shape(16, 256), Shape(32, 512), Shape(32, 512, "residual", RESENC, 1)),
    3: (Shape(8, 128), Shape(16, 256), Shape(32, 320), Shape(32, 320, "residual", RESENC, 1)),
}
"""Per number of dimensions. The last are the blocks of nnU-Net's ResEnc."""


@dataclass(frozen=True)
class Candidate:
    """A training without its length.

    Attributes
    ----------
    dimensions : {2, 3}
    spacing_mm : tuple of 3 floats
        Of the grid that cases are resampled to.
    extent : tuple of 3 ints
        Median brain with its margin there, in voxels: a prepared case.
    patch : tuple of 2 or 3 ints
    depth : int
    strides, kernels : tuple of tuples, or None
        As in `NetworkParams`; None where nothing is anisotropic.
    shape : Shape
    batch : int
    """

    dimensions: int
    spacing_mm: Triple
    extent: tuple[int, int, int]
    patch: Axes
    depth: int
    strides: tuple[Axes, ...] | None
    kernels: tuple[Axes, ...] | None
    shape: Shape
    batch: int

    @property
    def values(self) -> dict[str, Any]:
        """Its keys of the section `network`."""
        blocks = self.shape.blocks
        return {
            "architecture": "unet",
            "dimensions": self.dimensions,
            "depth": self.depth,
            "filters": self.shape.filters,
            "max_filters": self.shape.max_filters,
            "slices": 1,
            "strides": self.strides,
            "kernels": self.kernels,
            "normalization": "instance",
            "encoder": self.shape.encoder,
            "encoder_blocks": blocks if isinstance(blocks, int) else blocks[: self.depth],
            "decoder_convolutions": self.shape.decoder_convolutions,
        }

    def network(self, section: Mapping[str, Any]) -> NetworkParams:
        """The section `network` with its keys in the place of those given."""
        return NetworkParams(**{**section, **self.values})

    @property
    def coverage(self) -> float:
        """Share of the brain's extent that a patch has, in [0, 1]."""
        sides = zip(self.patch, self.extent, strict=False)
        return math.prod(min(side / length, 1.0) for side, length in sides)

    @property
    def patch_ml(self) -> float:
        """Volume of a patch."""
        return math.prod(self.patch) * math.prod(self.spacing_mm) / 1000


def candidates(
    found: Fingerprint, section: Mapping[str, Any], margin_voxels: int
) -> list[Candidate]:
    """All trainings to choose from, the finest grid first.

    Parameters
    ----------
    found : Fingerprint
    section : mapping
        The section `network` of params.yaml, for the keys that no candidate sets.
    margin_voxels : int
        As in the section `preprocess`.
    """
    listed: dict[Candidate, None] = {}
    for spacing in grids(found):
        extent = _extent(found, spacing, margin_voxels)
        for dimensions in (3, 2):
            if dimensions == 3 and (found.cohort.dimensions == 2 or extent[2] < _LEAST_LENGTH):
                continue
            sides = CUBES if dimensions == 3 else SQUARES
            for side in sides:
                patch = patch_within(extent[:dimensions], spacing, side**dimensions)
                for shape in SHAPES[dimensions]:
                    made = _candidate(dimensions, spacing, extent, patch, shape, section)
                    if made:
                        listed[made] = None
    return list(listed)


def grids(found: Fingerprint) -> Iterator[Triple]:
    """Grids from the raw one on, each with finest edges longer by the square root of 2."""
    finest, count = min(found.spacing_mm[:2]), 0
    diameter_mm = 2 * (0.75 / math.pi * 1000 * found.tumour_ml[1]) ** (1 / 3)
    while True:
        edge = finest * 2 ** (count / 2)
        x, y, z = (_rounded(max(own, edge)) for own in found.spacing_mm)
        spacing = x, y, z
        if found.cohort.dimensions == 2:
            spacing = x, y, _rounded(found.spacing_mm[2])
        short = min(mm / own for mm, own in zip(found.brain_mm[:2], spacing[:2], strict=True))
        if count and (
            edge > COARSEST_MM or short < LEAST_IN_PLANE or diameter_mm < TUMOUR_EDGES * edge
        ):
            return
        yield spacing
        count += 1


def _rounded(edge: float) -> float:
    """Two digits; more only where the raw edge has them, as resampling by 1 % is of no use."""
    short = float(f"{edge:.2g}")
    return short if abs(short - edge) < 0.003 * edge or edge >= 1.2 else float(f"{edge:.3g}")


def _extent(found: Fingerprint, spacing: Triple, margin_voxels: int) -> tuple[int, int, int]:
    """Voxels of a cropped case; a slice stays one."""
    sides = []
    for mm, raw, edge, most in zip(
        found.brain_mm, found.spacing_mm, spacing, found.raw_shape, strict=True
    ):
        within = min(mm + 2 * margin_voxels * raw, most * raw)
        sides.append(max(round(within / edge), 1))
    x, y, z = sides
    return x, y, z


def patch_within(extent: Sequence[int], spacing: Sequence[float], voxels: int) -> Axes:
    """The patch with no more than so many voxels that is about as long in mm along every axis.

    It starts from the whole brain, and its longest axis is shortened until it is small enough.
    """
    steps = [32 if side >= 112 else 16 if side > 24 else 8 if side > 8 else 4 for side in extent]
    patch = [math.ceil(side / step) * step for side, step in zip(extent, steps, strict=True)]
    while math.prod(patch) > voxels:
        longest = max(
            (axis for axis in range(len(patch)) if patch[axis] > steps[axis]),
            key=lambda axis: (patch[axis] * spacing[axis], patch[axis] / extent[axis]),
            default=None,
        )
        if longest is None:
            break
        patch[longest] -= steps[longest]
    return tuple(patch)


def _candidate(
    dimensions: int,
    spacing: Triple,
    extent: tuple[int, int, int],
    patch: Axes,
    shape: Shape,
    section: Mapping[str, Any],
) -> Candidate | None:
    """A network for a patch, as deep as it allows; None if it allows no two levels."""
    edges = spacing[:dimensions]
    anisotropic = max(edges) >= 2 * min(edges) or max(patch) > 2 * min(patch)
    batch = BATCH_VOLUMES
    if dimensions == 2:
        exact = round(math.log2(BATCH_PIXELS / math.prod(patch)))
        batch = min(max(2 ** max(exact, 0), LEAST_SLICES), MOST_SLICES)
    for depth in range(MOST_LEVELS, 1, -1):
        plain = Candidate(dimensions, spacing, extent, patch, depth, None, None, shape, batch)
        if not anisotropic:
            factor = 2 ** (depth - 1)
            if all(not side % factor and side // factor >= topology.LEAST_SIDE for side in patch):
                return plain
            continue
        auto = plain.network(section).model_copy(update={"strides": "auto", "kernels": "auto"})
        try:
            chosen = topology.chosen(auto, patch, spacing)
        except InputError:
            continue
        padded = tuple(
            math.ceil(side / divisor) * divisor
            for side, divisor in zip(patch, chosen.divisors, strict=True)
        )
        strides, kernels = chosen.strides, chosen.kernels
        assert isinstance(strides, tuple)
        assert isinstance(kernels, tuple)
        return Candidate(dimensions, spacing, extent, padded, depth, strides, kernels, shape, batch)
    return None
