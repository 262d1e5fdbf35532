"""Fixtures and functions that make data: small cases in BraTS naming, and the real cases."""

import locale
import os
from pathlib import Path

import numpy as np
import pytest
from nibabel import orientations
from scipy import ndimage

from pipeline.cohorts import brats
from pipeline.core.schema import Schema
from pipeline.formats import nifti
from pipeline.registration.params import NativeRecipe

SHARED = Path(__file__).parents[2] / "shared/data"
AS_IT_IS = NativeRecipe(
    enabled=False,
    template_transform="rigid",
    interpolation="linear",
    correct_bias=False,
    extract_brain=True,
)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="session", autouse=True)
def mlflow_root(tmp_path_factory) -> Path:
    """MLflow's store of the test session, in a temporary folder instead of the repository."""
    root = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(root))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield root


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """An empty store: creating its tables takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("tables") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def restored_locale():
    """SimpleITK's DICOM writer leaves the process in the locale "C", where text is ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.fixture
def replaced(tmp_path, monkeypatch):
    """A function that puts a shell script in the place of a program."""

    def replace(program: str, script: str) -> None:
        (tmp_path / program).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / program).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return replace


@pytest.fixture
def schema() -> Schema:
    """Four modalities, three labels (enhancing = 4), three nested regions."""
    return brats.schema("_")


def case_arrays(
    seed: int = 0, shape: tuple[int, int, int] = (24, 22, 20)
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Four int16 modalities of a brain-like box, and a tumour of nested boxes of 1, 2 and 4."""
    rng = np.random.default_rng(seed)
    values = np.zeros(shape, np.uint8)
    values[6:16, 6:16, 6:14] = 2
    values[8:14, 8:14, 7:13] = 4
    values[10:12, 10:12, 9:11] = 1
    brain = np.zeros(shape, bool)
    brain[2:-2, 2:-2, 2:-2] = True
    anatomy = ndimage.zoom(
        rng.normal(0, 80, (6, 6, 5)), np.divide(shape, (6, 6, 5)), order=1
    )  # no two patients look alike
    images = {}
    for number, name in enumerate(("t1", "t1ce", "t2", "flair")):
        tumour = 150 * (values > 0) + 200 * (values == 4) * (number == 1)
        voxels = 400 + 60 * number + tumour + rng.normal(0, 30, shape) + anatomy
        images[name] = np.where(brain, np.clip(voxels, 1, None), 0).astype(np.int16)
    return images, values


def write_case(
    folder: Path,
    case: str,
    seed: int = 0,
    affine: np.ndarray = LPS,
    suffix: str = ".nii.gz",
    **changes,
) -> Path:
    """Write one case in the naming of 2018 to 2021.

    `changes` replace arrays by file kind; None omits a file.
    """
    images, values = case_arrays(seed)
    for kind, array in ({**images, "seg": values} | changes).items():
        if array is not None:
            nifti.write(folder / case / f"{case}_{kind}{suffix}", array, affine)
    return folder / case


@pytest.fixture
def cohort(tmp_path) -> Path:
    """Eight small cases in a folder of their own."""
    for number in range(8):
        write_case(tmp_path / "source", f"BraTS2021_{number:05d}", seed=number)
    return tmp_path / "source"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A project whose stages up to `augment` have run, to be copied."""
    from tests import project

    folder = project.make(tmp_path_factory.mktemp("prepared"))
    return project.run_stages(folder, "download", "preprocess", "split", "augment")


@pytest.fixture(scope="session")
def finished(prepared, tmp_path_factory) -> Path:
    """A project whose stages have all run."""
    from tests import project

    folder = project.copy(prepared, tmp_path_factory.mktemp("finished"))
    return project.run_stages(folder, "train", "evaluate", "visualize")


@pytest.fixture
def copy(finished, tmp_path, monkeypatch) -> Path:
    """The finished project again, to be spoilt, as the current folder."""
    from tests import project

    folder = project.copy(finished, tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(finished))
    return folder


@pytest.fixture(scope="session")
def real_cases() -> Path:
    """The shared folder of real cases; without it the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip("real cases are not at ../shared/data")
    return SHARED


def from_canonical(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Undo `to_canonical` for the same raw affine."""
    there = orientations.io_orientation(affine)
    back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), there)
    return orientations.apply_orientation(array, back)
