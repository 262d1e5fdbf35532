"""A patient is followed over visits: order, registration, lesions, categories, files, errors."""

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import __main__ as commands
from pipeline.core.grid import Grid
from pipeline.core.records import read_csv
from pipeline.formats import nifti
from tests.cohorts.test_dicom import IDENTITIES, write_study
from tests.following.patients import CUBES, write_visit
from tests.registration.conftest import lps_slices, rigid

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOVED = rigid((6, -5, 8), (5, -4, 6))
TURNED = rigid((-4, 3, -9), (-6, 3, 2))
RIGHT, LEFT = (20.0, 10.0, 5.0), (-22.0, -10.0, 8.0)


def follow(*words: object) -> int | str:
    """Exit status of the command, or its message."""
    with pytest.raises(SystemExit) as ended:
        commands.main(["follow", *map(str, words)])
    return ended.value.code


def balls(*pairs):
    return [(*centre, radius) for centre, radius in pairs]


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Path:
    """A head that moves between four visits: a lesion that shrinks and grows, one that vanishes, a
    new one, and slices of 5 mm at the third visit.
    """
    root = tmp_path_factory.mktemp("patient")
    place = root / "Jane_Roe"
    thick = lps_slices(28, 5.0)
    edema = balls((RIGHT, 20), (LEFT, 14))
    write_visit(place / "a", "one", balls((RIGHT, 12), (LEFT, 9)), edema)
    write_visit(place / "b", "two", balls((RIGHT, 8)), balls((RIGHT, 14)), motion=MOVED)
    write_visit(
        place / "c", "three", balls((RIGHT, 12)), balls((RIGHT, 20)), motion=TURNED, grid=thick
    )
    late = balls((RIGHT, 8), ((-20.0, 25.0, 5.0), 8))
    write_visit(place / "d", "four", late, balls((RIGHT, 14)), motion=MOVED)
    rows = "a,2024-01-10,3,stable,4\nb,2024-03-01,3,stable,11\n"
    rows += "c,2024-05-01,,,20\nd,2024-07-01,1,worse,29\n"
    (place / "visits.csv").write_text(
        f"visit,date,steroid_mg,clinical_status,weeks_since_radiotherapy\n{rows}"
    )
    assert follow(place, "--out", root / "out", "--baseline", "a") is None
    return root / "out"


@pytest.fixture(scope="module")
def record(followed) -> dict:
    return json.loads((followed / "follow_up.json").read_text())


def lesions(record, kind, visit):
    return {own["lesion"]: own for own in record["kinds"][kind]["visits"][visit]["lesions"]}


def test_days_are_counted_from_the_first_visit(record):
    assert [visit["day"] for visit in record["visits"]] == [0, 51, 112, 173]


def test_moved_heads_are_brought_to_the_baseline(record):
    first, *others = record["visits"]
    assert first["registration"]["shift_mm"] == 0
    for visit, motion in zip(others, (MOVED, TURNED, MOVED), strict=True):
        apart = np.array(visit["registration"]["matrix"]) @ motion - np.eye(4)
        assert np.abs(apart[:3, 3]).max() < 1.5
        assert visit["registration"]["dice_after"] > visit["registration"]["dice_before"]
        assert not visit["registration"]["poor"]


def test_lesions_keep_their_names_over_moved_visits(record):
    states = [
        {name: own["status"] for name, own in lesions(record, 0, visit).items()}
        for visit in range(4)
    ]
    assert states == [
        {"CE1": "first", "CE2": "first"},
        {"CE1": "same", "CE2": "vanished"},
        {"CE1": "same", "CE2": "vanished"},
        {"CE1": "same", "CE2": "vanished", "CE3": "new"},
    ]


def test_diameters_and_volumes_are_those_of_the_balls_on_every_grid(record):
    for visit, radius in enumerate((12, 8, 12, 8)):
        own = lesions(record, 0, visit)["CE1"]
        assert own["longest_mm"] == pytest.approx(2 * radius, abs=2)
        assert own["perpendicular_mm"] == pytest.approx(2 * radius, abs=2)
        assert own["volume_ml"] == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.06)
    assert [each["slice_thickness_mm"] for each in record["kinds"][0]["visits"]] == [2, 2, 5, 2]


def test_categories_follow_from_the_balls(record):
    enhancing = record["kinds"][0]
    assert enhancing["targets"] == ["CE1", "CE2"]
    products = [state["by_product"] for state in enhancing["visits"]]
    # about 4 (144 + 81), 4 x 64, 4 x 144, 4 x 64 mm2 and a new lesion
    assert [each["category"] for each in products] == ["baseline", "PR", "PD", "PD"]
    assert products[1]["from_baseline"] == pytest.approx(64 / 225 - 1, abs=0.06)
    assert products[2]["from_nadir"] == pytest.approx(
        144 / 64 - 1, abs=0.4
    )  # slices of 5 mm miss the centre
    assert products[3]["reason"] == "new and measurable: CE3"
    assert products[1]["confirmation"] == "not sustained: PD at visit 3"


def test_the_fields_of_the_clinic_are_used_where_given_and_named_where_not(record, followed):
    clinic = [state["with_clinic"]["category"] for state in record["kinds"][0]["visits"]]
    assert clinic == ["", "PR", "", "PD"]
    sums = [row for row in read_csv(followed / "follow_up.csv") if row["lesion"] == "sum"]
    third = sums[2]
    assert third["scope"] == "imaging part only"
    assert third["missing_fields"] == "steroid_mg clinical_status"
    assert sums[3]["scope"] == ""


def test_the_table_has_a_row_per_visit_and_lesion_and_the_sums(followed, record):
    rows = read_csv(followed / "follow_up.csv")
    enhancing = [row for row in rows if row["disease"] == "enhancing"]
    assert [row["lesion"] for row in enhancing if row["visit"] == "4"] == [
        "CE1",
        "CE2",
        "CE3",
        "sum",
    ]
    for visit in range(4):
        own = [row for row in enhancing if row["visit"] == str(visit + 1)]
        targets = [row for row in own if row["target"] == "True" and row["product_mm2"]]
        assert float(own[-1]["product_mm2"]) == pytest.approx(
            sum(float(row["product_mm2"]) for row in targets), abs=0.05
        )


def test_no_output_names_the_patient_a_folder_or_a_date(followed):
    for path in followed.iterdir():
        text = re.sub(r"base64,[^\"]*", "", path.read_text())
        assert not re.search(r"Jane|Roe|2024-", text)
        assert "Research use only, not for diagnosis" in text


def test_the_page_shows_every_lesion_with_its_lines_and_runs_no_script(followed):
    page = html.unescape((followed / "follow_up.html").read_text())
    assert "<script" not in page
    assert "default-src 'none'" in page
    # CE1 and TF1 at 4 visits, CE2, CE3, TF2 and TF3 at one; and 4 charts
    assert len(re.findall(r'src="data:image/png', page)) == 8 + 4 + 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)


def test_two_runs_write_the_same_bytes(tmp_path):
    place = tmp_path / "patient"
    for key, radius in (("a", 10), ("b", 11)):
        write_visit(place / key, key, balls((RIGHT, radius)))
    for out in ("one", "two"):
        assert follow(place, "--out", tmp_path / out) is None
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_resection_cavity_is_no_tumour_and_its_wall_no_mass(tmp_path):
    place = tmp_path / "patient"
    wall, hole = balls((RIGHT, 14)), balls((RIGHT, 11))
    for point in (100, 101):
        case = f"BraTS-GLI-00005-{point}"
        write_visit(place / case, case, wall, balls((RIGHT, 18)), hole, mark="-")
    assert follow(place, "--out", tmp_path / "out") is None
    record = json.loads((tmp_path / "out/follow_up.json").read_text())
    own = lesions(record, 0, 0)["CE1"]
    assert own["perpendicular_mm"] < 10
    assert not own["measurable"]
    assert record["kinds"][0]["targets"] == []
    shell = 4 / 3 * np.pi * (14**3 - 11**3) / 1000
    assert own["volume_ml"] == pytest.approx(shell, rel=0.1)


def test_visits_of_one_name_are_told_apart(tmp_path):
    place = tmp_path / "patient"
    for key, radius in (("a", 10), ("b", 14)):
        write_visit(place / key, "same", balls((RIGHT, radius)))
    assert follow(place, "--out", tmp_path / "out") is None
    record = json.loads((tmp_path / "out/follow_up.json").read_text())
    assert [visit["case"] for visit in record["visits"]] == ["same_visit1", "same_visit2"]
    assert record["kinds"][0]["visits"][1]["by_product"]["category"] == "PD"
    assert any("dates of the visits are not known" in warning for warning in record["warnings"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("visit,dat\na,1", "column dat, which is not known"),
        ("visit,day\nz,1", "visit 'z' is not among a, b"),
        ("visit,day\na,1\na,2", "visit 'a' is listed twice"),
        ("visit,date\na,01.02.2024", "'01.02.2024' is not a date. Write it as 2024-03-31"),
        ("visit,steroid_mg\na,much", "steroid_mg 'much' is not a number"),
        ("visit,clinical_status\na,fine", "clinical_status 'fine' is not known"),
    ],
)
def test_a_bad_table_of_visits_is_rejected_by_row_and_field(tmp_path, rows, said):
    place = tmp_path / "patient"
    for key in ("a", "b"):
        write_visit(place / key, key, balls((RIGHT, 10)))
    (place / "visits.csv").write_text(rows)
    assert said in follow(place, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_folders_are_rejected_with_a_remedy(tmp_path):
    out = tmp_path / "out"
    assert "is not a folder" in follow(tmp_path / "none", "--out", out)
    place = tmp_path / "patient"
    write_visit(place / "a", "a", balls((RIGHT, 10)))
    assert "holds 1 visit; follow-up compares at least two" in follow(place, "--out", out)
    write_visit(place / "b", "b", balls((RIGHT, 10)), labels=False)
    assert "b: no labels. Put CASE_seg.nii.gz" in follow(place, "--out", out)
    assert "is no visit. Name one of a, b" in follow(place, "--out", out, "--baseline", "c")
    assert "lies in the folder of cases" in follow(place, "--out", place / "out")


def test_visits_of_two_patients_are_rejected_unless_the_user_insists(tmp_path):
    place = tmp_path / "patient"
    for case in ("BraTS-GLI-00005-100", "BraTS-GLI-00006-100"):
        write_visit(place / case, case, balls((RIGHT, 10)), mark="-")
    said = follow(place, "--out", tmp_path / "out")
    assert "visits of 2 patients (BraTS-GLI-00005, BraTS-GLI-00006)" in said
    assert follow(place, "--out", tmp_path / "out", "--one-patient") is None
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_dicom_studies_of_two_patients_are_rejected_without_their_names(tmp_path):
    place = tmp_path / "patient"
    for number in (1, 2):
        write_study(place / f"study{number}", number)
    said = follow(place, "--out", tmp_path / "out")
    assert "visits of 2 patients (patient-" in said
    assert not [identity for identity in IDENTITIES if identity in said]


def test_a_visit_that_shows_no_head_is_rejected_by_its_number(tmp_path):
    place = tmp_path / "patient"
    write_visit(place / "a", "a", balls((RIGHT, 10)))
    write_visit(place / "b", "b", balls((RIGHT, 10)))

    noise = np.random.default_rng(1).normal(500, 50, (64, 64, 64)).astype(np.float32)
    grid = Grid((64, 64, 64), nifti.read(place / "b/b_t1ce.nii.gz").grid.affine)
    nifti.write(place / "b/b_t1ce.nii.gz", noise, grid.affine)
    said = follow(place, "--out", tmp_path / "out")
    assert "visit 2: registration found no alignment" in said
    assert "move this visit out of the folder" in said


def test_labels_of_predict_are_used_with_the_values_that_their_records_name(tmp_path):
    place, folder = tmp_path / "patient", tmp_path / "predictions"
    for key, radius in (("a", 10), ("b", 14)):
        write_visit(place / key, key, balls((RIGHT, radius)))
        folder.mkdir(exist_ok=True)
        (place / key / f"{key}_seg.nii.gz").rename(folder / f"{key}.nii.gz")
        values = {"necrotic": 1, "edema": 2, "enhancing": 4}
        quality = {"flag": "check", "reasons": [{"text": "It is odd."}]}
        record = {"labels": values, "network_sha256": "ab" * 32, "warnings": ["looks odd"]}
        record |= {"quality": quality}
        (folder / f"{key}.nii.gz.json").write_text(json.dumps(record))
    assert follow(place, "--out", tmp_path / "out", "--labels", folder) is None
    record = json.loads((tmp_path / "out/follow_up.json").read_text())
    assert record["visits"][0]["labels"] == "network abababababababab"
    assert "visit 2: looks odd" in record["warnings"]
    first, _, *others = [each for each in record["warnings"] if "quality flag" in each]
    assert first == "visit 1: its quality flag says check, so look at its labels first: It is odd."
    assert not others
    assert record["kinds"][0]["visits"][1]["by_product"]["category"] == "PD"
    values = {"labels": {"necrotic": 7}}
    (folder / "b.nii.gz.json").write_text(json.dumps(values))
    said = follow(place, "--out", tmp_path / "out", "--labels", folder)
    assert "which no known cohort has. Name the network by --model" in said


def test_visits_without_labels_are_segmented_once(tmp_path):
    place, out = tmp_path / "patient", tmp_path / "out"
    for key, radius in (("a", 10), ("b", 14)):
        write_visit(place / key, key, balls((RIGHT, radius)), labels=key == "a")
        for name in ("t1", "t2"):  # modalities that the network needs
            shutil.copy(place / key / f"{key}_flair.nii.gz", place / key / f"{key}_{name}.nii.gz")
        for path in (place / key).iterdir():  # a head of half the size, in voxels of 1 mm
            nifti.write(path, nifti.read(path).voxels, np.diag([0.5, 0.5, 0.5, 1]) @ CUBES.affine)
    arguments = (place, "--out", out, "--model", ROOT / "tests/network/format_1")
    assert follow(*arguments) is None
    record = json.loads((out / "follow_up.json").read_text())
    assert record["visits"][0]["labels"] == "file beside the images"
    assert record["visits"][1]["labels"].startswith("network ")
    written = out / "segmentations/b.nii.gz"
    before = written.stat().st_mtime_ns
    assert not (out / "segmentations/a.nii.gz").exists()
    assert follow(*arguments) is None
    assert written.stat().st_mtime_ns == before


def record_after(place: Path, *words: object) -> dict:
    out = place.parent / "out"
    assert follow(place, "--out", out, *words) is None
    return json.loads((out / "follow_up.json").read_text())


def enhancing_ml(path: Path) -> float:
    labels = nifti.read(path)
    return np.count_nonzero(labels.voxels == 4) * np.prod(labels.grid.spacing_mm) / 1000


LOW = Grid((64, 64, 50), CUBES.affine)  # without the top of the head
TOP = (0.0, 10.0, 46.0)


@pytest.mark.parametrize("motion", [np.eye(4), MOVED])
def test_lesions_outside_the_images_of_the_baseline_are_measured_and_matched(tmp_path, motion):
    place = tmp_path / "patient"
    write_visit(place / "a", "a", balls((RIGHT, 10)), grid=LOW)
    for key, radius in (("b", 6), ("c", 7)):
        write_visit(place / key, key, balls((RIGHT, 10), (TOP, radius)), motion=motion)
    record = record_after(place)
    for number, key in enumerate("abc"):
        state = record["kinds"][0]["visits"][number]
        assert state["total_ml"] == pytest.approx(enhancing_ml(place / key / f"{key}_seg.nii.gz"))
    assert lesions(record, 0, 1)["CE2"]["status"] == "new"
    assert lesions(record, 0, 2)["CE2"]["status"] == "same"
    assert lesions(record, 0, 2)["CE2"]["outside_baseline"] > 0.5
    assert any("visit 2: CE2 lies" in warning for warning in record["warnings"])
    last = record["kinds"][0]["visits"][2]
    assert last["by_product"]["category"] == "not stated"
    assert "baseline, so perhaps not new: CE2" in last["by_product"]["reason"]
    assert any("CE2 lies outside the images" in note for note in last["notes"])


def test_a_target_that_the_images_of_a_visit_do_not_reach_has_not_vanished(tmp_path):
    place = tmp_path / "patient"
    write_visit(place / "a", "a", balls((TOP, 7)))
    write_visit(place / "b", "b", [], balls((RIGHT, 10)), grid=LOW)
    record = record_after(place)
    assert not record["visits"][1]["registration"]["poor"]
    last = record["kinds"][0]["visits"][1]["by_product"]
    assert last["category"] == "not stated"
    assert last["reason"] == "outside the images of this visit: CE1"
    assert any("do not reach the place of CE1" in warning for warning in record["warnings"])


def test_visits_that_do_not_fit_get_no_category_and_keep_their_volumes(tmp_path, capsys):
    place = tmp_path / "patient"
    for key in "ab":
        write_visit(place / key, key, balls((RIGHT, 10)))
    for path in (place / "b").glob("b_[tf]*"):
        volume = nifti.read(path)
        half = volume.voxels.copy()
        half[:, :24] = 0
        nifti.write(path, half, volume.grid.affine)
    record = record_after(place)
    assert "heads overlap by Dice" in record["visits"][1]["registration"]["poor"]
    state = record["kinds"][0]["visits"][1]
    for rule in ("by_product", "by_volume"):
        assert state[rule]["category"] == "not stated"
        assert (state[rule]["from_baseline"], state[rule]["from_nadir"]) == (None, None)
    assert state["with_clinic"]["category"] == ""
    assert {own["status"] for own in state["lesions"]} == {"unmatched"}
    assert state["total_ml"] == pytest.approx(enhancing_ml(place / "b/b_seg.nii.gz"))
    assert "ml in all, not stated: the visits could not be registered" in capsys.readouterr().out
    page = (tmp_path / "out/follow_up.html").read_text()
    assert "<b>Not stated: the visits could not be registered</b>" in page
    assert "Stable disease" not in page
