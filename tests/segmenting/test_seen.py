"""A training case of the network is reported where that is certain, and nowhere else."""

import hashlib
import json
from pathlib import Path

import pytest

from pipeline import api
from pipeline.core.records import read_csv
from tests.conftest import write_case

MODEL = Path(__file__).parents[1] / "network/format_1"
SAID = "was a training case of this network: its labels look better than on new cases"
NAMES = tuple(f"BraTS2021_0000{number}" for number in range(3))


@pytest.fixture
def raw(tmp_path) -> Path:
    """data/raw of a clone with three cases, the first two of which were trained on."""
    for number, name in enumerate(NAMES):
        write_case(tmp_path / "data/raw", name, seed=number)
    (tmp_path / "data/raw/catalogue.json").write_text("the catalogue")
    (tmp_path / "data/split.json").write_text("and the split")
    return tmp_path / "data/raw"


@pytest.fixture
def model():
    card = api.load(MODEL).card
    member = card.members[0].model_copy(update={"trained_on": NAMES[:2]})
    hashed = hashlib.sha256(b"the catalogueand the split").hexdigest()
    return api.Model(MODEL, card.model_copy(update={"members": (member,), "data_hash": hashed}))


def warned(model, folder: Path) -> list[str]:
    return model.prepare(model.find(folder)).record["warnings"]


def test_a_training_case_of_this_clone_is_reported_even_through_a_link(model, raw, tmp_path):
    (tmp_path / "linked").symlink_to(raw / NAMES[0])
    for folder in (raw / NAMES[0], raw / NAMES[1], tmp_path / "linked"):
        (said,) = warned(model, folder)
        assert said.endswith(SAID)
    assert warned(model, raw / NAMES[2]) == []


def test_a_case_of_the_same_name_elsewhere_or_of_other_data_is_not_reported(model, raw, tmp_path):
    assert warned(model, write_case(tmp_path / "new", NAMES[0])) == []
    (raw.parent / "split.json").write_text("of another run")
    assert warned(model, raw / NAMES[0]) == []
    (raw.parent / "split.json").unlink()
    assert warned(model, raw / NAMES[0]) == []


def test_of_many_cases_one_line_says_how_many_and_each_record_says_so(model, raw, tmp_path, caplog):
    out = tmp_path / "out"
    list(model.segment_many([raw / name for name in NAMES], out))
    lines = [record.getMessage() for record in caplog.records if "training" in record.getMessage()]
    assert lines == [
        "warning: 2 of 3 cases were training cases of this network: their labels look better than"
        " on new cases"
    ]
    counts = [row["warnings"] for row in read_csv(out / "volumes.csv")]
    assert counts == ["1", "1", "0"]
    record = json.loads((out / f"{NAMES[0]}.nii.gz.json").read_text())
    assert record["warnings"] == [f"{NAMES[0]}: {SAID}"]


def test_one_case_is_reported_once(model, raw, tmp_path, caplog):
    model.segment(raw / NAMES[0])
    list(model.segment_many([raw / NAMES[1]], tmp_path / "out"))
    lines = [record.getMessage() for record in caplog.records if "training" in record.getMessage()]
    assert lines == [f"warning: {name}: {SAID}" for name in NAMES[:2]]
