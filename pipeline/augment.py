"""Stage 4: make recorded, replayable copies of the training shards.

Reads split.json, the catalogue (modality names) and shards/<case>.*.npy of train. Writes
augmented/<case>~<copy>.image.npy and .classes.npy, shapes and dtypes as the shard's, and
augmented/table.csv: one row per copy with every number that made it (`Draw`). The draws of a copy
depend on (seed, case, copy) alone. No copies: an empty table.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

from .augmentation.copies import Draw, Ranges, apply, draw
from .core.catalogue import Catalogue
from .core.folds import Split
from .core.params import Count
from .core.records import read_json, write_csv
from .core.rng import generator
from .core.strict import Strict
from .preparation import shards
from .runtime import costs, stage
from .runtime.parallel import over_cases


class Params(Strict):
    """The section `augment`.

    Attributes
    ----------
    copies : int
        Of every training case; 0 for none.
    ranges : Ranges
        What they are drawn from.
    """

    copies: Count
    ranges: Ranges


def augment(
    catalogue: Path,
    split: Path,
    shards: Path,
    augmented: Path,
    params: Annotated[Params, stage.Key("augment")],
    seed: Annotated[int, stage.Key("cohort.seed")],
) -> None:
    """Make copies of the training shards, drawn and recorded first, then applied."""
    modalities = read_json(catalogue, Catalogue).cohort.modalities
    parts = read_json(split, Split)
    parts.check(str(split))
    draws = {
        (case, copy): _draw(shards, case, copy, params.ranges, seed)
        for case in parts.train
        for copy in range(1, params.copies + 1)
    }
    rows = [
        {"name": f"{case}~{copy}", "case": case, "copy": copy} | drawn.row(modalities)
        for (case, copy), drawn in draws.items()
    ]
    write_csv(augmented / "table.csv", rows)
    over_cases(partial(_apply, folder=shards, augmented=augmented), draws.items(), "augment")


def _draw(folder: Path, case: str, copy: int, ranges: Ranges, seed: int) -> Draw:
    return draw(
        generator(seed, case, "augment", copy), ranges, shards.read(folder, case).image.shape
    )


def _apply(drawn: tuple[tuple[str, int], Draw], folder: Path, augmented: Path) -> None:
    (case, copy), parameters = drawn
    shard = shards.read(folder, case)
    spacing_mm = shards.read_geometry(folder, case).spacing_mm
    shards.write(
        augmented, f"{case}~{copy}", *apply(parameters, shard.image, shard.classes, spacing_mm)
    )


if __name__ == "__main__":
    stage.main(augment, recorded=costs.recorded)
