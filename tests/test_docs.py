"""The documentation says what is there: links, commands, values, paths, messages, examples."""

import argparse
import ast
import functools
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dvc.cli.parser import get_main_parser

from pipeline.__main__ import COMMANDS
from pipeline.cohorts import folder
from pipeline.runtime import logs

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *ROOT.glob("CONTRIBUTING.md"), *sorted((ROOT / "docs").rglob("*.md"))]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
MADE = (
    *("metrics/costs.csv", "models/checkpoint.npz", "data/fetched", "data/augmented/table.csv"),
    *("data/probabilities", "data/corrected", "data/serve"),
)
"""Files below data/, models/ and metrics/ that are no outs of a stage."""
OF_OTHERS = {
    *("No module named 'pipeline'", "No module named 'keras'", "Unable to acquire lock"),
    *("field required: add it", "extra inputs are not permitted", "missing cache files"),
    *("is already tracked by SCM", "dvc: command not found"),
}
"""Messages of other programs."""
ENDINGS = (".yaml", ".json", ".csv", ".py", ".html", ".keras", ".onnx", ".xml", ".bin")
"""Of files whose names look like keys."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of every fenced block of a page."""
    yield from re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", page.read_text(), re.M | re.S)


def spans(text: str) -> list[str]:
    """Inline code of a text, fenced blocks left out."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", prose)


def shell_commands(page: Path) -> Iterator[list[str]]:
    """Words of every command in a page's blocks of shell, comments and loops taken off."""
    for language, text in blocks(page):
        for line in text.splitlines() if language in ("", "bash", "sh") else ():
            line = re.sub(r"^for .*?; do |; done$| \(.*\)$", "", line.partition(" # ")[0])
            for command in line.split("&&"):
                if re.match(r"\s*(python -m|tumorflow|dvc|make) \w", command):
                    yield shlex.split(command)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as mkdocs and git hosts make them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@every_page
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), f"{target} is not there"
        assert not anchor or anchor in anchors(file), f"{target} has no such heading"


@functools.cache
def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"pipeline.commands.{name}").add_arguments(parser)
    logs.add_arguments(parser)
    return parser


@every_page
def test_every_command_exists_and_takes_its_arguments(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    written = [shlex.split(span) for span in spans(page.read_text()) if span.startswith("make ")]
    for words in [*shell_commands(page), *written]:
        match words:
            case ["python", "-m", "pipeline", name, *given] | ["tumorflow", name, *given]:
                if name != "COMMAND":
                    assert name in COMMANDS, words
                    assert not parser_of(name).parse_known_intermixed_args(given)[1], words
            case ["dvc", *given]:
                get_main_parser().parse_args(given)
            case ["make", *given]:
                assert {word for word in given if "=" not in word and word != "-B"} <= targets
            case ["python", "-m", "benchmarks", *names]:
                known = {path.stem.replace("_", "-") for path in (ROOT / "benchmarks").glob("*.py")}
                assert {name for name in names if name.isalpha()} <= known
    for span in spans(page.read_text()):
        for name in re.findall(r"(?:python -m pipeline|^tumorflow) (\w+)", span):
            assert name in {*COMMANDS, "COMMAND"}, span
        for name in re.findall(r"python -m pipeline\.(\w+)", span):
            assert (ROOT / f"pipeline/{name}.py").is_file() or name == "STAGE", span


def keys_in(text: str) -> Iterator[str]:
    """Dotted keys of params.yaml that a text of code names or sets."""
    sections = "|".join(PARAMS)
    for key, end in re.findall(rf"(?<![\w./-])((?:{sections})(?:\.\w+)+)(\S?)", text):
        if not key.endswith(ENDINGS) and end != "(":
            yield key


@every_page
def test_every_value_that_is_named_is_in_params_yaml(page):
    shell = [text for language, text in blocks(page) if language in ("", "bash", "sh")]
    for key in keys_in("\n".join([*spans(page.read_text()), *shell])):
        values = PARAMS
        known, _, _ = key.partition(".options.")  # options of an own network have any name
        for part in known.split("."):
            assert part in (values or {}), f"{key} is not in params.yaml"
            values = values[part]


@every_page
def test_every_path_that_is_named_exists_or_is_made_by_a_stage(page):
    stages = DVC["stages"].values()
    entries = [entry for stage in stages for entry in (*stage["outs"], *stage.get("metrics", []))]
    made = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
    for span in spans(page.read_text()):
        path = span.rstrip("/")
        if re.fullmatch(r"(pipeline|docs|tests|presets|benchmarks|examples)/[\w./-]+", path):
            assert (ROOT / path).exists(), path
        elif re.fullmatch(r"(data|models|metrics)/[\w./-]+", path):
            assert any(path == out or path.startswith(f"{out}/") for out in (*made, *MADE)), path


def messages() -> str:
    """All text of the program: strings and formatted strings, one a line."""
    lines = [(ROOT / "Makefile").read_text()]
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                ]
                lines.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(node.value)
    return "\n".join(lines)


def test_troubleshooting_quotes_messages_that_exist():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    symptoms = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ")]
    quoted = [span for span in spans("\n".join(symptoms)) if " " in span and span[:4] != "dvc "]
    said = messages()
    assert quoted
    assert not [span for span in quoted if span not in said and span not in OF_OTHERS]


@every_page
def test_blocks_of_python_and_yaml_can_be_parsed(page):
    for language, text in blocks(page):
        if language == "python":
            ast.parse(text)
        elif language == "yaml":
            yaml.safe_load(text)


@pytest.mark.parametrize("name", ["how-to/own-data.md", "reference/cohort-yaml.md", "data.md"])
def test_the_first_yaml_of_a_page_on_cohorts_is_a_valid_description(tmp_path, name):
    text = next(text for language, text in blocks(ROOT / "docs" / name) if language == "yaml")
    (tmp_path / "cohort.yaml").write_text(text, encoding="utf-8")
    assert folder.read(tmp_path)


def test_the_reference_of_params_yaml_lists_every_key():
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs/generated.py")
    generated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generated)
    page = "\n".join(generated.params())
    for section, keys in PARAMS.items():
        assert f"\n## {section}\n" in page
        for key in keys:
            assert f"| `{section}.{key}` |" in page


def test_the_readme_has_less_than_90_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) < 90
