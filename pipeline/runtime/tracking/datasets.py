"""The parts of the cohort as MLflow datasets: names, counts and hashes, no patient and no path."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.catalogue import Catalogue
from ...core.corrected import provenance_of
from ...core.folds import Split

CONTEXTS = {"train": "training", "val": "validation", "test": "testing"}
"""Part of the split to its context in MLflow."""


@dataclass(frozen=True)
class CohortPart:
    """One part of a cohort.

    Attributes
    ----------
    part : str
        Of `CONTEXTS`.
    digest : str
        First 8 hexadecimal digits of the hash of its voxels: of the cases and their
        ``content_sha256``.
    cases, patients : int
    """

    part: str
    digest: str
    cases: int
    patients: int


@dataclass(frozen=True)
class Data:
    """A cohort and its parts, in the order of `CONTEXTS`, without empty ones; and the number of
    corrected cases in train by the network that predicted their labels.
    """

    cohort: str
    parts: tuple[CohortPart, ...]
    corrected: Mapping[str, int] = field(default_factory=dict)

    def name(self, part: CohortPart) -> str:
        """Name of the dataset of a part, such as ``phantom train``."""
        return f"{self.cohort} {part.part}"

    @property
    def tested(self) -> tuple[str, str] | None:
        """Name and digest of the dataset of the test part; None without one."""
        found = [(self.name(part), part.digest) for part in self.parts if part.part == "test"]
        return found[0] if found else None


def data_of(catalogue: Catalogue, split: Split) -> Data:
    """Describe the parts of a cohort."""
    parts = (_part(name, getattr(split, name), catalogue, split) for name in CONTEXTS)
    train = set(split.train)
    corrected = provenance_of(
        [entry for entry in catalogue.cases if entry.case in train], catalogue.corrections
    )
    return Data(catalogue.cohort.cohort, tuple(part for part in parts if part.cases), corrected)


def _part(name: str, cases: Sequence[str], catalogue: Catalogue, split: Split) -> CohortPart:
    wanted = set(cases)
    content = sorted(
        (
            entry.case,
            *(file.content_sha256 for file in (*entry.images.values(), entry.labels) if file),
        )
        for entry in catalogue.cases
        if entry.case in wanted
    )
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
    return CohortPart(name, digest, len(cases), len({split.patients[case] for case in cases}))


def log(client: Any, run_id: str, data: Data) -> None:
    """Add the parts to a run; those that it has already are left as they are. Corrected cases are
    the tags ``corrected_cases``, their number, and ``corrected_from``, the networks.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(
                name=data.name(part),
                digest=part.digest,
                source_type="cohort",
                source=json.dumps({"cohort": data.cohort}),
                profile=json.dumps({"cases": part.cases, "patients": part.patients}),
            ),
            [InputTag("mlflow.data.context", CONTEXTS[part.part])],
        )
        for part in data.parts
    ]
    client.log_inputs(run_id, datasets=inputs)
    if data.corrected:
        client.set_tag(run_id, "corrected_cases", str(sum(data.corrected.values())))
        client.set_tag(run_id, "corrected_from", " ".join(filter(None, data.corrected)))
