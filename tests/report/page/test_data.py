from pipeline.core.folds import Split
from pipeline.report.page.data import data, verification
from tests.report.made_runs import catalogued, made_run
from tests.report.reading import Page


def test_the_facts_of_the_cohort_are_told(schema):
    text = Page(data(made_run(schema, 3))).text
    for expected in (
        "240 × 240 × 155",
        "train 40, val 5, test 3 cases",
        "t1n, t1c, t2w, t2f",
        "WT 1.5 ml",
        "free & open",
    ):
        assert expected in text


def test_every_case_is_seen_at_a_glance_those_with_a_finding_first(schema):
    run = made_run(schema, 3)
    warned = run.verify | {"warnings": ["Made_00002: the reference marks no voxel"]}
    outside = Split(
        train=(), val=(), test=("Made_00000",), folds=(), patients={"Made_00000": "Made_00000"}
    )
    alts = Page(verification(made_run(schema, 3, verify=warned, split=outside))).all("img", "alt")
    assert [alt.split(":")[0] for alt in alts] == [
        "Case Made_00002, in no part",
        "Case Made_00000, test",
        "Case Made_00001, in no part",
    ]
    assert "WT 1.5 ml, TC 1.0 ml, ET 1.0 ml" in alts[0]


def test_more_cases_than_fit_are_counted(schema):
    run = made_run(schema, 301)
    page = Page(verification(run))
    assert len(page.all("img", "src")) == 300
    assert "1 more case in metrics/thumbnails.png." in page.text


def test_nothing_found_is_said(schema):
    run = made_run(schema, 1)
    assert (
        "Nothing to warn of."
        in Page(verification(made_run(schema, 1, verify=run.verify | {"warnings": []}))).text
    )
    assert catalogued("a", schema).region_ml(schema, "WT") == 1.5
