"""What the network sees of a case, and its output on the raw grid again."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.cohorts import brats
from pipeline.core.case import Case
from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.core.regions import classes_to_regions, regions_to_classes
from pipeline.formats import raw_cases
from pipeline.preparation import preprocessing
from pipeline.preparation.inverse import restore
from pipeline.preparation.params import PreprocessingConfig
from pipeline.preparation.preprocessing import Geometry, Prepared, prepare
from tests.conftest import from_canonical

SCHEMA = brats.schema("_")
KEEP = PreprocessingConfig(
    spacing_mm=None,
    foreground="nonzero",
    margin_voxels=1,
    clip_percentiles=(0.5, 99.5),
    dtype="float32",
)
TWO_MM = KEEP.model_copy(update={"spacing_mm": (2.0, 2.0, 2.0)})
AXES = {
    "RAS": np.diag([1.0, 1, 1]),
    "LPS": np.diag([-1.0, -1, 1]),
    "LAS": np.diag([-1.0, 1, 1]),
    "SPR": np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]]),
}


def head(
    codes: str = "RAS", spacing_mm=(1.0, 1.0, 1.0), shape=(48, 44, 40), reach: float = 0.45
) -> Case:
    """Two modalities of an ellipsoid brain with three nested balls off its middle, spacing along
    right, front, top.
    """
    axes = AXES[codes]
    affine = np.eye(4)
    affine[:3, :3] = axes * (np.abs(axes).T @ spacing_mm)
    affine[:3, 3] = (-20, 30, 5)
    place = np.moveaxis(np.indices(shape) + 0.5, 0, -1)
    brain = ((place / shape - 0.5) ** 2).sum(axis=-1) < reach**2
    distance_mm = np.linalg.norm(
        (place - np.array(shape) * (0.55, 0.45, 0.5)) * spacing_mm, axis=-1
    )
    classes = np.digitize(distance_mm, [5, 8, 12])
    classes = np.array([1, 3, 2, 0], np.uint8)[classes]
    drawn = np.random.default_rng(0).normal(size=(*shape, 2))
    image = np.where(brain[..., None], 500 + 40 * drawn + 150 * (classes[..., None] > 0), 0)
    raw_image = from_canonical(image.astype(np.float32), affine)
    raw_classes = from_canonical(classes, affine)
    return Case("head", raw_image, raw_classes, Grid(raw_classes.shape, affine))


def restored_classes(case: Case, config: PreprocessingConfig) -> np.ndarray:
    """Classes of the raw grid that a network without fault would give."""
    prepared = prepare(case, config)
    masks = classes_to_regions(prepared.classes, SCHEMA).astype(np.float32)
    return regions_to_classes(restore(masks, prepared.geometry) > 0.5, SCHEMA)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def middle_mm(classes: np.ndarray, grid: Grid) -> np.ndarray:
    return grid.affine[:3, :3] @ np.argwhere(classes).mean(axis=0) + grid.affine[:3, 3]


def brain_of(prepared: Prepared) -> np.ndarray:
    return prepared.image.any(axis=-1)


@pytest.mark.parametrize("codes", AXES)
def test_without_resampling_labels_come_back_exactly(codes):
    case = head(codes, spacing_mm=(1.0, 1.5, 3.0))
    np.testing.assert_array_equal(restored_classes(case, KEEP), case.classes)


@pytest.mark.parametrize("codes", AXES)
@pytest.mark.parametrize("config", [KEEP, TWO_MM], ids=["kept", "2 mm"])
def test_the_network_sees_the_same_bytes_whatever_the_axes_of_the_file(codes, config):
    expected, prepared = prepare(head("RAS"), config), prepare(head(codes), config)
    assert prepared.image.tobytes() == expected.image.tobytes()
    assert prepared.classes.tobytes() == expected.classes.tobytes()
    assert prepared.geometry.spacing_mm == expected.geometry.spacing_mm


@pytest.mark.parametrize("codes", AXES)
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.0), (1.0, 2.5, 1.2)])
def test_a_tumour_comes_back_to_where_it_was(codes, spacing_mm):
    case = head(codes, spacing_mm)
    restored = restored_classes(case, TWO_MM)
    assert restored.shape == case.classes.shape
    np.testing.assert_allclose(
        middle_mm(restored, case.grid), middle_mm(case.classes, case.grid), atol=0.25
    )
    masks, expected = classes_to_regions(restored, SCHEMA), classes_to_regions(case.classes, SCHEMA)
    # balls 24 and 16 mm across and a rim 3 mm thick, seen at 2 mm
    assert dice(masks[..., 0], expected[..., 0]) > 0.94
    assert dice(masks[..., 1], expected[..., 1]) > 0.91
    assert dice(masks[..., 2], expected[..., 2]) > 0.85


def test_the_brain_has_mean_0_and_deviation_1_all_else_is_0_and_the_case_is_left_as_it_was():
    case = head()
    for config in (KEEP, TWO_MM):
        image = prepare(case, config).image
        brain = brain_of(prepare(case, config))
        assert not image[~brain].any()
        assert image[brain].all()
        np.testing.assert_allclose(image[brain].mean(axis=0, dtype=float), 0, atol=1e-6)
        np.testing.assert_allclose(image[brain].std(axis=0, dtype=float), 1, rtol=1e-6)
    kept = prepare(case, KEEP)
    inside = tuple(slice(*edges) for edges in kept.geometry.box)
    np.testing.assert_array_equal(brain_of(kept), case.image[inside].any(axis=-1))
    half = prepare(case, KEEP.model_copy(update={"dtype": "float16"}))
    assert (kept.image.dtype, half.image.dtype) == (np.float32, np.float16)
    np.testing.assert_allclose(half.image, kept.image, atol=2e-3)
    kept.image[:] = kept.classes[:] = 9
    np.testing.assert_array_equal(case.image, head().image)
    np.testing.assert_array_equal(case.classes, head().classes)


def test_without_resampling_intensities_are_scaled_between_the_percentiles_and_clipped_beyond():
    case = head()
    kept = prepare(case, KEEP)
    inside = tuple(slice(*edges) for edges in kept.geometry.box)
    for channel in range(2):
        raw, seen = case.image[inside][..., channel], kept.image[..., channel]
        brain = raw != 0
        low, high = np.percentile(raw[brain][::8], (0.5, 99.5))
        between = brain & (raw > low) & (raw < high)
        slope, offset = np.polyfit(raw[between], seen[between], 1)
        np.testing.assert_allclose(seen[between], slope * raw[between] + offset, atol=1e-4)
        np.testing.assert_allclose(seen[brain & (raw <= low)], slope * low + offset, atol=1e-4)
        np.testing.assert_allclose(seen[brain & (raw >= high)], slope * high + offset, atol=1e-4)


def test_one_glaring_voxel_does_not_dim_the_rest_and_a_constant_modality_becomes_0():
    case = head()
    case.image[..., 1] = np.where(case.image[..., 0] != 0, 300, 0)
    case.image[24, 22, 20, 0] = 1e6
    image = prepare(case, KEEP).image
    assert np.abs(image).max() < 5
    assert not image[..., 1].any()


@pytest.mark.parametrize(
    ("margin", "box"),
    [
        (0, ((5, 9), (0, 7), (11, 20))),
        (2, ((3, 11), (0, 9), (9, 20))),
        (50, ((0, 24), (0, 22), (0, 20))),
    ],
)
def test_the_crop_is_the_brain_and_its_margin_as_far_as_the_image_goes(margin, box):
    image = np.zeros((24, 22, 20, 1), np.float32)
    image[5:9, 0:7, 11:20] = np.random.default_rng(0).uniform(1, 2, (4, 7, 9, 1))
    case = Case("box", image, None, Grid(image.shape[:3], np.eye(4)))
    prepared = prepare(case, KEEP.model_copy(update={"margin_voxels": margin}))
    assert prepared.geometry.box == box
    sides = tuple(stop - start for start, stop in box)
    assert prepared.geometry.shape == prepared.image.shape[:3] == sides
    assert prepared.classes is None


def test_a_brain_up_to_every_border_loses_nothing_and_outside_of_a_crop_nothing_is_restored():
    case = head(reach=2)
    prepared = prepare(case, KEEP)
    assert prepared.geometry.box == ((0, 48), (0, 44), (0, 40))
    assert brain_of(prepared).all()
    np.testing.assert_array_equal(restored_classes(case, KEEP), case.classes)
    for one, config in product((case, head("LPS", reach=0.2)), (KEEP, TWO_MM)):
        geometry = prepare(one, config).geometry
        restored = restore(np.ones((*geometry.shape, 2), np.float32), geometry)
        assert restored.dtype == np.float32
        sides = [stop - start for start, stop in geometry.box]
        assert np.count_nonzero(restored[..., 0]) == np.prod(sides)
        assert restored[one.image.any(axis=-1)].min() > 0.999


def test_shape_and_spacing_of_an_anisotropic_grid_cover_the_same_extent():
    case = head("LAS", (0.9, 0.9, 5.5), shape=(40, 40, 12), reach=2)
    geometry = prepare(case, TWO_MM).geometry
    assert geometry.shape == (18, 18, 33)  # 36, 36 and 66 mm
    assert geometry.spacing_mm == pytest.approx((2, 2, 2))
    assert geometry.raw_shape == (40, 40, 12)
    odd = prepare(case, KEEP.model_copy(update={"spacing_mm": (0.7, 5.0, 1000.0)})).geometry
    assert odd.shape == (51, 7, 1)
    assert odd.spacing_mm == pytest.approx((36 / 51, 36 / 7, 66))


def test_the_inverse_transform_survives_json_and_takes_no_output_of_another_shape():
    geometry = prepare(head("SPR", (0.9, 1.1, 2.7)), TWO_MM).geometry
    assert Geometry.model_validate_json(geometry.model_dump_json()) == geometry
    with pytest.raises(ValueError, match=r"expected the prepared shape .* got \(8, 8, 8\)"):
        restore(np.zeros((8, 8, 8, 3), np.float32), geometry)


def test_a_brain_thinner_than_the_voxels_is_rejected_by_name():
    image = np.zeros((40, 40, 40, 1), np.float32)
    image[3:37, 3:37, 3] = image[3:37, 3, 3:37] = image[3, 3:37, 3:37] = 1
    shell = Case("shell", image, None, Grid(image.shape[:3], np.eye(4)))
    with pytest.raises(
        InputError,
        match=r"case shell: no voxel of the brain is left at spacing_mm \(40\.0, 40\.0, 40\.0\)",
    ):
        prepare(shell, KEEP.model_copy(update={"spacing_mm": (40.0, 40.0, 40.0)}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clip_percentiles": (99.5, 0.5)}, r"the lower, then the upper, got \[99\.5, 0\.5\]"),
        ({"clip_percentiles": (50.0, 50.0)}, "the lower, then the upper"),
        ({"clip_percentiles": (0.5, 100.5)}, "less than or equal to 100"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "greater than 0"),
        ({"spacing_mm": (1.0, 1.0)}, "spacing_mm"),
        ({"margin_voxels": -1}, "greater than or equal to 0"),
        ({"dtype": "float64"}, "'float16' or 'float32'"),
    ],
)
def test_a_config_without_sense_is_rejected(change, said):
    with pytest.raises(ValidationError, match=said):
        PreprocessingConfig.model_validate(KEEP.model_dump() | change)


@pytest.mark.real
def test_labels_of_a_real_case_come_back_exactly_at_its_own_spacing_and_closely_from_2_mm(
    real_cases,
):
    schema, found = brats.find(real_cases / "brats2021", 1)
    case = raw_cases.read(found[0], schema)
    for config in (KEEP, KEEP.model_copy(update={"spacing_mm": (1.0, 1.0, 1.0)})):
        np.testing.assert_array_equal(restored_classes(case, config), case.classes)
    restored = restored_classes(case, TWO_MM)
    assert dice(restored > 0, case.classes > 0) > 0.95


@pytest.mark.parametrize("codes", AXES)
def test_the_brain_of_a_case_is_where_a_channel_is_not_zero_on_the_raw_axes(codes):
    image = np.zeros((6, 5, 4, 2), np.float32)
    image[1:4, 2:4, 1:3, 0] = 7
    image[5, 4, 3, 1] = 9
    affine = np.eye(4)
    affine[:3, :3] = AXES[codes]
    brain = preprocessing.brain_of(Case("a", image, None, Grid((6, 5, 4), affine)), "nonzero")
    assert np.array_equal(brain, image.any(axis=-1))


@pytest.mark.parametrize("config", [KEEP, TWO_MM], ids=["as it is", "2 mm"])
def test_a_modality_that_a_case_lacks_is_0_and_the_others_are_as_with_it(config):
    case = head()
    whole = prepare(case, config)
    lacking = replace(case, image=case.image[..., 1:])
    found = prepare(lacking, config, [False, True])
    assert found.geometry == whole.geometry
    assert not found.image[..., 0].any()
    assert found.image[..., 1].tobytes() == whole.image[..., 1].tobytes()
    assert prepare(case, config, [True, True]).image.tobytes() == whole.image.tobytes()


@pytest.mark.parametrize("foreground", ["nonzero", "head"])
def test_the_brain_is_found_by_the_modalities_that_are_there(foreground):
    case = head()
    case.image[:10, ..., 0] = 700  # beyond the brain in the first modality alone
    config = KEEP.model_copy(update={"foreground": foreground})
    lacking = replace(case, image=case.image[..., 1:])
    alone, beside = prepare(lacking, config), prepare(lacking, config, [False, True])
    assert beside.geometry == alone.geometry != prepare(case, config).geometry
    assert np.array_equal(beside.image[..., 1:], alone.image)


def test_an_image_far_larger_than_a_head_is_not_resampled():
    """By a header in micrometres it would take more memory than any machine has."""
    said = r"case head: its voxels of 1000 x 1000 x 1000 mm .*than a head.*header"
    with pytest.raises(InputError, match=said):
        prepare(head(spacing_mm=(1000.0, 1000.0, 1000.0)), TWO_MM)
    assert prepare(head(spacing_mm=(1000.0, 1000.0, 1000.0)), KEEP).image.shape[0] <= 48
