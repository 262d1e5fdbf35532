"""What it takes to segment and score a case of a cohort by its name."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.case import Case
from ..core.catalogue import Catalogue
from ..core.schema import Schema
from ..formats import raw_cases
from ..metrics.metric import Metric
from ..network.backend import keras
from ..network.card import Card
from ..network.settings import Settings
from ..preparation import shards as shard_files
from ..preparation.preprocessing import Geometry
from ..preparation.shards import Shard


@dataclass(frozen=True, eq=False)
class Cohort:
    """A cohort and its network.

    Attributes
    ----------
    catalogue : Catalogue
    raw, shards : Path
        Folders of the files.
    network : keras.Model
    card : Card
    settings : Settings
        How cases are predicted.
    own : list of Metric
        Metrics of the user.
    """

    catalogue: Catalogue
    raw: Path
    shards: Path
    network: keras.Model
    card: Card
    settings: Settings
    own: list[Metric]

    @property
    def schema(self) -> Schema:
        """That of the catalogue, which names the rules for lesions."""
        return self.catalogue.cohort

    def prepared(self, name: str) -> tuple[Shard, Geometry]:
        """The prepared case, and the inverse of its preparation."""
        geometry = shard_files.read_geometry(self.shards, name)
        return shard_files.read(self.shards, name), geometry

    def case(self, name: str) -> tuple[Case, np.ndarray]:
        """The raw case, and its reference (X, Y, Z) uint8."""
        files = raw_cases.found_in(self.raw, self.catalogue.entry(name))
        case = raw_cases.read(files, self.card.cohort)
        assert case.classes is not None  # split.json holds labelled cases only
        return case, case.classes
