"""Corrected cases join a cohort for training, and only those that fit it."""

import json
import shutil

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.core.extensions import NONE
from pipeline.core.folds import Split
from pipeline.core.records import read_json
from pipeline.correcting.cohort import corrections, write_table
from pipeline.correcting.saving import Facts, save
from pipeline.formats import nifti, raw_cases
from tests import project
from tests.conftest import write_case
from tests.correcting.made import READER, corrected, manifest
from tests.project import ROOT, download_cohort


@pytest.fixture
def schema():
    """That of the cohort of the tests, by its names."""
    from pipeline.cohorts import brats

    return brats.schema("_")


@pytest.fixture
def place(tmp_path, schema):
    """Two corrected cases of patients who are not in the cohort."""
    for number in (1, 2):
        corrected(tmp_path / "corrected", schema, f"ward-{number}", 90 + number)
    return tmp_path / "corrected"


def bring(cohort, tmp_path, place, **changes):
    about = {"source": "brats", "location": str(cohort), "corrections": str(place)}
    return download_cohort(tmp_path, **about | changes)


def of_the_cohort(cohort, place, schema, number: int, name: str = "again"):
    """Save a case of the cohort as a corrected one, under another name."""
    case = f"BraTS2021_{number:05d}"
    kinds = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
    files = {name: cohort / case / f"{case}_{kind}.nii.gz" for name, kind in kinds.items()}
    found = raw_cases.Found(name, name, cohort, files, cohort / case / f"{case}_seg.nii.gz")
    read = raw_cases.read(found, schema)
    before = read.classes.copy()
    before[6] = 0
    inputs = {"t1c": {"file": "again.nii.gz", "sha256": f"{number:064x}"}}
    return save(place, read, read.classes, before, schema, Facts(READER, manifest(inputs=inputs)))


def test_corrected_cases_are_verified_copied_and_catalogued_with_their_provenance(
    cohort, tmp_path, place
):
    catalogue = bring(cohort, tmp_path, place)
    assert len(catalogue.cases) == 10
    assert catalogue.corrections == ("corrected_ward-1", "corrected_ward-2")
    assert [entry.case for entry in catalogue.cases] == sorted(
        entry.case for entry in catalogue.cases
    )
    entry = catalogue.entry("corrected_ward-1")
    assert entry.attributes["corrected_by"] == READER
    assert entry.attributes["corrected_from"] == "a" * 16
    assert (tmp_path / "raw" / entry.labels.path).read_bytes() == (
        place / "ward-1/ward-1-seg.nii.gz"
    ).read_bytes()


def test_a_catalogue_is_the_same_bytes_twice(cohort, tmp_path, place):
    written = []
    for name in ("one", "two"):
        bring(cohort, tmp_path / name, place)
        written.append((tmp_path / name / "raw/catalogue.json").read_bytes())
    assert written[0] == written[1]


def test_without_corrections_nothing_joins(cohort, tmp_path):
    assert bring(cohort, tmp_path, NONE).corrections == ()


def test_a_folder_that_is_the_location_too_is_the_cohort(tmp_path, place):
    catalogue = bring(place, tmp_path, place, source="folder")
    assert [entry.case for entry in catalogue.cases] == ["ward-1", "ward-2"]
    assert catalogue.corrections == ()
    assert catalogue.cases[0].attributes["corrected_from"] == "a" * 16


def test_a_case_of_the_cohort_that_was_corrected_is_recognised_by_its_voxels(
    cohort, tmp_path, place, schema
):
    of_the_cohort(cohort, place, schema, 3)
    catalogue = bring(cohort, tmp_path, place)
    assert ("BraTS2021_00003", "corrected_again") in [pair[:2] for pair in catalogue.alike]


def test_a_case_that_was_corrected_under_two_names_is_rejected(cohort, tmp_path, place, schema):
    """By copying its folder: saving it makes the next version of the first."""
    of_the_cohort(cohort, place, schema, 3, "again")
    of_the_cohort(cohort, tmp_path / "elsewhere", schema, 3, "and-again")
    shutil.copytree(tmp_path / "elsewhere/and-again", place / "and-again")
    write_table(place, corrections(place))
    with pytest.raises(InputError, match="has the same voxels as"):
        bring(cohort, tmp_path, place)


@pytest.mark.parametrize("name", ["ward-1-seg.nii.gz", "ward-1-t1c.nii.gz"])
def test_a_file_that_is_not_the_one_that_was_saved_is_not_trained_on(cohort, tmp_path, place, name):
    path = place / "ward-1" / name
    volume = nifti.read(path)
    nifti.write(path, np.roll(volume.voxels, 1, axis=0), volume.grid.affine)
    with pytest.raises(InputError, match=rf"ward-1/{name}: is not the file that {READER} saved"):
        bring(cohort, tmp_path, place)


def test_a_damaged_record_is_named_before_anything_is_trained(cohort, tmp_path, place):
    (place / "ward-1/correction.json").write_text("{")
    with pytest.raises(InputError, match=r"ward-1/correction\.json"):
        bring(cohort, tmp_path, place)


def test_the_provenance_is_that_of_the_record_where_the_table_lags_behind(cohort, tmp_path, place):
    """As when a save is killed between both."""
    table = place / "corrections.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(READER, "Other"), encoding="utf-8")
    entry = bring(cohort, tmp_path, place).entry("corrected_ward-1")
    assert entry.attributes["corrected_by"] == READER


def test_a_case_whose_replacement_was_cut_is_named(cohort, tmp_path, place):
    (place / "ward-1").rename(place / ".replaced-ward-1")
    with pytest.raises(InputError, match="rename this folder to ward-1"):
        bring(cohort, tmp_path, place)


def test_corrected_cases_of_unknown_patients_are_warned_of(cohort, tmp_path, place, schema):
    corrected(place, schema, "ward-3", 93, patient="BraTS2021_00001")
    bring(cohort, tmp_path, place)
    warned = (tmp_path / "verify.json").read_text()
    assert "2 have no known patient (ward-1, ward-2)" in warned


def test_the_number_of_cases_of_the_cohort_does_not_count_corrections(cohort, tmp_path, place):
    catalogue = bring(cohort, tmp_path, place, cases=4)
    assert len(catalogue.cases) == 6


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"labels": {"necrotic": 1, "edema": 2, "enhancing": 3}}, "labels necrotic 1"),
        ({"modalities": ("t1n", "t1c", "t2w", "other")}, "modalities"),
        ({"regions": {"WT": ("necrotic", "edema", "enhancing"), "TC": ("enhancing", "edema"),
                      "ET": ("enhancing",)}}, "regions"),
    ],
    ids=["labels", "modalities", "regions"],
)  # fmt: skip
def test_corrections_of_another_convention_are_refused(cohort, tmp_path, place, values, said):
    described = place / "cohort.yaml"
    text = described.read_text()
    if "labels" in values:
        text = text.replace('"enhancing": 4}', '"enhancing": 3}')
    elif "modalities" in values:
        text = text.replace('"t2f": ', '"other": ')
    else:
        text = text.replace('"TC": ["necrotic", ', '"TC": ["edema", ')
    described.write_text(text)
    with pytest.raises(InputError) as error:
        bring(cohort, tmp_path, place)
    assert said in str(error.value)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("where", "said"),
    [("", "is empty"), ("nowhere", "is no folder"), ("source", "has no cohort.yaml")],
)
def test_a_folder_without_corrected_cases_is_named_before_anything_is_read(
    cohort, tmp_path, where, said
):
    with pytest.raises(InputError, match=said):
        bring(cohort, tmp_path, tmp_path / where if where else "")


def test_corrections_within_the_raw_data_are_refused(cohort, tmp_path, place):
    shutil.move(place, tmp_path / "raw/corrected")
    with pytest.raises(InputError, match="contain each other"):
        bring(cohort, tmp_path, tmp_path / "raw/corrected")


def test_held_out_cases_stay_as_they_are_and_training_cases_get_the_corrected_labels(
    tmp_path, schema
):
    folder = project.make(tmp_path, {"cohort.corrections": "data/corrected"})
    place, source = folder / "data/corrected", tmp_path / "source"
    corrected(place, schema, "ward-1", 91)
    plain = project.run_stages(project.copy(folder, tmp_path / "plain"), "download", "split")
    before = read_json(plain / "data/split.json", Split)
    for number, name in ((before.test[0], "tested"), (before.train[0], "trained")):
        of_the_cohort(source, place, schema, int(number[-5:]), name)
    project.run_stages(folder, "download", "split")
    after = read_json(folder / "data/split.json", Split)
    assert (after.test, after.val, after.folds) == (before.test, before.val, before.folds)
    assert "corrected_ward-1" in after.train
    assert "corrected_trained" in after.train
    assert before.train[0] not in after.train
    assert "corrected_tested" not in {*after.train, *after.val, *after.test}


@pytest.mark.slow
def test_a_network_says_which_corrected_cases_it_was_trained_on(tmp_path, schema):
    folder = project.make(tmp_path, {"cohort.corrections": "data/corrected"})
    for number in (1, 2):
        corrected(folder / "data/corrected", schema, f"ward-{number}", 90 + number)
    of_the_cohort(tmp_path / "source", folder / "data/corrected", schema, 0, "again")
    project.run_stages(folder, "download", "preprocess", "split", "augment", "train", "evaluate")
    project.run_stages(folder, "visualize")
    parts = read_json(folder / "data/split.json", Split)
    (member,) = json.loads((folder / "models/card.json").read_text())["members"]
    assert tuple(member["trained_on"]) == parts.train
    joined = [case for case in parts.train if case.startswith("corrected_ward")]
    assert joined == ["corrected_ward-1", "corrected_ward-2"]
    expected = f"{len(parts.train)} training cases have labels that a reader corrected"
    for page in ("metrics/report.html", "models/model_card.md"):
        text = (folder / page).read_text()
        assert expected in text
        assert READER not in text, "reports are shown to others"
    (run,) = client_of(folder).search_runs(["1"])
    assert run.data.tags["corrected_from"] == "a" * 16
    assert int(run.data.tags["corrected_cases"]) == sum(
        case.startswith("corrected_") for case in parts.train
    )
    logged = run.data.tags | run.data.params | {"name": run.info.run_name}
    assert not any(READER in value for value in logged.values())


def client_of(folder):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def test_dvc_notices_new_corrections():
    deps = project.STAGES["download"]["deps"]
    assert "${cohort.corrections}" in deps
    assert (ROOT / NONE).is_file()


def test_made_cases_of_the_tests_are_not_alike(tmp_path, place, schema):
    write_case(tmp_path / "one", "BraTS2021_00000")
    assert not bring(tmp_path / "one", tmp_path, place).alike
