"""The section `native` of params.yaml."""

from typing import Literal

from ..core.strict import Strict


class NativeRecipe(Strict):
    """How to register series as acquired: the section `native` of params.yaml.

    "rigid" rotates and shifts the head, as BraTS does: volumes and shapes of lesions stay true, and
    a network trained on BraTS gets brains of their own size. "affine" stretches it to the
    template's size. Cubic splines ("bspline") are sharper than linear interpolation and overshoot.
    """

    enabled: bool
    template_transform: Literal["rigid", "affine"]
    interpolation: Literal["linear", "bspline"]
    correct_bias: bool
    extract_brain: bool
