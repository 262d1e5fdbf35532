"""Networks as files: equal bytes for equal training, and nothing loaded that is not safe."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.network import backend, optimizer, saving
from pipeline.network.backend import keras
from pipeline.network.layers.exchange import fast
from tests.network.conftest import nested_batch, take_steps, tiny

IMAGE = np.random.default_rng(0).normal(size=(1, 16, 16, 4)).astype(np.float32)


def trained(folder: Path) -> list[str]:
    """Hashes of the files of small networks in 2D and 3D after a few steps."""
    hashes = []
    for dimensions, shape, precision in (
        (2, (4, 32, 32), "mixed_bfloat16"),
        (3, (2, 8, 8, 8), "float32"),
    ):
        backend.prepare(5, precision)
        model = fast(tiny(dimensions=dimensions, depth=2, dropout=0.2))
        chosen = optimizer.build(
            "adamw", weight_decay=0.01, momentum=0.0, clip_norm=1.0, ema_momentum=0.9
        )
        take_steps(model, chosen, [nested_batch(0, step, shape) for step in range(4)])
        saving.save_model(model, folder / f"{dimensions}.keras")
        hashes.append(hashlib.sha256((folder / f"{dimensions}.keras").read_bytes()).hexdigest())
    return hashes


@pytest.mark.slow
def test_the_same_training_gives_the_same_bytes_in_another_process(tmp_path):
    program = (
        "import sys, pathlib; from tests.network import test_saving;"
        " print(test_saving.trained(pathlib.Path(sys.argv[1])))"
    )
    root, other = Path(__file__).parents[2], tmp_path / "other"
    other.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", program, other],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == str(trained(tmp_path))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_saved_network_has_no_date_and_gives_its_finest_logits_again(tmp_path, precision):
    backend.prepare(0, precision)
    model = fast(tiny(depth=4, deep_supervision=True, encoder="residual", dropout=0.2))
    saving.save_model(model, tmp_path / "network.keras")
    backend.prepare(1, "float32")
    loaded = saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(IMAGE), model.predict_on_batch(IMAGE)[0])
    with zipfile.ZipFile(tmp_path / "network.keras") as file:
        assert {entry.date_time for entry in file.infolist()} == {saving.EPOCH}
        assert b"date_saved" not in file.read("metadata.json")


def test_a_type_head_is_saved_with_the_finest_logits(tmp_path):
    model = fast(tiny(depth=4, outputs=4, deep_supervision=True, output="labels", type_head=True))
    saving.save_model(model, tmp_path / "network.keras")
    finest, types = saving.load_model(tmp_path / "network.keras").predict_on_batch(IMAGE)
    expected = model.predict_on_batch(IMAGE)
    np.testing.assert_array_equal(finest, expected[0])
    np.testing.assert_array_equal(types, expected[-1])


@pytest.mark.parametrize(
    "damaged",
    [
        lambda whole: b"",
        lambda whole: b"not a network",
        lambda whole: b"PK\x05\x06" + bytes(18),
        lambda whole: whole[:-400],
        None,
    ],
)
def test_a_file_that_is_missing_or_no_network_is_rejected_by_name(tmp_path, damaged):
    path = tmp_path / "network.keras"
    saving.save_model(tiny(), path)
    path.write_bytes(damaged(path.read_bytes())) if damaged else path.unlink()
    with pytest.raises(InputError, match=r"network\.keras: is not a network .* dvc repro"):
        saving.load_model(path)


def test_code_inside_a_file_is_not_run(tmp_path):
    image = keras.Input((None, None, 4))
    keras.Model(image, keras.layers.Lambda(lambda voxels: voxels)(image)).save(
        tmp_path / "network.keras"
    )
    with pytest.raises(InputError, match="safely"):
        saving.load_model(tmp_path / "network.keras")
