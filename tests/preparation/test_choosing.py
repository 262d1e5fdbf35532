"""Postprocessing that is chosen: on made cases whose best values are known."""

import numpy as np
import pytest

from pipeline.preparation import choosing
from pipeline.preparation.choosing import Example
from pipeline.preparation.params import Postprocess
from tests.preparation.test_postprocess import ENHANCING, GLIOMA, NECROTIC, ONE_LABEL, UNCHANGED

SHAPE = (20, 20, 20)
UNIT_MM = (1.0, 1.0, 1.0)


def example(folder, number, probabilities, reference, schema=GLIOMA, patient=None) -> Example:
    path = folder / f"{number}.npz"
    choosing.keep(path, probabilities.astype(np.float32), reference, schema, "regions")
    return Example(str(number), patient or str(number), path, UNIT_MM)


def speckled(folder, number: int, likely: float = 0.9) -> Example:
    """A tumour of 512 voxels without ET, and a false piece of 125 with a trace of ET in it."""
    probabilities, reference = np.zeros((*SHAPE, 3)), np.zeros(SHAPE, np.uint8)
    reference[1:9, 1:9, 1:9] = NECROTIC
    probabilities[1:9, 1:9, 1:9, :2] = likely
    probabilities[12:17, 12:17, 12:17, :2] = 0.9
    probabilities[5, 5, 5 : 6 + number % 2, 2] = 0.8
    return example(folder, number, probabilities, reference)


def chosen(examples, *keys, start=UNCHANGED, schema=GLIOMA):
    return choosing.choose(examples, schema, "regions", start, keys)


def test_the_least_volumes_that_remove_what_is_false_are_found_with_their_gain(tmp_path):
    examples = [speckled(tmp_path, number) for number in range(4)]
    choice = chosen(examples, "min_component_ml", "min_innermost_ml")
    assert choice.params.min_component_ml == 0.25
    assert choice.params.min_innermost_ml == 0.05
    assert choice.after == pytest.approx([1.0] * 4)
    assert choice.gain == pytest.approx(choice.after - choice.before)
    assert [step["key"] for step in choice.steps] == ["min_component_ml", "min_innermost_ml"]
    assert choice.steps[0]["gain"] + choice.steps[1]["gain"] == pytest.approx(choice.gain.mean())


def test_the_threshold_of_a_region_is_found(tmp_path):
    examples = []
    for number in range(3):
        reference, probabilities = np.zeros(SHAPE, np.uint8), np.zeros((*SHAPE, 1))
        reference[4:12, 4:12, 4:12] = 1
        probabilities[3:13, 3:13, 3:13] = 0.58  # drawn too large
        probabilities[4:12, 4:12, 4:12] = 0.68
        examples.append(example(tmp_path, number, probabilities, reference, ONE_LABEL))
    choice = chosen(examples, "thresholds", schema=ONE_LABEL)
    assert choice.params.thresholds == {"WT": 0.6}
    assert choice.after == pytest.approx([1.0] * 3)


def test_a_value_that_helps_one_patient_alone_is_not_taken(tmp_path):
    """For the others there is nothing to gain, so without that patient nobody would choose it; and
    what all but one choose would harm that one.
    """
    whole = np.zeros((*SHAPE, 3))
    whole[1:9, 1:9, 1:9, :2] = 0.9
    reference = np.zeros(SHAPE, np.uint8)
    reference[1:9, 1:9, 1:9] = NECROTIC
    fine = [example(tmp_path, number, whole, reference) for number in range(3)]
    choice = chosen([*fine, speckled(tmp_path, 9)], "min_component_ml")
    assert choice.params == UNCHANGED
    assert not choice.gain.any()
    same = [speckled(tmp_path, 20), speckled(tmp_path, 22)]
    same = [Example(one.case, "one patient", one.path, one.spacing_mm) for one in same]
    assert chosen(same, "min_component_ml").params == UNCHANGED, "nobody else can judge it"


def test_a_network_that_is_too_sure_gets_a_temperature_above_one_and_the_same_labels(tmp_path):
    numbers, examples = np.random.default_rng(0), []
    for number in range(4):
        reference = np.zeros(SHAPE, np.uint8)
        reference[2:18, 2:18, 2:18] = ENHANCING
        wrong = numbers.random(SHAPE) < 0.2
        probabilities = np.where((reference > 0) ^ wrong, 0.999, 0.001)[..., None].repeat(
            3, axis=-1
        )
        examples.append(example(tmp_path, number, probabilities, reference))
    choice = chosen(examples, "temperature")
    assert choice.params.temperature > 2
    assert choice.after == pytest.approx(choice.before)
    assert not choice.gain.any()


def test_what_is_kept_of_a_case_gives_its_labels_and_leaves_out_the_rest(tmp_path):
    one = speckled(tmp_path, 0)
    reference, found = one.classes(GLIOMA, "regions", UNCHANGED)
    assert reference.shape == found.shape == (18, 18, 18)
    assert np.count_nonzero(reference) == 512
    assert np.count_nonzero(found) == 512 + 125
    higher = UNCHANGED.model_copy(update={"thresholds": {"WT": 0.95}})
    assert not one.classes(GLIOMA, "regions", higher)[1].any()
    assert isinstance(higher, Postprocess)
