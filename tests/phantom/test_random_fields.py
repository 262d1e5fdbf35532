import numpy as np
import pytest

from pipeline.phantom.random_fields import normal_field


@pytest.mark.parametrize("scale_voxels", [3.0, 7.5])
def test_a_field_has_mean_zero_and_standard_deviation_one(scale_voxels):
    field = normal_field(np.random.default_rng(0), (90, 80, 70), scale_voxels)
    assert field.dtype == np.float32
    assert field.shape == (90, 80, 70)
    assert abs(field.mean()) < 0.1
    assert abs(field.std() - 1) < 0.05


def test_a_field_of_larger_scale_is_smoother():
    rough, smooth = (
        normal_field(np.random.default_rng(0), (60, 60, 60), scale) for scale in (4.0, 12.0)
    )
    steps = [np.abs(np.diff(field, axis=0)).mean() for field in (rough, smooth)]
    assert 2.5 < steps[0] / steps[1] < 3.5
