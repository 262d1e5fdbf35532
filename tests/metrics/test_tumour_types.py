"""The type of a slice and of a patient is that of the largest volume, and nothing predicted is
wrong.
"""

from math import isnan

import pytest

from pipeline.cohorts.cheng import SCHEMA
from pipeline.metrics.tumour_types import NONE, accuracy, patient_rows, summarise_types, type_rows


def scores(case, patient, reference, predicted):
    """Rows of a case, given the millilitres of some labels."""
    return [
        {
            "case": case,
            "patient": patient,
            "kind": kind,
            "name": name,
            "reference_ml": reference.get(name, 0.0),
            "prediction_ml": predicted.get(name, 0.0),
        }
        for kind in ("label", "region")
        for name in SCHEMA.labels
    ]


THREE = [
    *scores("s1", "A", {"glioma": 2.0}, {"glioma": 1.0, "pituitary": 0.4}),
    *scores("s2", "A", {"glioma": 3.0}, {"pituitary": 0.5}),
    *scores("s3", "B", {"meningioma": 1.0}, {}),
]


def test_the_type_of_a_slice_is_its_largest_label():
    assert type_rows(THREE, SCHEMA) == [
        {"case": "s1", "patient": "A", "reference": "glioma", "predicted": "glioma"},
        {"case": "s2", "patient": "A", "reference": "glioma", "predicted": "pituitary"},
        {"case": "s3", "patient": "B", "reference": "meningioma", "predicted": NONE},
    ]


def test_the_type_of_a_patient_is_that_of_the_summed_volumes_not_of_most_slices():
    assert patient_rows(THREE, SCHEMA) == [
        {"patient": "A", "reference": "glioma", "predicted": "glioma"},
        {"patient": "B", "reference": "meningioma", "predicted": NONE},
    ]
    more = [*THREE, *scores("s4", "A", {"glioma": 1.0}, {"pituitary": 0.2})]
    assert patient_rows(more, SCHEMA)[0]["predicted"] == "pituitary"  # 1.1 ml of it, 1.0 of glioma


def test_of_equal_volumes_the_first_label_of_the_schema_is_taken():
    tied = scores("s", "A", {"pituitary": 1.0}, {"pituitary": 0.5, "glioma": 0.5})
    assert type_rows(tied, SCHEMA)[0]["predicted"] == "glioma"


def test_accuracy_counts_what_is_not_found_as_wrong_and_leaves_out_what_is_not_known():
    expected = {"accuracy": 1 / 3, "right": 1, "known": 3, "unknown": 0}
    assert accuracy(type_rows(THREE, SCHEMA)) == expected
    healthy = [*THREE, *scores("s4", "C", {}, {"glioma": 1.0}), *scores("s5", "D", {}, {})]
    assert accuracy(type_rows(healthy, SCHEMA)) == expected | {"unknown": 2}
    assert isnan(accuracy(type_rows(scores("s", "A", {}, {}), SCHEMA))["accuracy"])


def test_the_summary_is_of_cases_and_of_patients_whatever_their_order():
    found = summarise_types(iter(THREE), SCHEMA)
    assert (found["case"]["accuracy"], found["patient"]["accuracy"]) == (1 / 3, 1 / 2)
    assert found == summarise_types(THREE[::-1], SCHEMA)
    assert found["case"]["confusion"] == [
        {"reference": "meningioma", "meningioma": 0, "glioma": 0, "pituitary": 0, "none": 1},
        {"reference": "glioma", "meningioma": 0, "glioma": 1, "pituitary": 1, "none": 0},
        {"reference": "pituitary", "meningioma": 0, "glioma": 0, "pituitary": 0, "none": 0},
    ]


def test_a_reference_of_two_types_is_rejected():
    message = "case s has the labels meningioma, glioma, but in cohort cheng each case has one type"
    with pytest.raises(ValueError, match=message):
        type_rows(scores("s", "A", {"glioma": 1.0, "meningioma": 0.1}, {}), SCHEMA)
