"""The network's shape as a value: the `unet` section of params.yaml. Read without Keras."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.strict import Strict


class Architecture(Strict):
    """A U-Net, in the terms of [1]_ and [2]_; `pipeline.network.unet.build` makes it.

    Attributes
    ----------
    dimensions
        2 for networks of axial slices (X, Y), 3 for networks of volumes (X, Y, Z).
    depth
        Number of resolution levels; the last one sees 1 / 2**(depth - 1) of each side.
    filters, max_filters
        Channels of the first level, doubled at every level up to `max_filters`.
    normalization
        "instance" (each channel of each sample by itself), "group" (at most 8 groups of
        channels) or "batch".
    residual
        Whether each level adds its input, brought to its shape, to its output.
    deep_supervision
        Whether the coarser decoder levels are trained to predict too.
    dropout
        Share of channels dropped after every level but the first while training, in [0, 1).
    output
        "regions": independent sigmoids for nested regions; "labels": one softmax over
        background and labels.

    References
    ----------
    .. [1] Ronneberger et al., "U-Net", MICCAI 2015, section 2.
    .. [2] Isensee et al., "nnU-Net", Nature Methods 18 (2021), supplementary note 2.
    """

    dimensions: Literal[2, 3]
    depth: Annotated[int, Field(ge=2, le=8)]
    filters: Annotated[int, Field(ge=1, le=1024)]
    max_filters: Annotated[int, Field(ge=1, le=4096)]
    normalization: Literal["instance", "group", "batch"]
    residual: bool
    deep_supervision: bool
    dropout: Annotated[float, Field(ge=0, lt=1)]
    output: Literal["regions", "labels"]

    @property
    def divisor(self) -> int:
        """Every side of a patch must be a multiple of this many voxels."""
        return 2 ** (self.depth - 1)

    def filters_at(self, level: int) -> int:
        """Channels of a resolution level, 0 being the finest."""
        return min(self.filters * 2**level, self.max_filters)

    @property
    def supervised_levels(self) -> int:
        """Number of outputs while training: each level above the two coarsest, or the finest alone."""
        return max(self.depth - 2, 1) if self.deep_supervision else 1
