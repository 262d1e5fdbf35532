"""A folder is understood as its cohort.yaml states, and what does not fit together is rejected."""

import json
from pathlib import Path

import pytest

from pipeline.cohorts import folder
from pipeline.core.errors import InputError
from pipeline.formats.metaimage import HeaderAndData
from pipeline.formats.raw_cases import read as read_case
from tests.conftest import SHARED

DESCRIBED = {
    "cohort": "two-contrasts",
    "dimensions": 3,
    "modalities": {"t1c": "{case}/{case}_post.nii.gz", "t2f": "{case}/{case}_fla.nii.gz"},
    "mask": "{case}/{case}_seg.nii.gz",
    "labels": {"edema": 2, "enhancing": 4, "necrotic": 1},
    "regions": {
        "WT": ["edema", "enhancing", "necrotic"],
        "TC": ["enhancing", "necrotic"],
        "ET": ["enhancing"],
    },
}


def describe(where, **changes):
    """Write a cohort.yaml; None leaves a key out."""
    values = {key: value for key, value in (DESCRIBED | changes).items() if value is not None}
    (where / "cohort.yaml").write_text(json.dumps(values))  # which is YAML too
    return where


def fill(where, *paths):
    """Files without content: finding opens none of them."""
    for path in paths:
        (where / path).parent.mkdir(parents=True, exist_ok=True)
        (where / path).touch()


def refused(location):
    with pytest.raises(InputError) as error:
        folder.find(location)
    return str(error.value)


@pytest.fixture
def cohort(tmp_path):
    """Three cases, each in a folder of its own."""
    for case in ("007", "008", "x-9"):
        fill(tmp_path, *(f"{case}/{case}_{kind}.nii.gz" for kind in ("post", "fla", "seg")))
    return describe(tmp_path)


@pytest.fixture
def flat(tmp_path):
    """Two visits of a patient and one of another, all files side by side."""
    for case in ("sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"):
        fill(tmp_path, *(f"{case}_{kind}.nii.gz" for kind in ("post", "fla", "seg")))
    return tmp_path


def named(found) -> list[tuple[str, str]]:
    return [(case.case, case.patient) for case in found]


def test_cases_are_found_by_the_patterns_and_are_patients_of_their_own(cohort):
    schema, found = folder.find(cohort)
    assert schema.modalities == ("t1c", "t2f")
    assert (schema.cohort, schema.dimensions, schema.empty_rule) == ("two-contrasts", 3, "nan")
    assert schema.regions["TC"] == ("enhancing", "necrotic")
    assert named(found) == [("007", "007"), ("008", "008"), ("x-9", "x-9")]
    assert found[0].images == {
        name: cohort / f"007/007_{kind}.nii.gz" for name, kind in (("t1c", "post"), ("t2f", "fla"))
    }
    assert found[0].labels == cohort / "007/007_seg.nii.gz"


def test_types_and_rules_for_lesions_are_those_of_the_description(cohort):
    schema, _ = folder.find(cohort)
    assert (schema.types, schema.lesion_rules) == (False, None)
    assert "labels that are types need a region of their own each" in refused(
        describe(cohort, types=True)
    )
    kinds = {
        "labels": {"glioma": 1, "pituitary": 2},
        "regions": {"glioma": ["glioma"], "pituitary": ["pituitary"]},
    }
    schema, _ = folder.find(describe(cohort, types=True, lesion_rules="brats2023-met", **kinds))
    assert (schema.types, schema.lesion_rules) == (True, "brats2023-met")


def test_metaimages_of_one_file_are_taken_as_they_are_and_of_two_as_parts(tmp_path):
    fill(tmp_path, "a_fla.mha", "a_seg.mhd", "a_seg.raw")
    _, (found,) = folder.find(
        describe(tmp_path, modalities={"t2f": "{case}_fla.mha"}, mask="{case}_seg.mhd")
    )
    assert found.images == {"t2f": tmp_path / "a_fla.mha"}
    assert found.parts == {"seg": HeaderAndData(tmp_path / "a_seg.mhd")}


def test_a_limit_takes_the_first_cases_and_looks_at_no_other(cohort):
    (cohort / "x-9/x-9_fla.nii.gz").unlink()
    assert [case.case for case in folder.find(cohort, limit=2)[1]] == ["007", "008"]


def test_a_star_matches_any_text_within_a_name_and_nothing_hidden(cohort, tmp_path_factory):
    fill(cohort, "007/._007_fla.nii.gz", ".trash/007/007_fla.nii.gz", "a/b/007/007_fla.nii.gz")
    _, found = folder.find(describe(cohort, modalities={"t2f": "*/{case}_fla.*"}))
    assert [case.images["t2f"].name[:3] for case in found] == ["007", "008", "x-9"]
    elsewhere = describe(tmp_path_factory.mktemp("described"), root=str(cohort))
    (elsewhere / "cohort.yaml").rename(elsewhere / "mine.yml")
    assert len(folder.find(elsewhere / "mine.yml")[1]) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": "(sub-[0-9]+)_"},
        {"modalities": {"t1c": "{patient}_ses-*_post.nii.gz"}},
        {"table": "cases.csv"},
    ],
    ids=["expression", "pattern", "table"],
)
def test_the_patient_comes_from_an_expression_a_pattern_or_the_table(flat, changes):
    names = {"t1c": "{case}_post.nii.gz", "t2f": "{case}_fla.nii.gz"}
    if "modalities" in changes:
        for path in list(flat.glob("*.nii.gz")):
            path.rename(flat / f"{path.name.split('_')[0]}+{path.name}")
        names = {"t1c": "{patient}+{case}_post.nii.gz", "t2f": "*+{case}_fla.nii.gz"}
    rows = "case,patient\nsub-01_ses-1,sub-01\nsub-01_ses-2,sub-01\nsub-02_ses-1,sub-02\n"
    (flat / "cases.csv").write_text(rows)
    mask = names["t2f"].replace("fla", "seg")
    _, found = folder.find(describe(flat, **changes | {"modalities": names, "mask": mask}))
    assert named(found) == [
        ("sub-01_ses-1", "sub-01"),
        ("sub-01_ses-2", "sub-01"),
        ("sub-02_ses-1", "sub-02"),
    ]


def test_bids_is_read_with_a_patient_and_a_case_that_holds_it(tmp_path):
    masks = "derivatives/{patient}/*/anat/{case}_mask.nii.gz"
    fill(
        tmp_path,
        "sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz",
        "derivatives/sub-1/ses-2/anat/sub-1_ses-2_mask.nii.gz",
    )
    images = {"t1c": "{patient}/*/anat/{case}_T1w.nii.gz"}
    _, found = folder.find(describe(tmp_path, modalities=images, mask=masks))
    assert named(found) == [("sub-1_ses-2", "sub-1")]


SESSIONS = {
    "modalities": {"t1n": "{patient}/{session}/T1.nii.gz", "t1c": "{patient}/{session}/CT1.nii.gz"},
    "mask": "masks/{patient}_{session}.nii.gz",
}


@pytest.fixture
def sessions(tmp_path):
    """Two patients with a session of one name, and one with a second."""
    for session in ("Patient-001/week-000", "Patient-001/week-044", "Patient-002/week-044"):
        fill(tmp_path, f"{session}/T1.nii.gz", f"{session}/CT1.nii.gz")
        fill(tmp_path, f"masks/{session.replace('/', '_')}.nii.gz")
    return describe(tmp_path, **SESSIONS)


def test_sessions_whose_names_repeat_in_every_patient_are_cases_named_by_both(sessions):
    _, found = folder.find(sessions)
    assert named(found) == [
        ("Patient-001_week-000", "Patient-001"),
        ("Patient-001_week-044", "Patient-001"),
        ("Patient-002_week-044", "Patient-002"),
    ]
    assert [case.attributes["timepoint"] for case in found] == ["week-000", "week-044", "week-044"]
    assert found[1].images["t1c"] == sessions / "Patient-001/week-044/CT1.nii.gz"
    assert found[2].labels == sessions / "masks/Patient-002_week-044.nii.gz"
    rows = [f"{case.case},{number}" for number, case in enumerate(found)]
    (sessions / "cases.csv").write_text("\n".join(["case,visit", *rows]))
    _, found = folder.find(describe(sessions, **SESSIONS, table="cases.csv"))
    assert found[1].attributes == {"timepoint": "week-044", "visit": "1"}
    (sessions / "Patient-001/week-044/CT1.nii.gz").unlink()
    said = "case Patient-001_week-044 has no t1c, 'Patient-001/week-044/CT1.nii.gz'"
    assert said in refused(sessions)


def test_two_sessions_that_give_one_name_are_refused(sessions):
    fill(
        sessions,
        *(f"{place}/{name}.nii.gz" for place in ("a_b/c", "a/b_c") for name in ("T1", "CT1")),
        "masks/a_b_c.nii.gz",
    )
    message = refused(sessions)
    assert "a_b/c/T1.nii.gz" in message
    assert "a/b_c/T1.nii.gz, but both are case a_b_c. Rename" in message
    for name in ("a_b/c/T1", "a/b_c/CT1"):
        (sessions / f"{name}.nii.gz").unlink()
    assert "case a_b_c belongs to patients a, a_b" in refused(sessions)


def test_columns_of_the_table_become_attributes_and_every_case_carries_the_terms(cohort):
    (cohort / "cases.csv").write_bytes(
        "\ufeffcase,fold,grade\r\n007,1,HGG\r\n008,2,\r\nx-9,2,LGG\r\nabsent,3,LGG\r\n".encode()
    )
    terms = {"licence": "CC BY 4.0.", "citation": "Me, 2026."}
    _, found = folder.find(describe(cohort, table="cases.csv", **terms))
    assert {case.terms for case in found} == {"CC BY 4.0. Me, 2026."}
    assert [case.attributes for case in found] == [
        {"fold": "1", "grade": "HGG"},
        {"fold": "2"},
        {"fold": "2", "grade": "LGG"},
    ]


def test_an_image_without_a_mark_needs_an_expression_for_the_names_of_cases(flat):
    for path in list(flat.glob("*_fla.nii.gz")):
        path.rename(path.with_name(path.name.replace("_fla", "")))
    changes = {"modalities": {"t2f": "{case}.nii.gz"}, "mask": "{case}_seg.nii.gz"}
    assert (
        "sub-01_ses-1_seg.nii.gz is t2f of case sub-01_ses-1_seg and mask of case sub-01_ses-1"
        in refused(describe(flat, **changes))
    )
    _, found = folder.find(describe(flat, **changes, case="sub-[0-9]+_ses-[0-9]"))
    assert [case.case for case in found] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimensions": 4}, "cohort.yaml.dimensions: input should be 2 or 3, got 4"),
        ({"labels": {"a": [1, 4]}}, ".labels.a: input should be a valid integer, got [1, 4]"),
        ({"lesion_rules": "glioma"}, "cohort.yaml.lesion_rules: input should be 'brats2023-gli', "),
        ({"modalities": {}}, "cohort.yaml.modalities: dictionary should have at least 1 item"),
        ({"modalities": {"flair": "{case}.nii"}}, "flair is called t2f here"),
        ({"modalities": {"mask": "{case}.nii"}}, "mask is called mask, beside modalities here"),
        ({"modalities": {"t2f": "007_fla.nii.gz"}}, "must hold {case}"),
        ({"mask": "{case}/{subject}.nii"}, "may hold {case}, {patient}, {session} and * only"),
        ({"mask": "{case}/{case_seg.nii"}, "may hold {case}, {patient}, {session} and * only"),
        ({"mask": "{session}/seg.nii"}, "must hold {case}, the name of the case, or both"),
        ({"mask": "{patient}/seg.nii"}, "must hold {case}, the name of the case, or both"),
        ({"mask": "{patient}/{session}/{case}.nii"}, "holds {case} or {session}, not both"),
        ({"mask": "{patient}/{session}/seg.nii"}, "and {session}; t1c, t2f hold {case}"),
        ({"case": "[0-9"}, "cohort.yaml.case: not a regular expression"),
        ({"case": r"(a)\2"}, "cohort.yaml.case: not a regular expression"),
        ({"case": "(?P<patient>a)"}, "cohort.yaml.case: not a regular expression"),
        ({"patient": "sub-[0-9]+"}, "one group in parentheses, got 'sub-[0-9]+'"),
        ({"patient": "([0-9]+)"}, "finds no patient in the name of case x-9"),
        (SESSIONS | {"case": "[a-z]+"}, "define case and patient: remove case"),
        (SESSIONS | {"patient": "{case}"}, "define case and patient: remove patient"),
        (SESSIONS | {"patient": "([0-9]+)_"}, "define case and patient: remove patient"),
        ({"root": "absent"}, "absent, is not a folder"),
        ({"root": "empty"}, "There are no files in it"),
    ],
)
def test_a_description_that_cannot_be_is_rejected_with_key_and_value(cohort, changes, message):
    (cohort / "empty").mkdir()
    assert message in refused(describe(cohort, **changes))


def test_a_folder_without_a_description_says_how_to_write_one(tmp_path):
    assert "docs/data.md" in refused(tmp_path)
    assert "absent: there is no such file" in refused(tmp_path / "absent")
    for text in ("", "words", "[1, 2]", "2020-01-01"):
        (tmp_path / "cohort.yaml").write_text(text)
        assert "cohort.yaml" in refused(tmp_path)


def test_a_pattern_that_matches_nothing_names_the_nearest_files_one_of_each_kind(cohort):
    fill(cohort, "notes.txt")
    message = refused(describe(cohort, modalities={"t2f": "{case}/{case}_flair.nii.gz"}))
    assert (
        "holds no file for t2f, '{case}/{case}_flair.nii.gz'. Of 11 files there the nearest are"
        in message
    )
    nearest = message.split("nearest are ")[1].split(". Correct")[0].split(", ")
    assert "007/007_fla.nii.gz" in nearest
    assert "008/008_fla.nii.gz" not in nearest


def test_a_case_to_predict_needs_no_mask_and_keeps_the_one_it_has(cohort):
    (cohort / "008/008_seg.nii.gz").unlink()
    _, found = folder.find(cohort, masked=False)
    assert [case.labels for case in found] == [
        cohort / "007/007_seg.nii.gz",
        None,
        cohort / "x-9/x-9_seg.nii.gz",
    ]
    assert found[1].folder == cohort / "008"
    assert set(found[1].images) == {"t1c", "t2f"}
    for mask in cohort.rglob("*_seg.nii.gz"):
        mask.unlink()
    assert [case.labels for case in folder.find(cohort, masked=False)[1]] == [None] * 3
    assert "holds no file for mask" in refused(cohort)
    (cohort / "007/007_fla.nii.gz").unlink()
    with pytest.raises(InputError, match=r"case 007 has no t2f, .*\n1 of 3 cases are incomplete"):
        folder.find(cohort, masked=False)
    (cohort / "008/008_other.nii.gz").touch()
    _, found = folder.find(cohort, masked=False, incomplete=True)
    assert [set(case.images) for case in found] == [{"t1c"}, {"t1c", "t2f"}, {"t1c", "t2f"}]
    assert found[0].passed_over == ("008_other.nii.gz",)
    with pytest.raises(InputError, match="holds no file for t1c"):
        folder.find(describe(cohort, case="none"), masked=False, incomplete=True)


@pytest.mark.parametrize(
    ("file", "pattern", "message"),
    [
        ("008/008_fla.nii", "{case}/{case}_fla.nii*", "fla.nii.gz: t2f of case 008 is also in"),
        ("007/007_fla.tif", "{case}/{case}_fla.tif", "fla.tif: t2f must be one of .nii, .nii.gz,"),
        ("a b_fla.nii.gz", "{case}_fla.nii.gz", "the name of case 'a b' may have only letters"),
    ],
)
def test_a_file_twice_of_another_format_or_name_is_rejected(cohort, file, pattern, message):
    fill(cohort, file)
    assert message in refused(describe(cohort, modalities={"t2f": pattern}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("case;fold\n007;1\n", "its columns are ['case;fold']"),
        ("", "its columns are []"),
        ("case,fold,fold\n007,1,1\n", "each column once"),
        ("case,fold\n007,1,2\n", "commas between the fields"),
        (b"case,fold\n\xff,1\n", "the table cannot be read"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(cohort, rows, message):
    (cohort / "cases.csv").write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    assert message in refused(describe(cohort, table="cases.csv"))


@pytest.mark.real
@pytest.mark.parametrize(("name", "cases"), [("flair_wt", 4), ("flair_wt_2mm", 121)])
def test_the_whole_tumour_cohorts_are_described_in_a_few_lines(real_cases, tmp_path, name, cases):
    described = {
        "cohort": "flair-wt",
        "root": str(SHARED / name),
        "dimensions": 3,
        "modalities": {"t2f": "{case}/{case}_fla.nii.gz"},
        "mask": "{case}/{case}_seg.nii.gz",
        "labels": {"tumour": 1},
        "regions": {"WT": ["tumour"]},
    }
    (tmp_path / "wt.yaml").write_text(json.dumps(described))
    schema, found = folder.find(tmp_path / "wt.yaml")
    assert len(found) == cases
    assert read_case(found[0], schema).classes.any()


def test_the_example_of_the_documentation_is_a_description(tmp_path):
    page = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "cohort.yaml").write_text(example, encoding="utf-8")
    _, described = folder.read(tmp_path)
    assert described.cohort_schema.labels == {"tumour": 1}
    assert described.cohort_schema.lesion_rules == "brats2023-gli"
    assert described.patterns == {
        "t2f": "{case}/{case}_fla.nii.gz",
        "mask": "{case}/{case}_seg.nii.gz",
    }
