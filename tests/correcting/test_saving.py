"""A correction becomes a case of a cohort: whole, recorded, and refused where it does not fit."""

import hashlib
import json
import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.cohorts import folder
from pipeline.core.errors import InputError
from pipeline.core.grid import to_canonical
from pipeline.core.records import sha256
from pipeline.core.regions import values_to_classes
from pipeline.correcting import cohort, record, versions
from pipeline.correcting.saving import Facts, of_canonical, save
from pipeline.formats import nifti, raw_cases
from pipeline.verification import checks
from tests.conftest import LPS
from tests.correcting.made import READER, case, corrected, manifest

FACTS = Facts(READER, manifest(), 12.0)


def tree(place) -> dict[str, str]:
    """Every file below a folder and the hash of its bytes."""
    return {
        path.relative_to(place).as_posix(): sha256(path)
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def test_a_saved_case_is_read_by_the_source_folder_as_it_was_corrected(tmp_path, schema):
    made, classes = case(schema)
    save(tmp_path, made, classes, np.zeros_like(classes), schema, FACTS)
    found_schema, (found,) = folder.find(tmp_path)
    read = raw_cases.read(found, found_schema)
    assert found_schema == schema
    assert found.case == found.patient == "ward-7"
    np.testing.assert_array_equal(read.image, made.image)
    np.testing.assert_array_equal(read.classes, classes)
    np.testing.assert_array_equal(read.grid.affine, LPS)
    assert not found.notes


def test_who_when_and_from_which_network_become_attributes_of_the_case(tmp_path, schema):
    corrected(tmp_path, schema, patient="P1")
    found_schema, (found,) = folder.find(tmp_path)
    entry = checks.verify(found, found_schema).entry
    assert entry.patient == "P1"
    said = datetime.fromisoformat(entry.attributes.pop("corrected_at"))
    assert abs((datetime.now(UTC) - said).total_seconds()) < 60
    assert entry.attributes == {
        "corrected_by": READER,
        "corrected_from": "a" * 16,
        "correction": "1",
    }


def test_the_record_says_what_changed_and_hashes_what_it_is_about(tmp_path, schema):
    place = corrected(tmp_path, schema)
    found = record.read(place / record.NAME)
    # the prediction lacked a slice of 10 x 8 voxels, all of them edema
    assert found.voxels_changed == 80
    assert {name: (each.added, each.removed) for name, each in found.changed.items()} == {
        "necrotic": (0, 0),
        "edema": (80, 0),
        "enhancing": (0, 0),
    }
    assert found.dice == {"WT": round(2 * 720 / (800 + 720), 4), "TC": 1.0, "ET": 1.0}
    assert found.seconds == 41.5
    assert found.prediction.network_sha256 == "a" * 64
    entry = checks.verify(folder.find(tmp_path)[1][0], schema).entry
    assert {name: file.content_sha256 for name, file in entry.images.items()} == {
        name: file.content_sha256 for name, file in found.images.items()
    }
    assert entry.labels.content_sha256 == found.labels.content_sha256
    assert entry.labels.content_sha256 != found.prediction.content_sha256
    assert sha256(place / found.labels.file) == found.labels.sha256


def test_a_second_correction_keeps_the_first(tmp_path, schema):
    first = (corrected(tmp_path, schema) / "ward-7-seg.nii.gz").read_bytes()
    made, classes = case(schema)
    better = np.where(classes == 1, 2, classes).astype(np.uint8)
    place = save(tmp_path, made, better, classes, schema, replace(FACTS, reader="Second"))
    found = record.read(place / record.NAME)
    assert (found.version, found.reader) == (2, "Second")
    (earlier,) = found.earlier
    assert (earlier.version, earlier.reader) == (1, READER)
    assert (place / earlier.labels).read_bytes() == first
    assert hashlib.sha256(first).hexdigest() == earlier.sha256
    assert record.read(place / earlier.record).version == 1
    found_schema, (only,) = folder.find(tmp_path)
    np.testing.assert_array_equal(raw_cases.read(only, found_schema).classes, better)
    assert not only.notes, "the earlier labels count as files that fit no name"


def test_a_save_killed_between_labels_and_record_does_not_replace_the_kept_labels(tmp_path, schema):
    place = corrected(tmp_path, schema)
    first = (place / "ward-7-seg.nii.gz").read_bytes()
    made, classes = case(schema)
    before = (place / record.NAME).read_bytes()
    save(tmp_path, made, np.zeros_like(classes), classes, schema, FACTS)
    (place / record.NAME).write_bytes(before)  # as if the second call had ended before it
    save(tmp_path, made, classes, classes, schema, FACTS)
    found = record.read(place / record.NAME)
    assert found.version == 2
    assert (place / found.earlier[0].labels).read_bytes() == first


def test_the_same_correction_gives_the_same_images_and_labels(tmp_path, schema):
    trees = []
    for name in ("one", "two"):
        corrected(tmp_path / name, schema)
        trees.append(tree(tmp_path / name))
    one, two = trees
    for path in ("ward-7/correction.json", "corrections.csv"):  # which hold the time
        one.pop(path), two.pop(path)
    assert one == two
    assert "cohort.yaml" in one


@pytest.mark.parametrize(
    "affine",
    [
        LPS,
        np.diag([1.0, 1.0, 1.0, 1.0]),
        np.array([[0, 0, 2.0, 5], [-1.0, 0, 0, 3], [0, 1.5, 0, 0], [0, 0, 0, 1]]),
    ],
    ids=["LPS", "RAS", "turned"],
)
def test_voxels_of_a_viewer_come_back_onto_the_axes_of_the_case(schema, affine):
    made, classes = case(schema, affine=affine)
    drawn = to_canonical(classes, affine).tobytes(order="F")
    np.testing.assert_array_equal(of_canonical(drawn, made, schema), classes)


def test_images_on_one_grid_of_floats_are_kept_to_the_last_bit(tmp_path, schema):
    made, classes = case(schema)
    image = made.image.astype(np.float32) / 3
    save(tmp_path, replace(made, image=image), classes, classes, schema, FACTS)
    stored = nifti.read(tmp_path / "ward-7/ward-7-t2w.nii.gz").voxels
    np.testing.assert_array_equal(stored, image[..., 2])


def spoilt(what: str, schema):
    """Arguments of `save` after the place, with a fault."""
    made, classes = case(schema)
    facts = FACTS
    predicted = classes
    if what == "reader":
        facts = replace(facts, reader=" \n")
    elif what == "seconds":
        facts = replace(facts, seconds=-1.0)
    elif what == "name":
        made = replace(made, name="../up")
    elif what == "hidden":
        made = replace(made, name="..")
    elif what == "missing":
        made = replace(made, image=made.image[..., :3])
        facts = replace(facts, manifest=manifest(missing_modalities=["t2f"]))
    elif what == "shape":
        classes = classes[1:]
    elif what == "class":
        classes = classes + np.uint8(1)
    elif what == "skull":
        noise = np.random.default_rng(0).integers(1, 9, made.image.shape, np.int16)
        made = replace(made, image=np.where(made.image, made.image, noise).astype(np.int16))
    elif what == "manifest":
        facts = replace(facts, manifest={})
    return made, classes, predicted, schema, facts


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("reader", "reader: expected a name"),
        ("seconds", "seconds: expected 0 or more"),
        ("name", "may have only letters"),
        ("hidden", "begins with a dot"),
        ("missing", "t2f"),
        ("shape", "expected (24, 22, 20) and uint8"),
        ("class", "class 4"),
        ("skull", "--native"),
        ("manifest", "run manifest"),
    ],
)
def test_what_cannot_become_a_training_case_is_refused_and_leaves_nothing(
    tmp_path, schema, what, said
):
    with pytest.raises(InputError) as error:
        save(tmp_path / "corrected", *spoilt(what, schema))
    assert said in str(error.value)
    assert not list((tmp_path / "corrected").glob("*/"))


def test_a_network_with_other_labels_needs_a_folder_of_its_own(tmp_path, schema):
    corrected(tmp_path, schema)
    before = tree(tmp_path)
    values = {"necrotic": 1, "edema": 4, "enhancing": 2}
    with pytest.raises(InputError, match=r'"enhancing": 4.*but the network has.*"enhancing": 2'):
        corrected(tmp_path, schema.model_copy(update={"labels": values}), "other")
    assert tree(tmp_path) == before


def test_other_series_of_a_case_become_its_next_version(tmp_path, schema):
    place = corrected(tmp_path, schema)
    first = {path.name: path.read_bytes() for path in place.glob("*.nii.gz")}
    corrected(tmp_path, schema, seed=91)
    found = record.read(place / record.NAME)
    assert found.version == 2
    (earlier,) = found.earlier
    assert earlier.images.keys() == {*schema.modalities}
    for name, kept in earlier.images.items():
        assert (place / kept).read_bytes() == first[f"ward-7-{name}.nii.gz"]
    (only,) = folder.find(tmp_path)[1]
    np.testing.assert_array_equal(
        raw_cases.read(only, schema).image, case(schema, seed=91)[0].image
    )


def test_an_examination_that_was_corrected_under_another_name_gets_its_next_version(
    tmp_path, schema
):
    first = corrected(tmp_path, schema, "ward-7", seed=90, patient="P1")
    by_files = {"t1c": {"file": "other.nii.gz", "sha256": f"{90:064x}"}}
    again = corrected(tmp_path, schema, "ward-8", 91, manifest=manifest(inputs=by_files))
    by_voxels = {"t1c": {"file": "other.nii.gz", "sha256": "5" * 64}}
    last = corrected(tmp_path, schema, "ward-9", 91, manifest=manifest(inputs=by_voxels))
    assert first == again == last
    (only,) = cohort.corrections(tmp_path)
    assert (only.case, only.version, only.patient) == ("ward-7", 3, "P1")
    assert [bool(one.images) for one in only.earlier] == [True, False]
    (found,) = folder.find(tmp_path)[1]
    assert (found.case, found.patient) == ("ward-7", "P1")


def test_two_corrected_cases_of_one_examination_become_one(tmp_path, schema):
    """Of the same images, one was first saved with wrong series."""
    wrong = {"t1c": {"file": "wrong.nii.gz", "sha256": "5" * 64}}
    corrected(tmp_path, schema, "ward-7", 91, manifest=manifest(inputs=wrong))
    corrected(tmp_path, schema, "ward-8", 90)
    place = corrected(tmp_path, schema, "ward-7", 90)
    assert [(one.case, one.version) for one in cohort.corrections(tmp_path)] == [("ward-7", 2)]
    assert record.read(place / versions.EARLIER / "ward-8" / record.NAME).case == "ward-8"
    assert len(folder.find(tmp_path)[1]) == 1


def test_the_folder_is_for_its_owner_alone(tmp_path, schema):
    corrected(tmp_path / "corrected", schema)
    assert (tmp_path / "corrected").stat().st_mode & 0o777 == 0o700


def test_a_damaged_record_stops_its_own_case_alone(tmp_path, schema, caplog):
    place = corrected(tmp_path, schema, "ward-7", 90, patient="P1")
    damaged = (place / record.NAME).read_bytes()[:100]
    (place / record.NAME).write_bytes(damaged)
    corrected(tmp_path, schema, "ward-8", 91)
    assert "ward-7/correction.json" in caplog.text
    patients = {one.case: one.patient for one in folder.find(tmp_path)[1]}
    assert patients == {"ward-7": "P1", "ward-8": "ward-8"}
    with pytest.raises(InputError, match=r"ward-7/correction\.json"):
        corrected(tmp_path, schema, "ward-7", 90)
    with pytest.raises(InputError, match=r"ward-7/correction\.json"):
        cohort.corrections(tmp_path)
    assert (place / record.NAME).read_bytes() == damaged


def test_voxels_of_a_viewer_that_do_not_fill_the_case_are_refused(schema):
    made, classes = case(schema)
    with pytest.raises(InputError, match="has 3 voxels"):
        of_canonical(b"\0\0\0", made, schema)
    with pytest.raises(InputError, match="class 9"):
        of_canonical(bytes([9]) * classes.size, made, schema)


def test_a_full_disk_leaves_the_cohort_as_it_was(tmp_path, schema):
    corrected(tmp_path, schema)
    before = tree(tmp_path)
    script = multiprocessing.get_context("spawn").Process(
        target=_save_with_little_room, args=(tmp_path, schema.model_dump(mode="json"))
    )
    script.start()
    script.join()
    assert script.exitcode == 7, "the error is no InputError"
    assert tree(tmp_path) == before


def _save_with_little_room(place, values):
    """Save while no file may grow beyond 4 kB: exit status 7 for an InputError."""
    import resource
    import signal
    import sys

    from pipeline.core.schema import Schema

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
    try:
        corrected(place, Schema.model_validate_json(json.dumps(values)), "second", 92)
    except InputError:
        sys.exit(7)


@pytest.mark.parametrize("renames", [3, 12, 13, 14])
def test_a_killed_save_leaves_the_earlier_or_the_next_version(tmp_path, schema, renames):
    """Killed among the files of the next version; before its table; before the earlier folder
    makes way; and when it has, so that none is in its place.
    """
    place = corrected(tmp_path, schema, seed=90)
    values = schema.model_dump(mode="json")
    killed = multiprocessing.get_context("spawn").Process(
        target=_save_until, args=(tmp_path, values, renames)
    )
    killed.start()
    killed.join()
    assert killed.exitcode == 9
    assert place.exists() == (renames < 14)
    corrected(tmp_path, schema, "other", 92)
    hidden = {path.name for path in tmp_path.glob(".*")}
    assert hidden <= {".lock"}, "images of a patient stay behind"
    found = record.read(place / record.NAME)
    for stored in (*found.images.values(), found.labels):
        assert sha256(place / stored.file) == stored.sha256
    assert found.version == len(found.earlier) + 1
    assert len(folder.find(tmp_path)[1]) == 2


def _save_until(place, values, renames):
    """Save other images of the case, and end when so many files were renamed."""
    import os

    from pipeline.core.schema import Schema

    left = iter(range(renames))

    def counted(function):
        def call(*paths):
            if next(left, None) is None:
                os._exit(9)
            return function(*paths)

        return call

    os.rename, os.replace = counted(os.rename), counted(os.replace)
    corrected(place, Schema.model_validate_json(json.dumps(values)), seed=91)


def test_two_readers_at_once_lose_no_case(tmp_path, schema):
    spawned = multiprocessing.get_context("spawn")
    values = schema.model_dump(mode="json")
    readers = [
        spawned.Process(target=_save_some, args=(tmp_path, values, first)) for first in (0, 3)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(cohort.corrections(tmp_path)) == 6
    assert len(folder.find(tmp_path)[1]) == 6


def _save_some(place, values, first):
    from pipeline.core.schema import Schema

    for number in range(first, first + 3):
        corrected(
            place, Schema.model_validate_json(json.dumps(values)), f"ward-{number}", 90 + number
        )


def test_the_labels_of_the_tests_are_what_they_claim_to_be(schema):
    made, classes = case(schema)
    assert np.count_nonzero(classes[6] == values_to_classes(np.array([2]), schema)[0]) == 80
    assert made.grid.shape == classes.shape
