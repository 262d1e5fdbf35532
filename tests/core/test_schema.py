"""A schema that contradicts itself is refused when it is declared, not when a voxel meets it."""

import pytest
from pydantic import ValidationError

from pipeline.core.schema import RULES, Schema

GOOD = {
    "cohort": "brats",
    "dimensions": 3,
    "modalities": ("t1n", "t1c"),
    "labels": {"necrotic": 1, "edema": 2, "enhancing": 4},
    "regions": {
        "WT": ("necrotic", "edema", "enhancing"),
        "TC": ("necrotic", "enhancing"),
        "ET": ("enhancing",),
    },
    "empty_rule": "brats",
}
ALL, CORE = GOOD["regions"]["WT"], GOOD["regions"]["TC"]


def test_each_region_adds_one_label_to_the_next_smaller_one():
    assert Schema(**GOOD).own_labels == {"WT": {"edema"}, "TC": {"necrotic"}, "ET": {"enhancing"}}


def test_classes_of_a_region_are_positions_in_the_labels_not_values():
    schema = Schema(**GOOD)
    assert {region: schema.classes_of(region) for region in schema.regions} == {
        "WT": [1, 2, 3],
        "TC": [1, 3],
        "ET": [3],
    }


def test_one_label_and_one_region_are_a_schema():
    schema = Schema(**GOOD | {"labels": {"tumour": 255}, "regions": {"WT": ("tumour",)}})
    assert schema.classes_of("WT") == [1]


def test_regions_may_stand_side_by_side_and_within_the_same_one():
    labels = {"enhancing": 1, "nonenhancing": 2, "cystic": 3, "edema": 4, "cavity": 5}
    core = ("enhancing", "nonenhancing", "cystic")
    regions = {
        "WT": (*core, "edema"),
        "TC": core,
        "ET": ("enhancing",),
        "CC": ("cystic",),
        "RC": ("cavity",),
    }
    schema = Schema(**GOOD | {"labels": labels, "regions": regions})
    assert schema.around == {"WT": None, "TC": "WT", "ET": "TC", "CC": "TC", "RC": None}
    assert schema.own_labels == {
        "WT": {"edema"},
        "TC": {"nonenhancing"},
        "ET": {"enhancing"},
        "CC": {"cystic"},
        "RC": {"cavity"},
    }
    assert schema.innermost == ["ET", "CC", "RC"]


def test_a_schema_survives_json():
    schema = Schema(**GOOD)
    again = Schema.model_validate_json(schema.model_dump_json())
    assert again == schema
    assert list(again.regions) == ["WT", "TC", "ET"]


def test_a_schema_written_before_types_were_known_has_none():
    text = Schema(**GOOD).model_dump_json(exclude={"types"})
    assert Schema.model_validate_json(text) == Schema(**GOOD)
    assert not Schema(**GOOD).types


def test_a_schema_written_before_lesion_rules_were_named_has_none():
    text = Schema(**GOOD | {"lesion_rules": "brats2023-gli"}).model_dump_json(
        exclude={"lesion_rules"}
    )
    assert Schema.model_validate_json(text).lesion_rules is None


def test_rules_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(ValidationError) as refusal:
        Schema(**GOOD | {"lesion_rules": "brats2023-glioma"})
    assert all(repr(name) in str(refusal.value) for name in RULES)
    assert [Schema(**GOOD | {"lesion_rules": name}).lesion_rules for name in RULES] == list(RULES)


def test_labels_that_are_types_have_a_region_each():
    types = {
        "labels": {"glioma": 1, "pituitary": 2},
        "regions": {"glioma": ("glioma",), "pituitary": ("pituitary",)},
        "types": True,
    }
    schema = Schema(**GOOD | types)
    assert schema.types
    assert Schema.model_validate_json(schema.model_dump_json()) == schema


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": {"necrotic": 1, "edema": 2, "enhancing": 2}}, "distinct and in 1..255"),
        ({"labels": {"necrotic": 0, "edema": 2, "enhancing": 4}}, "distinct and in 1..255"),
        ({"labels": {"necrotic": 1, "edema": 2, "enhancing": 256}}, "distinct and in 1..255"),
        ({"labels": {"necrotic": 1.0, "edema": 2, "enhancing": 4}}, "valid integer"),
        ({"modalities": ("t1n", "t1n")}, "modalities must be distinct"),
        ({"modalities": ()}, "at least one"),
        ({"regions": {}}, "regions must be at least one"),
        ({"regions": {"WT": ALL, "TC": CORE, "ET": ()}}, "region ET must unite some of the labels"),
        (
            {"regions": {"WT": ALL, "TC": CORE, "ET": ("vessel",)}},
            "region ET must unite some of the labels",
        ),
        (
            {"regions": {"WT": ALL, "TC": CORE, "edema": ("edema",), "ET": ("enhancing",)}},
            "must add one label",
        ),
        (
            {"regions": {"TC": CORE, "outer": ("edema", "necrotic"), "ET": ("enhancing",)}},
            "region outer must lie within TC",
        ),
        (
            {"regions": {"ET": ("enhancing",), "TC": CORE, "WT": ALL}},
            "region TC must lie within ET",
        ),
        ({"regions": {"WT": ALL, "ET": ("enhancing",)}}, "must add one label"),
        ({"regions": {"WT": ALL, "TC": CORE}}, "must add one label"),
        (
            {"regions": {"WT": ALL, "TC": CORE, "core": CORE, "ET": ("enhancing",)}},
            "region core must lie within TC",
        ),
        ({"regions": {"TC": CORE, "ET": ("enhancing",)}}, "must add one label"),
        ({"dimensions": 4}, "2 or 3"),
        ({"empty_rule": "one"}, "'brats' or 'nan'"),
        ({"types": True}, "labels that are types need a region of their own each"),
        (
            {"labels": {"none": 1}, "regions": {"WT": ("none",)}, "types": True},
            "none may be called none",
        ),
        ({"types": 1}, "valid boolean"),
    ],
)
def test_a_contradiction_is_refused(change, said):
    with pytest.raises(ValidationError, match=said):
        Schema(**GOOD | change)
