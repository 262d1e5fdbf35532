"""The stage that presents a run: what it writes, and inputs that do not belong together."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import InputError
from pipeline.core.records import read_csv
from pipeline.formats import nifti
from tests import project

pytestmark = pytest.mark.slow

PLOTS = (
    *("learning_curves", "scores", "volume_agreement", "dice_by_volume"),
    *("confusion", "reliability", "uncertainty", "detection"),
)


def written(folder: Path) -> dict[str, bytes]:
    """Figures, report and model card of a project."""
    figures = (folder / "metrics/figures").iterdir()
    pages = (folder / "metrics/report.html", folder / "models/model_card.md")
    return {path.name: path.read_bytes() for path in (*figures, *pages)}


def test_figures_and_report_are_written_and_the_same_run_gives_the_same_bytes(finished, copy):
    before = written(finished)
    (pictured,) = {name.split(".")[0] for name in before if name.startswith("BraTS")}
    of_cases = [f"{pictured}.{kind}" for kind in ("gif", "webp", "overlay.png", "overlay.svg")]
    drawn = [f"{name}.{kind}" for name in PLOTS for kind in ("png", "svg")]
    assert sorted(before) == sorted(["report.html", "model_card.md", *of_cases, *drawn])
    for name in before:
        if not name.endswith(("html", "md", "svg")):
            with Image.open(io.BytesIO(before[name])) as picture:
                assert min(picture.size) > 100, name
    for row in read_csv(finished / "metrics/cases.csv"):  # in the table, though not pictured
        assert row["case"] in before["report.html"].decode()
    project.run(copy, "visualize")
    assert written(copy) == before


def on_another_grid(folder: Path, path: Path) -> None:
    nifti.write(path, nifti.read(path).voxels, np.diag([-1, -1, 2, 1]))


def with_a_foreign_label(folder: Path, path: Path) -> None:
    volume = nifti.read(path)
    nifti.write(path, np.maximum(volume.voxels, np.uint8(7)), volume.grid.affine)


def without_epochs(folder: Path, path: Path) -> None:
    (folder / "metrics/history.csv").write_text("epoch,loss\n")


def with_an_unknown_name(folder: Path, path: Path) -> None:
    project.write_params(folder, project.SMALL | {"visualize.names": ["Nobody"]})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (on_another_grid, r"(\w+)\.nii\.gz: lies on another grid than case \1: "),
        (with_a_foreign_label, r"\.nii\.gz: label values 7 .* are not among"),
        (without_epochs, r"history\.csv: holds no row"),
        (with_an_unknown_name, r"visualize\.names has \['Nobody'\], but .* scored in .*cases\.csv"),
    ],
)
def test_what_does_not_belong_together_is_rejected(copy, spoil, said):
    for path in (copy / "metrics/predictions").glob("*.nii.gz"):
        spoil(copy, path)
    with pytest.raises(InputError, match=said):
        project.run(copy, "visualize")
