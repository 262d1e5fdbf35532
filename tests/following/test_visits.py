"""The order of visits: by the user's table, DICOM headers, or folders."""

from datetime import date
from pathlib import Path

from pipeline.following.visits import TABLE, named, ordered
from pipeline.registration.native import REFERENCES
from pipeline.segmenting.finding import in_parent
from tests.cohorts.test_dicom import write_study


def studies(place: Path, *dates: dict[str, str]) -> list:
    """Cases of one patient, each with elements of its headers."""
    for number, elements in enumerate(dates, 1):
        write_study(place / f"study{number}", number, PatientID="MRN4711", **elements)
    return in_parent(place, None, REFERENCES, True)


def days(place: Path, cases) -> dict[str, int | None]:
    return {visit.key: visit.day for visit in ordered(place, cases)[0]}


def test_studies_are_in_the_order_of_the_dates_of_their_headers(tmp_path):
    cases = studies(
        tmp_path,
        {"AcquisitionDate": "20240301", "AcquisitionTime": "101112", "StudyDate": "20250101"},
        {"AcquisitionTime": "101112", "StudyDate": "20240110"},
        {"StudyDate": "20240501"},
    )
    visits, warnings = ordered(tmp_path, cases)
    assert [(visit.key, visit.number, visit.day) for visit in visits] == [
        ("study2", 1, 0),
        ("study1", 2, 51),
        ("study3", 3, 112),
    ]
    assert visits[0].acquired == date(2024, 1, 10)
    assert warnings == []
    assert named(visits, "study1", "--baseline") == 1
    assert named(visits, "3", "--baseline") == 2
    assert named(visits, None, "--baseline") == 0


def test_the_table_of_the_user_replaces_dates_with_a_warning_that_names_none(tmp_path):
    cases = studies(tmp_path, {"StudyDate": "20240301"}, {"StudyDate": "20240110"})
    (tmp_path / TABLE).write_text("visit,date\nstudy1,2024-01-01\n")
    visits, warnings = ordered(tmp_path, cases)
    assert [visit.key for visit in visits] == ["study1", "study2"]
    assert [visit.day for visit in visits] == [0, 9]
    assert warnings == [
        "the date of a visit in visits.csv is 60 days from that in its DICOM headers; visits.csv"
        " was used"
    ]


def test_days_may_be_given_without_dates(tmp_path):
    cases = studies(tmp_path, {}, {})
    (tmp_path / TABLE).write_text("visit,day\nstudy1,120\nstudy2,30\n")
    assert days(tmp_path, cases) == {"study2": 0, "study1": 90}


def test_where_one_visit_has_no_date_the_order_is_that_of_folders_and_no_day_is_stated(tmp_path):
    cases = studies(tmp_path, {"StudyDate": "20240301"}, {"StudyDate": "2024"})
    visits, warnings = ordered(tmp_path, cases)
    assert [(visit.key, visit.day) for visit in visits] == [("study1", None), ("study2", None)]
    assert warnings[0].startswith("the dates of the visits are not known")


def test_studies_in_one_folder_are_named_by_their_paths(tmp_path):
    cases = studies(tmp_path / "all", {"StudyDate": "20240110"}, {"StudyDate": "20240301"})
    assert list(days(tmp_path, cases)) == ["all/study1", "all/study2"]
