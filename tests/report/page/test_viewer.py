import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.core.grid import Grid
from pipeline.report.page import viewer as module
from pipeline.report.page.viewer import GREYS, viewed, viewer
from pipeline.report.plots.planes import disagreement

ASSETS = Path(module.__file__).parents[1] / "assets"
NIIVUE = ASSETS / "niivue"


def volume_of(file):
    """Voxels and affine of a gzipped NIfTI file."""
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(file))
    return np.asarray(image.dataobj), image.affine


def file_in(page, name):
    """Bytes that a page holds under a name."""
    return base64.b64decode(re.search(rf'id="{name}">([^<]*)<', page).group(1))


def described(page):
    """What the page tells its script."""
    return json.loads(re.search(r'id="viewer-description">(.*?)</script>', page).group(1))


@pytest.fixture
def shifted(case, view_on):
    """A view whose prediction lies beside the reference."""
    return view_on(prediction=np.roll(case.classes, 4, axis=1))


def test_the_maps_are_those_of_the_view(shifted, schema):
    maps = viewed(shifted, schema).maps
    np.testing.assert_array_equal(volume_of(maps["reference"])[0], shifted.reference)
    np.testing.assert_array_equal(volume_of(maps["prediction"])[0], shifted.prediction)
    np.testing.assert_array_equal(
        volume_of(maps["disagreement"])[0], disagreement(shifted.reference, shifted.prediction)
    )


def test_the_modalities_are_those_of_the_view_in_fewer_greys(shifted, schema):
    for channel, file in enumerate(viewed(shifted, schema).modalities.values()):
        voxels = volume_of(file)[0]
        assert len(np.unique(voxels)) <= GREYS
        assert np.abs(voxels.astype(int) - shifted.grey[..., channel]).max() < 256 // GREYS
        assert not voxels[~shifted.brain].any()


def test_every_volume_lies_where_the_file_lies(case, view_on, schema):
    affine = np.array([[0, -2.0, 0, 90], [1.5, 0, 0, -70], [0, 0, 3.0, 10], [0, 0, 0, 1]])
    view = view_on(grid=Grid(case.grid.shape, affine))
    voxels, found = volume_of(viewed(view, schema).maps["reference"])
    marked = np.argwhere(case.classes == 3) @ affine[:3, :3].T + affine[:3, 3]
    there = np.argwhere(voxels == 3) @ found[:3, :3].T + found[:3, 3]
    np.testing.assert_allclose(np.sort(there, axis=0), np.sort(marked, axis=0), atol=1e-4)


def test_it_starts_where_the_tumour_is_largest(shifted, schema):
    start = viewed(shifted, schema).start
    assert start == tuple(shifted.busiest_slice(plane) for plane in reversed(shifted.planes))


def test_a_single_slice_is_looked_at_in_one_plane_without_a_name(case, view_on, schema):
    flat = view_on(
        prediction=case.classes[..., 20:21],
        image=case.image[..., 20:21, :],
        classes=case.classes[..., 20:21],
    )
    packed = viewed(flat, schema.model_copy(update={"dimensions": 2}))
    page = viewer([packed], schema.model_copy(update={"dimensions": 2}))
    assert packed.planes == (("slice", 2),)
    assert described(page)["sides"] is False
    assert "patient's right" not in page


def test_the_same_case_gives_the_same_page(shifted, schema):
    assert viewer([viewed(shifted, schema)], schema) == viewer([viewed(shifted, schema)], schema)


def test_the_page_holds_every_volume_under_the_number_that_its_script_expects(shifted, schema):
    packed = viewed(shifted, schema)
    page = viewer([packed, packed], schema)
    for place, case in enumerate(described(page)["cases"]):
        files = [*(packed.modalities[name] for name in case["modalities"]), *packed.maps.values()]
        assert [file_in(page, f"viewer-{place}-{number}") for number in range(len(files))] == files


def test_cases_beyond_the_room_are_named(shifted, schema):
    packed = viewed(shifted, schema)
    one = packed.bytes_of(tuple(packed.modalities))
    page = viewer([packed, packed], schema, room=2 * one - 1)
    assert len(described(page)["cases"]) == 1
    assert "Left out: Made_001." in page
    assert "Left out" not in viewer([packed, packed], schema, room=2 * one)


def test_the_room_is_counted_as_the_page_counts_it(shifted, schema):
    packed = viewed(shifted, schema)
    held = re.findall(r'id="viewer-0-\d+">([^<]*)<', viewer([packed], schema))
    assert sum(map(len, held)) == packed.bytes_of(tuple(packed.modalities))


def test_a_case_too_large_comes_with_the_modalities_that_tell_most(shifted, schema):
    packed = viewed(shifted, schema)
    page = viewer([packed], schema, room=packed.bytes_of(packed.telling))
    assert described(page)["cases"][0]["modalities"] == ["t2f", "t1c"]
    assert "comes with t2f, t1c alone" in page


def test_where_nothing_fits_the_page_says_why(shifted, schema):
    page = viewer([viewed(shifted, schema)], schema, room=100)
    assert "Not shown" in page
    assert "<script" not in page


def test_without_a_case_there_is_no_viewer(schema):
    assert viewer([], schema) == ""


def test_every_control_has_a_name(shifted, schema):
    class Reader(HTMLParser):
        unnamed, labels = [], 0

        def handle_starttag(self, tag, attributes):
            self.labels += tag == "label"
            if (
                tag in ("input", "select")
                and not self.labels
                and not dict(attributes).get("aria-label")
            ):
                self.unnamed.append(attributes)

        def handle_endtag(self, tag):
            self.labels -= tag == "label"

    reader = Reader()
    reader.feed(viewer([viewed(shifted, schema)], schema))
    assert not reader.unnamed


def test_a_name_ends_no_script(shifted, schema):
    packed = viewed(shifted, schema)
    odd = type(packed)(**{**vars(packed), "case": "</script><b>"})
    page = viewer([odd], schema)
    assert described(page)["cases"][0]["name"] == "</script><b>"
    assert "</script><b>" not in page


def test_our_scripts_hold_no_closing_tag_and_no_address():
    code = (ASSETS / "viewer.js").read_text()
    assert "</" not in code
    assert "://" not in code


def test_niivue_is_the_file_that_its_readme_names():
    digest = hashlib.sha256((NIIVUE / "niivue.umd.js").read_bytes()).hexdigest()
    assert digest in (NIIVUE / "README.md").read_text()


def test_the_page_carries_niivue_and_its_licences(shifted, schema):
    page = viewer([viewed(shifted, schema)], schema)
    assert (
        gzip.decompress(file_in(page, "viewer-niivue")) == (NIIVUE / "niivue.umd.js").read_bytes()
    )
    assert "Copyright (c) 2021, Niivue" in page
