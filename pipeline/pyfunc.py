"""A trained network as a generic Python model of MLflow, in a clone:

    import mlflow, pandas

    model = mlflow.pyfunc.load_model("runs:/RUN_ID/model")
    result = model.predict(pandas.DataFrame({"case": ["/data/new/CASE"]}))
    result.labels[0], result.affine[0]

It takes cases as files, as the command `predict` does, because voxels without their size and
orientation cannot be prepared as in training; for arrays with an affine use `pipeline.api`.
`mlflow models serve` answers with the same over HTTP (docs/how-to/serve.md).
Research use only, not for diagnosis.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import api
from .core.errors import InputError
from .segmenting import service

if TYPE_CHECKING:
    import pandas

_LABELS = ("auto", "array", "nifti")


class CaseModel:
    """What MLflow calls; `model` is that of `pipeline.api`."""

    def __init__(self, model: api.Model) -> None:
        root = os.environ.get(service.ROOT)
        self.model = model
        self.service = service.Service(model, Path(root) if root else None)

    def predict(
        self, cases: "pandas.DataFrame", params: dict[str, Any] | None = None
    ) -> "pandas.DataFrame":
        """Segment cases, each on the grid of its own files.

        Parameters
        ----------
        cases : DataFrame
            A row for each case, with one of these columns: ``case``, its folder, as of
            `pipeline.api.Model.find`; ``images``, a dict of modality to the base64 text of a NIfTI
            file; ``study``, the base64 text of a zip archive of a DICOM study. A server reads only
            folders below that of the environment variable TUMORFLOW_SERVE_ROOT.
        params : dict, optional
            ``native``, as of `pipeline.api.Model.segment`, by default False. ``labels``: "array",
            "nifti" (base64 text of a .nii.gz file, as all of a server's answer is JSON), or "auto",
            the default: "nifti" from a server, else "array".

        Returns
        -------
        DataFrame
            A row for each case: ``case``; ``labels``, (X, Y, Z) uint8 label values of the cohort
            that the network was trained on, or base64 text; ``affine``, (4, 4) voxel indices to
            RAS+ mm; ``volumes_ml``, dict of region to millilitres; ``warnings``, list of str;
            ``record``, what made the labels, as `predict` writes it; with "nifti" also ``series``,
            dict of modality to the labels on each series of a native case.

        Raises
        ------
        InputError
            As of `pipeline.api.Model.segment`; from a server an error of MLflow.
        """
        from .runtime.tracking import serving

        if not serving.is_server():
            return self._predict(cases, params or {}, False)
        try:
            self.service.require_network()
            with service.answerable():
                return self._predict(cases, params or {}, True)
        except service.RequestError as error:
            raise serving.Refusal(str(error), error.by_client) from None

    def _predict(
        self, cases: "pandas.DataFrame", params: Mapping[str, Any], is_server: bool
    ) -> "pandas.DataFrame":
        import pandas

        native, labels = bool(params.get("native", False)), params.get("labels", "auto")
        if labels not in _LABELS:
            raise InputError(f"labels: is {labels!r}, expected one of {', '.join(_LABELS)}.")
        as_nifti = labels == "nifti" or (labels == "auto" and is_server)
        row = self._encoded if as_nifti else self._arrays
        if cases.empty:
            raise InputError("no case: expected a row with case, images or study for each.")
        rows = [row(fields, native, is_server) for fields in cases.to_dict("records")]
        return pandas.DataFrame(rows)

    def _encoded(self, fields: Mapping[str, Any], native: bool, is_server: bool) -> dict[str, Any]:
        result = self._segmented(fields, native, is_server)
        return service.Answer.of(result).encoded()

    def _arrays(self, fields: Mapping[str, Any], native: bool, is_server: bool) -> dict[str, Any]:
        result = self._segmented(fields, native, is_server)
        return {
            "case": fields.get("case") or result.record["case"],
            "labels": result.labels,
            "affine": result.affine,
            "volumes_ml": result.volumes_ml,
            "warnings": result.warnings,
            "record": result.record,
        }

    def _segmented(
        self, fields: Mapping[str, Any], native: bool, is_server: bool
    ) -> api.Segmentation:
        request = service.Request.decoded({**fields, "native": native})
        if request.case and not is_server and self.service.root is None:
            return self.model.segment(request.case, native=native)
        return self.service.segment(request)


def _load_pyfunc(path: str) -> CaseModel:
    """Load the folder of a model; MLflow finds this function by its name."""
    folder = Path(path)
    if not (folder / "inference.json").is_file():
        raise InputError(
            f"{folder}: holds no inference.json, because its run was trained, but not evaluated."
            " Evaluate it: dvc repro evaluate."
        )
    return CaseModel(api.load(folder))
