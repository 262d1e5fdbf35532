import matplotlib
import numpy as np
import pytest

from pipeline.core.grid import Grid
from pipeline.report.plots.overlays import overlay
from pipeline.report.plots.palette import MISSED, MISTAKEN, SURPLUS, label_colours, rgb
from pipeline.report.plots.planes import PLANES


@pytest.fixture
def drawn(schema, pixels):
    """Pixels of an overlay without its legend, and where its last column begins."""

    def draw(view, dpi=60):
        picture = pixels(overlay(view, schema, "Dice", dpi))
        columns = len(view.modalities) + 1
        return picture[: -round(0.8 * dpi)], round(picture.shape[1] * (columns - 1) / columns)

    return draw


@pytest.mark.parametrize(
    ("change", "colour"),
    [
        (lambda classes: classes, None),
        (lambda classes: np.zeros_like(classes), MISSED),
        (lambda classes: np.where(classes == 0, 2, classes).astype(np.uint8), SURPLUS),
        (lambda classes: np.where(classes > 0, 1, 0).astype(np.uint8), MISTAKEN),
    ],
    ids=["none", "missed", "false alarm", "other label"],
)
def test_each_kind_of_disagreement_has_its_colour(case, view_on, drawn, near, change, colour):
    picture, last = drawn(view_on(prediction=change(case.classes)))
    counts = {kind: near(picture[:, last:], rgb(kind)) for kind in (MISSED, SURPLUS, MISTAKEN)}
    assert counts.pop(colour, 101) > 100
    assert set(counts.values()) == {0}


def test_the_reference_is_outlined_in_every_modality_even_where_nothing_is_predicted(
    case, view_on, schema, drawn, near
):
    picture, last = drawn(view_on(prediction=np.zeros_like(case.classes)), dpi=120)
    columns = np.array_split(picture[:, :last], 4, axis=1)
    for colour in label_colours(schema).values():
        assert min(near(column, rgb(colour)) for column in columns) > 10


def test_thick_slices_are_drawn_thick(case, view_on, drawn):
    thin, thick = (
        drawn(view_on(grid=Grid(case.grid.shape, np.diag([1, 1, thickness, 1]))))[0]
        for thickness in (1, 3)
    )
    assert thick.shape[1] == thin.shape[1]
    panel_mm = view_on().size_mm(PLANES[1])[1]
    pixels_per_mm = 2.15 * 60 / max(view_on().size_mm(plane)[0] for plane in PLANES)
    assert thick.shape[0] - thin.shape[0] == pytest.approx(
        2 * 2 * panel_mm * pixels_per_mm, abs=3
    )  # two cuts, two thicknesses more


def test_a_users_settings_change_nothing(view_on, schema):
    plain = overlay(view_on(), schema, "Dice", 50)
    settings = {"font.size": 30, "figure.facecolor": "red", "axes.grid": True}
    with matplotlib.rc_context(settings | {"image.interpolation": "nearest"}):
        assert overlay(view_on(), schema, "Dice", 50) == plain


def test_an_svg_has_outlines_of_everything(view_on, schema):
    picture = overlay(view_on(), schema, "Dice", 50, "svg")
    assert picture.startswith(b"<?xml")
    assert b"<image" in picture
    planes, modalities = 3, 4
    assert picture.count(label_colours(schema)["edema"].lower().encode()) >= planes * modalities


def test_the_prediction_is_outlined_too(case, view_on, drawn):
    both, last = drawn(view_on())
    moved, _ = drawn(view_on(prediction=np.roll(case.classes, 5, axis=2)))
    assert (both[:, :last] != moved[:, :last]).any()


def test_the_last_column_enlarges_the_tumour(case, view_on, drawn, near):
    small = np.zeros_like(case.classes)
    small[24:28, 30:34, 16:20] = 2
    picture, last = drawn(
        view_on(
            grid=Grid(case.grid.shape, np.diag([4, 4, 4, 1])),
            classes=small,
            prediction=np.zeros_like(small),
        )
    )
    missed = near(picture[:, last:], rgb(MISSED))
    whole = 3 * (4 / 36 * 2.15 * 60) ** 2  # three cuts, as large as they would be in the whole head
    assert missed > 4 * whole


def test_a_single_slice_has_a_plane_without_a_name_and_no_sides(single_slice, schema, monkeypatch):
    texts = []
    monkeypatch.setattr(
        "matplotlib.text.Text.set_text",
        lambda self, text: texts.append(text) or setattr(self, "_text", str(text or "")),
    )
    overlay(single_slice, schema.model_copy(update={"dimensions": 2}), "Dice", 50)
    assert "slice" in texts
    assert not {"R", "L", "A", "P"} & set(texts)
    assert not any("axial" in str(text) or "right" in str(text) for text in texts)
