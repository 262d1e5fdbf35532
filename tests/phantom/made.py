"""Anatomies and phantoms that tests of several rooms use; each is made once."""

import functools

import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.cohorts.phantom import load_anatomy
from pipeline.core.rng import generator
from pipeline.phantom.anatomy import Anatomy
from pipeline.phantom.growth import Tumour
from pipeline.phantom.phantoms import Phantom, phantom


def _ball() -> Anatomy:
    """A ball of 86 mm: fluid around gray around white matter, a ventricle in the middle."""
    place = np.indices((96, 96, 96)) - 47.5
    radius = np.sqrt((place**2).sum(axis=0))
    ventricles = place[0] ** 2 + (place[1] / 2) ** 2 + place[2] ** 2 < 36
    brain = radius < 43
    shells = [
        (radius >= 34) & (radius < 40),
        (radius < 34) & ~ventricles,
        (radius >= 40) & brain | ventricles,
    ]
    gray, white, csf = (gaussian_filter(shell.astype(np.float32), 0.7) * brain for shell in shells)
    total = np.where(brain, gray + white + csf, 1)
    return Anatomy(gray / total, white / total, csf / total, ventricles.astype(np.float32))


BALL = _ball()


@functools.cache
def phantoms() -> tuple[Phantom, Phantom]:
    """Two cases with a core of 20 and edema of 40 cm3; the second has no enhancing rim."""
    return make("first", enhancing=True), make("second", enhancing=False)


def make(name: str, enhancing: bool) -> Phantom:
    tumour = Tumour(enhancing, cores_cm3=(20.0,), edema_cm3=40.0, rim_mm=4.0)
    return phantom(generator(1, name), load_anatomy(), tumour)
