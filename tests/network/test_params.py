"""The sections `network` and `train`, and what follows from them."""

import pytest
from pydantic import ValidationError

from pipeline.network.params import NetworkParams
from tests.network.conftest import TINY


def test_levels_halve_the_sides_and_double_the_filters_up_to_their_maximum():
    params = TINY.model_copy(update={"depth": 5, "filters": 16, "max_filters": 100})
    assert params.divisor == 16
    assert [params.filters_at(level) for level in range(5)] == [16, 32, 64, 100, 100]


@pytest.mark.parametrize(("depth", "levels"), [(2, 1), (3, 1), (4, 2), (6, 4)])
def test_the_two_coarsest_levels_are_not_supervised(depth, levels):
    params = TINY.model_copy(update={"depth": depth})
    assert params.supervised_levels == 1
    assert params.model_copy(update={"deep_supervision": True}).supervised_levels == levels


@pytest.mark.parametrize(
    "wrong",
    [
        {"architecture": "resnet"},
        {"dimensions": 4},
        {"depth": 1},
        {"filters": 0},
        {"filters": 8.0},
        {"normalization": "layer"},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"residual": 1},
        {"output": "softmax"},
        {"attention": True},
    ],
)
def test_values_out_of_range_of_another_type_or_unknown_are_rejected(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        NetworkParams(**(TINY.model_dump() | wrong))
