"""Models outlive code: those of earlier formats still load and predict the same labels."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import __main__ as commands
from pipeline.formats import nifti
from pipeline.network.card import read_card
from tests.conftest import write_case

MODEL = Path(__file__).with_name("format_1")


def test_a_card_without_a_version_is_read_as_one_of_today():
    card = read_card(MODEL)
    assert (card.format_version, card.stripped) == (2, True)
    assert (card.network.architecture, card.network.depth) == ("unet", 2)
    assert (card.preprocess.dtype, card.train["loss"]) == ("float16", "dice_ce")


def test_a_model_of_format_1_predicts_the_labels_that_it_did(tmp_path):
    case = write_case(tmp_path, "BraTS2021_00077", seed=77)
    model = shutil.copytree(MODEL, tmp_path / "model")
    out = tmp_path / "prediction.nii.gz"
    with pytest.raises(SystemExit) as ended:
        commands.main(
            ["predict", str(case), "--model", str(model), "--source", "brats", "--out", str(out)]
        )
    assert not ended.value.code
    labels, kept = nifti.read(out).voxels, nifti.read(MODEL / "prediction.nii.gz").voxels
    # to the byte with TensorFlow on the processor that made it; other ones round bfloat16 otherwise
    assert np.count_nonzero(labels != kept) <= 0.01 * np.count_nonzero(kept)
