"""The section `evaluate` of params.yaml, read without Keras."""

from typing import Any, Literal

from pydantic import field_validator

from ..network.settings import Settings
from ..preparation.params import Key


class EvaluateParams(Settings):
    """The section `evaluate`: what is kept for `predict`, and what else is done.

    Attributes
    ----------
    choose : tuple of str
        Values of `postprocess` that are chosen on the validation cases.
    score_validation : bool
        Whether to score those too, by the network that was not trained on them.
    metrics : tuple of str
        Those of the user, as ``package.module:attribute``.
    missing_modalities : "all" or tuple of tuple of str
        Sets of modalities to leave out.
    """

    choose: tuple[Key, ...]
    score_validation: bool
    metrics: tuple[str, ...]
    missing_modalities: Literal["all"] | tuple[tuple[str, ...], ...]

    @field_validator("missing_modalities", mode="before")
    @classmethod
    def _are_sets(cls, given: Any) -> Any:
        """One message in place of one for each kind of value."""
        sets = given if isinstance(given, list) else []
        if given != "all" and not (sets == given and all(map(_is_of_texts, sets))):
            raise ValueError("must be all, or a list of lists such as [[t1c], [t1n, t2w]]")
        return given if given == "all" else tuple(map(tuple, sets))


def _is_of_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) for one in given)
