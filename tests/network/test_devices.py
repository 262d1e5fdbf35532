"""Several devices and several processes share a batch, and the loss is that of one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import InputError
from pipeline.network import backend
from tests.network.test_setup import setup, shards, trained

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(backend.name() != "jax", reason="one device on TensorFlow"),
]
ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, os, pathlib, sys, tempfile
from tests.network.test_devices import losses
print(json.dumps(losses(pathlib.Path(tempfile.mkdtemp()), *map(int, sys.argv[1:]))))
"""


def losses(folder: Path, devices: int, dies: int = -1) -> list[float]:
    """Of the epochs of a training whose process of number `dies` ends in the second."""
    made = setup(dimensions=2, patch=[16, 16], batch_size=4, feed="device", devices=devices)
    backend.join()
    cohort = shards(3)
    feed = made.feed(cohort)
    item = feed.item

    def ends(epoch, step):
        if (epoch, backend.process()[0]) == (2, dies):
            os._exit(3)
        return item(epoch, step)

    object.__setattr__(feed, "item", ends)
    return [record["loss"] for record in trained(folder, made, cohort, feed)[0]]


def start(devices: int, *arguments: int, virtual: int = 1, **environment: str) -> subprocess.Popen:
    """A process with so many virtual devices."""
    flags = f"--xla_force_host_platform_device_count={virtual}"
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(devices), *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes(count: int, *arguments: int) -> list[subprocess.Popen]:
    """Processes that train together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    known = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(count)}
    return [start(1, *arguments, **known, JAX_PROCESS_ID=str(number)) for number in range(count)]


def printed(process: subprocess.Popen) -> list[float]:
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def test_one_two_and_four_devices_and_two_processes_give_the_same_losses(tmp_path):
    alone = losses(tmp_path, 1)
    others = [printed(start(0, virtual=2)), printed(start(4, virtual=4))]
    others += [printed(process) for process in processes(2)]
    for other in others:
        assert other == pytest.approx(alone, abs=1e-5)


def test_when_one_process_dies_the_others_end_with_a_message():
    first, second = processes(2, 1)
    _, err = first.communicate(timeout=300)
    second.communicate(timeout=300)
    assert second.returncode == 3
    assert first.returncode != 0
    assert "another process of this training has ended" in err


def test_batches_that_devices_cannot_share_and_devices_that_are_not_there_are_refused():
    with pytest.raises(InputError, match=r"train.devices is 99, but JAX finds"):
        setup(devices=99).feed(shards(2))
    refused = start(0, virtual=3)
    _, err = refused.communicate(timeout=300)
    assert "batch_size is 4, but 3 devices share a batch" in err
