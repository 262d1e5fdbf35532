"""The network of an MLflow run as a generic Python model, in a clone:

    import mlflow, pandas

    model = mlflow.pyfunc.load_model("runs:/RUN_ID/model")
    result = model.predict(pandas.DataFrame({"case": ["/data/new/CASE"]}))
    result.labels[0], result.affine[0]

It takes folders of cases, as the command `predict` does, because voxels without their size and
orientation cannot be prepared as in training; for arrays with an affine use `pipeline.api`.
Research use only, not for diagnosis.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import api
from .core.errors import InputError

if TYPE_CHECKING:
    import pandas


class CaseModel:
    """What MLflow calls; `model` is that of `pipeline.api`."""

    def __init__(self, model: api.Model) -> None:
        self.model = model

    def predict(
        self, cases: "pandas.DataFrame", params: dict[str, Any] | None = None
    ) -> "pandas.DataFrame":
        """Segment cases, each on the grid of its own files.

        Parameters
        ----------
        cases : DataFrame
            A row for each case; ``case`` is its folder, as of `pipeline.api.Model.find`.
        params : dict, optional
            Not used; part of MLflow's interface.

        Returns
        -------
        DataFrame
            A row for each case: ``case``; ``labels``, (X, Y, Z) uint8 label values of the cohort
            that the network was trained on; ``affine``, (4, 4) voxel indices to RAS+ mm;
            ``volumes_ml``, dict of region to millilitres.

        Raises
        ------
        InputError
            As of `pipeline.api.Model.segment`.
        """
        import pandas

        results = [self.model.segment(case) for case in cases["case"]]
        rows = [
            {
                "case": case,
                "labels": result.labels,
                "affine": result.affine,
                "volumes_ml": result.volumes_ml,
            }
            for case, result in zip(cases["case"], results, strict=True)
        ]
        return pandas.DataFrame(rows, columns=["case", "labels", "affine", "volumes_ml"])


def _load_pyfunc(path: str) -> CaseModel:
    """Load the folder of a model; MLflow finds this function by its name."""
    folder = Path(path)
    if not (folder / "inference.json").is_file():
        raise InputError(
            f"{folder}: holds no inference.json, because its run was trained, but not evaluated."
            " Evaluate it: dvc repro evaluate."
        )
    return CaseModel(api.load(folder))
