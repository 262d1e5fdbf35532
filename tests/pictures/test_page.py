from pipeline.pictures.page import Html, element, join, picture, table


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "a < b & c", element("b", "d")) == "<p>a &lt; b &amp; c<b>d</b></p>"


def test_attribute_values_are_escaped():
    assert element("a", "x", href='"><script>', class_="c", aria_label="l") == (
        '<a href="&quot;&gt;&lt;script&gt;" class="c" aria-label="l">x</a>'
    )


def test_joined_text_is_escaped():
    assert join("<", Html("<br>")) == "&lt;<br>"


def test_a_table_heads_its_columns_and_rows():
    markup = table(["name", "value"], [["<case>", "1"]], "a caption")
    assert '<th scope="col">value</th>' in markup
    assert '<th scope="row">&lt;case&gt;</th><td>1</td>' in markup
    assert "<caption>a caption</caption>" in markup


def test_a_picture_is_inside_the_page():
    markup = picture(b"\x89PNG", "png", 'say "x"', "below", "plot")
    assert 'src="data:image/png;base64,iVBORw=="' in markup
    assert 'alt="say &quot;x&quot;"' in markup
