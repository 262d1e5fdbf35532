import json
import re

import pytest

from pipeline import __main__ as command_line
from pipeline.cohorts.fetching.fetch import Remote
from pipeline.cohorts.registry import SOURCES
from pipeline.cohorts.source import Source
from pipeline.commands import sources


def call(*arguments):
    """Call the command as a user does; its exit status."""
    with pytest.raises(SystemExit) as left:
        command_line.main(["sources", *arguments])
    return left.value.code


@pytest.fixture
def source(schema):
    """A source with two conventions and two public files."""
    second = {"cohort": "second", "modalities": ("t1c", "adc"), "labels": {"enhancing": 3}}
    return Source(
        name="made-up",
        title="Cases that nobody has",
        schemas=(schema, schema.model_copy(update=second)),
        patients="One of each case.",
        licence="None.",
        citation="",
        access="Ask. Then wait.",
        find=None,
        remotes=(
            Remote("https://example.org/a.zip", "a.zip", 2_500_000_000, "md5:0"),
            Remote("https://example.org/b", "b", None, None),
        ),
    )


@pytest.mark.parametrize("columns", ["40", "80", "100", "140", "400"])
def test_every_source_is_listed_within_80_to_140_columns(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    assert not call()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= min(max(int(columns), 80), 140)
    names = [line.split()[0] for line in lines[2:-1] if line and not line.startswith(" ")]
    assert [name for name in names if name in SOURCES] == list(SOURCES)


ACCESS = "Ask the hospital, then wait."
SMALL = (Remote("https://example.org/a", "a", 12, None),)


@pytest.mark.parametrize(
    ("changes", "row", "says"),
    [
        ({}, ["made-up", "3D", "t1n t1c t2w t2f"], "Fetched by `download`: 2.5 GB and more."),
        ({"remotes": ()}, ["made-up", "3D"], "Ask."),
        ({"remotes": (), "access": ACCESS}, ["made-up", "3D"], "Ask the hospital."),
        ({"generate": lambda raw, cases, seed: []}, [], "Generated; nothing to download."),
        ({"remotes": SMALL}, [], "Fetched by `download`: 12 bytes."),
        ({"schemas": ()}, ["made-up", "any", "yours", "yours"], "Fetched"),
    ],
)
def test_a_row_lists_what_a_source_holds_and_how_to_get_it(source, changes, row, says):
    lines = list(sources.listing([Source(**vars(source) | changes)], 140))
    assert re.split("  +", lines[2])[: len(row)] == row
    assert says in "\n".join(lines)
    assert ("necrotic edema enhancing" in "\n".join(lines)) == ("schemas" not in changes)


def test_one_source_is_shown_with_everything_it_declares(source):
    lines = [line.strip() for line in sources.details(source, 100)]
    assert "brats2018-2021, 3D" in lines
    assert "labels      1 necrotic, 2 edema, 4 enhancing" in lines
    assert "regions     WT = necrotic + edema + enhancing" in lines
    assert "TC = necrotic + enhancing" in lines
    assert "licence     None." in lines
    assert "access      Ask. Then wait." in lines
    assert "fetched     a.zip, 2.5 GB, md5:0" in lines
    assert "b, size not published, no checksum published" in lines
    assert not any(line.startswith("citation") for line in lines), "what is empty is left out"


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_declares_what_a_user_must_know(name, capsys):
    assert not call(name)
    shown = capsys.readouterr().out
    source = SOURCES[name]
    assert source.name == name
    assert source.find or source.generate
    for field in ("title", "patients", "licence", "access"):
        assert getattr(source, field), f"{name} has no {field}"
    assert all(schema.cohort in shown for schema in source.schemas)
    assert all(remote.url in shown for remote in source.remotes)
    assert max(map(len, shown.splitlines())) <= 140


def test_the_rules_for_lesions_are_listed_or_that_there_are_none(capsys):
    assert not call("brats-met2025")
    assert "lesions     scored by the rules brats2024-met" in capsys.readouterr().out
    assert not call("cheng")
    assert "lesions     not scored one by one" in capsys.readouterr().out


def test_machines_get_the_same_as_json(capsys):
    assert not call("--json")
    listed = json.loads(capsys.readouterr().out)
    assert [source["name"] for source in listed] == list(SOURCES)
    assert not call("folder", "--json")
    (folder,) = json.loads(capsys.readouterr().out)
    assert folder["schemas"] == []
    assert "cohort.yaml" in folder["access"]


def test_a_name_that_is_no_source_is_rejected_with_the_nearest():
    assert "foldre: no such source; did you mean folder? there are" in call("foldre")
    assert "xyz: no such source; there are" in call("xyz")
