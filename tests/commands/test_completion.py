"""What bash offers after a TAB, and what the script for zsh holds."""

import shutil
import subprocess

import pytest

from pipeline.__main__ import COMMANDS
from pipeline.cohorts.registry import SOURCES
from pipeline.commands.completion import whole_parser
from pipeline.runtime.params_file import PRESETS
from tests import project

TAB = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_tumorflow tumorflow "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script for bash."""
    path = tmp_path_factory.mktemp("completion") / "tumorflow"
    path.write_text(project.call(project.ROOT, "pipeline", "completion", "bash"))
    return path


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("''", {*COMMANDS}),
        ("pl", {"plan"}),
        ("preset ''", {path.stem for path in PRESETS.glob("*.yaml")}),
        ("sources brats2", {name for name in SOURCES if name.startswith("brats2")}),
        ("doctor --f", {"--fix"}),
        ("compare --v", {"--verbose"}),
        ("predict --model pyproj", {"pyproject.toml"}),
        ("--v", {"--version"}),
    ],
)
def test_bash_completes_commands_options_names_and_files(script, words, offered):
    tab = TAB.format(script=script, words=f"tumorflow {words}")
    done = subprocess.run(
        ["bash", "-c", tab], cwd=project.ROOT, capture_output=True, text=True, check=True
    )
    assert {*done.stdout.split()} == offered


def test_the_script_for_zsh_knows_every_command():
    text = project.call(project.ROOT, "pipeline", "completion", "zsh")
    assert text.startswith("#compdef tumorflow")
    assert all(f"_shtab_tumorflow_{name}_options=(" in text for name in COMMANDS)


def test_the_completed_commands_are_parsed_as_they_are_called():
    given = whole_parser().parse_args(["preset", "phantom", "cohort.cases=6", "-q"])
    assert (given.name, given.values, given.log) == ("phantom", ["cohort.cases=6"], "quiet")
