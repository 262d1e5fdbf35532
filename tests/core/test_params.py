"""params.yaml is read strictly, and as DVC writes it."""

from pathlib import Path

import pytest

from pipeline.core import params
from pipeline.core.errors import InputError
from pipeline.core.strict import Strict


class Section(Strict):
    rate: float
    count: int
    name: str
    mirror: bool
    patch: tuple[int, ...]


GOOD = {"rate": 0.5, "count": 3, "name": "a", "mirror": True, "patch": [1, 2]}


def written(folder: Path, text: str) -> Path:
    """A params.yaml whose `train` section is the text; the other sections are empty."""
    path = folder / "params.yaml"
    others = [f"{name}: {{}}" for name in params.SECTIONS if name != "train"]
    path.write_text("\n".join([*others, "train:", text]))
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-4", 1e-4), ("1e-05", 1e-5), ("1.0e-4", 1e-4), ("1.", 1.0), (".5", 0.5), ("3", 3)),
        *(("on", "on"), ("yes", "yes"), ("true", True), ("012", 12), ("1:2", "1:2")),
    ],
)
def test_scalars_are_read_as_dvc_writes_them_and_not_by_yaml_1_1(tmp_path, text, value):
    found = params.read(written(tmp_path, f"  rate: {text}"))["train"]["rate"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: ~\nb:\nc: Null", {"a": None, "b": None, "c": None}),
        ("[0x1F, 0o17, 017, +3, -4]", [31, 15, 17, 3, -4]),
        ("[1e5, -1.5E-3, .inf, -.Inf]", [1e5, -1.5e-3, float("inf"), float("-inf")]),
        (
            "{a: 2020-01-01, b: no, c: =, d: 2020-01-01T00:00:00Z}",
            {"a": "2020-01-01", "b": "no", "c": "=", "d": "2020-01-01T00:00:00Z"},
        ),
        ('{"a":[{"b":"\\u00e9"}], 1: !!str 2}', {"a": [{"b": "é"}], 1: "2"}),
        ("\ufeffa: '*b'", {"a": "*b"}),
    ],
)
def test_scalars_are_read_by_yaml_1_2(tmp_path, text, value):
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    assert params.read_yaml(tmp_path / "a.yaml", "Fix it.") == value


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a: 1\nb: {c: 1, c: 2}", 'duplicate key "c"'),
        ("a: &x [1]\nb: *x", "aliases .* not supported"),
        ("a: &x [*x]", "aliases .* not supported"),
        ("? [1]\n: 2", "a key must be a plain value"),
        ("a: !!int x", "invalid literal"),
        ("a: !!bool [1]", "expected a scalar node"),
        ("!!map [1]", "expected a mapping node"),
        ("a: !!set {b}", "could not determine a constructor"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        ("a: !mine b", "could not determine a constructor"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("a: " + "9" * 5000, "integer"),
        ("[" * 800, "nested too deeply"),
        (b"\xff\xfe", "codec can't decode"),
    ],
    ids=range(16),
)
def test_invalid_yaml_is_rejected_with_file_finding_and_remedy(tmp_path, text, finding):
    (tmp_path / "a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(
        InputError, match=rf"(?s)/a\.yaml: cannot be read as YAML: .*{finding}.*Fix it\.$"
    ):
        params.read_yaml(tmp_path / "a.yaml", "Fix it.")


@pytest.mark.parametrize(
    ("written_as", "said"),
    [
        ("\ntrian: {}\n", r"params\.yaml: unknown sections \['trian'\].*'train'"),
        ("\nunet: {}\n", r"the section unet is called network now\. Rename it"),
        (None, r"params\.yaml: cannot be read \(No such file.*git checkout params\.yaml"),
    ],
)
def test_an_unknown_or_renamed_section_or_a_missing_file_is_named(tmp_path, written_as, said):
    path = written(tmp_path, "  rate: 1")
    if written_as is None:
        path.unlink()
    else:
        path.write_text(path.read_text().replace("network: {}", "") + written_as)
    with pytest.raises(InputError, match=said):
        params.read(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": "fast"}, r"rate: .*number, got 'fast'"),
        ({"count": 2.5}, r"count: .*got 2\.5"),
        ({"count": "3"}, r"count: .*got '3'"),
        ({"mirror": 1}, r"mirror: .*got 1"),
        ({"patch": [1, "x"]}, r"patch\.1: .*got 'x'"),
        ({"rat": 1}, r"rat: .*not permitted: remove it or correct its name, got 1"),
        ({"rate": None}, r"rate: field required"),
    ],
)
def test_a_missing_or_unknown_key_or_wrong_type_is_named_with_the_value(change, said):
    values = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(InputError, match=rf"params\.yaml: train\.{said}"):
        params.value({"train": values}, "train", Section, Path("params.yaml"))
