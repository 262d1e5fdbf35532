"""The example of docs/extending/source.md works as printed."""

import csv
import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipeline import __main__ as command_line
from pipeline.api import in_folder
from pipeline.commands import score
from pipeline.core.catalogue import Catalogue
from pipeline.core.errors import InputError
from pipeline.core.params import Compute
from pipeline.core.records import read_json
from pipeline.formats import nifti
from pipeline.runtime import parallel
from tests import project
from tests.conftest import LPS, case_arrays
from tests.core.test_extensions import forget

PAGE = (project.ROOT / "docs/extending/source.md").read_text()
CODE, VALUES = (re.search(rf"```{kind}\n(.*?)```", PAGE, re.S)[1] for kind in ("python", "yaml"))
NAME = "mine.hospital:SOURCE"


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """A project with the module and the params of the page, and an export beside it."""
    module = tmp_path / "project" / CODE.splitlines()[0].removeprefix("# ")
    module.parent.mkdir(parents=True)
    module.write_text(CODE)
    (module.parent / "__init__.py").touch()  # else a mine.py anywhere on the path goes first
    (header, *rows) = csv.reader(re.search(r"```\n(scan,.*?)```", PAGE, re.S)[1].splitlines())
    lines = [header, *rows, *([f"S00{n}", f"P{n}", *_files(n), "glioma"] for n in (3, 4))]
    for number, row in enumerate(lines[1:]):
        images, values = case_arrays(number)
        for path, voxels in zip(
            row[2:5], (images["t1ce"], images["flair"], np.minimum(values, 2)), strict=True
        ):
            nifti.write(tmp_path / "export" / path, voxels, LPS)
    (tmp_path / "export/index.csv").write_text("\n".join(map(",".join, lines)))
    stated = YAML(typ="safe").load(VALUES)
    project.write_params(
        tmp_path / "project",
        {f"{part}.{key}": value for part, own in stated.items() for key, value in own.items()}
        | {"cohort.cases": 0},
    )
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    forget("mine")  # of another file's tests
    importlib.invalidate_caches()
    with parallel.computing(Compute(backend="loky", address="", workers=1)):
        yield tmp_path / "project"
    forget("mine")


def _files(number: int) -> list[str]:
    return [f"img/t1_{number}.nii.gz", f"img/fl_{number}.nii.gz", f"seg/{number}.nii.gz"]


def test_download_brings_the_cases_of_the_example(workspace):
    project.run(workspace, "download")
    catalogue = read_json(workspace / "data/raw/catalogue.json", Catalogue)
    assert catalogue.cohort.cohort == "hospital"
    assert {entry.case: entry.patient for entry in catalogue.cases} == {
        "S001": "P07",
        "S002": "P07",
        "S003": "P3",
        "S004": "P4",
    }
    assert catalogue.cases[0].images["t1c"].path == "S001/8841.nii.gz"
    assert catalogue.cases[0].attributes == {"diagnosis": "glioma"}


def test_the_commands_accept_the_name_of_the_example(workspace, capsys):
    with pytest.raises(SystemExit):
        command_line.main(["sources", NAME])
    assert "scans of our hospital, listed in index.csv" in capsys.readouterr().out
    assert score.cohort_named(NAME)[0].regions == {"WT": ("edema", "core"), "TC": ("core",)}
    with pytest.raises(InputError, match="holds 4 cases, among them S001"):
        in_folder(workspace.parent / "export", NAME, ())


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"own_code.download": "pipeline/__init__.py"}, "own_code names pipeline/__init__.py"),
        ({"cohort.source": "mine.hospital:SCHEMA"}, "is a Schema. Set it to an instance"),
        ({"cohort.source": "mine.hospital:OTHER"}, "has no attribute 'OTHER'"),
        ({"cohort.location": "elsewhere"}, "does not exist.*Ask the archive for an export"),
    ],
)
def test_a_mistake_is_reported_with_file_finding_and_remedy(workspace, changes, finding):
    stated = {"cohort.source": NAME, "cohort.location": "../export", "own_code.download": "mine"}
    project.write_params(workspace, stated | changes)
    with pytest.raises(InputError, match=finding):
        project.run(workspace, "download")
