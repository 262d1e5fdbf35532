"""Missing modalities: a network that has seen them survives a study without one."""

import numpy as np

from .transform import Sometimes


class ModalityDropout(Sometimes):
    """Probability that a modality is missing; one of them is always there.

    Intensities of a missing modality are 0 all over, the mean of the brain, as in Havaei et al.,
    "HeMIS: Hetero-Modal Image Segmentation", MICCAI 2016, and the networks after it.
    """

    def kept(self, rng: np.random.Generator, count: int, modalities: int) -> np.ndarray:
        """(count, modalities) bool: which modalities are there; takes as many random numbers
        whatever the probability is.
        """
        places = rng.random((count, modalities))
        return (places >= self.probability) | (places == places.max(axis=1, keepdims=True))
