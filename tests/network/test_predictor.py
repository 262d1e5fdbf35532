"""Probabilities of outputs and regions, and the classes that follow from them."""

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.core.regions import classes_to_regions, outputs_to_classes, region_probabilities
from pipeline.core.schema import Schema
from pipeline.network import predictor
from pipeline.network.card import Card
from pipeline.preparation.params import Postprocess
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
    engine="keras",
    postprocess=Postprocess(
        thresholds={}, temperature=1.0, min_component_ml=0.004, fill_holes=True, min_innermost_ml=0
    ),
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


@pytest.mark.parametrize("output", ["regions", "labels"])
def test_probabilities_are_the_same_with_and_without_disagreement(output):
    model = tiny(outputs=3 if output == "regions" else 4, output=output)
    expected = predictor.predict(model, card(output), SETTINGS, IMAGE)
    found = predictor.predict(model, card(output), SETTINGS, IMAGE, compare=True)
    assert expected.disagreement is None
    assert np.array_equal(found.probabilities, expected.probabilities)
    assert found.disagreement.shape == (*GEOMETRY.shape, 3)
    assert found.disagreement.any()


@pytest.mark.parametrize("output", ["regions", "labels"])
def test_classes_are_postprocessed_on_the_raw_grid_and_probabilities_stay_as_they_are(output):
    edema = {"regions": [0.9, 0, 0], "labels": [0, 0.9, 0, 0]}[output]
    raw = np.zeros((*GEOMETRY.raw_shape, len(edema)), np.float32)
    raw[4:9, 4:9] = raw[15, 10, 0] = edema  # the latter below the least volume
    raw[6, 6, 1] = 0  # a hole
    before = raw.copy()
    classes = outputs_to_classes(raw, SCHEMA, output)
    found = predictor.postprocessed(classes, GEOMETRY, card(output), SETTINGS)
    expected = np.zeros(GEOMETRY.raw_shape, np.uint8)
    expected[4:9, 4:9] = 1
    np.testing.assert_array_equal(found, expected)
    assert np.array_equal(raw, before)


def test_regions_are_their_own_probabilities_and_labels_are_summed_never_beyond_one():
    raw = np.random.default_rng(1).dirichlet([0.1] * 4, size=(5, 4, 3)).astype(np.float32)
    raw[0, 0] = np.eye(4)[:3]  # certain labels
    assert region_probabilities(raw[..., 1:], SCHEMA, "regions").base is raw
    found = region_probabilities(raw, SCHEMA, "labels")
    members = classes_to_regions(np.arange(4), SCHEMA).astype(np.float32)
    assert found.dtype == np.float32
    assert found.max() <= 1
    np.testing.assert_allclose(found, raw @ members, atol=1e-6)
    np.testing.assert_array_equal(found[0, 0], members[:3])


def test_thresholds_are_rejected_for_a_network_of_labels_which_has_no_use_for_them():
    raised = SETTINGS.postprocess.model_copy(update={"thresholds": {"ET": 0.6}})
    settings = SETTINGS.model_copy(update={"postprocess": raised})
    with pytest.raises(InputError, match="thresholds are of regions, but"):
        predictor.predict(tiny(outputs=4, output="labels"), card("labels"), settings, IMAGE)
