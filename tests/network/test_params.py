"""The sections `network` and `train`, and what follows from them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.cohorts import brats, cheng
from pipeline.core import params
from pipeline.core.errors import InputError
from pipeline.network.params import NetworkParams
from pipeline.network.train_params import TrainParams, fitted
from tests.network.conftest import TINY

ROOT = Path(__file__).parents[2]


def test_levels_halve_the_sides_and_double_the_filters_up_to_their_maximum():
    params = TINY.model_copy(update={"depth": 5, "filters": 16, "max_filters": 100})
    assert params.divisors == (16, 16)
    assert params.factors_at(0) == (1, 1)
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
        {"encoder": "dense"},
        {"encoder_blocks": 0},
        {"encoder_blocks": (1, 2)},
        {"decoder_convolutions": 0},
        {"slices": 2},
        {"strides": "finest"},
        {"strides": ((2, 2),) * 3},
        {"strides": ((2, 2, 1),) * 2},
        {"strides": ((2, 4),) * 2},
        {"kernels": ((3, 3),) * 2},
        {"kernels": ((3, 2),) * 3},
        {"output": "softmax"},
        {"type_head": True},  # with regions
        {"attention": True},
    ],
)
def test_values_out_of_range_of_another_type_or_unknown_are_rejected(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        NetworkParams(**(TINY.model_dump() | wrong))


def test_a_network_of_volumes_takes_no_slices():
    with pytest.raises(ValidationError, match=r"slices\n.*must be 1 for a network of dimensions 3"):
        NetworkParams(**(TINY.model_dump() | {"dimensions": 3, "slices": 3}))


def test_strides_per_axis_multiply_to_the_factors_of_the_levels():
    params = NetworkParams(
        **(TINY.model_dump() | {"dimensions": 3, "strides": ((2, 2, 1), (2, 3, 2))})
    )
    assert [params.factors_at(level) for level in range(3)] == [(1, 1, 1), (2, 2, 1), (4, 6, 2)]
    assert params.divisors == (4, 6, 2)
    assert params.kernel_at(2) == (3, 3, 3)


def train(patch: list[int], precision: str = "float32") -> TrainParams:
    """The section `train` of params.yaml with another patch."""
    section = params.read(ROOT / "params.yaml")["train"]
    changed = section | {"patch": patch, "precision": precision}
    return params.value({"train": changed}, "train", TrainParams, ROOT / "params.yaml")


VOLUMES = TINY.model_copy(update={"dimensions": 3, "strides": ((2, 2, 1), (2, 2, 2))})
COHORT, SINGLE_SLICES = brats.schema("-"), cheng.SCHEMA


@pytest.mark.parametrize(
    ("network", "training", "cohort", "said"),
    [
        (TINY, train([14, 16]), COHORT, r"train\.patch .*\[14, 16\].*each a multiple of 4"),
        (TINY, train([16] * 3), COHORT, r"train\.patch .*network\.dimensions 2 needs 2 sides"),
        (
            VOLUMES,
            train([16, 16, 3]),
            COHORT,
            r"train\.patch .*its number of \[4, 4, 2\], which network\.strides multiply to",
        ),
        (
            VOLUMES,
            train([16, 16, 6], "mixed_bfloat16"),
            COHORT,
            r"train\.patch .*\[4, 4, 3\] voxels, too few for train\.precision",
        ),
        (
            TINY.model_copy(update={"strides": "auto", "depth": 4}),
            train([16, 16]),
            COHORT,
            r"train\.patch \[16, 16\] can be halved 2 times.*network\.depth 4 needs 3",
        ),
        (
            TINY.model_copy(update={"slices": 3}),
            train([16, 16]),
            SINGLE_SLICES,
            r"network\.slices is 3, but cohort cheng",
        ),
        (
            TINY.model_copy(update={"type_head": True, "output": "labels"}),
            train([16, 16]),
            COHORT,
            r"network\.type_head is true, but the labels of cohort brats",
        ),
        (VOLUMES, train([16] * 3), SINGLE_SLICES, r"network\.dimensions is 3.*Set it to 2"),
    ],
)
def test_networks_that_do_not_fit_patch_or_cohort_are_rejected_by_key(
    network, training, cohort, said
):
    with pytest.raises(InputError, match=said):
        fitted(network, training, cohort, (1.0, 1.0, 1.0))


def test_a_patch_fits_if_each_side_is_a_multiple_along_its_own_axis():
    assert fitted(VOLUMES, train([16, 8, 2]), COHORT, (1.0, 1.0, 3.0)) == VOLUMES
    assert fitted(VOLUMES, train([16, 16, 8], "mixed_bfloat16"), COHORT, (1, 1, 3)) == VOLUMES
