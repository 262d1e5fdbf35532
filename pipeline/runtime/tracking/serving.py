"""MLflow's scoring server (`mlflow models serve`), around `pipeline.pyfunc`."""

import json

from mlflow.environment_variables import _MLFLOW_IS_IN_SERVING_ENVIRONMENT
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE


def is_server() -> bool:
    """Whether this process is the server, so that whoever calls the model is a stranger."""
    return bool(_MLFLOW_IS_IN_SERVING_ENVIRONMENT.get())


class Refusal(MlflowException):
    """An error that the server answers with status 400, or 500 unless it is the client's.

    Any other exception it answers with a traceback; before the message of an MlflowException it
    puts the whole request, which this one leaves out.
    """

    def __init__(self, reason: str, by_client: bool) -> None:
        super().__init__(reason, INVALID_PARAMETER_VALUE if by_client else INTERNAL_ERROR)
        self.reason = reason

    def serialize_as_json(self) -> str:
        return json.dumps({"error_code": self.error_code, "message": self.reason})
