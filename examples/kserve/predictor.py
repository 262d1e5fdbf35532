"""TumorFlow behind KServe: the V1 protocol over the predictor of `predict`.

    python examples/kserve/predictor.py --model models --root /data/cases

A POST of {"instances": [{"case": "CASE"}]} to /v1/models/tumorflow:predict is then answered.
docs/how-to/serve.md says how to install KServe beside TumorFlow.

Research use only, not for diagnosis.
"""

import argparse
import asyncio
import os
from pathlib import Path

import kserve
from kserve.errors import InferenceError, InvalidInput
from tumorflow.api import RequestError, Service, load


class Predictor(kserve.Model):
    """Answers ``{"instances": [...]}``, each with one of case, images and study."""

    def __init__(self, name: str, folder: str, root: Path | None) -> None:
        super().__init__(name)
        self.folder, self.root = folder, root

    def load(self) -> bool:
        """Load the network before the server says that it is ready."""
        self.service = Service(load(self.folder), self.root)
        self.service.require_network()
        self.ready = True
        return self.ready

    async def predict(self, payload: dict, headers=None, response_headers=None) -> dict:
        """Segment each instance, in a thread, so that the server stays alive for its probes."""
        if not isinstance(instances := payload.get("instances"), list):
            raise InvalidInput('expected {"instances": [{...}, ...]}.')
        try:
            answers = [await asyncio.to_thread(self.service.answer_json, one) for one in instances]
        except RequestError as error:
            raise (InvalidInput if error.by_client else InferenceError)(str(error)) from None
        return {"predictions": answers}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--model", default="models", help="folder of the network and its card")
    parser.add_argument("--root", type=Path, default=os.environ.get("TUMORFLOW_SERVE_ROOT") or None)
    arguments = parser.parse_args()
    predictor = Predictor("tumorflow", arguments.model, arguments.root)
    predictor.load()
    kserve.ModelServer(workers=1).start([predictor])
