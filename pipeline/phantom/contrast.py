"""Magnetic resonance images of tissue fractions: contrast, bias field, partial volume, noise."""

import numpy as np
from scipy import ndimage

from .random_fields import normal_field

MODALITIES = ("t1n", "t1c", "t2w", "t2f")

SIGNAL = {
    #                 t1n   t1c   t2w   t2f   spread
    "gray": ((0.79, 0.83, 1.00, 1.01), 0.02),
    "white": ((1.00, 1.00, 0.77, 0.86), 0.02),
    "csf": ((0.38, 0.42, 2.00, 0.36), 0.06),
    "inflow": ((0.40, 0.44, 1.70, 1.35), 0.08),
    "vessel": ((0.80, 1.46, 0.75, 0.80), 0.06),
    "leukoaraiosis": ((0.88, 0.92, 1.25, 1.32), 0.05),
    "edema": ((0.82, 0.86, 1.40, 1.24), 0.02),
    "necrosis": ((0.60, 0.62, 1.80, 0.85), 0.10),
    "solid": ((0.66, 0.70, 1.70, 1.12), 0.04),
    "enhancing": ((0.84, 1.35, 1.35, 1.18), 0.04),
}
"""Mean signal of each tissue against white matter (T1) or gray matter (T2), and its relative spread
over cases.

The order is that of the medians of BraTS 2021 cases, with edema nearer to gray matter than in most
of them, so that brightness alone does not identify it. "solid" is a core that does not enhance,
"leukoaraiosis" the bright white matter of healthy aging, "inflow" moving fluid that FLAIR does not
suppress.
"""
TEXTURE_SD = {
    "edema": 0.07,
    "necrosis": 0.14,
    "solid": 0.09,
    "enhancing": 0.12,
    "vessel": 0.2,
    "inflow": 0.15,
}
SHADING = ((55.0, 0.13), (28.0, 0.04))
"""Scale in mm and log standard deviation of the bias field of the coil, and of regional differences
of tissue.
"""

NOISE_SD = (0.02, 0.04)
GAIN = (180.0, 1400.0)
SLICE_BLUR_VOXELS = {"t2w": 0.8, "t2f": 0.8}


def acquire(
    rng: np.random.Generator, fractions: dict[str, np.ndarray], brain: np.ndarray
) -> dict[str, np.ndarray]:
    """Draw a scanner and image the tissue with it.

    Parameters
    ----------
    fractions : dict of str to (N,) float32 array
        Tissue of each brain voxel, in C order, by the names of `SIGNAL`; the sum is 1.
    brain : (X, Y, Z) bool array
        The N brain voxels.

    Returns
    -------
    dict of str to (X, Y, Z) int16 array
        By modality: 0 outside the brain, at least 1 inside.
    """
    textures = [normal_field(rng, brain.shape, scale)[brain] for scale in (5.0, 8.0)]
    spread = {
        tissue: np.exp(rng.normal(0, sd, len(MODALITIES))) for tissue, (_, sd) in SIGNAL.items()
    }
    images = {}
    for index, modality in enumerate(MODALITIES):
        angle = rng.uniform(0, 2 * np.pi)
        texture = np.float32(np.cos(angle)) * textures[0] + np.float32(np.sin(angle)) * textures[1]
        signal = np.zeros(int(brain.sum()), np.float32)
        for tissue, fraction in fractions.items():
            level = np.float32(SIGNAL[tissue][0][index] * spread[tissue][index])
            uneven = 1 + np.float32(TEXTURE_SD[tissue]) * texture if tissue in TEXTURE_SD else 1
            signal += level * fraction * uneven
        fields = [np.float32(sd) * normal_field(rng, brain.shape, scale) for scale, sd in SHADING]
        signal *= np.exp(np.asarray(sum(fields))[brain])
        images[modality] = _record(rng, signal, brain, SLICE_BLUR_VOXELS.get(modality, 0.0))
    return images


def _record(
    rng: np.random.Generator, signal: np.ndarray, brain: np.ndarray, blur_voxels: float
) -> np.ndarray:
    """Magnitude of the signal in complex noise (Gudbjartsson and Patz 1995), blurred by thick
    slices, as integers.
    """
    sd = np.float32(rng.uniform(*NOISE_SD))
    noise = rng.standard_normal((2, signal.size), dtype=np.float32) * sd
    volume = np.zeros(brain.shape, np.float32)
    volume[brain] = np.hypot(signal + noise[0], noise[1])
    if blur_voxels:
        volume = ndimage.gaussian_filter1d(volume, blur_voxels, axis=2)
    gain = np.float32(np.exp(rng.uniform(*np.log(GAIN))))
    image = np.zeros(brain.shape, np.int16)
    image[brain] = np.maximum(np.rint(gain * volume[brain]), 1)
    return image
