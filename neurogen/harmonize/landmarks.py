"""Harmonization without learning, for comparison: histogram matching, and the landmarks of Nyul et al. 2000."""

import numpy as np

LANDMARKS = (0.01, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.99)
MATCH_LEVELS, MATCH_POINTS = 1024, 64


def match_histogram(image: np.ndarray, brain: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Image whose brain has the intensity distribution of `reference` (n,), by SimpleITK; 0 outside the brain."""
    import SimpleITK as sitk

    def as_row(values: np.ndarray) -> "sitk.Image":
        return sitk.GetImageFromArray(np.ascontiguousarray(values, np.float32)[None])

    matched = sitk.HistogramMatching(
        as_row(image[brain]), as_row(reference), MATCH_LEVELS, MATCH_POINTS, thresholdAtMeanIntensity=False
    )
    out = np.zeros(image.shape, np.float32)
    out[brain] = sitk.GetArrayFromImage(matched)[0]
    return out


def match_landmarks(image: np.ndarray, brain: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Image whose percentiles `LANDMARKS` are `standard` (11,), linear in between and beyond (Nyul et al. 2000)."""
    own = np.quantile(image[brain], LANDMARKS)
    own = np.maximum.accumulate(own + 1e-7 * np.arange(len(own)))
    x = image[brain]
    mapped = np.interp(x, own, standard)
    for beyond, (a, b) in ((x < own[0], (0, 1)), (x > own[-1], (-2, -1))):
        slope = (standard[b] - standard[a]) / max(own[b] - own[a], 1e-6)
        mapped[beyond] = standard[a if a == 0 else b] + slope * (x[beyond] - own[a if a == 0 else b])
    out = np.zeros(image.shape, np.float32)
    out[brain] = np.maximum(mapped, 0)
    return out
