"""Fixtures of pictures: a small case with a tumour of nested boxes, its scores, a history."""

import io
from itertools import product

import numpy as np
import pytest
from PIL import Image

from pipeline.core.case import Case
from pipeline.core.grid import Grid
from pipeline.metrics.case_scores import score_case
from pipeline.report.plots.planes import view_of

MODALITIES = ("t1n", "t1c", "t2w", "t2f")


def head(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four modalities of a head of 32 x 40 x 24 voxels, and classes without a tumour."""
    image = np.zeros((36, 44, 28, 4), np.float32)
    image[2:-2, 2:-2, 2:-2] = np.random.default_rng(seed).normal(500, 20, (32, 40, 24, 4))
    return image, np.zeros(image.shape[:3], np.uint8)


@pytest.fixture
def case() -> Case:
    """A brain of 32 x 40 x 24 mm on RAS axes whose tumour lies at the patient's right, front and
    top.
    """
    image, classes = head(7)
    classes[20:32, 26:40, 14:24] = 2
    classes[23:30, 29:37, 16:22] = 3
    classes[21:26, 27:34, 15:21] = 1
    image[classes > 0, 3] += 200  # the whole tumour is bright in the fourth modality
    image[classes == 3, 1] += 400  # its enhancing part in the second
    return Case("Made_001", image, classes, Grid(image.shape[:3], np.eye(4)))


@pytest.fixture
def view_on(case):
    """View of the case with a prediction: the reference itself unless one is given."""
    return lambda prediction=None, **changes: view_of(
        Case(**{**vars(case), **changes}),
        case.classes if prediction is None else prediction,
        MODALITIES,
    )


@pytest.fixture
def single_slice(case, view_on):
    """View of one axial slice of the case, its own reference the prediction."""
    return view_on(
        prediction=case.classes[..., 20:21],
        image=case.image[..., 20:21, :],
        classes=case.classes[..., 20:21],
    )


@pytest.fixture
def rows(case, schema) -> list[dict]:
    """Scores of three cases: a bad one, a good one, and one in which reference and prediction lack
    the innermost region.
    """
    shifted = [np.roll(case.classes, shift, axis=0) for shift in (8, 1)]
    pairs = [
        (case.classes, shifted[0]),
        (case.classes, shifted[1]),
        (np.where(case.classes == 3, 2, case.classes),) * 2,
    ]
    names = ("Made_bad", "Made_good", "Made_bare")
    return [
        {"case": name, "patient": name.upper(), **row}
        for name, (reference, prediction) in zip(names, pairs, strict=True)
        for row in score_case(reference, prediction, schema, (1.0, 1.0, 1.0))
    ]


@pytest.fixture
def history(schema) -> list[dict]:
    """Four epochs, the odd ones not validated."""
    columns = ["val_loss", *(f"val_dice_{name}" for name in (*schema.regions, *schema.labels))]
    blank = {(epoch, column): float("nan") for epoch, column in product((1, 3), columns)}
    return [
        {"epoch": epoch, "learning_rate": 1e-3 / epoch, "loss": 1 / epoch}
        | {column: blank.get((epoch, column), 0.5) for column in columns}
        for epoch in range(1, 5)
    ]


@pytest.fixture
def pixels():
    """Pixels of a PNG file as a (height, width, 3) int array."""
    return lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.fixture
def near(pixels):
    """How many pixels of an array have a colour, within a tolerance."""
    return lambda area, colour, tolerance=30: int(
        (np.abs(area - np.array(colour)).max(axis=-1) <= tolerance).sum()
    )
