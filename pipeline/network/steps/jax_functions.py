"""Compiled functions on JAX."""

from collections.abc import Callable
from typing import Any

import jax  # to compile, which Keras does for whole models alone
import keras


def compiled(function: Callable, model: keras.Model | None, donated: bool) -> Callable:
    """As `backend.compiled`; the variables of the model are arguments of the program, because it
    would hold what it closes over as constants.
    """

    def pure(values: list[Any], *arguments: Any) -> Any:
        variables = model.variables if model else []
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    program = jax.jit(pure, donate_argnums=1 if donated else ())
    return lambda *arguments: program(
        [variable.value for variable in model.variables] if model else [], *arguments
    )
