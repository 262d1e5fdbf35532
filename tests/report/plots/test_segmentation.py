from dataclasses import replace

import numpy as np
import pytest

from pipeline.report.plots.palette import label_colours, rgb
from pipeline.report.plots.segmentation import segmentation_plot


def without(view, *absent):
    kept = [number for number, name in enumerate(view.modalities) if name not in absent]
    names = tuple(view.modalities[number] for number in kept)
    return replace(view, modalities=names, grey=view.grey[..., kept])


@pytest.mark.parametrize(
    ("absent", "shown"), [((), "t2f"), (("t2f",), "t1c"), (("t2f", "t1c"), "t1n")]
)
def test_one_modality_is_drawn_whatever_the_contrast_of_the_tumour(view_on, schema, absent, shown):
    view = without(view_on(), *absent)
    before = segmentation_plot(view, schema, 50)
    for channel, name in enumerate(view.modalities):
        grey = view.grey.copy()
        grey[view.prediction > 0, channel] = 10
        changed = segmentation_plot(replace(view, grey=grey), schema, 50)
        assert (changed != before) == (name == shown), name


def test_the_anatomy_shows_through_the_labels_and_their_outlines_have_the_colours(
    view_on, schema, pixels, near
):
    view = view_on()
    picture = pixels(segmentation_plot(view, schema, 100))[: -round(0.35 * 100)]
    assert min(near(picture, rgb(colour)) for colour in label_colours(schema).values()) > 10
    darker = replace(view, grey=view.grey // 2)
    through = picture - pixels(segmentation_plot(darker, schema, 100))[: len(picture)]
    assert through.max() > 0.7 * 127


def test_sides_of_the_patient_stand_at_the_edges_and_the_use_at_the_bottom(view_on, schema, pixels):
    bare = replace(view_on(), grey=np.zeros_like(view_on().grey))
    bare = replace(bare, prediction=np.zeros_like(bare.prediction))
    picture = pixels(segmentation_plot(bare, schema, 100)).max(axis=-1)
    middle = slice(picture.shape[0] // 2 - 40, picture.shape[0] // 2 + 40)
    for left in (8, 8 + 268, 8 + 2 * 268):
        for edge in (slice(left, left + 25), slice(left + 235, left + 260)):
            assert picture[middle, edge].max() > 150
    assert picture[-25:, :100].max() > 150
