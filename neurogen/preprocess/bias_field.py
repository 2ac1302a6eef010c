"""N4 bias field correction (Tustison et al. 2010, doi:10.1109/TMI.2010.2046908) through SimpleITK."""

from dataclasses import dataclass

import numpy as np

from neurogen.preprocess.itk_threads import one_itk_thread, stoppable
from neurogen.volumes import Volume


@dataclass(frozen=True)
class BiasFieldSettings:
    working_spacing_mm: float = 4.0  # the field is smooth: estimated coarsely, applied finely
    iterations: tuple[int, ...] = (40, 30, 20)  # a fitting level each
    convergence: float = 1e-3


def correct_bias_field(volume: Volume, brain: np.ndarray, settings: BiasFieldSettings = BiasFieldSettings()) -> Volume:
    """`volume` divided by the smooth multiplicative field that sharpens its histogram within `brain`.

    volume : non-negative intensities; brain : bool, same grid. The mean over the brain is kept.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.transpose(2, 1, 0), np.float32))
    mask = sitk.GetImageFromArray(np.ascontiguousarray(brain.transpose(2, 1, 0), np.uint8))
    image.SetSpacing([float(s) for s in volume.spacing_mm])
    mask.SetSpacing(image.GetSpacing())
    factor = [
        max(1, min(int(round(settings.working_spacing_mm / s)), n // 8))
        for s, n in zip(volume.spacing_mm, volume.shape)
    ]
    with one_itk_thread():
        corrector = sitk.N4BiasFieldCorrectionImageFilter()
        corrector.SetMaximumNumberOfIterations(list(settings.iterations))
        corrector.SetConvergenceThreshold(settings.convergence)
        with stoppable(corrector):
            corrector.Execute(sitk.Shrink(image, factor), sitk.Shrink(mask, factor))
    log_field = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image)).transpose(2, 1, 0)
    corrected = volume.array / np.exp(log_field - log_field[brain].mean())
    corrected *= volume.array[brain].mean() / max(corrected[brain].mean(), 1e-12)
    return Volume(corrected.astype(np.float32), volume.affine, volume.facts)
