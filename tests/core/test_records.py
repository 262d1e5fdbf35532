"""Our small files have the same bytes for the same values and are written whole or not at all."""

import csv
import io
import math

import pytest

from pipeline.core import records
from pipeline.core.errors import InputError
from pipeline.core.strict import Strict


class Thing(Strict):
    name: str
    sizes: dict[str, int]


def test_a_record_comes_back_with_the_order_of_its_keys(tmp_path):
    thing = Thing(name="a", sizes={"z": 1, "a": 2})
    records.write_json(tmp_path / "thing.json", thing)
    back = records.read_json(tmp_path / "thing.json", Thing)
    assert back == thing
    assert list(back.sizes) == ["z", "a"]


def test_plain_json_has_sorted_keys_and_null_for_nan(tmp_path):
    records.write_json(tmp_path / "a.json", {"b": math.nan, "a": [1.5, math.nan]})
    records.write_json(tmp_path / "b.json", {"a": [1.5, math.nan], "b": math.nan})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert '"b": null' in (tmp_path / "a.json").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"thing\.json"),
        ('{"name": "a"}', r"thing\.json\.sizes: field required"),
        ('{"name": 1, "sizes": {}}', r"thing\.json\.name.*got 1"),
        (None, r"thing\.json.*dvc repro"),
    ],
)
def test_a_bad_or_missing_record_is_named_with_its_finding(tmp_path, text, said):
    if text:
        (tmp_path / "thing.json").write_text(text)
    with pytest.raises(InputError, match=said):
        records.read_json(tmp_path / "thing.json", Thing)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv.*dvc repro"):
        records.read_csv(tmp_path / "absent.csv")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    records.write_bytes(tmp_path / "a", b"old")

    def interrupted():
        with records.replacing(tmp_path / "a") as sibling:
            sibling.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_table_is_written_as_the_csv_module_would(tmp_path):
    rows = [
        {"case": "007", "name": "a,b", "dice": 0.1 + 0.2, "lesions": 2, "small": 1e-05},
        {"case": 'quo"te', "name": "ü", "dice": math.nan, "lesions": 10**17, "small": 1e16},
        {"case": "c", "name": "", "dice": None, "lesions": -1, "small": -0.0},
    ]
    expected = io.StringIO()
    writer = csv.writer(expected, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows(["" if item != item else item for item in row.values()] for row in rows)
    records.write_csv(tmp_path / "t.csv", rows)
    text = (tmp_path / "t.csv").read_bytes().decode()
    assert text == expected.getvalue()
    assert records.read_csv(tmp_path / "t.csv") == list(csv.DictReader(text.splitlines()))


def test_a_table_is_read_with_numbers_to_the_last_bit_and_text_as_text(tmp_path):
    rows = [
        {"case": "007", "name": "NA", "dice": 0.1 + 0.2, "voxels": 3},
        {"case": "8", "name": "", "dice": math.nan, "voxels": 1e-300},
    ]
    records.write_csv(tmp_path / "t.csv", rows)
    table = records.read_table(tmp_path / "t.csv")
    assert table["case"].tolist() == ["007", "8"]
    assert table["name"].tolist() == ["NA", ""]
    assert table["dice"][0] == 0.1 + 0.2
    assert math.isnan(table["dice"][1])
    assert table["voxels"].tolist() == [3.0, 1e-300]


def test_tables_without_rows_leave_no_file_and_no_older_one(tmp_path):
    records.write_tables(tmp_path, {"one": [{"a": 1}], "two": [{"b": 2}]})
    records.write_tables(tmp_path, {"one": [{"a": 1}], "two": []})
    assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"case,dice\na\n", r"row 1 has more or fewer fields.*Save it"),
        (b"case,dice\na,1,2\n", "a row has more or fewer fields"),
        (b"case,dice\na,1\nb,1,2\n", "a row has more or fewer fields"),
        (b'case,dice\n"a,1\n', "a row has more or fewer fields"),
        (b"case,dice\nx,\xff\n", "is not a table in UTF-8"),
        (b"case,dice\nx,good\n", "dice of x is 'good', expected a number"),
    ],
)
def test_a_damaged_table_is_named_with_its_finding(tmp_path, text, said):
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(InputError, match=rf"t\.csv: .*{said}"):
        records.read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("text", [b"", b"case,dice\n", b"\xef\xbb\xbfcase,dice\n\n"])
def test_a_table_without_rows_is_empty(tmp_path, text):
    (tmp_path / "t.csv").write_bytes(text)
    assert records.read_csv(tmp_path / "t.csv") == []
    assert records.read_table(tmp_path / "t.csv").empty
