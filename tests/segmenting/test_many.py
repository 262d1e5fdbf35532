"""Many cases in one call: all are segmented as each alone, done ones skipped, failures named."""

import json
import resource
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline import api
from pipeline.cohorts.pairs import masks_of
from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from pipeline.formats import nifti
from pipeline.metrics.uncertainty import entropy_bits
from tests.conftest import LPS, case_arrays, write_case
from tests.report.pdf import lines_of

MODEL = Path(__file__).parents[1] / "network/format_1"
ALL = api.Extras(probabilities=True, uncertainty=True, overlay=True)


@pytest.fixture(scope="module")
def model():
    return api.load(MODEL)


@pytest.fixture
def cases(tmp_path) -> Path:
    for number in range(3):
        write_case(tmp_path / "cases", f"BraTS2021_0000{number}", seed=number)
    return tmp_path / "cases"


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def states(outcomes) -> dict[str, str]:
    return {Path(each.case).name[-5:]: each.state for each in outcomes}


def counted(outcomes) -> Counter:
    return Counter(each.state for each in outcomes)


def files(folder: Path) -> dict[str, bytes]:
    below = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in below}


def without_run(written: dict[str, bytes]) -> dict[str, bytes | dict]:
    """Files with the manifests as plain values, but for what differs from run to run."""
    return {
        name: {key: value for key, value in json.loads(content).items() if key != "run"}
        if name.endswith(".json")
        else content
        for name, content in written.items()
    }


def test_a_cohort_in_one_call_has_the_files_of_each_case_alone_and_a_table(
    model, cases, out, tmp_path
):
    assert counted(model.segment_many([cases], out)) == {"done": 3}
    volumes = []
    for folder in sorted(cases.iterdir()):
        alone = model.segment(folder)
        alone.save(tmp_path / "alone" / f"{folder.name}.nii.gz")
        volumes.append({f"{name}_ml": str(each) for name, each in alone.volumes_ml.items()})
    table = read_csv(out / "volumes.csv")
    assert [row["case"][-5:] for row in table] == ["00000", "00001", "00002"]
    assert [{key: row[key] for key in row if key.endswith("_ml")} for row in table] == volumes
    assert {(row["warnings"], row["network"]) for row in table} == {
        ("0", model.card.network_sha256[:16])
    }
    written = files(out)
    del written["volumes.csv"]
    assert without_run(written) == without_run(files(tmp_path / "alone"))


def test_a_second_call_skips_all_without_loading_keras_and_leaves_every_byte(model, cases, out):
    list(model.segment_many([cases], out))
    before = files(out)
    fresh = api.load(MODEL)
    assert counted(fresh.segment_many([cases], out)) == {"skipped": 3}
    assert "_loaded" not in vars(fresh)
    assert files(out) == before


def replace_voxels(cases: Path) -> None:
    voxels = case_arrays(9)[0]["t2"]
    nifti.write(cases / "BraTS2021_00001/BraTS2021_00001_t2.nii.gz", voxels, LPS)


@pytest.mark.parametrize(
    ("change", "options", "redone"),
    [
        (replace_voxels, {}, ["00001"]),
        (lambda cases: None, {"overwrite": True}, ["00000", "00001", "00002"]),
        (lambda cases: (cases.parent / "out/BraTS2021_00002.nii.gz").unlink(), {}, ["00002"]),
        (
            lambda cases: (cases.parent / "out/BraTS2021_00000.nii.gz.json").write_text("{"),
            {},
            ["00000"],
        ),
        (lambda cases: None, {"extras": ALL}, ["00000", "00001", "00002"]),
    ],
    ids=["another input", "overwrite", "no labels", "a damaged record", "more files"],
)
def test_only_what_is_not_done_in_the_same_way_is_segmented_again(
    model, cases, out, change, options, redone
):
    list(model.segment_many([cases], out))
    change(cases)
    found = states(model.segment_many([cases], out, **options))
    assert [name for name, state in found.items() if state == "done"] == redone
    assert counted(model.segment_many([cases], out, extras=options.get("extras"))) == {"skipped": 3}


def test_other_settings_and_another_network_are_not_taken_for_done(model, cases, out, tmp_path):
    one = cases / "BraTS2021_00000"
    list(model.segment_many([one], out))
    folder = shutil.copytree(MODEL, tmp_path / "model")
    settings = json.loads((folder / "inference.json").read_text())
    (folder / "inference.json").write_text(json.dumps(settings | {"overlap": 0.25}))
    assert counted(api.load(folder).segment_many([one], out)) == {"done": 1}
    record = json.loads((out / f"{one.name}.nii.gz.json").read_text())
    for key, value in (("network_sha256", "0" * 64), ("missing_modalities", ["t1c"])):
        (out / f"{one.name}.nii.gz.json").write_text(json.dumps(record | {key: value}))
        assert counted(api.load(folder).segment_many([one], out)) == {"done": 1}


def test_files_of_an_earlier_segmentation_are_not_taken_for_those_of_a_later_one(model, cases, out):
    one = [cases / "BraTS2021_00001"]
    list(model.segment_many(one, out, extras=ALL))
    earlier = files(out)
    replace_voxels(cases)
    list(model.segment_many(one, out))
    assert files(out).keys() == {
        "volumes.csv",
        "BraTS2021_00001.nii.gz",
        "BraTS2021_00001.nii.gz.json",
    }
    assert counted(model.segment_many(one, out, extras=ALL)) == {"done": 1}
    changed = {name for name, stored in files(out).items() if stored != earlier[name]}
    assert "probabilities/BraTS2021_00001_WT.nii.gz" in changed


def test_label_values_of_the_case_are_not_taken_for_those_of_the_network(model, out, tmp_path):
    images, _ = case_arrays(5)
    names = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
    for name, kind in names.items():
        path = tmp_path / "cases/BraTS-GLI-00005-000" / f"BraTS-GLI-00005-000-{name}.nii.gz"
        nifti.write(path, images[kind], LPS)
    for values, state in (("model", "done"), ("case", "done"), ("case", "skipped")):
        found = model.segment_many([path.parent], out, label_values=values)
        assert counted(found) == {state: 1}
    assert 4 not in nifti.read(out / "BraTS-GLI-00005-000.nii.gz").voxels


def test_cases_that_cannot_be_used_are_named_and_the_others_done(model, cases, out):
    damaged = cases / "BraTS2021_00000/BraTS2021_00000_t1.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    (cases / "BraTS2021_00001/BraTS2021_00001_flair.nii.gz").unlink()
    write_case(cases, "BraTS2021_00003", seed=3)
    (cases / "BraTS2021_00003/BraTS2021_00009_t1.nii.gz").write_bytes(b"")
    places = [cases / "nowhere", cases]
    found = {Path(each.case).name: each for each in model.segment_many(places, out)}
    assert {name: each.state for name, each in found.items()} == {
        "nowhere": "failed",
        "BraTS2021_00000": "failed",
        "BraTS2021_00001": "failed",
        "BraTS2021_00002": "done",
        "BraTS2021_00003": "failed",
    }
    assert f"{damaged}: " in found["BraTS2021_00000"].reason
    assert "modality t2f of case BraTS2021_00001 is missing" in found["BraTS2021_00001"].reason
    assert "Keep one of the two" in found["BraTS2021_00003"].reason
    assert "does not exist" in found["nowhere"].reason
    assert [row["case"] for row in read_csv(out / "volumes.csv")] == ["BraTS2021_00002"]


def test_an_interrupted_call_goes_on_where_it_was(model, cases, out):
    outcomes = model.segment_many([cases], out)
    next(outcomes)
    outcomes.close()
    assert len(read_csv(out / "volumes.csv")) == 1
    assert states(model.segment_many([cases], out)) == {
        "00000": "skipped",
        "00001": "done",
        "00002": "done",
    }
    assert len(read_csv(out / "volumes.csv")) == 3


def test_a_disk_without_room_stops_the_call_and_leaves_no_half_of_a_file(model, cases, out):
    list(model.segment_many([cases], out, extras=ALL))
    complete = without_run(files(out))
    largest = len(complete["probabilities/BraTS2021_00001_WT.nii.gz"]) - 1
    shutil.rmtree(out)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)\. Make room"):
            list(model.segment_many([cases], out, extras=ALL))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    left = without_run(files(out))
    assert left.keys() < complete.keys()
    del left["volumes.csv"]
    assert all(complete[name] == stored for name, stored in left.items())
    assert set(states(model.segment_many([cases], out, extras=ALL)).values()) <= {"skipped", "done"}
    assert without_run(files(out)) == complete


def test_a_folder_that_cannot_be_written_is_an_error_before_the_first_case(cases, tmp_path):
    (tmp_path / "file").write_text("")
    fresh = api.load(MODEL)
    with pytest.raises(InputError, match=r"volumes\.csv: cannot be written \(Not a directory"):
        list(fresh.segment_many([cases], tmp_path / "file/out"))
    assert "_loaded" not in vars(fresh)


def test_settings_that_cannot_be_read_are_an_error_not_one_of_every_case(cases, out, tmp_path):
    folder = shutil.copytree(MODEL, tmp_path / "model")
    (folder / "inference.json").unlink()
    with pytest.raises(InputError, match=r"inference\.json: cannot be read"):
        api.load(folder).segment_many([cases], out)


def test_results_neither_lie_in_a_case_nor_replace_its_files(model, cases, tmp_path):
    case = cases / "BraTS2021_00000"
    before = files(cases)
    for place in (case, case / "deeper"):
        with pytest.raises(InputError, match=r"lies in the folder of case BraTS2021_00000, "):
            model.segment_many(model.find_all([cases]), place)
    with pytest.raises(InputError, match=r"results: lies in the folder of cases .*/cases\. Name"):
        model.segment_many([cases], cases / "results")
    named = {name: tmp_path / f"{name}.nii.gz" for name in model.modalities}
    for name, kind in zip(named, ("t1", "t1ce", "t2", "flair"), strict=True):
        shutil.copy(case / f"{case.name}_{kind}.nii.gz", named[name])
    with pytest.raises(InputError, match=r"t1n\.nii\.gz: is a file of case t1n itself and would"):
        model.segment_many([model.find(None, named)], tmp_path)
    with pytest.raises(InputError, match=r"is a file\. Name a folder"):
        model.segment_many([cases], named["t1n"])
    assert files(cases) == before


def test_two_cases_of_one_name_are_rejected_and_one_that_is_found_twice_is_not(
    model, cases, out, tmp_path
):
    first = cases / "BraTS2021_00000"
    assert counted(model.segment_many([first, cases, first], out)) == {"done": 3}
    other = write_case(tmp_path / "later", "BraTS2021_00000", seed=8)
    said = rf"{other}: case BraTS2021_00000 is also in {first}, and results are named"
    with pytest.raises(InputError, match=said):
        model.find_all([cases, other.parent])


def test_maps_hold_probabilities_and_their_entropy_and_are_no_masks(model, cases, out):
    case = cases / "BraTS2021_00001"
    list(model.segment_many([case], out, extras=ALL))
    result = model.segment(case)
    for region, probabilities in result.probabilities.items():
        for kind, expected in (
            ("probabilities", probabilities),
            ("uncertainty", entropy_bits(probabilities)),
        ):
            volume = nifti.read(out / kind / f"{case.name}_{region}.nii.gz")
            assert volume.voxels.dtype == np.float32
            assert np.array_equal(volume.grid.affine, result.affine)
            assert np.abs(volume.voxels - expected).max() <= 1 / 2048
            assert volume.voxels.max() > 0
    assert np.array_equal(result.uncertainty["ET"], entropy_bits(result.probabilities["ET"]))
    picture = (out / "overlays" / f"{case.name}.png").read_bytes()
    assert picture == result.show().png
    assert list(masks_of(out)) == [case.name]


def test_a_summary_is_of_its_case_and_goes_when_that_is_segmented_again_without(model, cases, out):
    case = cases / "BraTS2021_00000"
    extras = api.Extras(summary=True)
    assert counted(model.segment_many([case], out)) == {"done": 1}
    assert counted(model.segment_many([case], out, extras=extras)) == {"done": 1}
    assert counted(model.segment_many([case], out, extras=extras)) == {"skipped": 1}
    pdf, png = (out / "summaries" / f"{case.name}.{kind}" for kind in ("pdf", "png"))
    assert png.read_bytes().startswith(b"\x89PNG")
    text = lines_of(pdf.read_bytes())
    record = json.loads((out / f"{case.name}.nii.gz.json").read_bytes())
    assert text[0] == case.name
    assert f"{record['volumes_ml']['WT']:.1f} ml" in text
    assert any(record["network_sha256"][:16] in line for line in text)
    list(model.segment_many([case], out, overwrite=True))
    assert not pdf.exists()
    assert not png.exists()


def test_the_table_has_the_cases_of_earlier_calls_too(model, cases, out):
    for number in (2, 0):
        list(model.segment_many([cases / f"BraTS2021_0000{number}"], out))
    (out / "foreign.nii.gz.json").write_text('{"case": 1}')
    for name in ("BraTS2021_00000.nii.gz", "BraTS2021_00000.nii.gz.json"):
        shutil.copy(out / name, out / name.replace("00000", "00000_seg"))
    list(model.segment_many([cases / "BraTS2021_00002"], out))
    assert [row["case"][-1] for row in read_csv(out / "volumes.csv")] == ["0", "2"]
