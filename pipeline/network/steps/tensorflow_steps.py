"""Training steps on TensorFlow: one graph that goes through the steps and changes the variables."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf  # for gradients and graphs, which keras.ops lacks

from ...core.errors import InputError


class Steps:
    """As `jax_steps.Steps`; not compiled by XLA, which is 10 times slower on a CPU in 3D."""

    def __init__(
        self,
        model: keras.Model,
        loss_of: Callable,
        optimizer: keras.optimizers.Optimizer,
        batch: Callable,
        devices: int,
    ):
        total(devices)
        self.model, self.loss_of, self.optimizer, self.batch = model, loss_of, optimizer, batch
        self._many = tf.function(self._steps, jit_compile=False)

    def run(self, constants: Any, items: Any, rates: Any) -> Any:
        """Take steps, as `jax_steps.Steps.run`."""
        return self._many(constants, items, rates)

    def fetch(self, losses: Any) -> list[float]:
        """Wait for what `run` returned."""
        return losses.numpy().tolist()

    def pull(self) -> None:
        """Nothing: the variables are those of the model and of the optimizer."""

    def _steps(self, constants, items, rates):
        def step(given):
            return self._step(constants, *given)

        if rates.shape[0] == 1:
            return step(tf.nest.map_structure(lambda array: array[0], (items, rates)))[None]
        return tf.map_fn(step, (items, rates), fn_output_signature=tf.float32)

    def _step(self, constants, item, rate):
        self.optimizer.learning_rate = rate
        image, target = self.batch(constants, item)
        with tf.GradientTape() as tape:
            loss = self.loss_of(self.model(image, training=True), target)
            loss = loss + sum(self.model.losses)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.model.trainable_variables
        weights = [variable.value for variable in variables]
        self.optimizer.apply(tape.gradient(scaled, weights), variables)
        return loss


def total(devices: int) -> int:
    """Devices that share each batch: one.

    Raises
    ------
    InputError
        If more are asked for.
    """
    if devices > 1:
        raise InputError(
            f"params.yaml: train.devices is {devices}, but KERAS_BACKEND is tensorflow, which"
            " trains on one. Set it to 1, or set KERAS_BACKEND=jax."
        )
    return 1


def join(address: str | None, count: int | None, number: int | None) -> None:
    """Not possible.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(
        "KERAS_BACKEND is tensorflow, which trains in one process. Set KERAS_BACKEND=jax for"
        " several, or start one (JAX_NUM_PROCESSES, SLURM_STEP_NUM_TASKS)."
    )


def gpus() -> list[str]:
    """Names of the GPUs that this process may use."""
    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return [each.get("device_name", "unknown") for each in details]


def memory() -> int | None:
    """None: TensorFlow does not say."""
    return None


def peak() -> int | None:
    """Most bytes of the first GPU that this process has used; None without one."""
    gpus = tf.config.list_logical_devices("GPU")
    return tf.config.experimental.get_memory_info(gpus[0].name)["peak"] if gpus else None
