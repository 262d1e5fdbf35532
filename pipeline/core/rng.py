"""Random numbers that depend on what is drawn, not on when or where."""

import hashlib
from operator import index

import numpy as np


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """A generator of its own for one draw.

    The keys say what is drawn: case, purpose, copy, epoch, step ... Equal seed and keys give an
    equal stream whatever the order of draws or the number of workers; another key, another stream.
    """
    # NumPy's integers are written otherwise
    plain = tuple(key if isinstance(key, str) else index(key) for key in (seed, *keys))
    digest = hashlib.sha256(repr(plain).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
