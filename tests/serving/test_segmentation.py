"""Which files and which network a task of the page works with."""

import os
import shutil

from pipeline.serving import worker
from pipeline.serving.segmentation import found
from tests.serving.hosted import MODEL


def test_tasks_of_two_choices_of_series_do_not_exchange_their_files(tmp_path):
    """One process reads a case to save its correction while another segments it again."""
    files, model = tmp_path / "upload/files", worker.model(str(MODEL))
    files.mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        (files / f"{name}.nii.gz").write_text(name)
    one = dict(zip(("t1n", "t1c", "t2w", "t2f"), "abcd", strict=True))
    other = one | {"t1n": "b", "t1c": "a"}
    values = {"folder": str(tmp_path), "kind": "images", "case": "case-1"}
    read = [
        found(model, values | {"chosen": {name: f"{key}.nii.gz" for name, key in choice.items()}})
        for choice in (one, other, one)
    ]
    for case, choice in zip(read, (one, other, one), strict=True):
        assert {name: path.read_text() for name, path in case.found.images.items()} == choice
        assert case.name == "case-1"


def test_a_network_that_a_training_replaced_is_loaded_anew(tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(MODEL, folder)
    first = worker.model(str(folder))
    assert worker.model(str(folder)) is first
    os.utime(folder / "card.json", ns=(1, 1))
    assert worker.model(str(folder)) is not first
