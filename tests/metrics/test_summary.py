import numpy as np
import pytest

from pipeline.metrics.instances import instance_rows
from pipeline.metrics.lesionwise import lesion_rows
from pipeline.metrics.multiclass import score_classes
from pipeline.metrics.scores import score_case, summarise
from pipeline.metrics.summary import summarise_masks


@pytest.fixture
def tables(schema):
    """Of one case with a tumour and one without, each segmented as it is."""
    tumour, blank = np.zeros((2, 12, 11, 10), np.uint8)
    tumour[2:8, 2:8, 2:8] = 2
    cases, multiclass, lesionwise, matched = [], [], [], []
    for name, classes in (("one", tumour), ("none", blank)):
        whose = {"case": name, "patient": name}
        cases += [whose | row for row in score_case(classes, classes, schema, (1.0, 1.0, 1.0))]
        multiclass.append(whose | score_classes(classes, classes, schema))
        lesionwise += [
            whose | row for row in lesion_rows(classes, classes, schema, (1.0, 1.0, 1.0))[0]
        ]
        matched += [whose | row for row in instance_rows(classes, classes, schema)]
    return cases, multiclass, lesionwise, matched


def test_every_table_is_summarised_and_what_the_rules_gave_is_counted(tables, schema):
    summary = summarise_masks(*tables, schema)
    assert summary["region"] == summarise(tables[0], schema.empty_rule)["region"]
    assert (summary["cases"], summary["cohort"], summary["types"]) == (2, schema.cohort, None)
    assert [
        summary["lesionwise"]["WT"][column]["filled"] for column in ("lesion_dice", "lesions")
    ] == [1, 0]
    assert [summary["instances"]["WT"][column]["filled"] for column in ("f1", "sq", "pq")] == [
        1,
        1,
        1,
    ]
    assert summary["lesion_rules"] == "brats2023-gli"
    assert summary["multiclass"]["mean_dice_with_background"]["cases"] == 2


def test_a_cohort_without_rules_has_no_lesion_wise_summary_but_its_instances(tables, schema):
    cases, multiclass, _, matched = tables
    summary = summarise_masks(
        cases,
        multiclass,
        [],
        matched,
        schema.model_copy(update={"cohort": "knee", "lesion_rules": None}),
    )
    assert (summary["lesionwise"], summary["lesion_rules"]) == ({}, None)
    assert list(summary["instances"]) == list(schema.regions)
