"""Several networks as one, in memory, as a file and converted to other layers."""

import numpy as np
import pytest

from pipeline.network import backend, ensemble, saving
from pipeline.network.layers.exchange import convertible, fast
from tests.network.conftest import tiny

IMAGE = np.random.default_rng(0).normal(size=(2, 16, 16, 4)).astype(np.float32)


def logits(network) -> np.ndarray:
    return np.array(backend.keras.ops.convert_to_numpy(network(IMAGE)), np.float32)


@pytest.fixture
def members():
    backend.prepare(0, "float32")
    return [fast(tiny(depth=3, deep_supervision=True)) for _ in range(3)]


def test_an_ensemble_has_the_mean_logits_of_its_members_and_gives_them_back(members, tmp_path):
    ensemble.save(members, tmp_path / "network.keras")
    together = saving.load_model(tmp_path / "network.keras")
    alone = [logits(saving.inference_network(member)) for member in members]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_allclose(logits(together), np.mean(alone, axis=0), atol=1e-5)
    np.testing.assert_allclose(logits(convertible(together)), np.mean(alone, axis=0), atol=1e-5)
    found = ensemble.members_of(together)
    assert len(found) == 3
    for member, expected in zip(found, alone, strict=True):
        np.testing.assert_allclose(logits(member), expected, atol=1e-5)
        kinds = {type(layer).__name__ for layer in member.layers}
        assert {"InstanceNorm", "DepthToSpace"} <= kinds, "the members have the fast layers too"


def test_one_network_is_saved_as_itself(members, tmp_path):
    ensemble.save(members[:1], tmp_path / "one.keras")
    saving.save_model(members[0], tmp_path / "itself.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "itself.keras").read_bytes()
    loaded = saving.load_model(tmp_path / "one.keras")
    assert ensemble.members_of(loaded) == [loaded]
