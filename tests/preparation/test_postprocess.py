import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from pipeline.core.errors import InputError
from pipeline.core.regions import classes_to_regions
from pipeline.core.schema import Schema
from pipeline.preparation.params import Postprocess
from pipeline.preparation.postprocess import postprocess, tempered

SHAPE = (14, 13, 12)
UNIT_MM = (1.0, 1.0, 1.0)
NECROTIC, EDEMA, ENHANCING = 1, 2, 3
GLIOMA = Schema(
    cohort="glioma",
    dimensions=3,
    modalities=("t1n", "t1c"),
    labels={"necrotic": 1, "edema": 2, "enhancing": 4},
    regions={
        "WT": ("necrotic", "edema", "enhancing"),
        "TC": ("necrotic", "enhancing"),
        "ET": ("enhancing",),
    },
    empty_rule="brats",
)
ONE_LABEL = Schema(
    cohort="whole tumour",
    dimensions=2,
    modalities=("t2f",),
    labels={"tumour": 1},
    regions={"WT": ("tumour",)},
    empty_rule="nan",
)


UNCHANGED = Postprocess(
    thresholds={}, temperature=1.0, min_component_ml=0.0, fill_holes=False, min_innermost_ml=0.0
)
ALL = {"min_component_ml": 0.004, "fill_holes": True, "min_innermost_ml": 0.2}


def corrected(classes, spacing_mm=UNIT_MM, schema=GLIOMA, **changes):
    return postprocess(classes, schema, spacing_mm, UNCHANGED.model_copy(update=changes))


def boxes(*changes):
    """Classes that are 0 but for a box of each label, the later over the earlier."""
    classes = np.zeros(SHAPE, np.uint8)
    for place, label in changes:
        classes[place] = label
    return classes


TUMOUR = (
    (np.s_[1:10, 1:10, 1:10], EDEMA),
    (np.s_[3:8, 3:8, 3:8], ENHANCING),
    (np.s_[4:7, 4:7, 4:7], NECROTIC),
)


def tumour():
    return boxes(*TUMOUR)


def speckled(seed):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(SHAPE) < 0.25, rng.integers(0, 4, SHAPE), tumour()).astype(np.uint8)


@pytest.mark.parametrize(
    ("spacing_mm", "remains"), [((1.0, 1.0, 1.0), True), ((1.0, 1.0, 0.99), False)]
)
def test_a_component_remains_if_it_is_exactly_as_large_as_the_least_volume(spacing_mm, remains):
    classes = tumour()
    classes[12, 10:13, 11] = EDEMA
    cleaned = corrected(classes, spacing_mm, min_component_ml=0.003)
    assert np.array_equal(cleaned, classes if remains else tumour())
    ten = boxes((np.s_[2:12, 5, 5], EDEMA))  # of 0.5 x 0.5 x 1.2 mm: 0.003 ml but for rounding
    assert np.array_equal(corrected(ten, (0.5, 0.5, 1.2), min_component_ml=0.003), ten)


def test_a_component_is_judged_by_all_its_labels_together_and_joined_over_corners():
    classes = boxes(((2, 2, 2), EDEMA), ((3, 3, 3), ENHANCING), ((4, 4, 3), NECROTIC))
    assert np.array_equal(corrected(classes, min_component_ml=0.003), classes)
    assert not corrected(classes, min_component_ml=0.004).any()


def test_components_that_remain_equal_those_of_scipy():
    classes = speckled(2)
    classes[::2] = 0
    components, count = ndimage.label(classes > 0, structure=np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(classes > 0, components, np.arange(count + 1))
    cleaned = corrected(classes, min_component_ml=0.005)
    assert 0 < np.count_nonzero(cleaned) < np.count_nonzero(classes)
    assert np.array_equal(cleaned, np.where(sizes[components] >= 5, classes, 0))


def test_a_cavity_is_given_to_the_region_that_encloses_it():
    classes = boxes((np.s_[1:12, 1:12, 1:11], EDEMA), (np.s_[5:10, 5:10, 4:9], NECROTIC))
    whole = classes.copy()
    classes[2, 2, 2] = 0  # in the edema
    classes[7, 7, 5:7] = 0, EDEMA  # in the core: background and edema
    assert np.array_equal(corrected(classes, fill_holes=True), whole)


@pytest.mark.parametrize(
    "classes",
    [
        tumour(),
        boxes(*TUMOUR, (np.s_[5, 5, 8:10], 0)),
        boxes((np.s_[:5, :5, :5], EDEMA), ((0, 2, 2), 0)),
        boxes((np.s_[2:7, 2:7, 5], EDEMA), ((4, 4, 5), 0)),
    ],
    ids=["tumour", "dented", "dented at the border", "ring in one slice"],
)
def test_a_necrotic_core_in_an_enhancing_rim_and_what_is_open_to_the_outside_are_no_holes(classes):
    assert np.array_equal(corrected(classes, fill_holes=True), classes)


@pytest.mark.parametrize("seed", range(3))
def test_filled_regions_equal_those_of_scipy(seed):
    classes = speckled(seed)
    masks = classes_to_regions(classes, GLIOMA)
    cleaned = classes_to_regions(corrected(classes, fill_holes=True), GLIOMA)
    assert not np.array_equal(cleaned, masks)
    for region in (0, 1):
        assert np.array_equal(cleaned[..., region], ndimage.binary_fill_holes(masks[..., region]))
    assert np.array_equal(cleaned[..., 2], masks[..., 2])


def test_holes_of_a_single_slice_are_filled_in_its_plane():
    ring = np.zeros((7, 8, 1), np.uint8)
    ring[1:6, 1:6] = 1
    disc = ring.copy()
    ring[2:4, 3] = 0
    assert np.array_equal(corrected(ring, schema=ONE_LABEL, fill_holes=True), disc)


@pytest.mark.parametrize(
    ("edge_mm", "least_ml", "label"),
    [(1.0, 0.0980, ENHANCING), (1.0, 0.0981, NECROTIC), (2.0, 0.5, ENHANCING)],
)
def test_an_innermost_region_below_the_least_volume_becomes_its_parent(edge_mm, least_ml, label):
    # the rim holds 125 - 27 voxels
    cleaned = corrected(tumour(), (edge_mm,) * 3, min_innermost_ml=least_ml)
    rim = tumour() == ENHANCING
    assert set(np.unique(cleaned[rim])) == {label}
    assert np.array_equal(cleaned[~rim], tumour()[~rim])


def test_the_innermost_region_is_measured_after_small_components_are_gone():
    inside, apart = ((2, 2, 2), ENHANCING), (np.s_[9:11, 9:11, 9:11], ENHANCING)
    classes = boxes((np.s_[1:6, 1:6, 1:6], EDEMA), inside, apart)
    cleaned = corrected(classes, min_component_ml=0.01, min_innermost_ml=0.002)
    assert cleaned[2, 2, 2] == NECROTIC
    assert not cleaned[8:].any()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_axes_memory_order_a_second_time_and_zeros_change_nothing_and_the_input_stays(axes):
    noise = speckled(4)
    cleaned = corrected(noise, **ALL)
    assert np.array_equal(noise, speckled(4))
    assert np.array_equal(corrected(noise.transpose(axes), **ALL), cleaned.transpose(axes))
    assert np.array_equal(corrected(cleaned, **ALL), cleaned)
    assert np.array_equal(corrected(noise), noise)
    assert not corrected(boxes(), **ALL).any()


def test_dissolving_the_only_region_is_rejected_by_name():
    with pytest.raises(
        InputError,
        match=r"min_innermost_ml is 0\.1, but of the regions WT .* none has one around it",
    ):
        corrected(np.ones(SHAPE, np.uint8), schema=ONE_LABEL, min_innermost_ml=0.1)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1"])
@pytest.mark.parametrize("name", ["min_component_ml", "min_innermost_ml"])
def test_a_volume_that_is_no_volume_is_rejected(name, value):
    with pytest.raises(ValidationError, match=name):
        Postprocess.model_validate(UNCHANGED.model_dump() | {name: value})


def test_a_temperature_divides_the_logits_and_keeps_certainty_and_the_half():
    probabilities = np.array([0, 0.1, 0.5, 0.9, 1], np.float32)
    assert tempered(probabilities, 1.0) is probabilities
    found = tempered(probabilities, 2.0)
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    assert found.dtype == np.float32
