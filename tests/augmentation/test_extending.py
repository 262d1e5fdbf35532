"""The page docs/extending/transform.md, followed word by word."""

import sys

import joblib
import numpy as np
import pytest

from pipeline.augmentation.on_the_fly import apply_own
from pipeline.augmentation.transform import load_own
from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from pipeline.network.train_params import TrainParams
from pipeline.preparation import shards
from tests import project


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = project.make(tmp_path)
    monkeypatch.chdir(made)
    monkeypatch.setenv("DVC_ROOT", str(made))
    monkeypatch.setattr(sys, "path", list(sys.path))
    with joblib.parallel_config(n_jobs=1):
        for name in ("download", "preprocess", "split"):
            project.run(made, name)
        yield made
    sys.modules.pop("my_transforms", None)


def test_the_page_makes_copies_that_record_the_transform_and_patches(folder):
    project.run(folder, "augment")
    plain = read_csv(folder / "data/augmented/table.csv")
    images = {
        row["name"]: np.array(shards.read(folder / "data/augmented", row["name"]).image)
        for row in plain
    }
    values = project.follow("transform.md", folder)
    project.run(folder, "augment")
    rows = read_csv(folder / "data/augmented/table.csv")
    assert [{key: row[key] for key in plain[0]} for row in rows] == plain
    for row in rows:
        copied = np.array(shards.read(folder / "data/augmented", row["name"]).image)
        for channel, name in enumerate(("t1n", "t1c", "t2w", "t2f")):
            acts = float(row[f"ghosting.strength_{name}"]) > 0
            same = np.array_equal(copied[..., channel], images[row["name"]][..., channel])
            assert same != acts

    own = load_own(values["train.on_the_fly.own"], "train.on_the_fly.own", "my_transforms.py")
    section = project.params.read(folder / "params.yaml")
    project.params.value(section, "train", TrainParams, folder / "params.yaml")
    image = np.random.default_rng(0).normal(size=(16, 12, 1, 4)).astype(np.float32)
    classes, names = np.zeros((16, 12, 1), np.uint8), ("t1n", "t1c", "t2w", "t2f")
    changed = np.array(
        [
            apply_own(own, np.random.default_rng(seed), image.copy(), classes, (1.0,) * 3, names)[0]
            for seed in range(4)
        ]
    )
    assert changed.shape == (4, *image.shape)
    assert not np.array_equal(changed, np.broadcast_to(image, changed.shape))


def test_a_name_that_is_no_transform_is_rejected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_transforms", raising=False)
    (tmp_path / "my_transforms.py").write_text("ghosting = 3\n")
    with pytest.raises(InputError, match=r"augment\.own names ghosting, which is 3, not a"):
        load_own(("my_transforms:ghosting",), "augment.own", "my_transforms.py")
