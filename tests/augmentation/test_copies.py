"""Copies of a case: drawn, recorded and applied, every byte of them reproducible."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.augmentation import copies
from pipeline.augmentation.copies import Draw, Ranges
from pipeline.augmentation.spatial import Elastic
from pipeline.core.records import read_csv, write_csv

MODALITIES = ("t1n", "t1c", "t2w")
SHAPE = (26, 30, 22)
SPACING_MM = (1.0, 1.0, 1.5)


def _transforms(probability=1.0, knots_mm=10.0, **changes):
    ranges = {
        "mirror": dict.fromkeys("xyz", probability),
        "rotation": {"degrees": (-20.0, 20.0)},
        "scaling": {"factors": (0.8, 1.2)},
        "elastic": {"largest_mm": (1.0, 3.0), "knots_mm": knots_mm},
        "gamma": {"exponent": (0.7, 1.5)},
        "bias_field": {"largest_log": (0.1, 0.4), "knots_mm": 20.0},
        "contrast": {"factors": (0.75, 1.33)},
        "brightness": {"shift_sd": (-0.3, 0.3)},
        "blur": {"sigma_mm": (0.5, 1.0)},
        "low_resolution": {"factors": (1.2, 2.0)},
        "noise": {"sd": (0.01, 0.2)},
    }
    for name, span in ranges.items():
        if name != "mirror":
            span["probability"] = changes.get(name, probability)
    return Ranges.model_validate(ranges).transforms()


def _draw(seed, probability=1.0, shape=(*SHAPE, 3), **changes):
    transforms = _transforms(probability, **changes)
    return copies.draw(np.random.default_rng(seed), transforms, shape, MODALITIES)


def apply(drawn, image, classes, spacing_mm=SPACING_MM, transforms=None):
    return copies.apply(drawn, transforms or _transforms(), image, classes, spacing_mm)


def _with(drawn, **numbers):
    """The draw with other numbers, named as in the table."""
    return Draw.from_row(drawn.row() | {key.replace("__", "."): n for key, n in numbers.items()})


UNMOVED = {f"spatial__{axis}_degrees": 0.0 for axis in "xyz"}
UNMOVED |= {"spatial__scale": 1.0, "spatial__elastic_mm": 0.0}


@pytest.fixture
def shard():
    place = np.moveaxis(np.indices(SHAPE), 0, -1) + 0.5
    distance = ((place / SHAPE - 0.5) ** 2).sum(axis=-1)
    image = np.random.default_rng(0).standard_normal((*SHAPE, 3)) * (distance < 0.2)[..., None]
    return image.astype(np.float16), (distance < 0.02).astype(np.uint8) * 2


def _same(one, other):
    return one[0].tobytes() == other[0].tobytes() and one[1].tobytes() == other[1].tobytes()


def test_a_draw_gives_the_same_bytes_in_any_order_and_leaves_the_shard_itself_untouched(shard):
    before = shard[0].copy(), shard[1].copy()
    draws = [_draw(seed) for seed in range(3)]
    forwards = [apply(one, *shard) for one in draws]
    backwards = [apply(one, *shard) for one in reversed(draws)][::-1]
    assert all(map(_same, forwards, backwards))
    assert not _same(forwards[0], forwards[1])
    assert _same(shard, before)


def test_a_draw_survives_a_line_of_a_csv_table(tmp_path):
    original = _draw(5)
    write_csv(tmp_path / "table.csv", [original.row()])
    (row,) = read_csv(tmp_path / "table.csv")
    assert Draw.from_row(row) == original


def test_the_columns_of_the_table_name_transform_and_axis_or_modality():
    row = _draw(0).row()
    assert {
        "seed",
        "mirror.x",
        "spatial.z_degrees",
        "spatial.scale",
        "spatial.elastic_mm",
        "gamma.exponent_t1c",
        "resolution.blur_mm_t2w",
        "noise.sd_t2w",
    } <= set(row)
    assert all(type(cell) in (int, float) for cell in row.values())


def test_the_same_generator_gives_the_same_draw_and_another_gives_another():
    assert _draw(1) == _draw(1)
    assert _draw(1) != _draw(2)


def test_another_probability_of_one_transform_leaves_the_other_draws_as_they_were():
    silent = dict.fromkeys((f"gamma.exponent_{name}" for name in MODALITIES), 1.0)
    assert _draw(4, gamma=0.0).row() == _draw(4).row() | silent


def test_probability_zero_is_the_identity(shard):
    assert _same(apply(_draw(0, probability=0.0), *shard), shard)


def test_the_result_does_not_depend_on_the_memory_layout_of_the_shard(shard):
    fortran = tuple(np.asfortranarray(array) for array in shard)
    for drawn in (_draw(3), _with(_draw(3), **UNMOVED)):
        assert _same(apply(drawn, *fortran), apply(drawn, *shard))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_shapes_and_types_are_kept(shard, dtype):
    image, classes = apply(_draw(0), shard[0].astype(dtype), shard[1])
    assert (image.shape, image.dtype) == ((*SHAPE, 3), dtype)
    assert (classes.shape, classes.dtype) == (SHAPE, np.uint8)


def test_the_set_of_classes_never_grows_and_nothing_appears_outside_the_brain(shard):
    for seed in range(8):
        drawn = _draw(seed)
        moved_image, moved_classes = apply(drawn, *shard)
        assert set(np.unique(moved_classes)) <= {0, 2}
        assert np.isfinite(moved_image).all()
        neutral = _draw(0, probability=0.0).parameters
        moves = {name: drawn.parameters[name] for name in ("mirror", "spatial")}
        still = replace(drawn, parameters=neutral | moves)
        only_moved, _ = apply(still, *shard)
        np.testing.assert_array_equal(moved_image.any(axis=-1), only_moved.any(axis=-1))


AMOUNTS = {
    "gamma.exponent": 1.5,
    "bias_field.largest_log": 0.4,
    "contrast.factor": 0.7,
    "brightness.shift_sd": 0.3,
    "resolution.blur_mm": 1.0,
    "resolution.coarse_voxels": 2.0,
    "noise.sd": 0.2,
}


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_change_of_intensity_affects_the_brain_of_its_modality_only(shard, name):
    image, classes = shard
    changed = _with(_draw(0, probability=0.0), **{f"{name}_t1c": AMOUNTS[name]})
    result, same_classes = apply(changed, image, classes)
    brain = image.any(axis=-1)
    np.testing.assert_array_equal(result[..., [0, 2]], image[..., [0, 2]])
    np.testing.assert_array_equal(same_classes, classes)
    assert not result[~brain].any()
    assert (result[brain, 1] != image[brain, 1]).mean() > 0.9


def test_every_amount_of_a_modality_is_covered_above():
    columns = {key.removesuffix("_t1c") for key in _draw(0).row() if key.endswith("_t1c")}
    assert columns == set(AMOUNTS)


@pytest.mark.parametrize(
    ("shape", "start", "slice_mm", "move", "end"),
    [
        ((11, 11, 11), (8, 5, 5), 1.0, {"spatial__z_degrees": 90.0}, (5, 8, 5)),  # right to front
        # 4 mm to the front become 4 mm to the top, two voxels
        ((11, 11, 11), (5, 9, 5), 2.0, {"spatial__x_degrees": 90.0}, (5, 5, 7)),
        ((13, 13, 13), (10, 6, 2), 3.0, {"spatial__scale": 0.5}, (8, 6, 4)),
        ((10, 11, 12), (2, 3, 4), 1.0, {"mirror__x": 1}, (7, 3, 4)),
    ],
)
def test_a_move_carries_a_point_of_image_and_classes_to_its_place(
    shape, start, slice_mm, move, end
):
    image, classes = np.ones((*shape, 3), np.float32), np.zeros(shape, np.uint8)
    image[start], classes[start] = 5, 1
    moved = _with(_draw(0, probability=0.0), **move)
    image, classes = apply(moved, image, classes, (1.0, 1.0, slice_mm))
    assert np.argwhere(image[..., 0] > 4.9).tolist() == np.argwhere(classes).tolist() == [list(end)]


def test_mirroring_twice_is_the_identity(shard):
    mirrored = _with(_draw(0, probability=0.0), mirror__x=1, mirror__z=1)
    assert not _same(apply(mirrored, *shard), shard)
    assert _same(apply(mirrored, *apply(mirrored, *shard)), shard)


def test_an_elastic_draw_moves_no_further_than_it_says():
    image = np.ones((40, 40, 40, 3), np.float32)
    image[..., 0] = np.arange(1, 41)[:, None, None]
    elastic = _with(_draw(0, probability=0.0), spatial__elastic_mm=4.0)
    transforms = _transforms(knots_mm=15.0)
    moved, _ = apply(elastic, image, np.zeros((40, 40, 40), np.uint8), (2.0, 2.0, 2.0), transforms)
    shift = np.abs(moved - image)[5:-5, 5:-5, 5:-5, 0]
    assert 1.0 < shift.max() <= 2.0 + 1e-4  # in voxels of 2 mm


def test_a_single_slice_is_turned_in_its_plane_only():
    drawn = _draw(0, shape=(30, 30, 1, 3))
    turns = drawn.parameters["spatial"]
    assert (turns["x_degrees"], turns["y_degrees"]) == (0, 0)
    assert turns["z_degrees"] != 0
    image, classes = np.ones((30, 30, 1, 3), np.float32), np.zeros((30, 30, 1), np.uint8)
    classes[10:20, 10:20] = 1
    moved_image, moved_classes = apply(drawn, image, classes, (1.0, 1.0, 5.0))
    assert moved_image.shape == image.shape
    assert moved_classes.any()


def test_a_shard_without_brain_stays_empty():
    image, classes = apply(_draw(0), np.zeros((*SHAPE, 3), np.float16), np.zeros(SHAPE, np.uint8))
    assert not image.any()
    assert not classes.any()


def test_an_elastic_range_that_would_fold_space_is_rejected():
    with pytest.raises(ValidationError, match="largest_mm must not exceed a third of knots_mm"):
        Elastic(probability=0.5, largest_mm=(2.0, 12.0), knots_mm=32.0)
