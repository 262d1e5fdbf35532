"""The NVIDIA GPUs of this machine: which one is used, and work that takes one each side by side."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from ..core.errors import InputError
from .programs import output_of


def visible() -> list[str]:
    """Names of the NVIDIA GPUs that a process started here would see, for CUDA_VISIBLE_DEVICES."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        named = ",".join(
            output_of("nvidia-smi", "--query-gpu=index", "--format=csv,noheader").split()
        )
    return [gpu for gpu in named.split(",") if gpu]


def use(device: str) -> None:
    """Let this process, which has not loaded Keras yet, and its children use one device only.

    Parameters
    ----------
    device : str
        ``cpu``; ``gpu`` for the first NVIDIA GPU that is visible; ``gpu:1`` for the second, ...

    Raises
    ------
    InputError
        If it is not such a name, or there are not so many GPUs.
    """
    if not (match := re.fullmatch(r"cpu|gpu(?::(\d+))?", device)):
        raise InputError(f"--device {device}: is no device. Name cpu, gpu, or gpu:1 and so on.")
    if device == "cpu":
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        return
    names, number = visible(), int(match[1] or 0)
    if number >= len(names):
        raise InputError(
            f"--device {device}: {len(names)} NVIDIA GPUs are visible here, as nvidia-smi and"
            " CUDA_VISIBLE_DEVICES say. Name one of them, counted from gpu:0, or cpu."
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = names[number]
    os.environ.pop("JAX_PLATFORMS", None)


def side_by_side(commands: Sequence[Sequence[str]], gpus: Sequence[str]) -> Iterator[int]:
    """Run commands, on each GPU one at a time; their exit codes, in their order.

    Their output goes where that of this process goes, without progress bars, which would mix.
    """
    free: SimpleQueue[str] = SimpleQueue()
    for gpu in gpus:
        free.put(gpu)

    def run(command: Sequence[str]) -> int:
        gpu = free.get()
        try:
            own = os.environ | {"CUDA_VISIBLE_DEVICES": gpu, "TQDM_DISABLE": "1"}
            return subprocess.run(command, env=own).returncode
        finally:
            free.put(gpu)

    with ThreadPoolExecutor(len(gpus)) as threads:
        yield from threads.map(run, commands)
