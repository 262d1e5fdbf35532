"""Corrected cases, and the run manifest of the predictions that were corrected."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.case import Case
from pipeline.core.grid import Grid
from pipeline.core.regions import values_to_classes
from pipeline.core.schema import Schema
from pipeline.correcting.saving import Facts, save
from tests.conftest import LPS, case_arrays

READER = "Dr. Ada Müller"


def manifest(network: str = "a" * 64, **changes: Any) -> dict[str, Any]:
    """What `Segmentation.save` writes, as far as a correction reads it."""
    return {
        "network_sha256": network,
        "data_hash": "d" * 64,
        "model": {
            "card_sha256": "c" * 64,
            "inference_sha256": "e" * 64,
            "cohort": "phantom",
            "stripped": True,
        },
        "versions": {"tumorflow": "1.0", "keras": "3"},
        "engine": {"name": "openvino", "backend": "tensorflow"},
        "native": None,
        "inputs": {"t1c": {"file": "a_t1ce.nii.gz", "sha256": "1" * 64}},
        "missing_modalities": [],
        "quality": {"flag": "ok"},
        "run": {"created": "2026-11-28T04:00:00+00:00"},
    } | changes


def case(schema: Schema, name: str = "ward-7", seed: int = 90, affine: np.ndarray = LPS):
    """A case in memory, and its labels as class indices."""
    images, values = case_arrays(seed)
    image = np.stack(list(images.values()), axis=-1)
    return Case(name, image, None, Grid(values.shape, affine)), values_to_classes(values, schema)


def corrected(
    place: Path, schema: Schema, name: str = "ward-7", seed: int = 90, **facts: Any
) -> Path:
    """Save a case whose prediction lacked a slice of the tumour."""
    made, classes = case(schema, name, seed)
    predicted = classes.copy()
    predicted[6] = 0
    inputs = {"t1c": {"file": "a_t1ce.nii.gz", "sha256": f"{seed:064x}"}}
    about = {"reader": READER, "manifest": manifest(inputs=inputs), "seconds": 41.5} | facts
    return save(place, made, classes, predicted, schema, Facts(**about))
