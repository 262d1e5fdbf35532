"""Changes of the intensities of one modality inside the brain."""

import numpy as np


def brain_mask(image: np.ndarray) -> np.ndarray:
    """Voxels that are not exactly 0 in every modality; (..., C) to (...) bool."""
    mask = image[..., 0] != 0
    for modality in range(1, image.shape[-1]):  # several times as fast as `any` along a short axis
        mask |= image[..., modality] != 0
    return mask


def gamma(values: np.ndarray, exponent: float) -> np.ndarray:
    """Power law between the smallest and the largest value, mean and standard deviation kept.

    As the gamma transform of nnU-Net with kept statistics (Isensee et al., Nature Methods 2021,
    supplement 4).

    Parameters
    ----------
    values : (N,) float32 array
        Intensities of the brain's voxels.
    exponent : float
        Above 0; 1 changes nothing.

    Returns
    -------
    (N,) float32 array
        In the same order of size; unchanged where all values are equal.
    """
    low, high = values.min(), values.max()
    if not high > low:
        return values
    bent = ((values - low) / (high - low)) ** np.float32(exponent)
    return (bent - bent.mean()) * (values.std() / bent.std()) + values.mean()


def contrast(values: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the distances of the values from their mean; (N,) float32 to (N,) float32."""
    mean = values.mean()
    return (values - mean) * np.float32(factor) + mean


def brightness(values: np.ndarray, shift: float) -> np.ndarray:
    """Add a number to all values; (N,) float32 to (N,) float32."""
    return values + np.float32(shift)


def noise(values: np.ndarray, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Add independent Gaussian noise of standard deviation `sd`; (N,) float32 to (N,) float32."""
    return values + rng.standard_normal(values.shape, dtype=np.float32) * np.float32(sd)


def bias(values: np.ndarray, log_field: np.ndarray) -> np.ndarray:
    """Multiply by a smooth coil sensitivity.

    Parameters
    ----------
    values : (N,) float32 array
        Intensities after a z-score: the darkest one stands for no signal, which no coil changes.
    log_field : (N,) float32 array
        Natural logarithm of the sensitivity at the same voxels.

    Returns
    -------
    (N,) float32 array
    """
    low = values.min()
    return (values - low) * np.exp(log_field) + low
