"""Correction of the bias field of MR coils."""

import numpy as np
import SimpleITK as sitk

ITERATIONS = (50, 50, 30)


def correct_bias(voxels: np.ndarray, mask: np.ndarray, shrink: int = 4) -> np.ndarray:
    """Divide out the bias field; (X, Y, Z) float32.

    Parameters
    ----------
    voxels : (X, Y, Z) array
        One modality; negative voxels, as of spline interpolation, count as 0.
    mask : (X, Y, Z) bool array
        Where the field is estimated; it is divided out everywhere.
    shrink : int
        Subsampling factor of the estimate along each axis.

    Notes
    -----
    N4 of Tustison et al., "N4ITK: improved N3 bias correction", IEEE TMI 29 (2010), on one thread.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.clip(voxels, 0, None).T, np.float32))
    inside = sitk.GetImageFromArray(np.ascontiguousarray((mask & (voxels > 0)).T, np.uint8))
    steps = [min(shrink, length) for length in voxels.shape]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.SetMaximumNumberOfIterations(ITERATIONS)
    n4.Execute(sitk.Shrink(image, steps), sitk.Shrink(inside, steps))
    field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T
    return (np.clip(voxels, 0, None) / np.exp(field)).astype(np.float32)
