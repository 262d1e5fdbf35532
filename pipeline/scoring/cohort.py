"""What it takes to segment and score a case of a cohort by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.case import Case
from ..core.catalogue import Catalogue
from ..core.schema import Schema
from ..formats import raw_cases
from ..metrics.metric import Metric
from ..network import ensemble
from ..network.backend import keras
from ..network.card import Card
from ..network.kept import KeptPredictions
from ..network.prediction import Prediction
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
    network : callable
        Loads the network; called where a case has to be predicted.
    card : Card
    settings : Settings
        How cases are predicted.
    own : list of Metric
        Metrics of the user.
    kept : KeptPredictions
    """

    catalogue: Catalogue
    raw: Path
    shards: Path
    network: Callable[[], keras.Model]
    card: Card
    settings: Settings
    own: list[Metric]
    kept: KeptPredictions

    @property
    def schema(self) -> Schema:
        """That of the catalogue, which names the rules for lesions."""
        return self.catalogue.cohort

    def predict(
        self,
        image: np.ndarray,
        describe: str,
        geometry: Geometry,
        compare: bool = False,
        member: int | None = None,
    ) -> Prediction:
        """Predict a prepared image, see `predictor.predict`, with one `member` or all; or take the
        kept prediction.
        """

        def network() -> keras.Model:
            whole = self.network()
            return whole if member is None else ensemble.members_of(whole)[member]

        return self.kept.predict(
            network, self.card, self.settings, image, describe, geometry, compare, member
        )

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
