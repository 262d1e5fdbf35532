"""What the cases of a cohort have in common is what most of them have."""

import pytest

from pipeline.core.catalogue import CaseEntry, Catalogue


@pytest.mark.parametrize(
    ("known", "stripped"),
    [
        ([True] * 5, True),
        ([True] * 4 + [False], True),
        ([True] * 3 + [False] * 2, None),
        ([False] * 4 + [True], False),
        ([True, None, None], True),
        ([None, None], None),
    ],
)
def test_a_cohort_is_stripped_if_four_of_five_cases_are_and_unknown_cases_do_not_count(
    known, stripped
):
    entries = tuple(
        CaseEntry.model_construct(case=str(number), stripped=value)
        for number, value in enumerate(known)
    )
    other = CaseEntry.model_construct(case="other", stripped=not stripped)
    catalogue = Catalogue.model_construct(cases=(*entries, other, other))
    assert catalogue.stripped([entry.case for entry in entries]) is stripped
