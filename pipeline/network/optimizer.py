"""The optimizer of a training, with weight decay, clipping and a running average of the weights."""

from . import registry
from .backend import keras


def build(
    name: str,
    weight_decay: float,
    momentum: float,
    clip_norm: float,
    ema_momentum: float,
    code: str | None = None,
) -> keras.optimizers.Optimizer:
    """Build an optimizer for the current precision, with loss scaling under "mixed_float16"; its
    learning rate is set at every step.

    Parameters
    ----------
    name : str
        A name of `registry.OPTIMIZERS`, or ``package.module:attribute``: a callable that takes the
        arguments global_clipnorm, weight_decay, use_ema and ema_momentum, as Keras's optimizers do
        (``keras.optimizers:Lion``).
    weight_decay : float
        Decoupled from the gradient (Loshchilov and Hutter, 2019) and not applied to normalisations
        and biases. Must be 0 for "adam", which by definition has none.
    momentum : float
        Nesterov momentum of "sgd", in [0, 1); not used by the others.
    clip_norm : float
        Largest norm of all gradients together, 0 for no limit.
    ema_momentum : float
        Of the running average of the weights that is validated and saved, in [0, 1); 0 for none.
    """
    settings = {
        "global_clipnorm": clip_norm or None,
        "weight_decay": weight_decay or None,
        "use_ema": ema_momentum > 0,
        "ema_momentum": ema_momentum,
    }
    if name == "sgd":
        settings |= {"momentum": momentum, "nesterov": momentum > 0}
    optimizer = registry.load(registry.OPTIMIZERS, name, "train.optimizer", code)(**settings)
    if weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    if keras.config.dtype_policy().name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def averages(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the optimizer keeps a running average of the weights."""
    return getattr(optimizer, "inner_optimizer", optimizer).use_ema
