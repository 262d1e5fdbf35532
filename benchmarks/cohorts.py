"""The cases that benchmarks work on, brought and verified by the stage `download` and kept between
runs.
"""

import tempfile
from pathlib import Path

from benchmarks.measuring import ROOT
from pipeline.core.extensions import NONE
from pipeline.core.params import Cohort
from pipeline.download import download
from pipeline.registration.params import NativeRecipe
from pipeline.runtime.code import code_hash

REAL = ROOT.parent / "shared/data/brats2021"
_SEED = 2026
_CODE = ("core", "formats", "cohorts", "phantom", "registration", "verification", "download.py")
_AS_IT_IS = NativeRecipe(
    enabled=False,
    template_transform="rigid",
    interpolation="linear",
    correct_bias=False,
    extract_brain=True,
)


def phantoms(cases: int, seed: int = _SEED) -> Path:
    """Generated cases of 240x240x155 voxels and four modalities, as a folder like data/raw."""
    return _brought(
        f"phantoms-{cases}-{seed}", _cohort(source="phantom", location="", cases=cases, seed=seed)
    )


def real() -> Path | None:
    """The BraTS cases beside the repository, in the same form; None where there are none."""
    return (
        _brought("brats2021", _cohort(source="brats", location=str(REAL), cases=0, seed=_SEED))
        if REAL.is_dir()
        else None
    )


def _cohort(**own: str | int) -> Cohort:
    return Cohort.model_validate({"unlabelled": "refuse", "corrections": NONE} | own)


def _brought(name: str, cohort: Cohort) -> Path:
    """A folder below the system's folder for temporary files, made again whenever the code that
    makes it changes.
    """
    folder = (
        Path(tempfile.gettempdir()) / "tumorflow-benchmarks" / f"{name}-{code_hash(*_CODE)[:12]}"
    )
    if not (folder / "thumbnails.png").is_file():  # the last thing that the stage writes
        download(
            folder / "raw",
            folder / "verify.json",
            folder / "thumbnails.png",
            cohort,
            _AS_IT_IS,
            NONE,
        )
    return folder / "raw"
