"""Batches are a function of epoch and step: nothing else moves a byte of them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.augmentation.on_the_fly import OnTheFly
from pipeline.cohorts import brats
from pipeline.network.batches import Sampler
from pipeline.preparation.shards import Shard

PATCHES = [(8, 8), (8, 8, 8)]


def on_the_fly(share: float) -> OnTheFly:
    return OnTheFly.model_validate(
        {
            "mirror": {"x": share, "y": share, "z": share},
            "gamma": {"probability": share, "exponent": (0.7, 1.5)},
            "contrast": {"probability": share, "factors": (0.7, 1.5)},
            "brightness": {"probability": share, "shift_sd": (-0.3, 0.3)},
            "noise": {"probability": share, "sd": (0.05, 0.1)},
            "own": (),
        }
    )


def shard(number: int, shape: tuple[int, int, int] = (30, 28, 20), dtype: str = "float16") -> Shard:
    """A case whose first modality is its number plus one all over, with a small tumour of all
    classes near one end.
    """
    image = np.random.default_rng(number).normal(size=(*shape, 4)).astype(dtype)
    image[..., 0] = number + 1
    classes = np.zeros(shape, np.uint8)
    classes[2:6, 2:6, 2:6] = 2
    classes[3:5, 3:5, 3:5] = 3
    classes[3, 3, 3] = 1
    return Shard(f"case{number}", image, classes)


def sampler(patch: tuple[int, ...] = (8, 8, 8), **changes) -> Sampler:
    given = {
        "shards": [shard(number) for number in range(3)],
        "schema": brats.schema("_"),
        "output": "regions",
        "patch": patch,
        "batch_size": 4,
        "foreground_share": 0.5,
        "seed": 7,
        "spacing_mm": (1.0, 1.0, 1.0),
    }
    return Sampler(**given | changes)


def as_bytes(batch: tuple[np.ndarray, np.ndarray]) -> bytes:
    return b"".join(array.tobytes() for array in batch)


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize(("output", "channels"), [("regions", 3), ("labels", 4)])
def test_a_batch_holds_images_and_targets_of_the_patch(patch, output, channels):
    image, target = sampler(patch, output=output).training(0, 0, on_the_fly(0.5))
    assert (image.shape, image.dtype) == ((4, *patch, 4), np.float32)
    assert (target.shape, target.dtype) == ((4, *patch, channels), np.uint8)
    assert target.max() <= 1
    assert output == "regions" or (target.sum(axis=-1) == 1).all()


@pytest.mark.parametrize("patch", PATCHES)
def test_the_same_epoch_and_step_give_the_same_bytes_in_any_order_and_by_any_thread(patch):
    numbers = [(epoch, step) for epoch in range(3) for step in range(4)]

    def made(one):
        return lambda number: as_bytes(one.training(*number, on_the_fly(0.5)))

    forwards = list(map(made(sampler(patch)), numbers))
    assert list(map(made(sampler(patch)), reversed(numbers)))[::-1] == forwards
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(made(sampler(patch)), numbers)) == forwards
    assert len(set(forwards)) == len(numbers)
    assert made(sampler(patch, seed=8))(numbers[0]) != forwards[0]


def test_a_tumour_too_large_to_list_is_sampled_the_same_way_each_time():
    large = shard(0, (48, 48, 48))
    large.classes[4:44, 4:44, 4:44] = 2  # 64 000 voxels, of which 4 096 are kept
    one, again = (
        sampler(shards=[large], foreground_share=1.0).training(0, 0, on_the_fly(0))
        for _ in range(2)
    )
    assert as_bytes(one) == as_bytes(again)


def test_the_validation_batches_are_fixed_not_augmented_and_take_every_case_in_turn():
    one, again = sampler(batch_size=2).validation(3), sampler(batch_size=2).validation(3)
    assert [as_bytes(batch) for batch in one] == [as_bytes(batch) for batch in again]
    assert [image[:, 0, 0, 0, 0].tolist() for image, _ in one] == [[1, 2], [3, 1], [2, 3]]
    assert len({as_bytes(batch) for batch in one}) == 3
    for image, _ in one:
        assert set(np.unique(image[..., 0])) <= {1, 2, 3}


def test_every_case_is_drawn_about_as_often_and_seldom_its_tumour_at_a_foreground_share_of_0():
    one = sampler(foreground_share=0.0, batch_size=20)
    batches = [one.training(0, step, on_the_fly(0)) for step in range(30)]
    drawn = np.concatenate([image[:, 0, 0, 0, 0] for image, _ in batches])
    assert all(140 < np.count_nonzero(drawn == number) < 260 for number in (1, 2, 3))
    assert np.mean([target[..., 0].any(axis=(1, 2, 3)) for _, target in batches]) < 0.4


def test_a_case_without_tumour_is_drawn_all_the_same():
    empty = Shard("empty", np.ones((12, 12, 12, 4), np.float16), np.zeros((12, 12, 12), np.uint8))
    image, target = sampler(shards=[empty], foreground_share=1.0).training(0, 0, on_the_fly(0))
    assert image.all()
    assert not target.any()


@pytest.mark.parametrize("patch", PATCHES)
def test_with_a_foreground_share_of_1_every_patch_holds_tumour_in_nested_regions(patch):
    one = sampler(patch, foreground_share=1.0)
    for step in range(10):
        whole, core, enhancing = np.moveaxis(one.training(0, step, on_the_fly(0.5))[1], -1, 0)
        assert whole.any(axis=tuple(range(1, len(patch) + 1))).all()
        assert (enhancing <= core).all()
        assert (core <= whole).all()
        assert core.any()


@pytest.mark.parametrize("patch", [(40, 40), (40, 16, 32)])
def test_a_patch_larger_than_the_volume_is_the_whole_of_it_in_the_middle_of_zeros(patch):
    image, target = sampler(patch, foreground_share=1.0).training(0, 0, on_the_fly(0))
    assert image.shape == (4, *patch, 4)
    assert image[:, 5:35, ..., 0].any(axis=tuple(range(2, len(patch) + 1))).all()
    assert not image[:, :5].any()
    assert not image[:, 35:].any()
    assert target[..., 0].any(axis=tuple(range(1, len(patch) + 1))).all()


def test_neighbouring_slices_are_channels_and_the_middle_one_is_the_target():
    heights = np.arange(1.0, 6.0)
    image = np.broadcast_to(heights[:, None] + [0, 10], (8, 8, 5, 2)).astype(np.float32)
    classes = np.broadcast_to(np.array([0, 1, 2, 3, 0], np.uint8), (8, 8, 5))
    one = sampler((8, 8), shards=[Shard("a", image, classes)], slices=3, output="labels")
    seen = set()
    for step in range(12):
        for window, target in zip(*one.training(0, step, on_the_fly(0)), strict=True):
            assert window.shape == (8, 8, 6)
            below, own, above = window[0, 0].reshape(3, 2).tolist()
            seen.add(int(own[0]))
            assert own[1] == own[0] + 10
            assert below == ([own[0] - 1, own[0] + 9] if own[0] > 1 else [0, 0])
            assert above == ([own[0] + 1, own[0] + 11] if own[0] < 5 else [0, 0])
            assert target[0, 0].argmax() == classes[0, 0, int(own[0]) - 1]
    assert seen == {1, 2, 3, 4, 5}


def test_the_slices_of_a_modality_are_flipped_and_recoloured_together():
    plain = np.random.default_rng(0).normal(size=(8, 8, 1, 2)).astype(np.float32)
    image = np.repeat(plain, 5, axis=2)  # equal slices stay equal
    classes = np.zeros((8, 8, 5), np.uint8)
    classes[:4] = 1
    ranges = on_the_fly(1).model_copy(update={"noise": on_the_fly(0).noise})
    one = sampler((8, 8), shards=[Shard("a", image, classes)], slices=3, foreground_share=0.0)
    windows, targets = zip(*(one.training(0, step, ranges) for step in range(5)), strict=True)
    inner = [window for batch in windows for window in batch if window[..., [0, -1]].all()]
    assert inner
    for window in inner:
        below, own, above = np.moveaxis(window.reshape(8, 8, 3, 2), 2, 0)
        np.testing.assert_array_equal(below, own)
        np.testing.assert_array_equal(above, own)
    flipped = {bool(target[-1, -1].any()) for batch in targets for target in batch}
    assert flipped == {True}


def test_shards_are_only_read():
    one = shard(0, dtype="float32")
    one.image.flags.writeable = one.classes.flags.writeable = False
    before = one.image.tobytes()
    sampler(shards=[one]).training(0, 0, on_the_fly(1.0))
    assert one.image.tobytes() == before
