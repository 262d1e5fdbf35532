"""The task of the reader for a held-out case: its images, reference and prediction as a scene."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.catalogue import Catalogue
from ..core.errors import InputError
from ..core.records import read_json
from ..formats import predictions, raw_cases
from . import worker
from .scenes import write_scene

_PERCENT = 100


def show_held_out(values: Mapping[str, Any], report: worker.Report) -> dict[str, Any]:
    """Write the scene of a held-out case into the folder ``made``.

    Parameters
    ----------
    values : mapping
        ``folder`` of the project, ``case``, ``made``.
    report : callable

    Returns
    -------
    dict
        ``case``.
    """
    project, name = Path(values["folder"]), values["case"]
    raw, predicted = project / "data/raw", project / "metrics/predictions"
    report("Reading the case", 0.0)
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    schema = catalogue.cohort
    case = raw_cases.read(raw_cases.found_in(raw, catalogue.entry(name)), schema)
    if case.classes is None:
        raise InputError(f"case {name} has no reference.")
    prediction = predictions.read(predicted, name, case, schema)
    percent = predictions.read_uncertainty(predicted, name, case)
    report("Preparing the view", 0.5)
    write_scene(
        Path(values["made"]),
        case,
        schema.modalities,
        {"prediction": prediction, "reference": case.classes},
        schema,
        None if percent is None else percent / _PERCENT,
    )
    return {"case": name}
