"""Labels of two schemas are compared by the regions that both have."""

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.core.schema import Schema
from pipeline.serving.comparing import _Map, shared_schema


def schema(regions: dict[str, tuple[str, ...]], labels: dict[str, int]) -> Schema:
    return Schema(
        cohort="made",
        dimensions=3,
        modalities=("t1c",),
        labels=labels,
        regions=regions,
        empty_rule="nan",
    )


NESTED = schema(
    {"WT": ("core", "edema", "active"), "TC": ("core", "active"), "ET": ("active",)},
    {"core": 1, "edema": 2, "active": 4},
)


def test_models_of_one_schema_are_compared_by_all_labels():
    same = NESTED.model_copy(update={"cohort": "another", "labels": {**NESTED.labels, "active": 3}})
    assert shared_schema(NESTED, same) is NESTED


def test_models_of_other_labels_are_compared_by_the_regions_of_one_name():
    other = schema({"WT": ("all", "active"), "ET": ("active",)}, {"all": 7, "active": 9})
    shared = shared_schema(NESTED, other)
    assert list(shared.regions) == ["WT", "ET"]
    assert [shared.classes_of(name) for name in shared.regions] == [[1, 2], [2]]
    both = np.array([0, 1, 2, 3], np.uint8)  # background, core, edema, active
    np.testing.assert_array_equal(_Map(both, NESTED).within(shared), [0, 1, 1, 2])
    theirs = np.array([0, 1, 2], np.uint8)
    np.testing.assert_array_equal(_Map(theirs, other).within(shared), [0, 1, 2])


def test_equal_names_of_labels_in_another_order_are_not_taken_for_each_other():
    turned = schema(NESTED.regions, {"active": 4, "core": 1, "edema": 2})
    shared = shared_schema(NESTED, turned)
    ours = _Map(np.array([1, 2, 3], np.uint8), NESTED).within(shared)
    theirs = _Map(np.array([2, 3, 1], np.uint8), turned).within(shared)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (schema({"LESION": ("lesion",)}, {"lesion": 1}), "no region in common"),
        (
            schema({"ET": ("core", "rest"), "WT": ("core",)}, {"core": 1, "rest": 2}),
            "lie within each other",
        ),
    ],
)
def test_models_that_cannot_be_compared_say_why(other, said):
    with pytest.raises(InputError, match=said):
        shared_schema(NESTED, other)
