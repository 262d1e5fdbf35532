"""The pages of docs/extending on networks, losses and schedules, followed word by word."""

import shutil
import sys

import joblib
import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from pipeline.network import architectures, registry, saving
from pipeline.network.backend import keras
from pipeline.network.card import read_card
from tests import project
from tests.network.conftest import TINY

SHORT = {"train.epochs": 1, "train.steps_per_epoch": 2, "train.val_batches": 1}
OWN_LAYER = """
import keras

@keras.saving.register_keras_serializable(package="my_layers")
class Gate(keras.layers.Layer):
    def call(self, features):
        return features * keras.ops.sigmoid(features)

def build(params, channels, outputs):
    image = keras.Input((None, None, channels))
    return keras.Model(image, keras.layers.Conv2D(outputs, 1, dtype="float32")(Gate()(image)))
"""


@pytest.fixture
def folder(prepared, tmp_path, monkeypatch):
    """A project before `train`, as the current folder, from which modules are imported."""
    copy = shutil.copytree(prepared.parent, tmp_path / "copy") / "project"
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(copy))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield copy
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    made = project.make(tmp_path_factory.mktemp("extending"))
    with pytest.MonkeyPatch.context() as patch, joblib.parallel_config(n_jobs=1):
        patch.chdir(made)
        patch.setenv("DVC_ROOT", str(made))
        for name in ("download", "preprocess", "split", "augment"):
            project.run(made, name)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("page", ["network.md", "loss.md", "schedule.md"])
def test_a_page_trains_and_its_model_loads_without_the_module(folder, page, monkeypatch):
    values = project.follow(page, folder)
    project.write_params(folder, project.SMALL | values | SHORT)
    project.run(folder, "train")
    assert np.isfinite(float(read_csv(folder / "metrics/history.csv")[0]["loss"]))
    card = read_card(folder / "models")
    if page == "network.md":
        assert card.network.options == {"dilations": [1, 2, 4]}
    monkeypatch.chdir(folder / "models")
    monkeypatch.setitem(sys.modules, "my_networks", None)
    loaded = saving.load_model(folder / "models/network.keras", card.network.architecture)
    assert loaded(np.zeros((1, 16, 16, 4), np.float32)).shape == (1, 16, 16, 3)


def test_layers_of_its_own_load_where_their_module_is_and_else_the_error_names_it(
    folder, monkeypatch
):
    (folder / "my_layers.py").write_text(OWN_LAYER)
    own = TINY.model_copy(update={"architecture": "my_layers:build"})
    saving.save_model(architectures.build(own, (16, 16), 4, 3, "my_layers.py"), folder / "n.keras")
    monkeypatch.delitem(keras.saving.get_custom_objects(), "my_layers>Gate")
    del sys.modules["my_layers"]
    assert len(saving.load_model(folder / "n.keras", own.architecture).outputs) == 1
    keras.saving.get_custom_objects().pop("my_layers>Gate")
    del sys.modules["my_layers"]
    monkeypatch.chdir(folder / "data")
    with pytest.raises(InputError, match=r"n\.keras: needs the layer Gate of my_layers"):
        saving.load_model(folder / "n.keras", own.architecture)


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        ("build = lambda params, channels, outputs: 7", "7, where a functional keras.Model"),
        (
            OWN_LAYER.replace("outputs, 1, dtype", "outputs + 1, 1, dtype"),
            r"logits of shape .*4\)\] for a patch",
        ),
        (OWN_LAYER.replace('"float32"', '"float16"'), "logits of float16: build the last layer"),
    ],
)
def test_a_network_that_does_not_fit_is_rejected_before_training(folder, code, finding):
    (folder / "my_wrong.py").write_text(code.replace("my_layers", "my_wrong"))
    own = TINY.model_copy(update={"architecture": "my_wrong:build"})
    with pytest.raises(InputError, match=f"network.architecture my_wrong:build gives {finding}"):
        architectures.build(own, (16, 16), 4, 3, "my_wrong.py")


def test_a_module_outside_of_own_code_is_an_error_but_those_of_keras_are_known(folder):
    (folder / "my_losses.py").write_text("def build(output, train): ...")
    with pytest.raises(InputError, match=r"train\.loss is 'my_losses:build', but own_code names"):
        registry.load(registry.LOSSES, "my_losses:build", "train.loss", "pipeline/__init__.py")
    lion = registry.load(registry.OPTIMIZERS, "keras.optimizers:Lion", "train.optimizer", "x")
    assert lion is keras.optimizers.Lion
