from pipeline.report.page.html import (
    INTERACTIVE,
    STATIC,
    Html,
    document,
    element,
    join,
    picture,
    script,
    section,
    table,
)
from tests.report.reading import Page


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "a < b & c", element("b", "d")) == "<p>a &lt; b &amp; c<b>d</b></p>"


def test_attribute_values_are_escaped():
    assert element("a", "x", href='"><script>', class_="c", aria_label="l") == (
        '<a href="&quot;&gt;&lt;script&gt;" class="c" aria-label="l">x</a>'
    )


def test_joined_text_is_escaped():
    assert join("<", Html("<br>")) == "&lt;<br>"


def test_a_field_to_type_in_has_no_closing_tag():
    assert element("input", type="search") == '<input type="search">'


def test_a_table_heads_its_columns_and_rows():
    markup = table(["name", "value"], [["<case>", "1"]], "a caption")
    assert '<th scope="col">value</th>' in markup
    assert '<th scope="row">&lt;case&gt;</th><td>1</td>' in markup
    assert "<caption><span>a caption</span></caption>" in markup


def test_a_picture_is_inside_the_page():
    markup = picture(b"\x89PNG", "png", 'say "x"', "below", "plot")
    assert 'src="data:image/png;base64,iVBORw=="' in markup
    assert 'alt="say &quot;x&quot;"' in markup


def test_what_may_be_wider_than_the_screen_can_be_scrolled_by_keyboard():
    assert all(
        'tabindex="0"' in markup
        for markup in (table([""], [["1"]], "c"), picture(b"", "png", "a", "c", "scan"))
    )
    assert 'tabindex="0"' not in picture(b"", "png", "a", "c", "small plot")


def test_a_section_is_named_by_its_heading():
    page = Page(section("scores", "Scores", "text"))
    assert page.has("section", id="scores", **{"aria-labelledby": "scores-title"})
    assert page.has("h2", id="scores-title")


def test_a_page_lets_nothing_in_and_runs_scripts_only_if_asked():
    assert "script-src" not in STATIC
    for policy in (STATIC, INTERACTIVE):
        assert policy.startswith("default-src 'none'")
        assert not {"*", "http:", "https:"} & set(policy.replace(";", "").split())
    assert Page(document("t", "", policy=INTERACTIVE)).has("meta", content=INTERACTIVE)
    assert Page(document("t", "")).has("meta", content=STATIC)


def test_code_is_not_escaped():
    assert script("1 < 2 && 3") == "<script>1 < 2 && 3</script>"
