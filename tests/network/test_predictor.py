"""One restoration to the raw grid serves the classes and the probabilities of the regions."""

import numpy as np
import pytest

from pipeline.core.regions import classes_to_regions
from pipeline.core.schema import Schema
from pipeline.network import predictor
from pipeline.network.card import Card
from pipeline.preparation.inverse import restore
from pipeline.preparation.postprocess import Postprocess
from pipeline.preparation.preprocessing import Geometry
from tests.network.conftest import TINY, tiny

SCHEMA = Schema(
    cohort="x",
    dimensions=2,
    modalities=("t1n", "t1c", "t2w", "t2f"),
    labels={"edema": 2, "core": 1, "rim": 4},
    regions={"WT": ("edema", "core", "rim"), "TC": ("core", "rim"), "ET": ("rim",)},
    empty_rule="brats",
)
SETTINGS = predictor.Settings(
    overlap=0.5,
    mirror=True,
    batch_size=2,
    postprocess=Postprocess(min_component_ml=0.004, fill_holes=True, min_innermost_ml=0),
)
# raw axes run to the left and to the back; the prepared voxels are twice as long
GEOMETRY = Geometry(
    raw_shape=(18, 14, 3),
    raw_affine=((-1.0, 0, 0, 0), (0, -1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0)),
    box=((1, 17), (2, 14), (0, 3)),
    shape=(8, 6, 3),
    spacing_mm=(2.0, 2.0, 1.0),
)
IMAGE = np.random.default_rng(0).normal(size=(*GEOMETRY.shape, 4)).astype(np.float32)


def card(output):
    return Card.model_construct(
        cohort=SCHEMA, network=TINY.model_copy(update={"output": output}), patch=(4, 4)
    )


def network(output):
    return tiny(outputs=3 if output == "regions" else 4, output=output)


@pytest.mark.parametrize("output", ["regions", "labels"])
def test_probabilities_are_the_same_with_and_without_disagreement(output):
    model = network(output)
    expected = predictor.probabilities_of(model, card(output), SETTINGS, IMAGE)
    found, disagreement = predictor.probabilities_and_disagreement(
        model, card(output), SETTINGS, IMAGE
    )
    assert np.array_equal(found, expected)
    assert disagreement.shape == (*GEOMETRY.shape, 3)
    assert disagreement.any()
    unmirrored = SETTINGS.model_copy(update={"mirror": False})
    assert (
        predictor.probabilities_and_disagreement(model, card(output), unmirrored, IMAGE)[1] is None
    )


@pytest.mark.parametrize("output", ["regions", "labels"])
def test_classes_are_those_of_the_restored_probabilities_which_stay_as_they_are(output):
    channels = 3 if output == "regions" else 4
    probabilities = np.random.default_rng(2).random((*GEOMETRY.shape, channels), dtype=np.float32)
    raw = restore(probabilities, GEOMETRY)
    before = raw.copy()
    expected = predictor.classes_of(probabilities, GEOMETRY, card(output), SETTINGS)
    assert np.array_equal(predictor.raw_classes(raw, GEOMETRY, card(output), SETTINGS), expected)
    assert np.array_equal(raw, before)
    assert expected.shape == GEOMETRY.raw_shape
    assert expected.any()


def test_outputs_that_are_regions_are_their_probabilities():
    raw = np.random.default_rng(1).random((5, 4, 3, 3), dtype=np.float32)
    assert predictor.region_probabilities(raw, card("regions")) is raw


def test_labels_are_summed_to_regions_and_never_beyond_one():
    raw = np.random.default_rng(1).dirichlet([0.1] * 4, size=(5, 4, 3)).astype(np.float32)
    found = predictor.region_probabilities(raw, card("labels"))
    assert found.dtype == np.float32
    assert found.max() <= 1
    np.testing.assert_allclose(
        found, raw @ classes_to_regions(np.arange(4), SCHEMA).astype(np.float32), atol=1e-6
    )
    np.testing.assert_allclose(found[..., 0], 1 - raw[..., 0], atol=1e-6)
    assert (found[..., 0] + 1e-6 >= found[..., 1]).all()
    assert (found[..., 1] + 1e-6 >= found[..., 2]).all()


def test_a_certain_label_lies_for_certain_in_its_regions():
    classes = np.random.default_rng(2).integers(0, 4, (5, 4, 3))
    found = predictor.region_probabilities(np.eye(4, dtype=np.float32)[classes], card("labels"))
    np.testing.assert_array_equal(found, classes_to_regions(classes, SCHEMA))
