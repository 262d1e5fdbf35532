"""The section `network` of params.yaml, read without Keras."""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ..core.strict import Strict
from . import registry

AtLeastOne = Annotated[int, Field(ge=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Output = Literal["regions", "labels"]
Axes = tuple[int, ...]
Mirror = bool | tuple[Literal["x", "y", "z"], ...]
"""Axes whose mirror images are averaged; true for all."""


def mirrored_axes(mirror: Mirror, dimensions: int) -> tuple[int, ...]:
    """Numbers of the axes to mirror, of a network of so many dimensions."""
    names = "xyz"[:dimensions]
    wanted = (names if mirror else ()) if isinstance(mirror, bool) else mirror
    return tuple(number for number, name in enumerate(names) if name in wanted)


def named_in(known: dict[str, str]) -> AfterValidator:
    """Accept a name of the registry, or the user's own ``package.module:attribute``."""

    def check(name: str) -> str:
        if name not in known and ":" not in name:
            raise ValueError(
                f"must be one of {', '.join(known)}, or your own as package.module:attribute"
            )
        return name

    return AfterValidator(check)


class NetworkParams(Strict):
    """The section `network`; the keys from `depth` to `dropout` are those of the U-Net [1]_ [2]_.

    Attributes
    ----------
    depth : int
        Number of resolution levels.
    slices : int
        Axial slices that a network of two dimensions sees, odd: the one that it segments in the
        middle of its neighbours, each with a channel per modality. 1 for that one alone.
    strides : tuple of tuples of int, "auto" or None
        Per level after the first and per axis, by how much it is coarser than the one before. None:
        2 everywhere. "auto": see `topology.chosen`, which replaces it before a network is built.
    kernels : tuple of tuples of int, "auto" or None
        Sides of the convolutions, odd, per level and axis. None: 3 everywhere. "auto" as above.
    normalization : {"instance", "group", "batch"}
        Per channel and sample, per group of channels (at most 8 groups), or per batch.
    encoder : {"plain", "residual"}
        Whether the blocks of the encoder add their input to their output [3]_.
    encoder_blocks : int or tuple of int
        Blocks of two convolutions in the encoder, at every level or per level.
    decoder_convolutions : int
        At every level of the decoder.
    deep_supervision : bool
        Whether the coarser decoder levels are trained to predict too.
    dropout : float
        Share of channels dropped in training after every encoder level but the first, in [0, 1).
    output : {"regions", "labels"}
        Independent sigmoids for nested regions, or one softmax over background and labels.
    type_head : bool
        Whether a second output classifies the tumour of an image by the labels, which are types.

    References
    ----------
    .. [1] Ronneberger et al., "U-Net", MICCAI 2015, section 2.
    .. [2] Isensee et al., "nnU-Net", Nature Methods 18 (2021), supplementary note 2.
    .. [3] Isensee et al., "nnU-Net Revisited", MICCAI 2024, section 2.3.
    """

    architecture: Annotated[str, named_in(registry.ARCHITECTURES)]
    dimensions: Literal[2, 3]
    depth: Annotated[int, Field(ge=2, le=8)]
    filters: Annotated[int, Field(ge=1, le=1024)]
    max_filters: Annotated[int, Field(ge=1, le=4096)]
    slices: Literal[1, 3, 5, 7, 9]
    strides: tuple[tuple[Literal[1, 2, 3], ...], ...] | Literal["auto"] | None
    kernels: tuple[tuple[Literal[1, 3, 5, 7], ...], ...] | Literal["auto"] | None
    normalization: Literal["instance", "group", "batch"]
    encoder: Literal["plain", "residual"]
    encoder_blocks: AtLeastOne | tuple[AtLeastOne, ...]
    decoder_convolutions: AtLeastOne
    deep_supervision: bool
    dropout: BelowOne
    output: Output
    type_head: bool
    options: dict[str, Any]

    @field_validator("slices")
    @classmethod
    def _are_of_slices(cls, slices: int, info: ValidationInfo) -> int:
        if slices > 1 and info.data.get("dimensions") == 3:
            raise ValueError("must be 1 for a network of dimensions 3, which sees volumes")
        return slices

    @field_validator("type_head")
    @classmethod
    def _is_of_labels(cls, type_head: bool, info: ValidationInfo) -> bool:
        if type_head and info.data.get("output") == "regions":
            raise ValueError("needs network.output labels: it chooses one of them")
        return type_head

    @field_validator("strides", "kernels", "encoder_blocks")
    @classmethod
    def _fits_the_levels(cls, given: Any, info: ValidationInfo) -> Any:
        """Lists have an entry per level, and those per axis an entry per axis."""
        if not isinstance(given, tuple) or not {"dimensions", "depth"} <= set(info.data):
            return given
        rows = info.data["depth"] - (info.field_name == "strides")
        axes = info.data["dimensions"]
        wrong = [row for row in given if isinstance(row, tuple) and len(row) != axes]
        if len(given) != rows or wrong:
            each = "" if info.field_name == "encoder_blocks" else f" of {axes} numbers each"
            which = "level after the first" if info.field_name == "strides" else "level"
            raise ValueError(f"must have {rows} entries{each}, one per {which} of network.depth")
        return given

    @property
    def ones(self) -> Axes:
        """Strides that change nothing."""
        return (1,) * self.dimensions

    def strides_at(self, level: int) -> Axes:
        """Strides per axis by which a level is coarser than the one before; ones at the finest."""
        if level == 0:
            return self.ones
        return (2,) * self.dimensions if self.strides is None else _known(self.strides)[level - 1]

    def factors_at(self, level: int) -> Axes:
        """Per axis, how many voxels of the image a voxel of a level spans."""
        strides = [self.strides_at(coarser) for coarser in range(level + 1)]
        return tuple(math.prod(along) for along in zip(*strides, strict=True))

    @property
    def divisors(self) -> Axes:
        """Every side of a patch must be a multiple of its number of voxels."""
        return self.factors_at(self.depth - 1)

    def kernel_at(self, level: int) -> Axes:
        """Sides of the convolutions of a level."""
        return (3,) * self.dimensions if self.kernels is None else _known(self.kernels)[level]

    def filters_at(self, level: int) -> int:
        """Channels of a resolution level, 0 being the finest."""
        return min(self.filters * 2**level, self.max_filters)

    def blocks_at(self, level: int) -> int:
        """Blocks of a level of the encoder."""
        blocks = self.encoder_blocks
        return blocks if isinstance(blocks, int) else blocks[level]

    @property
    def supervised_levels(self) -> int:
        """Number of outputs in training: all levels but the two coarsest, or the finest alone."""
        return max(self.depth - 2, 1) if self.deep_supervision else 1


def _known(rows: tuple[Axes, ...] | Literal["auto"]) -> tuple[Axes, ...]:
    if rows == "auto":
        raise ValueError("strides and kernels that are auto must be chosen first: topology.chosen")
    return rows
