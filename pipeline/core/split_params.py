"""The section `split` of params.yaml."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from .params import Share
from .strict import Strict


class SplitParams(Strict):
    """The section `split`; params.yaml explains every key."""

    val_share: Share
    test_share: Share
    folds: Annotated[int, Field(ge=1)]
    val_fold: Annotated[int, Field(ge=0)] | Literal["all"] | None
    test_folds: tuple[str, ...]

    @field_validator("val_fold")
    @classmethod
    def _is_a_fold(cls, val_fold: Any, info: ValidationInfo) -> Any:
        folds = info.data.get("folds")
        if isinstance(val_fold, int) and folds is not None and val_fold >= folds:
            raise ValueError(f"must be one of the folds 0 to {folds - 1}, all or null")
        return val_fold

    @model_validator(mode="after")
    def _leaves_patients_to_train(self) -> Self:
        test_share = 0 if self.test_folds else self.test_share
        if test_share + (self.val_share if self.val_fold is None else 0) >= 1:
            raise ValueError(
                f"val_share and test_share must leave patients to train, got {self.val_share} and"
                f" {self.test_share}"
            )
        if self.val_fold == "all" and self.folds < 2:
            raise ValueError("val_fold is all, which takes at least 2 folds, got 1")
        return self
