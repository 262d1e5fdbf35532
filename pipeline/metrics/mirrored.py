"""Whether a prediction fits its reference only in a mirror: a tool wrote voxels in another
direction than its header says.
"""

from itertools import combinations

import numpy as np

from .overlap import overlap

_FITS = 0.5
_FLIPS = [axes for count in (1, 2, 3) for axes in combinations(range(3), count)]


def looks_mirrored(reference: np.ndarray, prediction: np.ndarray) -> str:
    """Along which axes a prediction must be flipped to fit far better; nothing where it fits as it
    is, or in no direction.

    Parameters
    ----------
    reference, prediction : (X, Y, Z) bool array
        One region of both, on the same grid.

    Returns
    -------
    str
        Such as ``along X and Y: Dice 0.91 instead of 0.02``; empty where no flip doubles the Dice
        and reaches 0.5.
    """
    own = overlap(reference, prediction).dice
    if not own < _FITS:  # NaN: both are empty
        return ""
    dices = {axes: overlap(reference, np.flip(prediction, axes)).dice for axes in _FLIPS}
    best = max(dices, key=dices.get)
    if dices[best] < max(_FITS, 2 * own):
        return ""
    return (
        f"along {' and '.join('XYZ'[axis] for axis in best)}: Dice {dices[best]:.2f} instead of"
        f" {own:.2f}"
    )
