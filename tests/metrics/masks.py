"""Masks for the tests of distances: shapes that a mistake at a border or a corner would show."""

from itertools import combinations

import numpy as np

SHAPE = (9, 8, 7)
CUBIC_MM = (1.0, 1.0, 1.0)
SPACING_MM = (0.7, 1.0, 2.5)


def block(*spans):
    """A mask of one block, by its span along each axis."""
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def awkward_masks():
    rng = np.random.default_rng(11)
    return {
        "one voxel": block((4, 5), (3, 4), (2, 3)),
        "full": np.ones(SHAPE, bool),
        "face": block((0, 1), (0, 8), (0, 7)),
        "corner": block((6, 9), (5, 8), (4, 7)),
        "apart": block((0, 1), (0, 1), (0, 1)) | block((7, 9), (6, 8), (5, 7)),
        "hollow": block((1, 8), (1, 7), (1, 6)) & ~block((3, 6), (3, 5), (3, 4)),
        "specks": rng.random(SHAPE) < 0.03,
        "noise": rng.random(SHAPE) < 0.6,
    }


MASKS = awkward_masks()
for mask in MASKS.values():
    mask.flags.writeable = False
PAIRS = list(combinations(MASKS, 2))
EMPTY = np.zeros(SHAPE, bool)
VOXEL = block((1, 2), (1, 2), (1, 2))
