"""Labels made on the device, against those that the host makes of the same predictions."""

import numpy as np
import pytest

from pipeline.core.schema import Schema
from pipeline.network.blending import OnDevice, OnHost
from pipeline.network.prediction import Prediction
from pipeline.preparation.patches import window_origins
from pipeline.preparation.preprocessing import Geometry

NESTED = Schema(
    cohort="x",
    dimensions=3,
    modalities=("t2f",),
    labels={"edema": 2, "core": 1, "rim": 4},
    regions={"WT": ("edema", "core", "rim"), "TC": ("core", "rim"), "ET": ("rim",)},
    empty_rule="brats",
)
BESIDE = Schema(
    cohort="x",
    dimensions=3,
    modalities=("t2f",),
    labels={"first": 1, "second": 2, "third": 3},
    regions={"first": ("first",), "second": ("second",), "third": ("third",)},
    empty_rule="brats",
)
PATCH = (4, 4, 3)


def geometry(box, shape):
    """Of raw axes to the left, the back and the top."""
    affine = ((-1.0, 0, 0, 0), (0, -1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0))
    return Geometry(
        raw_shape=(21, 17, 9), raw_affine=affine, box=box, shape=shape, spacing_mm=(1.0, 1.0, 1.0)
    )


AS_RAW = geometry(((1, 12), (2, 11), (0, 5)), (11, 9, 5))
FINER = geometry(((1, 8), (2, 9), (3, 6)), (11, 9, 5))
COARSER = geometry(((1, 20), (0, 17), (1, 9)), (11, 9, 5))


@pytest.mark.parametrize("place", [AS_RAW, FINER, COARSER])
@pytest.mark.parametrize(
    ("schema", "output", "types"),
    [
        (NESTED, "regions", None),
        (BESIDE, "regions", None),
        (NESTED, "labels", None),
        (BESIDE, "labels", np.array([0.3, 0.4, 0.3], np.float32)),
    ],
)
def test_the_device_gives_the_labels_of_the_host(place, schema, output, types):
    numbers, outputs = np.random.default_rng(0), 3 if output == "regions" else 4
    image = np.ones((*place.shape, 1), np.float32)
    origins = window_origins(place.shape, PATCH, 0.5)[:-2]  # the last ones are not predicted
    predicted = numbers.uniform(0, 1.2, (len(origins), *PATCH, outputs)).astype(np.float32)
    deviations = numbers.uniform(size=(*predicted.shape[:-1], 2)).astype(np.float32)
    thresholds = {"ET": 0.7} if schema is NESTED else {"second": 0.4}
    found = []
    for kind in (OnHost, OnDevice):
        volume = kind(image, origins, PATCH, 1, outputs + 2)
        volume.add(origins, np.concatenate([predicted, deviations], axis=-1))
        prediction = Prediction(volume.total, outputs, output == "labels", types, place)
        found.append(prediction.raw_classes(schema, output, thresholds))
    assert set(np.unique(found[0])) == ({0, 1, 2, 3} if types is None else {0, 2})
    np.testing.assert_array_equal(found[1], found[0])
    if types is not None:
        drawn = prediction.restored[..., 1:].sum(axis=-1) > prediction.restored[..., 0]
        np.testing.assert_array_equal(found[0] > 0, drawn)
