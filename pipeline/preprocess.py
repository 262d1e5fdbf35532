"""Stage 2: prepare every verified case for the network.

Reads raw/catalogue.json and the files it names. Writes per case shards/<case>.image.npy
(X, Y, Z, C) float16 or float32 (z-scored inside the brain, 0 outside, canonical axes),
shards/<case>.classes.npy (X, Y, Z) uint8 (class indices), shards/<case>.grid.json (the way back).
"""

from functools import partial
from pathlib import Path
from typing import Annotated

from .core.catalogue import CaseEntry, Catalogue
from .core.records import read_json
from .core.schema import Schema
from .formats import raw_cases
from .preparation import shards
from .preparation.params import PreprocessingConfig
from .preparation.preprocessing import prepare
from .runtime import costs, stage
from .runtime.parallel import over_cases


def preprocess(
    raw: Path, shards: Path, config: Annotated[PreprocessingConfig, stage.Key("preprocess")]
) -> None:
    """Prepare every case of the catalogue in `raw` into `shards`."""
    catalogue = read_json(raw / "catalogue.json", Catalogue)
    work = partial(_prepare, raw=raw, folder=shards, schema=catalogue.cohort, config=config)
    over_cases(work, catalogue.cases, "prepare")


def _prepare(
    entry: CaseEntry, raw: Path, folder: Path, schema: Schema, config: PreprocessingConfig
) -> None:
    prepared = prepare(raw_cases.read(raw_cases.found_in(raw, entry), schema), config)
    shards.write_prepared(folder, entry.case, prepared)


if __name__ == "__main__":
    stage.main(preprocess, recorded=costs.recorded)
