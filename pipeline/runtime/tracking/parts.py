"""What each stage adds to a run."""

from dataclasses import dataclass
from pathlib import Path

from ...core.records import sha256

MODEL = "model"


@dataclass(frozen=True)
class Part:
    """What one stage adds to a run.

    Attributes
    ----------
    name : str
        Of the folder of its artifacts, or of the logged model; the run has the tag
        ``<name>_sha256`` once the part is complete.
    stage : str
        That makes it.
    files : tuple of Path
        Files and folders to keep; the hash of the first, a file, identifies the part.
    history : Path or None
        CSV file with a row for each ``epoch`` of its metrics.
    scores, cases : Path or None
        JSON file with the metrics of the whole run, and the table of its cases.
    inference : Path or None
        The settings that complete the logged model.
    """

    name: str
    stage: str
    files: tuple[Path, ...]
    history: Path | None = None
    scores: Path | None = None
    cases: Path | None = None
    inference: Path | None = None

    def tag(self) -> dict[str, str]:
        """The tag that identifies the part by its content."""
        return {f"{self.name}_sha256": sha256(self.files[0])}


def model_part(network: Path, card: Path, history: Path) -> Part:
    """Outputs of `train`: the network, its card and the table of its epochs."""
    return Part(MODEL, "train", (network, card, history), history=history)


def evaluation_part(scores: Path, cases: Path, *tables: Path, inference: Path) -> Part:
    """Outputs of `evaluate`: metrics/evaluate.json, cases.csv and the other tables, and
    models/inference.json.
    """
    return Part(
        "evaluation",
        "evaluate",
        (scores, cases, *tables),
        scores=scores,
        cases=cases,
        inference=inference,
    )


def report_part(report: Path, *figures: Path) -> Part:
    """Outputs of `visualize`: the report, and figures as files or folders."""
    return Part("report", "visualize", (report, *figures))
