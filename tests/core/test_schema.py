"""A schema that contradicts itself is rejected when it is declared, not when a mask is read."""

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
ALL, CORE, ET = GOOD["regions"].values()


def test_classes_of_a_region_are_positions_in_the_labels_not_values():
    schema = Schema(**GOOD)
    assert [schema.classes_of(name) for name in ("WT", "TC", "ET")] == [[1, 2, 3], [1, 3], [3]]
    one = Schema(**GOOD | {"labels": {"tumour": 255}, "regions": {"WT": ("tumour",)}})
    assert one.classes_of("WT") == [1]


def test_regions_may_stand_side_by_side_and_within_the_same_one():
    core = ("enhancing", "nonenhancing", "cystic")
    labels = {name: value for value, name in enumerate((*core, "edema", "cavity"), 1)}
    regions = {
        "WT": (*core, "edema"),
        "TC": core,
        "ET": core[:1],
        "CC": core[2:],
        "RC": ("cavity",),
    }
    schema = Schema(**GOOD | {"labels": labels, "regions": regions})
    assert schema.around == {"WT": None, "TC": "WT", "ET": "TC", "CC": "TC", "RC": None}
    own = ("edema", "nonenhancing", "enhancing", "cystic", "cavity")
    assert schema.own_labels == {name: {label} for name, label in zip(regions, own, strict=True)}
    assert schema.innermost == ["ET", "CC", "RC"]


@pytest.mark.parametrize("later", ["types", "lesion_rules"])
def test_a_schema_survives_json_also_of_an_earlier_version(later):
    schema = Schema(**GOOD)
    again = Schema.model_validate_json(schema.model_dump_json(exclude={later}))
    assert again == schema
    assert list(again.regions) == ["WT", "TC", "ET"]
    assert (again.types, again.lesion_rules) == (False, None)


def test_rules_that_do_not_exist_are_rejected_with_those_that_do():
    with pytest.raises(ValidationError) as fault:
        Schema(**GOOD | {"lesion_rules": "brats2023-glioma"})
    assert all(repr(name) in str(fault.value) for name in RULES)
    assert [Schema(**GOOD | {"lesion_rules": name}).lesion_rules for name in RULES] == list(RULES)


def test_rules_of_two_protocols_can_be_named_together_and_one_is_written_as_before():
    def named(*names):
        return Schema(**GOOD | {"lesion_rules": names[0] if len(names) == 1 else names})

    def read(schema):
        return schema.merging_rules, schema.matching_rules

    assert read(named("brats2024-gli")) == ("brats2024-gli", None)
    assert read(named("brats2025-gli")) == (None, "brats2025-gli")
    assert read(Schema(**GOOD | {"lesion_rules": None})) == (None, None)
    both = named("brats2025-gli", "brats2023-gli")
    assert read(both) == ("brats2023-gli", "brats2025-gli")
    assert Schema.model_validate_json(both.model_dump_json()) == both
    assert '"lesion_rules":"brats2023-gli"' in named("brats2023-gli").model_dump_json()
    for alike in (("brats2023-gli", "brats2024-gli"), ("brats2025-gli", "brats2025-mets"), ()):
        with pytest.raises(ValidationError, match="one of 2023 or 2024 and one of 2025"):
            Schema(**GOOD | {"lesion_rules": alike})


def test_labels_that_are_types_have_a_region_each():
    labels = {"glioma": 1, "pituitary": 2}
    regions = {name: (name,) for name in labels}
    schema = Schema(**GOOD | {"labels": labels, "regions": regions, "types": True})
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
        ({"regions": {"WT": ALL, "TC": CORE, "ET": ()}}, "region ET must unite some"),
        ({"regions": {"WT": ALL, "TC": CORE, "ET": ("vessel",)}}, "region ET must unite some"),
        ({"regions": {"WT": ALL, "TC": CORE, "edema": ("edema",), "ET": ET}}, "must add one label"),
        ({"regions": {"TC": CORE, "outer": ALL[:2], "ET": ET}}, "outer must lie within TC"),
        ({"regions": {"ET": ET, "TC": CORE, "WT": ALL}}, "region TC must lie within ET"),
        ({"regions": {"WT": ALL, "ET": ET}}, "must add one label"),
        ({"regions": {"WT": ALL, "TC": CORE}}, "must add one label"),
        ({"regions": {"WT": ALL, "TC": CORE, "core": CORE, "ET": ET}}, "core must lie within TC"),
        ({"regions": {"TC": CORE, "ET": ET}}, "must add one label"),
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
def test_a_contradiction_is_rejected(change, said):
    with pytest.raises(ValidationError, match=said):
        Schema(**GOOD | change)
