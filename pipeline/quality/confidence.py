"""What the probabilities of a network say about the Dice of its labels."""

import numpy as np

from ..core.regions import region_probabilities
from ..core.schema import Schema


def estimated_dice(
    probabilities: np.ndarray, schema: Schema, output: str
) -> dict[str, float | None]:
    """The Dice to expect of each region where it is more probable than not, if the probabilities
    are right.

    With m the mask of voxels above 0.5 and p the probabilities, 2 sum(p m) / (sum(p) + sum(m)): Li
    et al., "Estimating Model Performance under Domain Shifts with Class-Specific Confidence
    Scores", MICCAI 2022. A number to compare with that of other cases, not to believe: networks are
    too sure of themselves. Thresholds and temperature have no part in it.

    Parameters
    ----------
    probabilities : (X, Y, Z, O) float32 array
        Of the outputs, on the prepared grid.
    schema : Schema
    output : {"regions", "labels"}

    Returns
    -------
    dict of str to float or None
        In [0, 1]; None where no voxel is above 0.5.
    """
    found = region_probabilities(probabilities, schema, output)
    return {region: _estimated(found[..., column]) for column, region in enumerate(schema.regions)}


def _estimated(probabilities: np.ndarray) -> float | None:
    inside = probabilities[probabilities > 0.5]
    if not inside.size:
        return None
    total = float(probabilities.sum(dtype=np.float64)) + inside.size
    return 2 * float(inside.sum(dtype=np.float64)) / total
