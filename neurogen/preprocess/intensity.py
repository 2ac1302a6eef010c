"""Intensity scales that models are trained on, by the name that a manifest gives them."""

from dataclasses import dataclass

import numpy as np

SCALE_PERCENTILE = 98.0


@dataclass(frozen=True)
class IntensityScale:
    """scaled = (raw - offset) / unit inside the brain; the background is 0 in both."""

    offset: float
    unit: float

    def apply(self, raw: np.ndarray) -> np.ndarray:
        return (raw - self.offset) / self.unit

    def invert(self, scaled: np.ndarray) -> np.ndarray:
        return scaled * self.unit + self.offset


def percentile_scale(raw: np.ndarray, brain: np.ndarray) -> IntensityScale:
    """The 98th percentile of the brain becomes 1 (the REFLECT and MAD-AD preparation)."""
    return IntensityScale(0.0, float(max(np.percentile(raw[brain], SCALE_PERCENTILE), 1e-6)))


def median_scale(raw: np.ndarray, brain: np.ndarray) -> IntensityScale:
    """The brain's median becomes 0 and its interquartile range 1: robust where a lesion fills a tenth of a slice."""
    low, middle, high = np.percentile(raw[brain], [25, 50, 75])
    return IntensityScale(float(middle), float(high - low + 1e-6))
