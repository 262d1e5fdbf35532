"""The parts of a training as params.yaml describes them, joined: feeds, parts of a cohort."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core import params
from pipeline.core.errors import InputError
from pipeline.network import backend, checkpoint, training
from pipeline.network.params import NetworkParams
from pipeline.network.setup import Setup
from pipeline.network.train_params import TrainParams
from pipeline.preparation.shards import Shard

PARAMS = Path(__file__).parents[2] / "params.yaml"
SMALL = {
    "epochs": 2,
    "steps_per_epoch": 4,
    "batch_size": 2,
    "val_batches": 1,
    "patch": [16, 16, 16],
    "precision": "float32",
    "steps_per_call": 2,
}


def shards(count: int) -> list[Shard]:
    """Brains of noise, brighter in a ball that holds the three nested labels."""
    made = []
    for number in range(count):
        rng, shape = np.random.default_rng(number), (20, 24, 18 + number % 3)
        axes = np.meshgrid(*[np.arange(side) - side / 2 for side in shape], indexing="ij")
        radius = np.sqrt(sum(axis**2 for axis in axes))
        classes = np.select([radius < 3, radius < 5, radius < 7], [3, 1, 2], 0).astype(np.uint8)
        image = rng.normal(size=(*shape, 4)) + classes[..., None]
        made.append(Shard(f"case{number}", image.astype(np.float16), classes))
    return made


def setup(own=(), code="pipeline/__init__.py", dimensions=3, **changes) -> Setup:
    """Of a small 3D network and of params.yaml, with every transform of patches at work."""
    values = params.read(PARAMS)
    network = params.value(values, "network", NetworkParams, PARAMS)
    train = values["train"] | SMALL | changes
    for name, ranges in train["on_the_fly"].items():
        if name == "mirror":
            ranges |= {"x": 0.5, "y": 0.5, "z": 0.5}
        elif name != "own":
            ranges["probability"] = 0.5
    train["on_the_fly"]["own"] = list(own)
    small = {"dimensions": dimensions, "depth": 2, "filters": 4, "deep_supervision": False}
    return Setup(
        network.model_copy(update=small),
        params.value({"train": train}, "train", TrainParams, PARAMS),
        brats.schema("_"),
        code,
        3,
        (1.0, 1.0, 1.0),
    )


def trained(folder: Path, made: Setup, cohort: list[Shard], feed=None):
    """History and weights of a training."""
    backend.prepare(1, "float32")
    folder.mkdir(exist_ok=True)
    model, path = made.model(), folder / "checkpoint.npz"
    history = training.fit(
        model,
        made.loss(),
        made.optimizer(),
        made.schedule(workers=2),
        feed or made.feed(cohort),
        made.validation(cohort[:2]),
        made.schema,
        "regions",
        path,
        "same",
        resumed=checkpoint.load(path, "same"),
    )
    return history, b"".join(weight.tobytes() for weight in model.get_weights())


@pytest.mark.slow
def test_both_feeds_train_the_same_network(tmp_path):
    host, device = (
        trained(tmp_path / feed, setup(feed=feed), shards(4))[0] for feed in ("host", "device")
    )
    assert [record["loss"] for record in device] == pytest.approx(
        [record["loss"] for record in host], rel=5e-3
    )


@pytest.mark.slow
def test_a_device_feed_in_parts_repeats_its_bits_killed_and_resumed_or_not(tmp_path):
    cohort = shards(5)
    # two or three cases at once
    made = setup(feed="device", resident_gb=25e3 * 9 / 1e9, epochs=4)

    def killed(epoch, step):
        if (epoch, step) == (3, 1):
            raise KeyboardInterrupt
        return feed.item(epoch, step)

    feed = made.feed(cohort)
    parts = {tuple(feed.item(epoch, 0)["case"].tolist()) for epoch in (1, 2, 3)}
    assert len(parts) == 3
    assert len(feed.constants(1)["classes"]) < sum(one.classes.size for one in cohort)
    whole = trained(tmp_path / "whole", made, cohort)
    interrupted = training.Feed(killed, feed.batch, feed.constants, feed.steps_per_call)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", made, cohort, interrupted)
    assert len(checkpoint.load(tmp_path / "cut/checkpoint.npz", "same").history) == 2
    assert trained(tmp_path / "cut", made, cohort) == whole
    losses = [record["loss"] for record in whole[0]]
    assert losses[-1] < losses[0]


def test_own_transforms_choose_the_host_and_refuse_the_device(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (PARAMS.parent / "docs/extending/transform.md").read_text()
    (tmp_path / "own_transforms.py").write_text(page.split("```python\n")[1].split("```")[0])

    def made(feed):
        return setup(own=("own_transforms:ghosting",), code="own_transforms.py", feed=feed)

    image, target = made("auto").feed(shards(2)).item(1, 0)
    assert (image.shape, target.shape) == ((2, 16, 16, 16, 4), (2, 16, 16, 16, 3))
    with pytest.raises(InputError, match=r"own names ghosting.*Set it to host or auto"):
        made("device").feed(shards(2))


def test_a_batch_of_one_has_no_other_tumour_to_paste():
    with pytest.raises(InputError, match=r"train\.batch_size is 1\. Set it to 2 or more"):
        setup(batch_size=1).feed(shards(1))
