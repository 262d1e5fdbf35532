import pytest

from pipeline.cohorts import brats, cheng, lgg, msd, phantom
from pipeline.report.page.published import anchors


@pytest.mark.parametrize(
    "cohort",
    [brats.schema("_"), brats.schema("-"), cheng.SCHEMA, lgg.SCHEMA, *msd.SOURCE.schemas],
    ids=lambda c: c.cohort,
)
def test_results_published_on_a_cohort_say_where(cohort):
    found = anchors(cohort.cohort)
    assert found
    assert all(
        each.system
        and each.data
        and each.value
        and (":" in each.source or "," in each.source or "/" in each.source)
        for each in found
    )


def test_generated_heads_are_held_against_nothing():
    assert anchors(phantom.SCHEMA.cohort) == ()
