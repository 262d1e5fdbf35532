"""The backend of Keras, set up for reproducible arithmetic. All others import `keras` from here.

Keras chooses its backend when it is first imported, and TensorFlow reads its switches when it is
loaded, so both are set at the head of this file and nowhere else.
"""

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import shutil
from collections.abc import Callable
from functools import cache

from ..core.cores import usable_cores
from ..core.errors import InputError
from .quiet import loading

log = logging.getLogger(__name__)

EXACT = "--xla_gpu_deterministic_ops=true"
CHANNELS_LAST = "--xla_gpu_force_conv_nhwc=true"
PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
TITLES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def _set_environment() -> None:
    """Choose the backend and its deterministic arithmetic; what the user has set stays."""
    installed = "tensorflow" if importlib.util.find_spec("tensorflow") else "jax"
    os.environ.setdefault("KERAS_BACKEND", installed)
    # 2 hides warnings; 3 also errors, of which one reports that a machine without GPU has none
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if _expects_gpu() else "3")
    # One operation at a time, each on all cores: a sum of several tensors starts with whichever is
    # no longer in use elsewhere, so with operations side by side the last bits of the gradients
    # would depend on the scheduler.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    # TensorFlow: no atomics-ordered sums, neither in its kernels nor in cuDNN's.
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    os.environ.setdefault("TF_CUDNN_DETERMINISTIC", "1")
    # XLA (jax): the same on a GPU; its CPU compiler ignores the flag.
    flags = os.environ.get("XLA_FLAGS", "")
    if "deterministic_ops" not in flags:
        flags = f"{flags} {EXACT}".strip()
    # XLA hands 3D convolutions to cuDNN channels first, and cuDNN transposes around each: a sixth
    # of a step (docs/benchmarks.md). Only for JAX on CUDA: XLA ends a program with a flag that it
    # does not know, and TensorFlow's is another version.
    on_cuda = os.environ["KERAS_BACKEND"] == "jax" and any(map(importlib.util.find_spec, PLUGINS))
    if on_cuda and "force_conv_nhwc" not in flags:
        flags = f"{flags} {CHANNELS_LAST}"
    os.environ["XLA_FLAGS"] = flags


def _expects_gpu() -> bool:
    """Whether this machine has an NVIDIA driver, and this process is not told to use no GPU."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return bool(shutil.which("nvidia-smi")) and not hidden


_set_environment()

with loading():
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

if keras.backend.backend() == "tensorflow":
    # TensorFlow's graph rewriter turns a sum of several gradients into additions in the order of
    # their arrival. What else it does gains nothing measurable here.
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    # every network of an ensemble is a program of its own, which TensorFlow takes for a mistake
    logging.getLogger("tensorflow").addFilter(
        lambda record: "tf.function retracing" not in record.getMessage()
    )


def prepare(seed: int, precision: str, deterministic: bool = True) -> None:
    """Seed every random source and set the arithmetic of the networks built from now on.

    Parameters
    ----------
    seed : int
    precision : {"float32", "mixed_bfloat16", "mixed_float16"}
        Of the activations; weights and losses are float32 whatever it is.
    deterministic : bool
        Whether a GPU may use only algorithms that give the same bits every time; must be chosen
        before anything runs on it. A CPU always does.
    """
    if not deterministic:
        os.environ["TF_DETERMINISTIC_OPS"] = os.environ["TF_CUDNN_DETERMINISTIC"] = "0"
        flags = os.environ["XLA_FLAGS"]
        os.environ["XLA_FLAGS"] = flags.replace(EXACT, EXACT.replace("true", "false"))
    join()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    _announce()


@cache
def _announce() -> None:
    """Log once what networks run on, and warn of a GPU that is not used."""
    log.info("%s", described())
    if name() in ("tensorflow", "jax") and _expects_gpu() and not on_accelerator():
        log.warning(
            "This machine has an NVIDIA driver, but %s finds no GPU and computes on the CPU:"
            " `python -m pipeline doctor` says what to install, TF_CPP_MIN_LOG_LEVEL=0 shows what"
            " TensorFlow missed.",
            TITLES[name()],
        )


def described() -> str:
    """Engine, versions and device: ``Keras 3.15.1 on TensorFlow 2.21.0, CPU (2 cores)``."""
    found = versions()
    engine = f"Keras {found['keras']} on {TITLES.get(name(), name())} {found[name()]}"
    if name() not in ("tensorflow", "jax"):
        return engine
    kinds = _steps().gpus()
    several = f"{len(kinds)} GPUs" if len(kinds) > 1 else "GPU"
    device = f"{several} ({kinds[0]})" if kinds else f"CPU ({usable_cores()} cores)"
    return f"{engine}, {device}"


def name() -> str:
    """Name of the backend in use, "tensorflow" or "jax"."""
    return keras.backend.backend()


def on_accelerator() -> bool:
    """Whether networks run on a GPU or the like."""
    return any(not device.lower().startswith("cpu") for device in keras.distribution.list_devices())


def versions() -> dict[str, str]:
    """Versions of Keras and of its backend."""
    return {"keras": keras.__version__, name(): importlib.metadata.version(name())}


def steps(model, loss_of, optimizer, batch, devices: int = 1):
    """The compiled training steps of the backend in use; see `steps.jax_steps.Steps`."""
    return _steps().Steps(model, loss_of, optimizer, batch, devices)


def compiled(function: Callable, model: keras.Model | None = None, donated: bool = False):
    """A function of tensors, compiled by the backend in use for every shape of its arguments.

    Parameters
    ----------
    function : callable
        Written with `keras.ops`.
    model : keras.Model, optional
        Which the function calls; its weights may change between calls.
    donated : bool
        Whether the memory of the first argument may become that of the result. Its arrays are then
        of no more use.
    """
    if name() == "jax":
        return importlib.import_module(".steps.jax_functions", __package__).compiled(
            function, model, donated
        )
    # XLA is 10 times slower than TensorFlow's own kernels on a CPU in 3D
    return tensorflow.function(function, jit_compile=False) if name() == "tensorflow" else function


def devices_in_all(devices: int) -> int:
    """How many devices share each batch, over all processes, `devices` of each, 0 for all.

    Raises
    ------
    InputError
        If there are fewer.
    """
    return _steps().total(devices)


def device_memory() -> int | None:
    """Bytes that the first device has for this process; None if it does not say, as a CPU."""
    return _steps().memory()


def peak_memory() -> int | None:
    """Most bytes of the first device that this process has used; None as of `device_memory`."""
    return _steps().peak()


def _steps():
    """The module of the backend in use.

    Raises
    ------
    InputError
        If there is none.
    """
    if name() not in ("tensorflow", "jax"):
        raise InputError(
            f"KERAS_BACKEND is {name()}, which predicts but does not train here. Set it to"
            " tensorflow or jax."
        )
    return importlib.import_module(f".steps.{name()}_steps", __package__)


def process() -> tuple[int, int]:
    """Number of this process and how many train together, from the environment: JAX_PROCESS_ID and
    JAX_NUM_PROCESSES, else those of a step of SLURM.
    """
    for number, count in (
        ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES"),
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ):
        if number in os.environ and count in os.environ:
            return int(os.environ[number]), int(os.environ[count])
    return 0, 1


@cache
def join() -> None:
    """Find the other processes, once; nothing where there are none.

    Their address is in JAX_COORDINATOR_ADDRESS, else SLURM knows it.
    """
    number, count = process()
    if count > 1:
        address = os.environ.get("JAX_COORDINATOR_ADDRESS")
        known = (address, count, number) if address else (None, None, None)
        _steps().join(*known)
