"""Which engine computes, and how it repeats itself exactly. Everyone else takes `keras` from here.

Keras binds to an engine when it is first imported, and TensorFlow reads its switches when it is
loaded, so both are settled at the head of this file and nowhere else.
"""

import importlib.metadata
import importlib.util
import os


def _settle_environment() -> None:
    """Choose the engine and ask it for repeatable arithmetic; what the user has set stays."""
    installed = "tensorflow" if importlib.util.find_spec("tensorflow") else "jax"
    os.environ.setdefault("KERAS_BACKEND", installed)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
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
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


_settle_environment()

import keras  # noqa: E402

if keras.backend.backend() == "tensorflow":
    import tensorflow

    # TensorFlow's graph rewriter turns a sum of several gradients into additions in the order of
    # their arrival. What else it does gains nothing measurable here.
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def prepare(seed: int, precision: str) -> None:
    """Set the arithmetic of the networks built from now on and seed every random source.

    Parameters
    ----------
    seed : int
        Non-negative; the initial weights and the dropout follow from it.
    precision : {"float32", "mixed_bfloat16", "mixed_float16"}
        Type of the activations; weights and losses are float32 whatever it is.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {PRECISIONS}, got {precision!r}")
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)


def compiles() -> bool:
    """Whether `jit_compile` pays: always on jax; on TensorFlow's CPU, XLA is 10 times slower."""
    return keras.backend.backend() == "jax"


def name() -> str:
    """Name of the engine in use, "tensorflow" or "jax" (or another that the user has set)."""
    return keras.backend.backend()


def versions() -> dict[str, str]:
    """Versions of Keras and of its engine."""
    return {"keras": keras.__version__, name(): importlib.metadata.version(name())}
