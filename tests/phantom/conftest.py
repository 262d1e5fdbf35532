import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pipeline.phantom.anatomy import Anatomy


@pytest.fixture(scope="session")
def ball_brain() -> Anatomy:
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
