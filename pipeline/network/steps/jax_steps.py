"""Training steps on JAX: one compiled program that scans over steps and keeps its state on the
device.
"""

from collections.abc import Callable
from typing import Any

import jax
import keras


class Steps:
    """Compiled training steps.

    Parameters
    ----------
    model : keras.Model
    loss_of : callable
        ``loss_of(outputs, target)``, a scalar tensor.
    optimizer : keras.optimizers.Optimizer
        Built for the model.
    batch : callable
        ``batch(constants, item)``, tensors image and target; traced.
    """

    def __init__(
        self,
        model: keras.Model,
        loss_of: Callable,
        optimizer: keras.optimizers.Optimizer,
        batch: Callable,
    ):
        self.model, self.loss_of, self.optimizer, self.batch = model, loss_of, optimizer, batch
        places = [variable is optimizer.learning_rate for variable in optimizer.variables]
        self._rate = places.index(True)
        self._state = self._copied([list(group) for group in self._variables])
        self._many = jax.jit(self._scan, donate_argnums=0)

    def run(self, constants: Any, items: Any, rates: Any) -> Any:
        """Take steps; returns at once.

        Parameters
        ----------
        constants : pytree of arrays
        items : pytree of arrays
            With one more axis, the first, of the steps.
        rates : (K,) float32 array
            Learning rates.

        Returns
        -------
        (K,) float32 tensor
            Losses, ready when the steps are done.
        """
        self._state, losses = self._many(self._state, constants, items, rates)
        return losses

    def pull(self) -> None:
        """Give the model and the optimizer their state after the last step."""
        copied = self._copied(self._state)  # the next step takes its own away
        for group, values in zip(self._variables, copied, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    @property
    def _variables(self):
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, self.optimizer.variables

    def _copied(self, state):
        return jax.tree.map(lambda one: jax.numpy.array(getattr(one, "value", one)), state)

    def _scan(self, state, constants, items, rates):
        return jax.lax.scan(
            lambda state, step: self._step(state, constants, *step), state, (items, rates)
        )

    def _step(self, state, constants, item, rate):
        trainable, fixed, moments = state
        moments = [*moments[: self._rate], rate, *moments[self._rate + 1 :]]
        image, target = self.batch(constants, item)
        derived = jax.value_and_grad(self._loss, has_aux=True)
        (_, (loss, fixed)), gradients = derived(trainable, fixed, moments, image, target)
        trainable, moments = self.optimizer.stateless_apply(moments, gradients, trainable)
        return [trainable, fixed, moments], loss

    def _loss(self, trainable, fixed, moments, image, target):
        """Loss as the optimizer scales it, and (loss, states of the network)."""
        outputs, fixed, penalties = self.model.stateless_call(
            trainable, fixed, image, training=True, return_losses=True
        )
        loss = self.loss_of(outputs, target) + sum(penalties)
        mapping = list(zip(self.optimizer.variables, moments, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            scaled = self.optimizer.scale_loss(loss)
        return scaled, (loss, fixed)
