"""The sections `preprocess` and `evaluate.postprocess` of params.yaml, read without SciPy."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..core.errors import InputError
from ..core.params import Count, Positive
from ..core.schema import Schema
from ..core.strict import Strict

Percentile = Annotated[float, Field(ge=0, le=100)]


class PreprocessingConfig(Strict):
    """How a case is prepared: the section `preprocess`, carried by the model card.

    With the `foreground` "nonzero" the brain is where any modality differs from 0, as in
    skull-stripped data; "head" is where any exceeds its Otsu threshold, with all that this encloses
    in an axial slice.
    """

    spacing_mm: tuple[Positive, Positive, Positive] | None
    foreground: Literal["nonzero", "head"]
    margin_voxels: Count
    clip_percentiles: tuple[Percentile, Percentile]
    dtype: Literal["float16", "float32"]

    @model_validator(mode="after")
    def _leaves_a_range(self) -> Self:
        if not self.clip_percentiles[0] < self.clip_percentiles[1]:
            raise ValueError(
                "clip_percentiles must be the lower, then the upper, got"
                f" {list(self.clip_percentiles)}"
            )
        return self


Key = Literal["thresholds", "min_component_ml", "min_innermost_ml", "fill_holes", "temperature"]
"""What `evaluate.choose` can name."""


class Postprocess(Strict):
    """The section `evaluate.postprocess`; zeros and false leave a prediction unchanged.

    Attributes
    ----------
    thresholds : dict of str to float
        Probability from which a voxel is in a region, 0.5 for those that are not named.
    temperature : float
        By which the logits of a region's probability are divided, see `tempered`; labels do not
        depend on it.
    min_component_ml : float
        26-connected components of the whole tumour (all labels together) smaller than this are
        removed, in ml; possibly all of them.
    fill_holes : bool
        Whether to fill the holes of every region but an innermost one inside another: what an
        enhancing rim encloses is the necrotic core.
    min_innermost_ml : float
        If the innermost region is smaller than this, in ml, it becomes part of the region around it
        (enhancing becomes necrotic). A trace where the reference has none costs a Dice of 0 under
        the rule "brats", see Isensee et al., "nnU-Net for Brain Tumor Segmentation",
        arXiv:2011.00848.
    """

    thresholds: dict[str, Annotated[float, Field(gt=0, lt=1)]]
    temperature: float = Field(gt=0, allow_inf_nan=False)
    min_component_ml: float = Field(ge=0, allow_inf_nan=False)
    fill_holes: bool
    min_innermost_ml: float = Field(ge=0, allow_inf_nan=False)

    def check_innermost(self, schema: Schema) -> None:
        """Raise InputError if `min_innermost_ml` is set, but no innermost region has another around
        it.
        """
        around = schema.around
        if self.min_innermost_ml and not any(around[region] for region in schema.innermost):
            raise InputError(
                f"evaluate.postprocess.min_innermost_ml is {self.min_innermost_ml:g}, but of the"
                f" regions {', '.join(schema.regions)} of cohort {schema.cohort} none has one"
                " around it to take its voxels. Set min_innermost_ml to 0."
            )
