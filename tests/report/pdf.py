"""A reader of the text of PDF files as Matplotlib writes them, by the maps to Unicode that a viewer
uses where text is selected.
"""

import re
import zlib

OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.S)
STREAM = re.compile(rb"stream\n(.*)\nendstream", re.S)
TEXT = re.compile(rb"BT\n(.*?)\nET", re.S)
FONT_OR_STRING = re.compile(rb"/(F\d+) [\d.]+ Tf|\(((?:[^()\\]|\\.)*)\)", re.S)
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def objects_of(pdf: bytes) -> dict[int, bytes]:
    """The objects by their number, streams decompressed."""
    return {int(number): _inflated(body) for number, body in OBJECT.findall(pdf)}


def lines_of(pdf: bytes) -> list[str]:
    """Every line of text, in the order of drawing."""
    objects = objects_of(pdf)
    fonts = {
        name: _unicode(objects, int(number))
        for body in objects.values()
        for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", body)
    }
    content = next(body for body in objects.values() if TEXT.search(body))
    return [_line(fonts, shown) for shown in TEXT.findall(content)]


def _line(fonts: dict[bytes, dict[int, str]], shown: bytes) -> str:
    line, font = "", dict[int, str]()
    for name, text in FONT_OR_STRING.findall(shown):
        font = fonts[name] if name else font
        codes = _unescaped(text)
        pairs = zip(codes[::2], codes[1::2], strict=True)
        line += "".join(font[256 * high + low] for high, low in pairs)
    return line


def _inflated(body: bytes) -> bytes:
    found = STREAM.search(body)
    if found is None or b"/FlateDecode" not in body[: found.start()]:
        return body
    return body[: found.start()] + zlib.decompress(found[1])


def _unescaped(text: bytes) -> bytes:
    return re.sub(
        rb"\\([0-7]{1,3}|.)",
        lambda found: (
            bytes([int(found[1], 8)]) if found[1][:1].isdigit() else ESCAPES.get(found[1], found[1])
        ),
        text,
        flags=re.S,
    )


def _unicode(objects: dict[int, bytes], font: int) -> dict[int, str]:
    """Character of each code of a font."""
    named = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
    assert named, "a font has no map to Unicode"
    found: dict[int, str] = {}
    for first, _, codes in re.findall(rb"<(\w{4})> <(\w{4})> \[([^\]]*)\]", objects[int(named[1])]):
        for place, code in enumerate(re.findall(rb"<(\w+)>", codes)):
            found[int(first, 16) + place] = bytes.fromhex(code.decode()).decode("utf-16-be")
    return found
