"""Features of a prepared image, against values that can be worked out by hand."""

import numpy as np
import pytest

from pipeline.core.grid import rows_of
from pipeline.preparation.preprocessing import Geometry
from pipeline.quality import features


def image_of(*channels: np.ndarray) -> np.ndarray:
    """Channels in a frame of air, two voxels wide."""
    return np.pad(np.stack(channels, axis=-1), [(2, 2)] * 3 + [(0, 0)]).astype(np.float32)


@pytest.fixture
def normal() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(40, 38, 36))


def test_percentiles_are_those_of_the_brain_alone(normal):
    found = features.intensities(image_of(normal), ["t1c"])["histogram"]
    for percent, value in ((5, -1.645), (25, -0.674), (50, 0), (75, 0.674), (95, 1.645)):
        assert found[f"t1c.p{percent}"] == pytest.approx(value, abs=0.05)


def test_roughness_is_zero_of_a_ramp_and_that_of_noise_is_known(normal):
    ramp = 1 + np.broadcast_to(np.arange(40.0)[:, None, None], normal.shape)
    found = features.intensities(image_of(ramp, normal), ["t1c", "t2w"])["texture"]
    # a second difference of white noise has variance 1 + 4 + 1; the median of |N(0, 1)| is 0.6745
    for axis in "xyz":
        assert found[f"t1c.roughness_{axis}"] == 0
        assert found[f"t2w.roughness_{axis}"] == pytest.approx(0.6745 * 6**0.5, rel=0.05)


def test_correlation_is_that_of_the_voxels_and_a_missing_modality_has_no_features(normal):
    found = features.intensities(
        image_of(normal, -normal, 0 * normal, normal), ["t1n", "t1c", "t2w", "t2f"]
    )
    assert found["correlation"]["t1n~t1c.correlation"] == pytest.approx(-1)
    assert found["correlation"]["t1n~t2f.correlation"] == pytest.approx(1)
    assert not [name for kind in found.values() for name in kind if "t2w" in name]


def test_a_slice_has_no_roughness_across_itself():
    flat = np.random.default_rng(0).normal(size=(50, 50, 1, 1)).astype(np.float32)
    found = features.intensities(flat, ["t1c"])["texture"]
    assert {name[-1] for name in found} == {"x", "y"}


def turned(degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_geometry_is_in_mm_on_anatomical_axes():
    affine = turned(10) @ np.array([[0, -1, 0, 0], [-0.5, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    about = Geometry(
        raw_shape=(80, 60, 30),
        raw_affine=rows_of(affine),
        box=((0, 60), (0, 80), (0, 30)),
        shape=(30, 20, 45),
        spacing_mm=(2.0, 2.0, 2.0),
    )
    image = np.zeros((30, 20, 45, 2), np.float16)
    image[5:15, 5:15, 5:15, 1] = 1
    found = features.geometry(image, about)
    expected = {
        "spacing_x_mm": 1.0,
        "spacing_y_mm": 0.5,
        "spacing_z_mm": 3.0,
        "extent_x_mm": 60.0,
        "extent_y_mm": 40.0,
        "extent_z_mm": 90.0,
        "brain_ml": 8.0,
        "tilt_deg": 10.0,
    }
    assert found == pytest.approx(expected)
