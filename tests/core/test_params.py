"""params.yaml is read strictly, and as DVC writes it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

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


def written(folder: Path, text: str, **sections: str) -> Path:
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


def test_an_unknown_section_is_named_with_the_known_ones(tmp_path):
    path = written(tmp_path, "  rate: 1")
    path.write_text(path.read_text() + "\ntrian: {}\n")
    with pytest.raises(InputError, match=r"params\.yaml: unknown sections \['trian'\].*'train'"):
        params.read(path)


def test_a_missing_file_is_named(tmp_path):
    reason = r"nowhere\.yaml: cannot be read \(No such file or directory\)\. "
    with pytest.raises(InputError, match=reason + r".*git checkout params\.yaml"):
        params.read(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": "fast"}, r"train\.rate: .*number, got 'fast'"),
        ({"count": 2.5}, r"train\.count: .*got 2\.5"),
        ({"count": "3"}, r"train\.count: .*got '3'"),
        ({"mirror": 1}, r"train\.mirror: .*got 1"),
        ({"patch": [1, "x"]}, r"train\.patch\.1: .*got 'x'"),
        (
            {"learning_rat": 1},
            r"train\.learning_rat: .*not permitted: remove it or correct its name, got 1",
        ),
    ],
)
def test_an_unknown_key_or_wrong_type_is_named_with_the_value(change, said):
    with pytest.raises(InputError, match=said):
        params.value({"train": GOOD | change}, "train", Section, Path("params.yaml"))


def test_a_missing_key_is_named():
    values = {"train": {key: value for key, value in GOOD.items() if key != "rate"}}
    with pytest.raises(InputError, match=r"params\.yaml: train\.rate: field required"):
        params.value(values, "train", Section, Path("params.yaml"))


def test_a_dotted_key_reaches_into_a_section():
    assert params.value({"cohort": {"seed": 7}}, "cohort.seed", int, Path("params.yaml")) == 7


def test_sections_are_frozen():
    section = params.value({"train": GOOD}, "train", Section, Path("params.yaml"))
    with pytest.raises(ValidationError, match="frozen"):
        section.rate = 2.0


def test_a_section_under_its_former_name_is_reported_with_the_present_one(tmp_path):
    path = written(tmp_path, "  rate: 1")
    path.write_text(path.read_text().replace("network:", "unet:"))
    with pytest.raises(InputError, match=r"the section unet is called network now\. Rename it"):
        params.read(path)
