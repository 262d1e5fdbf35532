"""Batches are a function of epoch and step, and the same wherever they are made."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.augmentation.on_the_fly import OnTheFly
from pipeline.cohorts import brats
from pipeline.core.errors import InputError
from pipeline.core.regions import classes_to_outputs
from pipeline.network.backend import keras
from pipeline.network.batches.host import HostBatches
from pipeline.network.batches.on_device import DeviceBatches
from pipeline.network.batches.recipes import Recipes, parts_within
from pipeline.network.batches.resident import Resident, Rotation, encoded
from pipeline.preparation.shards import Shard

PATCHES = [(8, 8), (8, 8, 8)]
SCHEMA = brats.schema("_")
SPACING_MM = (1.0, 1.0, 2.0)


def on_the_fly(share: float, **changes) -> OnTheFly:
    ranges = {
        "rotation": {"degrees": (-20, 20)},
        "scaling": {"factors": (0.8, 1.3)},
        "elastic": {"largest_mm": (1, 3), "knots_mm": 9.0},
        "gamma": {"exponent": (0.7, 1.5)},
        "contrast": {"factors": (0.7, 1.5)},
        "brightness": {"shift_sd": (-0.3, 0.3)},
        "blur": {"sigma_mm": (0.5, 1.0)},
        "low_resolution": {"factors": (1.2, 2.0)},
        "noise": {"sd": (0.05, 0.1)},
        "modality_dropout": {},
        "fade": {"shares": (0.2, 0.9)},
        "copy_paste": {},
    }
    sections = {name: {"probability": share} | given for name, given in ranges.items()}
    sections["mirror"] = {"x": share, "y": share, "z": share}
    for name, probability in changes.items():
        sections[name]["probability"] = probability
    return OnTheFly.model_validate(sections | {"own": ()})


STILL = dict.fromkeys(
    ("rotation", "scaling", "elastic", "modality_dropout", "fade", "copy_paste"), 0
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


def recipes(patch: tuple[int, ...] = (8, 8, 8), ranges: OnTheFly | None = None, **changes):
    given = {
        "shards": [shard(number) for number in range(3)],
        "labels": 3,
        "patch": patch,
        "batch_size": 4,
        "foreground_share": 0.5,
        "seed": 7,
        "spacing_mm": SPACING_MM,
        "on_the_fly": ranges or on_the_fly(0),
    } | changes
    return Recipes(parts=[range(len(given["shards"]))], **given)


def sampler(*given, output: str = "regions", **changes) -> HostBatches:
    return HostBatches(recipes(*given, **changes), SCHEMA, output)


def as_bytes(batch: tuple[np.ndarray, np.ndarray]) -> bytes:
    return b"".join(array.tobytes() for array in batch)


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize(("output", "channels"), [("regions", 3), ("labels", 4)])
def test_a_batch_holds_images_and_targets_of_the_patch(patch, output, channels):
    image, target = sampler(patch, on_the_fly(0.5), output=output).training(1, 0)
    assert (image.shape, image.dtype) == ((4, *patch, 4), np.float32)
    assert (target.shape, target.dtype) == ((4, *patch, channels), np.uint8)
    assert target.max() <= 1
    assert output == "regions" or (target.sum(axis=-1) == 1).all()


@pytest.mark.parametrize("patch", PATCHES)
def test_the_same_epoch_and_step_give_the_same_bytes_in_any_order_and_by_any_thread(patch):
    numbers = [(epoch, step) for epoch in range(1, 4) for step in range(4)]

    def made(one):
        return lambda number: as_bytes(one.training(*number))

    def again(**changes):
        return sampler(patch, on_the_fly(0.5), **changes)

    forwards = list(map(made(again()), numbers))
    assert list(map(made(again()), reversed(numbers)))[::-1] == forwards
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(made(again()), numbers)) == forwards
    assert len(set(forwards)) == len(numbers)
    assert made(again(seed=8))(numbers[0]) != forwards[0]


def test_a_tumour_too_large_to_list_is_sampled_the_same_way_each_time():
    large = shard(0, (48, 48, 48))
    large.classes[4:44, 4:44, 4:44] = 2  # 64 000 voxels, of which 4 096 are kept
    one, again = (sampler(shards=[large], foreground_share=1.0).training(1, 0) for _ in range(2))
    assert as_bytes(one) == as_bytes(again)


def test_the_validation_batches_are_fixed_not_augmented_and_take_every_case_in_turn():
    one, again = (sampler(ranges=on_the_fly(1.0), batch_size=2).validation(3) for _ in range(2))
    assert [as_bytes(batch) for batch in one] == [as_bytes(batch) for batch in again]
    assert [image[:, 0, 0, 0, 0].tolist() for image, _ in one] == [[1, 2], [3, 1], [2, 3]]
    assert len({as_bytes(batch) for batch in one}) == 3
    for image, _ in one:
        assert set(np.unique(image[..., 0])) <= {1, 2, 3}


def test_every_case_is_drawn_about_as_often_and_seldom_its_tumour_at_a_foreground_share_of_0():
    one = sampler(foreground_share=0.0, batch_size=20)
    batches = [one.training(1, step) for step in range(30)]
    drawn = np.concatenate([image[:, 0, 0, 0, 0] for image, _ in batches])
    assert all(140 < np.count_nonzero(drawn == number) < 260 for number in (1, 2, 3))
    assert np.mean([target[..., 0].any(axis=(1, 2, 3)) for _, target in batches]) < 0.4


def test_a_case_without_tumour_is_drawn_all_the_same():
    empty = Shard("empty", np.ones((12, 12, 12, 4), np.float16), np.zeros((12, 12, 12), np.uint8))
    image, target = sampler(shards=[empty], foreground_share=1.0).training(1, 0)
    assert image.all()
    assert not target.any()


@pytest.mark.parametrize("patch", PATCHES)
def test_with_a_foreground_share_of_1_every_patch_holds_tumour_in_nested_regions(patch):
    one = sampler(patch, on_the_fly(0.5, **STILL), foreground_share=1.0)
    for step in range(10):
        whole, core, enhancing = np.moveaxis(one.training(1, step)[1], -1, 0)
        assert whole.any(axis=tuple(range(1, len(patch) + 1))).all()
        assert (enhancing <= core).all()
        assert (core <= whole).all()
        assert core.any()


@pytest.mark.parametrize("patch", [(40, 40), (40, 16, 32)])
def test_a_patch_larger_than_the_volume_is_the_whole_of_it_in_the_middle_of_zeros(patch):
    image, target = sampler(patch, foreground_share=1.0).training(1, 0)
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
        for window, target in zip(*one.training(1, step), strict=True):
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
    ranges = on_the_fly(1, **STILL, noise=0, blur=0, low_resolution=0)
    shards = [Shard("a", image, classes)]
    one = sampler((8, 8), ranges, shards=shards, slices=3, foreground_share=0.0)
    windows, targets = zip(*(one.training(1, step) for step in range(5)), strict=True)
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
    sampler(ranges=on_the_fly(1.0), shards=[one]).training(1, 0)
    assert one.image.tobytes() == before


def smooth(number: int, shape: tuple[int, int, int]) -> Shard:
    """A case without noise in a brain that is an ellipsoid, so that places matter and rounding does
    not.
    """
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, side) for side in shape], indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.95
    waves = [np.sin(3 * x + number), np.cos(2 * y), x * z, y + z**2]
    image = (np.stack(waves, axis=-1) + 0.01) * brain[..., None]
    classes = (x**2 + y**2 < 0.3).astype(np.uint8) + (np.abs(z) < 0.3) * (x**2 + y**2 < 0.2)
    return Shard(f"smooth{number}", image.astype(np.float16), classes.astype(np.uint8))


def on_device(drawn: Recipes, storage: str, epoch: int, step: int):
    """The batch that the device makes."""
    resident = Resident(drawn.shards, storage)
    total = sum(one.classes.size for one in drawn.shards)
    voxels = resident.load(drawn.part(epoch), total + 5)
    table = classes_to_outputs(np.arange(4, dtype=np.uint8), SCHEMA, "regions")
    make = DeviceBatches(storage, table, drawn.patch, SPACING_MM, drawn.on_the_fly, drawn.slices)
    recipe = drawn.training(epoch, step)
    tensors = {name: keras.ops.convert_to_tensor(values) for name, values in recipe.items()}
    return [keras.ops.convert_to_numpy(tensor) for tensor in make(voxels, tensors)]


TRANSFORMS = (
    *("rotation", "scaling", "elastic", "gamma", "contrast", "brightness"),
    *("blur", "low_resolution", "noise", "modality_dropout", "fade", "copy_paste"),
)


@pytest.mark.parametrize(
    ("patch", "slices"), [((20, 16), 1), ((20, 16), 5), ((20, 16, 12), 1), ((36, 16, 8), 1)]
)
@pytest.mark.parametrize("name", [*TRANSFORMS, "mirror", "nothing", "everything"])
def test_the_device_makes_the_batch_that_numpy_makes_of_the_same_draws(name, patch, slices):
    ranges = on_the_fly(1.0 if name == "everything" else 0.0)
    if name == "mirror":
        ranges = on_the_fly(0.5, **dict.fromkeys(TRANSFORMS, 0))
    elif name in TRANSFORMS:
        ranges = on_the_fly(0.0, **{name: 0.7})
    shards = [smooth(0, (30, 28, 20)), smooth(1, (26, 31, 22))]
    drawn = recipes(patch, ranges, shards=shards, slices=slices)
    moves = "matrix" in ranges.names
    for step in range(2):
        image, target = HostBatches(drawn, SCHEMA, "regions").training(1, step)
        found, classes = on_device(drawn, "float16", 1, step)
        assert (found.shape, classes.shape) == (image.shape, target.shape)
        # where a place lies halfway between two voxels, rounding decides which is nearest
        close = np.isclose(found, image, atol=1e-3, rtol=0)
        assert close.mean() > (0.995 if moves else 0.9999)
        assert (classes != target).mean() < (2e-3 if moves else 1e-9)
    assert name == "nothing" or not np.array_equal(
        image, sampler(patch, shards=shards, slices=slices).training(1, 2)[0]
    )


def test_images_in_8_bits_differ_by_a_fiftieth_of_a_standard_deviation_at_most():
    drawn = recipes(shards=[smooth(0, (30, 28, 20))])
    image, _ = HostBatches(drawn, SCHEMA, "regions").training(1, 0)
    found, _ = on_device(drawn, "uint8", 1, 0)
    np.testing.assert_allclose(found, image, atol=0.0201)
    assert not found[~image.any(axis=-1)].any()
    assert np.ptp(encoded(np.full((1, 1, 1, 2), 9.0), "uint8")) == 0  # clipped, not wrapped


def test_a_cohort_larger_than_the_limit_is_drawn_from_in_parts_each_case_in_one_of_them():
    shards = [shard(number) for number in range(7)]
    size = shards[0].classes.size
    parts = parts_within(shards, 3 * size, seed=1)
    assert [len(part) for part in parts] == [3, 3, 1]
    assert sorted(number for part in parts for number in part) == list(range(7))
    assert parts_within(shards, 7 * size, seed=1) == [list(range(7))]
    assert [len(part) for part in parts_within(shards, 1, seed=1)] == [1] * 7
    drawn = recipes(shards=shards)
    turns = Recipes(
        **{
            name: getattr(drawn, name)
            for name in drawn.__dataclass_fields__
            if name not in ("parts", "_foreground")
        },
        parts=parts,
    )
    seen = [set(turns.training(epoch, step)["case"]) for epoch in (1, 2, 3, 4) for step in range(9)]
    assert set().union(*seen[:9]) == set(parts[0])
    assert set().union(*seen[9:18]) == set(parts[1])
    assert set().union(*seen[27:]) == set(parts[0])


def test_more_voxels_than_int32_counts_are_refused_with_the_key_to_set():
    with pytest.raises(InputError, match=r"train.resident_gb to 19 or less"):
        Resident([shard(0)], "float16").load([0], 2**31)


def test_more_than_the_device_holds_is_refused_with_the_gigabytes_that_fit():
    drawn = recipes()
    resident, needed = Resident(drawn.shards, "float16"), 3 * 30 * 28 * 20 * 9
    assert Rotation(resident, drawn, needed * 2).voxels == 3 * 30 * 28 * 20
    with pytest.raises(InputError, match=r"take 0\.0 GB of device memory.*Set train\.resident_gb"):
        Rotation(resident, drawn, needed)
