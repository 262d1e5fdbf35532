"""Training steps on JAX: one compiled program that scans over steps and keeps its state on the
device, or on several devices that share every batch.
"""

from collections.abc import Callable
from typing import Any

import jax  # for gradients, the scan over steps and several devices, which keras.ops lacks
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ...core.errors import InputError


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
    devices : int
        Devices of this process that share each batch, 0 for all; each other process that takes part
        has as many. The arrays of an item have the batch as first axis.

    Raises
    ------
    InputError
        If there are fewer devices.
    """

    def __init__(
        self,
        model: keras.Model,
        loss_of: Callable,
        optimizer: keras.optimizers.Optimizer,
        batch: Callable,
        devices: int,
    ):
        self.model, self.loss_of, self.optimizer, self.batch = model, loss_of, optimizer, batch
        places = [variable is optimizer.learning_rate for variable in optimizer.variables]
        self._rate = places.index(True)
        self._mesh = _mesh(devices)
        self._constants: tuple[Any, Any] = None, None  # as given, and on the mesh
        values = self._copied([list(group) for group in self._variables])
        self._state = self._placed(values)
        everywhere = self._mesh and NamedSharding(self._mesh, PartitionSpec())
        self._many = jax.jit(self._scan, donate_argnums=0, out_shardings=everywhere)

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
        if self._mesh:  # else nothing is kept, so that a part of a cohort makes room for the next
            if constants is not self._constants[0]:
                self._constants = constants, self._placed(constants)
            constants = self._constants[1]
        items = self._placed(items, None, "batch")
        rates = self._placed(rates)
        self._state, losses = self._many(self._state, constants, items, rates)
        return losses

    def fetch(self, losses: Any) -> list[float]:
        """Wait for what `run` returned.

        Raises
        ------
        InputError
            If another process of the training has ended.
        """
        try:
            return np.asarray(losses).tolist()
        except jax.errors.JaxRuntimeError as error:
            if jax.process_count() == 1:
                raise
            raise InputError(
                "JAX_NUM_PROCESSES: another process of this training has ended"
                f" ({str(error).splitlines()[0][:200]}). Look at what it printed, and start all of"
                " them again: the training goes on after its last epoch."
            ) from None

    def pull(self) -> None:
        """Give the model and the optimizer their state after the last step."""
        # as copies: the next step takes its own away
        copied = self._copied(jax.tree.map(np.asarray, self._state) if self._mesh else self._state)
        for group, values in zip(self._variables, copied, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    @property
    def _variables(self):
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, self.optimizer.variables

    def _copied(self, state):
        return jax.tree.map(lambda one: jax.numpy.array(getattr(one, "value", one)), state)

    def _placed(self, tree, *axes):
        """Arrays on all devices, whole, or cut along the axis called "batch"."""
        if self._mesh is None:
            return tree
        placing = NamedSharding(self._mesh, PartitionSpec(*axes))

        def placed(array):
            whole = np.asarray(array)
            return jax.make_array_from_callback(whole.shape, placing, lambda part: whole[part])

        return jax.tree.map(placed, tree)

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


def _mesh(devices: int) -> Mesh | None:
    """The devices of a training in a row; None for a single one, the default."""
    here = len(jax.local_devices())
    if devices > here:
        raise InputError(
            f"params.yaml: train.devices is {devices}, but JAX finds {here} here. Set it to {here},"
            " or to 0 for all."
        )
    each = devices or here
    chosen = [
        device
        for process in range(jax.process_count())
        for device in [one for one in jax.devices() if one.process_index == process][:each]
    ]
    return Mesh(np.array(chosen), ("batch",)) if len(chosen) > 1 else None


def join(address: str | None, count: int | None, number: int | None) -> None:
    """Find the other processes of a training; None asks the scheduler (SLURM, MPI)."""
    jax.distributed.initialize(address, count, number)


def total(devices: int) -> int:
    """Devices that share each batch, over all processes."""
    mesh = _mesh(devices)
    return mesh.size if mesh else 1


def gpus() -> list[str]:
    """Names of the GPUs, or the like, of this process."""
    return [device.device_kind for device in jax.local_devices() if device.platform != "cpu"]


def memory() -> int | None:
    """Bytes that the first device has for this process; None if it does not say."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def peak() -> int | None:
    """Most bytes of the first device that this process has used; None if it does not say."""
    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
