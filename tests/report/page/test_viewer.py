import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.report.page.viewer import viewer
from pipeline.report.plots.viewer_volumes import viewer_volumes
from pipeline.report.rendering import ASSETS, render
from tests.report.reading import Page

NIIVUE = ASSETS / "niivue"


def shown(cases, schema, **room):
    """The section with the viewer."""
    return render("sections/viewer.html.j2", viewer=viewer(cases, schema, **room))


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
        files = [*(packed.modalities[name] for name in case["modalities"]), *packed.maps.values()]
        assert [file_in(page, f"viewer-{place}-{number}") for number in range(len(files))] == files
    assert page == shown([packed, packed], schema)


def test_cases_beyond_the_room_are_named(packed, schema):
    one = packed.bytes_of(tuple(packed.modalities))
    page = shown([packed, packed], schema, room=2 * one - 1)
    assert sum(map(len, re.findall(r'id="viewer-0-\d+">([^<]*)<', page))) == one
    assert len(description_in(page)["cases"]) == 1
    assert "Left out: Made_001." in page
    assert "Left out" not in shown([packed, packed], schema, room=2 * one)


def test_a_case_too_large_comes_with_the_modalities_that_tell_most(packed, schema):
    page = shown([packed], schema, room=packed.bytes_of(packed.telling))
    assert description_in(page)["cases"][0]["modalities"] == ["t2f", "t1c"]
    assert "comes with t2f, t1c alone" in page


def test_where_nothing_fits_the_page_says_why_and_without_a_case_there_is_no_viewer(packed, schema):
    page = shown([packed], schema, room=100)
    assert "Not shown" in page
    assert "<script" not in page
    assert viewer([], schema) is None


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
