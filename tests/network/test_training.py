"""Training that learns, repeats exactly, resumes after an interruption, and leaves no threads."""

import threading

import numpy as np
import pytest

from pipeline.core.regions import classes_to_outputs
from pipeline.core.schema import Schema
from pipeline.network import backend, checkpoint
from pipeline.network import optimizer as optimizers
from pipeline.network import training as fitting
from pipeline.network.losses import DiceCrossEntropy
from pipeline.network.training import Schedule
from tests.network.conftest import as_logits, nested_batch, take_steps, tiny

REGIONS = DiceCrossEntropy("regions", 1.0, 1.0)


def adam(ema_momentum=0.8):
    return optimizers.build(
        "adamw", weight_decay=0.01, momentum=0.0, clip_norm=1.0, ema_momentum=ema_momentum
    )


def schedule(epochs=4, steps=3, patience=0, workers=2, rate=0.02):
    return Schedule(
        epochs,
        steps,
        patience,
        learning_rate=lambda step, losses: rate / (1 + step + len(losses)),
        workers=workers,
        max_queue_size=3,
    )


class Training:
    """One training of a tiny network with everything that has a state: dropout, moments, running
    averages.
    """

    def __init__(self, folder, schema, precision="float32", output="regions", **changes):
        self.path, self.schema, self.precision = folder / "checkpoint.npz", schema, precision
        self.output = output
        self.network = {"depth": 2, "dropout": 0.3, "outputs": 3 + (output == "labels")} | changes

    def run(self, plan, batch=nested_batch, seed=0, optimizer=None, **settings):
        backend.prepare(seed, self.precision)
        self.model = tiny(**self.network)
        history = fitting.fit(
            self.model,
            DiceCrossEntropy(self.output, 1.0, 1.0),
            optimizer or adam(),
            plan,
            fitting.Feed(batch),
            [batch(1, 0)],
            self.schema,
            self.output,
            self.path,
            "same",
            resumed=checkpoint.load(self.path, "same"),
            **settings,
        )
        return history, b"".join(weight.tobytes() for weight in self.model.get_weights())


@pytest.mark.parametrize(
    "changes",
    [
        {"normalization": "batch", "depth": 4, "deep_supervision": True},
        {"precision": "mixed_float16"},
    ],
    ids=["batch norm and deep supervision", "loss scaling"],
)
@pytest.mark.slow
def test_a_resumed_training_on_more_threads_ends_with_the_bits_of_an_undisturbed_one(
    tmp_path, schema, changes
):
    def killed(epoch, step):
        if (epoch, step) == (3, 1):
            raise KeyboardInterrupt
        return nested_batch(epoch, step)

    undisturbed, disturbed = (
        Training(tmp_path / name, schema, **changes) for name in ("whole", "cut")
    )
    whole = undisturbed.run(schedule(workers=1))
    with pytest.raises(KeyboardInterrupt):
        disturbed.run(schedule(), killed)
    assert len(checkpoint.load(disturbed.path, "same").history) == 2
    assert disturbed.run(schedule(workers=4), seed=99) == whole
    assert disturbed.path.read_bytes() == undisturbed.path.read_bytes()


def test_a_finished_training_gave_its_records_and_its_whole_state_and_takes_no_further_step(
    tmp_path, schema
):
    training, made, seen = Training(tmp_path, schema), [], []

    def batch(epoch, step):
        made.append((epoch, step))
        return nested_batch(epoch, step)

    whole = training.run(schedule(epochs=2), batch, on_epoch=lambda *given: seen.append(given))
    assert [record for record, _ in seen] == whole[0]
    names = (*schema.regions, *schema.labels)
    expected = {"epoch", "learning_rate", "loss", "val_loss", "val_dice"}
    assert set(whole[0][0]) == expected | {f"val_dice_{name}" for name in names}
    for _, timing in seen:
        assert set(timing) == {"seconds", "waiting"}
        assert 0 <= timing["waiting"] <= 1
    state = checkpoint.load(training.path, "same")
    paths = [variable.path for variable in training.model.variables]
    assert sum("seed_generator" in path for path in paths) == 1
    assert len(state.variables) == len(paths)
    # iterations, rate; two moments and an average of each weight
    assert len(state.optimizer) == 2 + 3 * len(training.model.trainable_variables)
    made.clear()
    assert training.run(schedule(epochs=2), batch, seed=7) == whole
    assert made == [(1, 0)]  # for the validation


@pytest.mark.slow
@pytest.mark.parametrize(("output", "steps"), [("regions", 40), ("labels", 100)])
def test_training_learns_nested_regions_and_labels(tmp_path, schema, output, steps):
    def batch(epoch, step):
        image, regions = nested_batch(0, step % 2)
        classes = np.array([0, 2, 1, 3], np.uint8)[regions.sum(-1)]  # WT holds TC holds ET
        return image, classes_to_outputs(classes, schema, output)

    history, _ = Training(tmp_path, schema, output=output, dropout=0.0).run(
        Schedule(3, steps, 0, lambda step, losses: 0.02), batch, optimizer=adam(0.9)
    )
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["val_dice"] > 0.9
    assert history[-1]["val_dice_ET"] == history[-1]["val_dice_enhancing"]


def test_the_weights_of_the_best_epoch_are_kept_and_patience_ends_training(tmp_path, schema):
    ruined = Schedule(9, 10, 2, lambda step, losses: 0.02 if step < 20 else 5.0)
    sgd = optimizers.build("sgd", weight_decay=0.0, momentum=0.9, clip_norm=1.0, ema_momentum=0.0)
    training = Training(tmp_path, schema, dropout=0.0)
    history, _ = training.run(ruined, optimizer=sgd)
    best = max(range(len(history)), key=lambda epoch: fitting.score(history[epoch]))
    assert len(history) == best + 1 + 2
    seen = fitting.validate(training.model, REGIONS, [nested_batch(1, 0)], schema, "regions")
    assert seen == {name: history[best][name] for name in seen}


def test_an_error_while_a_batch_is_made_ends_training_and_every_thread(tmp_path, schema):
    def broken(epoch, step):
        if step == 2:
            raise RuntimeError("shard is gone")
        return nested_batch(epoch, step)

    with pytest.raises(RuntimeError, match="shard is gone"):
        Training(tmp_path, schema).run(schedule(steps=9), broken)
    assert not [one for one in threading.enumerate() if one.name.startswith("batches")]


def test_validation_counts_voxels_over_all_batches(schema):
    def batch(reference, predicted):
        masks = np.zeros((2, 1, 10, 1, 3), np.float32)
        masks[0, 0, :reference, 0], masks[1, 0, :predicted, 0] = 1, 1
        return masks[1] * 2 - 1, masks[0].astype(np.uint8)

    found = fitting.validate(
        as_logits(3), REGIONS, [batch(8, 8), batch(2, 0), batch(0, 0)], schema, "regions"
    )
    assert found["val_dice_WT"] == pytest.approx(2 * 8 / (10 + 8))
    assert found["val_dice"] == pytest.approx(found["val_dice_WT"])
    assert np.isnan(found["val_dice_edema"])


def test_averaged_weights_are_lent_and_given_back():
    model, optimizer = tiny(), adam(0.5)
    optimizer.learning_rate = 0.1
    seen = []
    for step in range(3):
        take_steps(model, optimizer, [nested_batch(0, step)])
        seen.append(model.get_weights()[0])
    with fitting.averaged_weights(model, optimizer):
        np.testing.assert_allclose(
            model.get_weights()[0], seen[0] / 4 + seen[1] / 4 + seen[2] / 2, rtol=1e-4, atol=1e-6
        )
    np.testing.assert_array_equal(model.get_weights()[0], seen[2])


def test_coarser_targets_keep_every_second_voxel_of_space_and_their_weights_halve():
    target = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    np.testing.assert_array_equal(fitting.coarser(target, (1, 1)), target)
    np.testing.assert_array_equal(fitting.coarser(target, (2, 2)), target[:, ::2, ::2])
    assert fitting.coarser(target, (4, 2)).shape == (2, 1, 2, 3)
    assert fitting.level_weights(1) == [1.0]
    assert fitting.level_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])


@pytest.mark.slow
def test_a_type_head_learns_the_types_of_patches_by_the_weight_of_its_loss(tmp_path):
    names = ("a", "b")
    schema = Schema(
        cohort="x",
        dimensions=2,
        modalities=("t1c",),
        labels={"a": 1, "b": 2},
        regions={name: (name,) for name in names},
        empty_rule="nan",
        types=True,
    )

    def batch(epoch, step):
        drawn = np.random.default_rng((epoch, step))
        image = drawn.normal(size=(4, 16, 16, 1)).astype(np.float32)
        classes = np.zeros((4, 16, 16), np.uint8)
        classes[1:3, 4:12, 4:12] = [[[1]], [[2]]]  # the first and last hold none
        image[1, ..., 0] += 3 * (classes[1] == 1)
        image[2, ..., 0] -= 3 * (classes[2] == 2)
        return image, classes_to_outputs(classes, schema, "labels")

    right = {}
    for weight in (0.0, 1.0):
        one = Training(tmp_path / str(weight), schema, output="labels", channels=1, type_head=True)
        one.network |= {"outputs": 3, "dropout": 0.0}
        plan = Schedule(1, 60, 0, lambda step, losses: 0.02)
        history, _ = one.run(plan, batch, optimizer=adam(0.0), type_weight=weight)
        assert np.isfinite(history[0]["val_loss"])
        types = one.model.predict_on_batch(batch(9, 9)[0])[-1]
        right[weight] = np.diff(types[1:3])[:, 0]
    assert right[1.0][0] < -1  # the first type
    assert right[1.0][1] > 1
    assert right[0.0][1] - right[0.0][0] < 1  # never asked to tell them apart
