"""Work that takes a GPU each, in processes of this machine side by side."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from .programs import output_of


def visible() -> list[str]:
    """Names of the NVIDIA GPUs that a process started here would see, for CUDA_VISIBLE_DEVICES."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        named = ",".join(
            output_of("nvidia-smi", "--query-gpu=index", "--format=csv,noheader").split()
        )
    return [gpu for gpu in named.split(",") if gpu]


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
