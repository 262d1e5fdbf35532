"""The page of a case: what stands on it, that it is on the page, and that it is the same again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pipeline.report.case_facts import USE
from pipeline.report.plots.palette import region_colours, rgb
from pipeline.report.plots.summary.page import summary
from tests.report.pdf import lines_of, objects_of

ERROR = {"cases": 9, "median": 0.0, "low": -10.0, "high": 20.0, "coverage": 0.8}
DICE = {"estimated": 0.9, "dice": 0.91, "low": 0.8, "high": 0.95, "coverage": 0.8, "cases": 9}
MARGIN = 60
"""Pixels at the edges of the PNG file that stay white."""


def reason(text: str) -> dict:
    return {"code": "histogram", "text": text}


@pytest.fixture
def record(schema):
    """A run manifest, of which a page shows these keys."""

    def made(flag="ok", reasons=(), warnings=(), **changes):
        volumes = dict.fromkeys(schema.regions, 12.34)
        return {
            "network_sha256": "0123456789abcdef" * 4,
            "model": {
                "cohort": "made",
                "cases": 19,
                "architecture": "unet",
                "dimensions": 3,
                "weights": 31_200_000,
                "members": 5,
            },
            "volumes_ml": volumes,
            "volume_errors": {
                name: {"error_ml": ERROR, "error_percent": ERROR, "low_ml": 9.9, "high_ml": 13.6}
                for name in volumes
            },
            "quality": {
                "flag": flag,
                "reasons": [reason(text) for text in reasons],
                "expected_dice": dict.fromkeys(volumes, DICE),
            },
            "missing_modalities": [],
            "warnings": list(warnings),
            "versions": {"tumorflow": "9.8.7 (commit abc)"},
            "run": {"created": "2026-11-28T04:05:06+00:00"},
            **changes,
        }

    return made


def text_of(made) -> str:
    return " ".join(lines_of(made.pdf))


def test_the_page_says_what_was_found_how_sure_that_is_and_what_made_it(view_on, schema, record):
    text = text_of(summary(view_on(), schema, record("check", ["too bright"], ["t1c is odd"])))
    for part in (
        *("Made_001", "Check", "Quality: check", "too bright", "Warnings: 1", "t1c is odd"),
        *("12.3 ml", "No ranges: errors on validation cases say nothing"),
        *("sha256 0123456789abcdef,", "31.2 million", "5 members"),
        *("made, 19 cases", "2026-11-28", "TumorFlow 9.8.7 (commit abc)"),
        *("t1n, t1c, t2w, t2f", "the patient's right is on the left", *schema.regions),
    ):
        assert part in text, part
    assert text.count(USE) == 2
    ranges = ("9.9–13.6 ml", "0.91 (0.80–0.95)")
    assert not any(part in text for part in ranges)
    usual = text_of(summary(view_on(), schema, record("ok")))
    assert all(part in usual for part in (*ranges, "80 %", "9 validation cases"))
    assert "Nothing unusual" in lines_of(summary(view_on(), schema, record("ok")).pdf)
    assert "Warnings" not in usual


def test_the_text_of_the_pdf_is_text_and_its_fonts_are_in_it(view_on, schema, record):
    objects = objects_of(summary(view_on(), schema, record()).pdf).values()
    descriptors = [body for body in objects if b"/FontDescriptor /FontName" in body]
    assert descriptors
    assert all(b"/FontFile2" in body for body in descriptors)
    assert not any(b"/Subtype /Type3" in body for body in objects)
    assert sum(b"/Type /Page " in body or b"/Type /Page\n" in body for body in objects) == 1


def test_the_same_case_gives_the_same_bytes_and_neither_file_knows_the_hour(
    view_on, schema, record
):
    first, again = (summary(view_on(), schema, record()) for _ in range(2))
    later = summary(view_on(), schema, record(run={"created": "2026-11-28T23:59:59+00:00"}))
    assert first == again == later
    assert b"CreationDate" not in first.pdf


@pytest.mark.parametrize(
    "name",
    [
        "$x^2$ \\frac{",
        "W" * 300,
        "a\nb\x00c",
        "脳\U0001f9e0",
        "\ud83dlone",
        "",
        "<script>&amp;(\\)",
    ],
)
def test_no_name_breaks_the_page_or_leaves_its_place(view_on, schema, record, pixels, name):
    made = summary(replace(view_on(), case=name), schema, record())
    usual = summary(view_on(), schema, record())
    page, expected = pixels(made.png), pixels(usual.png)
    assert_within_margins(page)
    assert np.array_equal(page[:, -225:], expected[:, -225:])  # the flag at the right
    assert np.array_equal(page[140:], expected[140:])
    if name.startswith(("$", "<")):
        assert lines_of(made.pdf)[0] == name


def test_reasons_and_warnings_that_do_not_fit_are_counted(view_on, schema, record, pixels):
    long = "the voxels of this modality are not like those of the training in any way " * 2
    few = record("check", [f"{n}: {long}" for n in range(2)], ["odd"])
    many = record(
        "check", [f"{n}: {long}" for n in range(30)], [f"w{n}: {long}" for n in range(40)]
    )
    for given, reasons, warnings in ((few, 2, 1), (many, 30, 40)):
        made = summary(view_on(), schema, given)
        assert_within_margins(pixels(made.png))
        lines = lines_of(made.pdf)
        shown = [line for line in lines if long[:20] in line or line == "odd"]
        left_out = [int(line.split()[0]) for line in lines if "more in the record" in line]
        assert len(shown) + sum(left_out) == reasons + warnings
        assert lines[-1] == USE
        assert len(left_out) == (2 if given is many else 0)


def test_an_endless_warning_takes_three_lines(view_on, schema, record, pixels):
    made = summary(view_on(), schema, record(warnings=["W" * 5000, "next"]))
    assert_within_margins(pixels(made.png))
    assert "next" in lines_of(made.pdf)
    assert sum("WWWW" in line for line in lines_of(made.pdf)) == 3


def test_a_case_without_tumour_says_so_and_measures_nothing(view_on, schema, record):
    none = np.zeros((36, 44, 28), np.uint8)
    empty = view_on(prediction=none, classes=none)
    text = text_of(summary(empty, schema, record(volumes_ml=dict.fromkeys(schema.regions, 0.0))))
    assert "found no tumour" in text
    assert "0.0 ml" in text
    assert "12.3" not in text
    assert "Largest lesion" not in text
    assert "–" not in text


def test_outlines_have_the_colours_of_the_regions_over_two_modalities(
    view_on, schema, record, pixels, near
):
    page = pixels(summary(view_on(), schema, record()).png)
    for colour in region_colours(schema).values():
        rows = np.flatnonzero([near(row, rgb(colour)) > 0 for row in page[150:1000]])
        assert rows[-1] - rows[0] > 300, "one row of panels alone"


def test_diameters_are_those_of_the_largest_lesion_within_an_axial_slice(view_on, schema, record):
    prediction = np.zeros((36, 44, 28), np.uint8)
    prediction[10:22, 10:15, 5:25] = 3  # 12 x 5 mm in axial slices, 20 mm along z
    prediction[30:32, 30:32, 10:12] = 3  # 8 mm3 are no lesion
    prediction[25:29, 30:34, 10:14] = 3
    lines = lines_of(summary(view_on(prediction=prediction), schema, record()).pdf)
    row = lines[lines.index("ET") :] if "ET" in lines else lines
    assert "2" in row
    assert "× " in " ".join(row)
    long_mm, short_mm = next(line for line in row if "×" in line).removesuffix(" mm").split(" × ")
    assert 12 <= int(long_mm) <= 13
    assert 4 <= int(short_mm) <= 5


def test_records_of_earlier_versions_and_networks_without_validation_have_a_page(
    view_on, schema, record
):
    old = {key: record()[key] for key in ("network_sha256", "volumes_ml", "warnings")}
    text = text_of(summary(view_on(), schema, old))
    assert "Quality: not known" in text
    assert "not known" in text
    unknown = record(volume_errors=dict.fromkeys(schema.regions))
    assert "not tried on validation cases" in text_of(summary(view_on(), schema, unknown))


def test_the_rows_show_t1c_and_flair_of_every_case_that_has_them(view_on, schema, record):
    """In whatever modality the tumour of a case is seen best."""
    view = view_on()
    for best in range(4):
        grey = np.where(view.brain, 90, 0).astype(np.uint8)[..., None].repeat(4, axis=-1)
        grey[..., best] += ((view.prediction > 0) * 80 + (view.prediction == 3) * 80).astype("u1")
        lines = lines_of(summary(replace(view, grey=grey), schema, record()).pdf)
        names = [line.split(",")[0] for line in lines if ", slice " in line]
        assert names[:6] == ["t1c"] * 3 + ["t2f"] * 3


def test_letters_of_the_sides_stand_beside_the_pictures(view_on, schema, record, pixels):
    """On a picture, one would hide what is below it."""
    none = np.zeros((36, 44, 28), np.uint8)
    view = view_on(prediction=none, classes=none)
    dark, bright = (
        pixels(summary(replace(view, grey=np.full_like(view.grey, level)), schema, record()).png)
        for level in (0, 255)
    )
    pictures = np.abs(bright - dark).max(axis=-1) > 50
    top, bottom = np.flatnonzero(pictures.any(axis=1))[[0, -1]]
    written = (dark > 60).any(axis=-1) & (dark < 254).any(axis=-1)
    beside = ndimage.binary_dilation(written[top - 25 : bottom + 25, 85:-85], iterations=3)
    assert ndimage.label(beside)[1] > 20
    assert not (beside & pictures[top - 25 : bottom + 25, 85:-85]).any()


def test_regions_of_one_outline_can_both_be_seen(view_on, schema, record, pixels, near):
    prediction = np.zeros((36, 44, 28), np.uint8)
    prediction[6:24, 8:30, 8:20] = 3  # WT, TC and ET end in the same place
    view = view_on(prediction=prediction)
    view = replace(view, grey=np.zeros_like(view.grey))
    page = pixels(summary(view, schema, record()).png)
    pictures = page[160:900]
    for name in ("TC", "ET"):
        assert near(pictures, rgb(region_colours(schema)[name])) > 100, name


def test_a_single_slice_has_no_sides_and_no_diameters(single_slice, schema, record):
    flat = schema.model_copy(update={"dimensions": 2})
    text = text_of(summary(single_slice, flat, record()))
    assert "no side is named" in text
    assert "Largest lesion" not in text


def test_a_missing_modality_is_named(view_on, schema, record):
    made = summary(view_on(), schema, record(missing_modalities=["t1n"]))
    assert "without t1n" in text_of(made)


def assert_within_margins(page: np.ndarray) -> None:
    inner = np.zeros(page.shape[:2], bool)
    inner[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    assert (page[~inner] == 255).all()


def test_the_diameters_lie_within_the_outline_of_their_lesion(
    view_on, schema, record, pixels, near
):
    prediction = np.zeros((36, 44, 28), np.uint8)
    prediction[6:16, 8:14, 10:13] = 3  # far from the middle along both axes
    view = view_on(prediction=prediction)
    dark = replace(view, grey=np.zeros_like(view.grey))
    page = pixels(summary(dark, schema, record()).png)
    panel = page[1000:, 903:1155]
    dark = np.flatnonzero((panel < 8).all(axis=-1).mean(axis=1) > 0.5)
    panel = panel[dark[0] + 2 : dark[-1] - 1]
    outline = np.abs(panel - np.array(rgb(region_colours(schema)["ET"]))).max(axis=-1) <= 40
    lines = (panel > 200).all(axis=-1)
    for axis in range(2):
        ends, drawn = (np.flatnonzero(found.any(axis=axis)) for found in (outline, lines))
        assert ends[0] - 3 <= drawn[0] < drawn[-1] <= ends[-1] + 3
        assert drawn[-1] - drawn[0] > 0.8 * (ends[-1] - ends[0])
