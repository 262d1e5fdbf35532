"""An open run: what a stage logs to it."""

import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core.records import read_csv, read_table
from . import description, logged_model, metrics
from .parts import MODEL, Part


class Run:
    """An open run. What it already holds is not logged again."""

    def __init__(
        self,
        client: Any,
        run_id: str,
        origin: description.Origin,
        previous: tuple[str, Sequence[str]] | None = None,
        tested: tuple[str, str] | None = None,
    ) -> None:
        self.id = run_id
        self._client = client
        self._tested = tested
        self._origin, self._previous = origin, previous
        self._metrics = dict(client.get_run(run_id).data.metrics)
        self._steps = {
            name: {point.step for point in client.get_metric_history(run_id, name)}
            for name in ("epoch", "case/number")
        }

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Log the metrics of epoch ``record["epoch"]``, without texts, empty fields and NaN."""
        self._log_once("epoch", metrics.of_epoch(record))

    def log_case(self, number: int, values: Mapping[str, float]) -> None:
        """Log costs of a case, such as seconds, with its number as the step."""
        costs = {f"case/{name}": value for name, value in values.items()}
        self._log_once("case/number", {"case/number": number} | costs)

    @contextmanager
    def child(self, name: str) -> "Iterator[Run]":
        """Open or continue the nested run of that name, such as that of a fold."""
        client = self._client
        experiment_id = client.get_run(self.id).info.experiment_id
        query = f"tags.`mlflow.parentRunId` = '{self.id}' and attributes.run_name = '{name}'"
        found = client.search_runs([experiment_id], query)
        if found:
            run_id = found[0].info.run_id
            client.update_run(run_id, status="RUNNING")
        else:
            tags = place() | {"mlflow.parentRunId": self.id}
            run_id = client.create_run(experiment_id, tags=tags, run_name=name).info.run_id
        with ended(client, run_id):
            yield Run(client, run_id, self._origin)

    def _log_once(self, kind: str, record: Mapping[str, Any]) -> None:
        step = int(record[kind])
        if step not in self._steps[kind]:
            self._log(record, step)
            self._steps[kind].add(step)

    def log_metrics(self, scores: Mapping[str, Any]) -> None:
        """Log metrics of the whole run from nested dicts, see `metrics.of_scores`."""
        self._log_new(metrics.of_scores(scores))

    def describe(
        self,
        scores: Mapping[str, Any] | None = None,
        headline: Mapping[str, float] | None = None,
        worst: str = "",
    ) -> None:
        """Write the description, with the verdict once there are scores, see `description.note`."""
        note = description.note(self._origin, self._previous, scores or {}, headline or {}, worst)
        self._client.set_tag(self.id, description.NOTE, note)

    def _log_new(self, flat: Mapping[str, Any], *scored: str | None) -> None:
        kept = self._metrics
        new = {name: flat[name] for name in flat if kept.get(metrics.accepted(name)) != flat[name]}
        self._log(new, 0, *scored)
        kept |= {metrics.accepted(name): value for name, value in new.items()}

    def _log(self, values: Mapping[str, Any], step: int, *scored: str | None) -> None:
        """Log values; `scored` are the id of the model, and name and digest of the dataset."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        numbers = {metrics.accepted(name): metrics.number(value) for name, value in values.items()}
        points = [Metric(name, x, now, step, *scored) for name, x in numbers.items() if x == x]
        for first in range(0, len(points), 1000):  # MLflow takes no more at once
            self._client.log_batch(self.id, metrics=points[first : first + 1000])

    def add(self, part: Part) -> None:
        """Add a finished part: missing epochs, scores, artifacts, and last the tag."""
        for row in read_csv(part.history) if part.history else ():
            self.log_epoch(row)
        if part.inference and part.inference.is_file():
            logged_model.complete(self._client, self.id, part.inference)
        if part.scores and part.cases:
            self._judge(json.loads(part.scores.read_bytes()), part.cases)
        if part.name == MODEL:
            logged_model.log(self._client, self.id, part.files)
        else:
            self._log_artifacts(part)
        for name, value in part.tag().items():
            self._client.set_tag(self.id, name, value)

    def holds(self, part: Part) -> bool:
        """Whether all of a part was added."""
        name = part.files[0].name
        if part.name == MODEL:
            return name in logged_model.files_of(self._client, self.id)
        listed = self._client.list_artifacts(self.id, part.name)
        return f"{part.name}/{name}" in {item.path for item in listed}

    def _log_artifacts(self, part: Part) -> None:
        for path in reversed(part.files):  # the first file comes last: `holds` looks for it
            if path.is_dir():
                self._client.log_artifacts(self.id, str(path), f"{part.name}/{path.name}")
            else:
                self._client.log_artifact(self.id, str(path), part.name)

    def _judge(self, scores: Mapping[str, Any], cases: Path) -> None:
        """Log the scores, those of the headline for the model as well, and describe the run."""
        headline, worst = metrics.verdict(scores, read_table(cases).to_dict("records"))
        model_id = logged_model.model_of(self._client, self.id)
        self._log_new(headline, model_id, *(self._tested or ()))
        self.log_metrics(scores)
        self.describe(scores, headline, worst)


def place() -> dict[str, str]:
    """Tags of the machine and the workspace."""
    return {"host": platform.node(), "workspace": str(Path.cwd())}


@contextmanager
def ended(client: Any, run_id: str) -> Iterator[None]:
    """Mark a run as finished after the block; as failed, or killed by Ctrl-C, if it raises."""
    try:
        yield
    except BaseException as fault:
        killed = isinstance(fault, KeyboardInterrupt)
        client.set_terminated(run_id, "KILLED" if killed else "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")
