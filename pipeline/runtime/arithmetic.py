"""What the last bits of a network's outputs depend on beside network and image."""

import os
import platform
from typing import Any

from ..core.cores import usable_cores
from . import provenance, requirements
from .code import code_hash

_LIBRARIES = (
    "jaxlib",
    "jax-cuda12-plugin",
    "jax-cuda13-plugin",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
)
_SWITCHES = ("TF_", "XLA_", "JAX_", "KERAS_", "ONEDNN_", "OMP_", "OV_", "NVIDIA_", "CUDA_")
_LOGGING = "TF_CPP_"


def origin(*code: str) -> dict[str, Any]:
    """Code (places as of `code_hash`), versions, machine and switches of the environment, as plain
    values.
    """
    machine = provenance.machine()
    del machine["memory_gb"]
    switches = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(_SWITCHES) and not name.startswith(_LOGGING)
    }
    return {
        "code": code_hash(*code),
        "python": platform.python_version(),
        "packages": provenance.packages() | requirements.installed(*_LIBRARIES),
        "machine": machine | {"usable_cores": usable_cores()},
        "switches": switches,
    }
