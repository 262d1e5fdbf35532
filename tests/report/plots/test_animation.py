import io
import shutil

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pipeline.core.grid import Grid
from pipeline.report.plots.animation import animation
from pipeline.report.plots.palette import label_colours, rgb


def frames_of(data):
    """Frames as (height, width, 3) int arrays, and the milliseconds of each."""
    with Image.open(io.BytesIO(data)) as file:
        assert file.info["loop"] == 0, "it does not repeat for ever"
        return [
            (np.asarray(frame.convert("RGB")).astype(int), frame.info["duration"])
            for frame in ImageSequence.Iterator(file)
        ]


def coloured(area):
    """How many pixels are not grey."""
    return int((np.ptp(area, axis=-1) > 40).sum())


@pytest.mark.parametrize(("most", "frames"), [(100, 10 + 2), (5, 5)])
def test_the_frames_are_those_of_the_tumour_and_a_slice_beyond_it(view_on, schema, most, frames):
    found = frames_of(animation(view_on(), schema, most, 0.15))
    assert [milliseconds for _, milliseconds in found] == [150] * frames


@pytest.mark.parametrize("empty", ["reference", "prediction"])
def test_the_reference_is_left_and_the_prediction_right(case, view_on, schema, empty):
    nothing = np.zeros_like(case.classes)
    view = view_on(classes=nothing) if empty == "reference" else view_on(prediction=nothing)
    picture = frames_of(animation(view, schema, 3, 0.1))[1][0][:-45]  # without the legend
    left, right = np.array_split(picture, 2, axis=1)
    bare, marked = (left, right) if empty == "reference" else (right, left)
    assert coloured(bare) == 0
    assert coloured(marked) > 500


def test_every_label_has_its_colour_in_the_legend(view_on, schema, near):
    foot = frames_of(animation(view_on(), schema, 2, 0.1))[0][0][-40:]
    assert all(near(foot, rgb(colour), 0) >= 64 for colour in label_colours(schema).values())


def test_the_modalities_that_tell_most_are_the_rows(case, view_on, schema):
    both = frames_of(animation(view_on(), schema, 2, 0.1))[0][0]
    case.image[..., 1] = case.image[..., 3]  # now one modality tells everything
    one = frames_of(animation(view_on(), schema, 2, 0.1))[0][0]
    assert both.shape[1] == one.shape[1]
    assert both.shape[0] > 1.7 * one.shape[0]


def test_pixels_are_square_in_millimetres(case, view_on, schema):
    wide, tall = (
        frames_of(animation(view_on(grid=Grid(case.grid.shape, affine)), schema, 2, 0.1))[0][0]
        for affine in (np.diag([2, 1, 1, 1]), np.diag([1, 2, 1, 1]))
    )
    assert wide.shape[1] > 1.5 * tall.shape[1]


def test_a_webp_shows_the_same_slices_in_the_same_colours_and_has_the_same_bytes(view_on, schema):
    film = animation(view_on(), schema, 4, 0.2, "webp")
    shown, wanted = frames_of(film), frames_of(animation(view_on(), schema, 4, 0.2))
    assert [milliseconds for _, milliseconds in shown] == [200] * 4
    assert all(
        np.abs(one - other).mean() < 4 for (one, _), (other, _) in zip(shown, wanted, strict=True)
    )
    assert animation(view_on(), schema, 4, 0.2, "webp") == film


def test_a_film_without_ffmpeg_says_what_to_install(view_on, schema, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="install it"):
        animation(view_on(), schema, 2, 0.1, "mp4")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on PATH")
def test_a_film_is_an_mp4_and_the_same_each_time(view_on, schema):
    film = animation(view_on(), schema, 4, 0.2, "mp4")
    assert film[4:8] == b"ftyp"
    assert film == animation(view_on(), schema, 4, 0.2, "mp4")


def test_what_ffmpeg_says_when_it_fails_is_in_the_message(view_on, schema, replaced):
    replaced("ffmpeg", "echo no codec >&2; exit 3")
    with pytest.raises(ValueError, match="no codec"):
        animation(view_on(), schema, 2, 0.1, "mp4")


def test_a_stack_with_one_voxel_across_is_shown_in_its_own_plane(
    case, view_on, single_slice, schema
):
    thin = view_on(
        prediction=case.classes[25:26], image=case.image[25:26], classes=case.classes[25:26]
    )
    for view in (single_slice, thin):
        with Image.open(io.BytesIO(animation(view, schema, 24, 0.1))) as file:
            assert file.n_frames == 1
