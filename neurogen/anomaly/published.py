"""The anomaly map of eq. 5.10 as the published evaluation computes it: the baseline that the score is judged by.

F. Beizaee, "Advancing brain MRI assessment using generative models", PhD thesis, 2025, chapter 5, eq. 5.10. Clipping
and smoothing are those of the published evaluation (`anomaly_map.published_map`). The map has no sign and knows no
healthy statistics. As the equation says, the input is what is compared, not the autoencoder's copy of it.
"""

import numpy as np
from scipy.ndimage import zoom

from neurogen.anomaly.anomaly_map import published_map
from neurogen.anomaly.codec import PixelCodec
from neurogen.anomaly.detector import Detector, ScoreSettings, to_slabs
from neurogen.preprocess.grid import from_slices

PICTURE_RANGE = 2.0  # published implementation: pictures lie in [-1, 1]


def published_slices(
    detector: Detector,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    contrast: str,
    settings: ScoreSettings = ScoreSettings(),
    slabs: np.ndarray | None = None,
) -> np.ndarray:
    """Map (N, 192, 160) in [0, 1] of prepared slices. slabs: (N,) their levels; None where there is one level only.

    The latent term takes the differences of an autoencoder's standardized latents as they are; in pixel space the code
    is the picture itself, and its differences are in units of the picture.
    """
    scale = detector.contrasts[contrast]
    standardized = scale.standardize(slices, brain)
    correction = detector.correct_slices(standardized, contrast, settings, slabs=slabs)
    to_picture = PICTURE_RANGE / (scale.top - scale.background)
    code_unit = to_picture if isinstance(detector.codec, PixelCodec) else 1.0
    difference = (standardized - correction.restored) * brain * to_picture
    return published_map(difference, correction.code_change * code_unit, correction.factor)


def published_volume(
    detector: Detector,
    image: np.ndarray,
    brain: np.ndarray,
    *,
    contrast: str = "t1w",
    settings: ScoreSettings = ScoreSettings(),
) -> np.ndarray:
    """Map (160, 192, 160) of a prepared scan, interpolated between its slabs of 2 mm; 0 outside the brain."""
    slabs, inside = to_slabs(image, brain)
    maps = np.zeros(slabs.shape, np.float32)
    filled = np.flatnonzero(inside.any((1, 2)))
    maps[filled] = published_slices(
        detector, slabs[filled], inside[filled], contrast=contrast, settings=settings, slabs=filled
    )
    return from_slices(zoom(maps, (2, 1, 1), order=1, grid_mode=True, mode="nearest")) * brain
