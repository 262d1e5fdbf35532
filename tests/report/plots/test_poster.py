import io

import numpy as np
from PIL import Image

from pipeline.report.plots.palette import label_colours, rgb
from pipeline.report.plots.poster import poster


def picture_of(view, schema):
    with Image.open(io.BytesIO(poster(view, schema, "t1c"))) as image:
        assert image.format == "WEBP"
        return np.asarray(image.convert("RGB")).astype(int)


def reds(picture):
    """How far each pixel is from grey."""
    return np.ptp(picture, axis=-1)


def test_the_tumour_is_in_colour_at_the_patients_right_and_front(view_on, schema):
    picture = picture_of(view_on(), schema)
    assert max(picture.shape) == 640
    rows, columns = np.nonzero(reds(picture) > 60)
    assert rows.mean() < picture.shape[0] / 2
    assert columns.mean() < picture.shape[1] / 2 or schema.dimensions == 2


def test_the_reference_is_outlined_where_nothing_was_drawn(case, view_on, schema):
    empty = picture_of(view_on(prediction=np.zeros_like(case.classes)), schema)
    both = picture_of(view_on(), schema)
    assert 0 < (reds(empty) > 60).sum() < (reds(both) > 60).sum()
    colour = rgb(next(iter(label_colours(schema).values())))
    assert (np.abs(both - colour).max(axis=-1) < 60).any()


def test_the_same_view_gives_the_same_bytes(view_on, schema):
    assert poster(view_on(), schema, "t2f") == poster(view_on(), schema, "t2f")
