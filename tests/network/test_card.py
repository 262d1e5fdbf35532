"""Network and card belong together, and a case of another voxel size does not fit."""

import pytest

from pipeline.core.errors import InputError
from pipeline.network.card import Card, check_spacing

DROPPED = {"on_the_fly": {"modality_dropout": {"probability": 0.25}}}
KEPT = {"on_the_fly": {"modality_dropout": {"probability": 0.0}}}
CARD = Card.model_construct(spacing_mm=(1.0, 1.0, 2.0))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 5.5), (0.5, 1.0, 2.0)])
def test_a_case_of_about_the_trained_voxel_size_passes_and_another_is_rejected(spacing_mm):
    check_spacing(CARD, (1.0, 1.0, 2.0), "a")
    check_spacing(CARD, (1.2, 0.9, 2.2), "a")
    with pytest.raises(
        InputError,
        match=r"folder/a: prepared voxels of .* mm, but the network was trained on 1 x 1 x 2 mm",
    ):
        check_spacing(CARD, spacing_mm, "folder/a")


@pytest.mark.parametrize(
    ("train", "accepts"), [(DROPPED, True), (KEPT, False), ({"on_the_fly": {}}, False), ({}, False)]
)
def test_modalities_may_miss_if_the_network_was_trained_with_modality_dropout(train, accepts):
    assert Card.model_construct(train=train).accepts_missing_modalities is accepts
