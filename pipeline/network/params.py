"""The section `network` of params.yaml, read without Keras."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ..core.strict import Strict
from . import registry

AtLeastOne = Annotated[int, Field(ge=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Output = Literal["regions", "labels"]


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
        Number of resolution levels; the last one has 1 / 2**(depth - 1) of each side.
    normalization : {"instance", "group", "batch"}
        Per channel and sample, per group of channels (at most 8 groups), or per batch.
    residual : bool
        Whether each level adds its input, projected to its shape, to its output.
    deep_supervision : bool
        Whether the coarser decoder levels are trained to predict too.
    dropout : float
        Share of channels dropped in training after every encoder level but the first, in [0, 1).
    output : {"regions", "labels"}
        Independent sigmoids for nested regions, or one softmax over background and labels.

    References
    ----------
    .. [1] Ronneberger et al., "U-Net", MICCAI 2015, section 2.
    .. [2] Isensee et al., "nnU-Net", Nature Methods 18 (2021), supplementary note 2.
    """

    architecture: Annotated[str, named_in(registry.ARCHITECTURES)]
    dimensions: Literal[2, 3]
    depth: Annotated[int, Field(ge=2, le=8)]
    filters: Annotated[int, Field(ge=1, le=1024)]
    max_filters: Annotated[int, Field(ge=1, le=4096)]
    normalization: Literal["instance", "group", "batch"]
    residual: bool
    deep_supervision: bool
    dropout: BelowOne
    output: Output
    options: dict[str, Any]

    @property
    def divisor(self) -> int:
        """Every side of a patch must be a multiple of this many voxels."""
        return 2 ** (self.depth - 1)

    def filters_at(self, level: int) -> int:
        """Channels of a resolution level, 0 being the finest."""
        return min(self.filters * 2**level, self.max_filters)

    @property
    def supervised_levels(self) -> int:
        """Number of outputs in training: all levels but the two coarsest, or the finest alone."""
        return max(self.depth - 2, 1) if self.deep_supervision else 1
