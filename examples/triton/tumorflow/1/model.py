"""TumorFlow behind Triton's Python backend: cases in, labels out, by the predictor of `predict`.

Research use only, not for diagnosis.
"""

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as triton
from tumorflow.api import Request, RequestError, Service, load


class TritonPythonModel:
    """The class that Triton looks for."""

    def initialize(self, args):
        """Load the network of the parameter ``model``."""
        config = json.loads(args["model_config"])
        values = {name: each["string_value"] for name, each in config["parameters"].items()}
        root = Path(values["root"]) if values.get("root") else None
        self.service = Service(load(values["model"]), root)
        self.service.require_network()

    def execute(self, requests):
        """Answer each request; a bad case gives an error and stops no other."""
        return [self._answered(request) for request in requests]

    def _answered(self, request):
        try:
            answer = self.service.answer(_read(request))
        except (RequestError, ValueError) as error:
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
        names = [name.encode() for name in answer.series]
        outputs = {
            "LABELS": [answer.labels],
            "SERIES": [*answer.series.values()],
            "SERIES_NAMES": names,
            "RECORD": [json.dumps(answer.record).encode()],
        }
        tensors = [triton.Tensor(name, _texts(values)) for name, values in outputs.items()]
        return triton.InferenceResponse(output_tensors=tensors)


def _read(request):
    """The case of a request; ValueError if its files have no names."""
    names = [name.decode(errors="replace") for name in _given(request, "MODALITIES")]
    images = _given(request, "IMAGES")
    if len(names) != len(images):
        raise ValueError(f"got {len(images)} IMAGES and {len(names)} MODALITIES.")
    return Request(
        case=b"".join(_given(request, "CASE")).decode(errors="replace"),
        images=dict(zip(names, images, strict=True)),
        study=b"".join(_given(request, "STUDY")),
        native=bool(any(_given(request, "NATIVE"))),
    )


def _given(request, name):
    """The values of an input, none if it was not sent."""
    tensor = triton.get_input_tensor_by_name(request, name)
    return [] if tensor is None else list(tensor.as_numpy().reshape(-1))


def _texts(values):
    """A tensor of bytes, whose length NumPy must not touch."""
    tensor = np.empty(len(values), np.object_)
    tensor[:] = values
    return tensor
