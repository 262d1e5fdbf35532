"""The rule that moves the weights."""

from typing import Literal

from .backend import keras


def build(
    name: Literal["adam", "adamw", "sgd"],
    weight_decay: float,
    momentum: float,
    clip_norm: float,
    ema_momentum: float,
) -> keras.optimizers.Optimizer:
    """Build an optimizer for the current precision; its learning rate is set at every step.

    Parameters
    ----------
    name : {"adam", "adamw", "sgd"}
    weight_decay : float
        Decoupled from the gradient (Loshchilov and Hutter, 2019) and kept from normalisations and
        biases. Must be 0 for "adam", which by definition has none.
    momentum : float
        Nesterov momentum of "sgd", in [0, 1); not used by the others.
    clip_norm : float
        Largest norm of all gradients together, 0 for no limit.
    ema_momentum : float
        Of the running average of the weights that is validated and saved, in [0, 1); 0 for none.

    Returns
    -------
    keras.optimizers.Optimizer
        Wrapped in loss scaling under "mixed_float16".

    Raises
    ------
    ValueError
        If "adam" is given a weight decay.
    """
    if name == "adam" and weight_decay:
        raise ValueError(
            f"adam has no weight decay: set it to 0 or choose adamw, got {weight_decay}"
        )
    settings = {
        "global_clipnorm": clip_norm or None,
        "weight_decay": weight_decay or None,
        "use_ema": ema_momentum > 0,
        "ema_momentum": ema_momentum,
    }
    if name == "sgd":
        optimizer = keras.optimizers.SGD(momentum=momentum, nesterov=momentum > 0, **settings)
    else:
        optimizer = keras.optimizers.Adam(**settings)
    if weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    if keras.config.dtype_policy().name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def averages(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the optimizer keeps a running average of the weights."""
    return getattr(optimizer, "inner_optimizer", optimizer).use_ema
