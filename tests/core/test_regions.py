"""Conversions between values, classes, regions and outputs, and their inverses."""

import re

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.errors import InputError
from pipeline.core.regions import (
    classes_to_outputs,
    classes_to_regions,
    classes_to_values,
    outputs_to_classes,
    regions_to_classes,
    values_to_classes,
)
from pipeline.core.schema import Schema

EVERY_CLASS = np.arange(4, dtype=np.uint8).repeat(6).reshape(2, 3, 4)
CORE = ("enhancing", "nonenhancing", "cystic")


@pytest.fixture(params=["_", "-"], ids=["enhancing 4", "enhancing 3"])
def convention(request) -> Schema:
    return brats.schema(request.param)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float32, np.float64])
def test_values_become_classes_and_come_back(convention, dtype):
    values = classes_to_values(EVERY_CLASS, convention)
    assert values.dtype == np.uint8
    assert np.unique(values).tolist() == [0, 1, 2, convention.labels["enhancing"]]
    classes = values_to_classes(values.astype(dtype), convention)
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, EVERY_CLASS)


def schema_of(labels: dict[str, int], regions: dict[str, tuple[str, ...]]) -> Schema:
    about = {"cohort": "x", "dimensions": 3, "modalities": ("t1c",), "empty_rule": "nan"}
    return Schema(labels=labels, regions=regions, **about)


PEDIATRIC = schema_of(
    {name: value for value, name in enumerate((*CORE, "edema", "cavity"), 1)},
    {"WT": (*CORE, "edema"), "TC": CORE, "ET": CORE[:1], "CC": CORE[2:], "RC": ("cavity",)},
)


def test_the_value_255_is_a_value_like_any_other():
    schema = schema_of({"tumour": 255}, {"WT": ("tumour",)})
    assert values_to_classes(np.array([[[0, 255]]], np.uint8), schema).tolist() == [[[0, 1]]]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (np.array([3, 3, 1], np.int16), "3 (2 voxels)"),
        (np.array([3, 255, 3, 7], np.uint8), "3 (2 voxels), 7 (1 voxels), 255 (1 voxels)"),
        (np.array([1, 0.5, 1.999]), "0.5 (1 voxels), 1.999 (1 voxels)"),
        (np.array([np.nan, 1, np.nan], np.float32), "nan (2 voxels)"),
        (np.array([np.inf, -1]), "-1 (1 voxels), inf (1 voxels)"),
        (np.array([257, 260], np.int16), "257 (1 voxels), 260 (1 voxels)"),
        (np.array([256.0, 4e9]), "256 (1 voxels), 4e+09 (1 voxels)"),
    ],
)
def test_foreign_values_are_named_with_their_counts(found, said):
    known = r" are not among 0 and .*'enhancing': 4.* of cohort brats2018-2021"
    with pytest.raises(ValueError, match=f"label values {re.escape(said)}{known}"):
        values_to_classes(found.reshape(1, 1, -1), brats.schema("_"))


def test_regions_of_each_class_are_those_of_the_challenge(convention):
    masks = classes_to_regions(np.arange(4, dtype=np.uint8), convention)
    assert masks.dtype == bool
    #                                 WT TC ET
    assert masks.astype(int).tolist() == [
        [0, 0, 0],  # background
        [1, 1, 0],  # necrotic
        [1, 0, 0],  # edema
        [1, 1, 1],  # enhancing
    ]


@pytest.mark.parametrize("schema", [*map(brats.schema, "_-"), PEDIATRIC], ids=["4", "3", "beside"])
def test_classes_become_regions_within_each_other_and_come_back(schema):
    classes = np.arange(len(schema.labels) + 1, dtype=np.uint8).repeat(8).reshape(4, 2, -1)
    masks = classes_to_regions(classes, schema)
    for place, outer in enumerate(schema.around.values()):
        if outer:
            assert (masks[..., place] <= masks[..., list(schema.regions).index(outer)]).all()
    back = regions_to_classes(masks, schema)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, classes)


def test_a_voxel_outside_of_an_outer_region_is_in_no_inner_one(convention):
    every_combination = np.array(list(np.ndindex(2, 2, 2)), bool)  # WT, TC, ET
    assert regions_to_classes(every_combination, convention).tolist() == [
        *[0, 0, 0, 0],  # not WT, whatever TC and ET say
        *[2, 2],  # WT without TC is edema, even where ET claims it
        *[1, 3],  # WT and TC: necrotic, or enhancing with ET
    ]


@pytest.mark.parametrize(("output", "channels"), [("regions", 3), ("labels", 4)])
def test_targets_of_a_network_read_back_as_its_classes(convention, output, channels):
    target = classes_to_outputs(EVERY_CLASS, convention, output)
    assert (target.dtype, target.shape) == (np.uint8, (*EVERY_CLASS.shape, channels))
    back = outputs_to_classes(target.astype(np.float32), convention, output)
    np.testing.assert_array_equal(back, EVERY_CLASS)
    if output == "labels":
        np.testing.assert_array_equal(target.sum(axis=-1), 1)


def test_the_most_probable_label_wins_and_the_first_of_equals(convention):
    softmax = np.array(
        [[0.2, 0.5, 0.2, 0.1], [0.1, 0.1, 0.2, 0.6], [0.3, 0.1, 0.3, 0.3], [0.1, 0.4, 0.1, 0.4]],
        np.float32,
    )
    assert outputs_to_classes(softmax, convention, "labels").tolist() == [1, 3, 0, 1]


def test_a_region_is_taken_above_one_half_not_at_it(convention):
    sigmoids = np.array(
        [[0.5, 0.5, 0.5], [0.51, 0.5, 0.9], [0.9, 0.6, 0.5], [0.9, 0.8, 0.7]], np.float32
    )
    assert outputs_to_classes(sigmoids, convention, "regions").tolist() == [0, 2, 1, 3]


def test_of_regions_side_by_side_the_most_probable_is_taken_whatever_their_order():
    #                         WT   TC   ET   CC   RC
    probabilities = np.array(
        [
            [0.9, 0.9, 0.8, 0.7, 0.1],
            [0.9, 0.9, 0.7, 0.8, 0.1],
            [0.6, 0.9, 0.9, 0.0, 0.9],
            [0.4, 0.4, 0.9, 0.1, 0.2],
        ]
    )
    classes = outputs_to_classes(probabilities, PEDIATRIC, "regions")
    assert classes.tolist() == [1, 3, 5, 0]  # enhancing, cystic, cavity, background


def test_a_region_is_where_its_own_threshold_is_exceeded_and_others_have_none():
    schema = brats.schema("_")
    sigmoids = np.full((2, len(schema.regions)), [[0.55], [0.65]], np.float32)
    raised = dict.fromkeys(schema.regions, 0.6)
    assert outputs_to_classes(sigmoids, schema, "regions", raised).astype(bool).tolist() == [0, 1]
    assert outputs_to_classes(sigmoids, schema, "regions").astype(bool).tolist() == [1, 1]
    with pytest.raises(InputError, match=r"thresholds names EX, but the regions .* are WT, TC, ET"):
        outputs_to_classes(sigmoids, schema, "regions", {"EX": 0.6})
