"""A device is chosen by the environment that the backends read."""

import os

import pytest

from pipeline.core.errors import InputError
from pipeline.runtime import gpus


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """One that is restored, with a wish of the user."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    yield
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # so that the wish of before is restored


def test_the_cpu_alone_hides_every_gpu_and_is_named_to_jax():
    gpus.use("cpu")
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["JAX_PLATFORMS"]) == ("", "cpu")
    assert gpus.visible() == []


@pytest.mark.parametrize(("device", "name"), [("gpu", "0"), ("gpu:0", "0"), ("gpu:2", "2")])
def test_a_gpu_is_the_only_one_that_stays_visible(replaced, device, name):
    replaced("nvidia-smi", "printf '0\\n1\\n2\\n'")
    gpus.use(device)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == name
    assert "JAX_PLATFORMS" not in os.environ


def test_gpus_are_counted_among_those_that_are_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7f")
    gpus.use("gpu:1")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-7f"


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("gpu:1", "--device gpu:1: 1 NVIDIA GPUs are visible here"),
        ("gpu:", "--device gpu:: is no device"),
        ("cuda", r"--device cuda: is no device\. Name cpu, gpu, or gpu:1"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(replaced, device, said):
    replaced("nvidia-smi", "echo 0")
    with pytest.raises(InputError, match=said):
        gpus.use(device)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
