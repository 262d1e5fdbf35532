import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.report.page.viewer import viewer
from pipeline.report.plots.viewer_volumes import UNCERTAINTY_LEVELS, viewer_volumes
from pipeline.report.rendering import ASSETS, render
from tests.report.reading import Page

NIIVUE = ASSETS / "niivue"


def shown(cases, schema, **options):
    """The section with the viewer."""
    return render("sections/viewer.html.j2", viewer=viewer(cases, schema, **options))


def file_in(page, name):
    """Bytes that a page holds under a name."""
    return base64.b64decode(re.search(rf'id="{name}">([^<]*)<', page).group(1))


def description_in(page):
    """What the script of the viewer reads."""
    return json.loads(re.search(r'id="viewer-description">(.*?)</script>', page).group(1))


@pytest.fixture
def packed(case, view_on, schema):
    """A case whose prediction is beside the reference."""
    return viewer_volumes(view_on(prediction=np.roll(case.classes, 4, axis=1)), schema)


def test_a_single_slice_is_shown_in_one_plane_without_a_name(single_slice, schema):
    single = schema.model_copy(update={"dimensions": 2})
    packed = viewer_volumes(single_slice, single)
    page = shown([packed], single)
    assert packed.planes == (("slice", 2),)
    assert description_in(page)["sides"] is False
    assert "patient's right" not in page


def test_the_page_holds_every_volume_under_the_number_that_its_script_expects(packed, schema):
    page = shown([packed, packed], schema)
    for place, case in enumerate(description_in(page)["cases"]):
        files = packed.packed[0].files(case["modalities"])
        assert case["maps"] == ["reference", "prediction"]
        assert [file_in(page, f"viewer-{place}-{number}") for number in range(len(files))] == files
    assert page == shown([packed, packed], schema)


def sizes(case):
    """Bytes of a case with all modalities, with the telling ones, and in the smallest way."""
    finest, coarsest = case.packed[0], case.packed[-1]
    return (
        finest.bytes_of(case.modalities),
        finest.bytes_of(case.telling),
        coarsest.bytes_of((case.opened_on,)),
    )


def ways(page):
    """Size of a voxel and modalities of each case of a page."""
    cases = description_in(page)["cases"]
    return [(case["step"], tuple(case["modalities"])) for case in cases]


def test_all_cases_are_shown_as_well_as_there_is_room_for_all(packed, schema):
    full, telling, smallest = sizes(packed)
    cases, all_of_them, two = [packed] * 3, packed.modalities, packed.telling
    assert ways(shown(cases, schema, room=3 * full)) == [(1, all_of_them)] * 3
    assert ways(shown(cases, schema, room=3 * full - 1)) == [(1, all_of_them)] * 2 + [(1, two)]
    assert ways(shown(cases, schema, room=3 * telling)) == [(1, two)] * 3
    found = ways(shown(cases, schema, room=3 * smallest))
    assert found == [(4, ("t1c",))] * 3


def test_the_room_is_kept_and_what_was_reduced_or_left_out_is_said(packed, schema):
    full, telling, smallest = sizes(packed)
    for room in (3 * full, 2 * telling, 3 * smallest, 2 * smallest):
        page = shown([packed] * 3, schema, room=room)
        files = re.findall(r'octet-stream" id="viewer-\d+-\d+">([^<]*)<', page)
        assert 0 < sum(map(len, files)) <= room
    assert "Left out: Made_001." in page
    assert "the mean of 4 along each axis" in page
    assert "Left out" not in shown([packed] * 3, schema, room=3 * smallest)
    assert "voxel by voxel as in the files" in shown([packed], schema)


def test_where_nothing_fits_the_page_says_why_and_without_a_case_there_is_no_viewer(packed, schema):
    page = shown([packed], schema, room=100)
    assert "Not shown" in page
    assert "<script" not in page
    assert viewer([], schema) is None


def test_the_picture_of_the_first_case_is_there_before_the_viewer_is_opened(packed, schema):
    page = shown([packed], schema, poster=b"RIFF")
    assert "Case Made_001 in t1c" in Page(page).all("img", "alt")[0]
    assert "viewer-poster" not in shown([packed], schema)


def test_uncertainty_has_a_colour_for_each_of_its_levels_more_opaque_from_level_to_level(
    packed, schema
):
    colours = description_in(shown([packed], schema))["uncertainty"]["colours"]
    assert len(colours) == UNCERTAINTY_LEVELS
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    opacities = [colour[3] for colour in colours]
    assert opacities == sorted(opacities)
    assert opacities[-1] == 255


def test_every_control_has_a_name(packed, schema):
    assert Page(shown([packed], schema)).unnamed == []


def test_a_name_ends_no_script(packed, schema):
    page = shown([replace(packed, case="</script><b>")], schema)
    assert description_in(page)["cases"][0]["name"] == "</script><b>"
    assert "</script><b>" not in page


def test_the_page_carries_the_niivue_of_its_readme_and_its_licences(packed, schema):
    page, stored = shown([packed], schema), (NIIVUE / "niivue.umd.js").read_bytes()
    assert gzip.decompress(file_in(page, "viewer-niivue")) == stored
    assert hashlib.sha256(stored).hexdigest() in (NIIVUE / "README.md").read_text()
    assert "Copyright (c) 2021, Niivue" in page
