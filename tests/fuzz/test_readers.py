"""The readers take the seeds, and simple mutations of them raise nothing but our error."""

import numpy as np
import pytest

from tests.fuzz.readers import READERS, run, seeds


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_taken(name, tmp_path):
    for seed in seeds(READERS[name]):
        assert run(READERS[name], seed, tmp_path) == ""


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", READERS)
def test_mutated_inputs_are_taken_or_rejected(name, tmp_path):
    rng = np.random.default_rng(0)
    for seed in seeds(READERS[name]):
        for _ in range(40):
            data = np.frombuffer(seed, np.uint8).copy()
            places = rng.integers(
                0, min(len(data), rng.choice([64, 512, len(data)])), rng.integers(1, 5)
            )
            data[places] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)], len(places))
            run(
                READERS[name],
                data[: rng.integers(1, len(data) + 1) if rng.random() < 0.2 else None].tobytes(),
                tmp_path,
            )
