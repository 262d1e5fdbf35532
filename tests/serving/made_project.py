"""A project that `dvc repro` evaluated: cohort, predictions and scores, made without a network."""

import json
from pathlib import Path

import numpy as np

from pipeline.core.records import write_bytes, write_csv, write_json
from pipeline.core.regions import values_to_classes
from pipeline.formats import nifti, predictions
from pipeline.metrics.case_scores import score_case
from pipeline.report.page.cases import LOCAL_HELD_OUT
from tests.conftest import LPS, case_arrays, write_case
from tests.project import download_cohort

CASES = ("BraTS2021_00000", "BraTS2021_00001", "BraTS2021_00002")
MEAN = {"value": 0.8, "low": 0.7, "high": 0.9}
HASH = f"sha256-{'A' * 43}="


def make(folder: Path) -> Path:
    """Three cases: the first is predicted worst, the last as it is; the second one's prediction is
    not there.
    """
    for seed, case in enumerate(CASES):
        images, values = case_arrays(seed)
        write_case(folder / "source", case, **images, seg=values)
    project, rows = folder / "project", []
    source = {"source": "brats", "location": str(folder / "source")}
    schema = download_cohort(project / "metrics", project / "data/raw", **source).cohort
    for seed, case in enumerate(CASES):
        reference = values_to_classes(case_arrays(seed)[1], schema)
        predicted = np.roll(reference, 2 - seed, axis=0)
        scored = score_case(reference, predicted, schema, (1.0, 1.0, 1.0))
        rows += [{"case": case, "patient": case, **row} for row in scored]
        if seed != 1:
            place = project / "metrics/predictions"
            predictions.write(place, case, predicted, schema, LPS, "made")
    write_csv(project / "metrics/cases.csv", rows)
    write_json(project / "metrics/evaluate.json", {"mean_region_dice": MEAN})
    write_bytes(project / "metrics/report.html", report(CASES[0]).encode())
    return project


def report(case: str) -> str:
    """A page with the policy and a link of a report."""
    policy = f"default-src &#39;none&#39;; script-src &#39;{HASH}&#39; blob:"
    return (
        f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<title>Report</title><a href="{LOCAL_HELD_OUT}{case}">open</a>'
    )


def other_settings(model: Path, folder: Path) -> Path:
    """A copy of a network that fills a region only where it is nearly certain."""
    for path in model.iterdir():
        write_bytes(folder / path.name, path.read_bytes())
    settings = json.loads((folder / "inference.json").read_bytes())
    settings["postprocess"]["thresholds"] = {"ET": 0.9}
    write_json(folder / "inference.json", settings)
    return folder


def voxels(content: bytes, folder: Path) -> np.ndarray:
    """Voxels of a volume of a scene, as a browser gets it."""
    path = folder / "volume.nii"
    path.write_bytes(content)
    return nifti.read(path).voxels
