"""The JSON schema of params.yaml is current and accepts what the stages accept."""

import json
import subprocess
import sys

import pytest

from pipeline.commands import schema
from pipeline.core import params
from pipeline.runtime import params_file

PRESETS = sorted(params_file.PRESETS.glob("*.yaml"))


@pytest.fixture(scope="module")
def generated():
    return schema.schema()


def test_the_committed_schema_is_the_generated_one(generated):
    committed = json.loads(params_file.SCHEMA.read_text())
    remedy = "run python -m pipeline schema > presets/params.schema.json"
    assert committed == generated, remedy
    assert "$ref" not in json.dumps(generated)


def test_params_yaml_names_the_schema_for_editors():
    root = params_file.PRESETS.parent
    first = (root / "params.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=presets/params.schema.json"


def test_the_schema_accepts_the_defaults_and_marks_wrong_values(generated):
    validator = pytest.importorskip("jsonschema").Draft202012Validator(generated)
    values = params.read(params_file.DEFAULTS)
    assert list(validator.iter_errors(values)) == []
    values["train"]["epochs"] = 0
    values["split"]["fold"] = values["split"].pop("folds")
    found = {(*error.absolute_path, error.validator) for error in validator.iter_errors(values)}
    assert found == {
        ("train", "epochs", "minimum"),
        ("split", "additionalProperties"),
        ("split", "required"),
    }


def test_every_key_with_a_comment_is_described(generated):
    seed = generated["properties"]["cohort"]["properties"]["seed"]
    assert seed == {"type": "integer", "minimum": 0, "description": "of every draw in the pipeline"}


def test_a_reader_that_takes_the_first_lines_alone_ends_the_command_without_a_traceback():
    command = [sys.executable, "-m", "pipeline", "schema"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
