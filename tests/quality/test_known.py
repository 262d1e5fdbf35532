"""What is kept of a network: intervals of errors, and its reading."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.network.settings import read_settings
from pipeline.quality.confidence import estimated_dice
from pipeline.quality.known import Known, interval_of, read_known

MODEL = Path(__file__).parents[1] / "network/format_1"


def test_an_interval_of_few_cases_spans_all_and_says_how_sure_it_is():
    found = interval_of([3.0, 1.0, 2.0, 10.0])
    assert (found.low, found.median, found.high) == (1.0, 2.5, 10.0)
    assert (found.cases, found.coverage) == (4, 0.6)
    assert interval_of([7.0]).coverage == 0


def test_an_interval_of_many_cases_covers_nine_of_ten():
    found = interval_of([float(value) for value in range(1, 40)])
    assert (found.low, found.high, found.coverage) == (2.0, 38.0, 0.9)


@pytest.mark.parametrize("count", [5, 12, 19, 40])
def test_a_new_case_lies_in_the_interval_as_often_as_it_says(count):
    drawn = np.random.default_rng(count).lognormal(size=(2000, count + 1))
    inside = 0
    for *known, new in drawn.tolist():
        found = interval_of(known)
        inside += found.low <= new <= found.high
    assert inside / 2000 == pytest.approx(found.coverage, abs=0.03)


def test_undefined_errors_are_left_out():
    assert interval_of([]) is None
    assert interval_of([math.nan]) is None
    assert interval_of([math.nan, 1.0, 3.0]).cases == 2


def test_the_estimated_dice_of_a_region_is_that_of_its_probabilities(schema):
    probabilities = np.zeros((4, 4, 4, 3), np.float32)
    probabilities[:2, 0, 0, 0] = 0.8, 0.9
    probabilities[2, 0, 0, 0] = 0.4
    found = estimated_dice(probabilities, schema, "regions")
    assert found["WT"] == pytest.approx(2 * 1.7 / (2.1 + 2))
    assert found["TC"] is None


def test_the_estimated_dice_of_labels_is_that_of_their_sum(schema):
    probabilities = np.zeros((2, 1, 1, 4), np.float32)
    probabilities[0, 0, 0] = 0.1, 0.3, 0.3, 0.3
    probabilities[1, 0, 0, 0] = 1
    found = estimated_dice(probabilities, schema, "labels")
    assert found["WT"] == pytest.approx(2 * 0.9 / (0.9 + 1))


def test_a_network_of_an_earlier_version_is_known_nothing_of():
    assert read_known(MODEL) is None


KNOWN = {"format_version": 1, "ranges": {"geometry": None}, "never_empty": ["WT"], "regions": {}}


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(MODEL, tmp_path / "models")


def add(folder, known):
    path = folder / "inference.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"known": known}))


def test_settings_are_read_whatever_is_known_beside_them(folder):
    add(folder, KNOWN)
    assert read_settings(folder) == read_settings(MODEL)
    assert read_known(folder) == Known.model_validate_json(json.dumps(KNOWN))


def test_another_format_is_known_nothing_of_and_a_damaged_one_is_an_error(folder):
    add(folder, KNOWN | {"format_version": 2})
    assert read_known(folder) is None
    add(folder, KNOWN | {"never_empty": 3})
    with pytest.raises(InputError, match=r"inference\.json: known\.never_empty"):
        read_known(folder)
