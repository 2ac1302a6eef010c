"""The two plain references every detector is compared with. They know nothing of lesions, and little of brains.

reference-intensity   x = (image - median) / IQR over its own brain, then a 5-pixel median filter
reference-zscore      (x - mean) / (sd + 0.2) per pixel over healthy images, then a Gaussian of 2 pixels

Slices are scored one by one: bright is anomalous (FLAIR). Volumes on the working grid are scored whole, the median in
axial planes, the Gaussian in three dimensions, and by magnitude: bright and dark are both anomalous (T1w).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter

SD_FLOOR = 0.2
MEDIAN_WIDTH = 5
GAUSSIAN_SIGMA = 2.0


def normalized(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(image - median) / (interquartile range), both over the brain; 0 outside. float32 of any shape."""
    low, middle, high = np.percentile(image[brain], [25, 50, 75])
    return np.where(brain, (image - middle) / (high - low + 1e-6), 0).astype(np.float32)


@dataclass(frozen=True)
class HealthyStatistics:
    """Mean and standard deviation of the normalized healthy images, per pixel or voxel."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, images: Iterable[np.ndarray], brains: Iterable[np.ndarray]) -> "HealthyStatistics":
        return cls.of_pairs(zip(images, brains, strict=True))

    @classmethod
    def of_pairs(cls, healthy: Iterable[tuple[np.ndarray, np.ndarray]]) -> "HealthyStatistics":
        """From pairs (image, brain), in one pass (Welford, Technometrics 1962): volumes need not be held together."""
        count, mean, squares = 0, 0.0, 0.0
        for count, (image, brain) in enumerate(healthy, start=1):
            x = normalized(image, brain).astype(np.float64)
            step = x - mean
            mean = mean + step / count
            squares = squares + step * (x - mean)
        if not count:
            raise ValueError("No healthy image was given, but a mean and a standard deviation are needed.")
        return cls(mean.astype(np.float32), np.sqrt(squares / count).astype(np.float32))

    def zscore(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        return (normalized(image, brain) - self.mean) / (self.deviation + SD_FLOOR)


@dataclass(frozen=True)
class ReferenceIntensity:
    """Score = intensity. `threshold` is used where a benchmark has no healthy images to calibrate with."""

    name: str = "reference-intensity"
    threshold: float | None = None

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """(N, H, W), (N, H, W) bool -> (N, H, W) float32, higher = brighter than its brain."""
        return np.stack([median_filter(normalized(i, b), MEDIAN_WIDTH) for i, b in zip(images, brain, strict=True)])

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """(I, J, K), (I, J, K) bool -> (I, J, K) float32, higher = further from the brain's median."""
        return np.abs(median_filter(normalized(image, brain), (MEDIAN_WIDTH, MEDIAN_WIDTH, 1)))


@dataclass(frozen=True)
class ReferenceZscore:
    """Score = standard deviations above what healthy images show at this place."""

    healthy: HealthyStatistics
    name: str = "reference-zscore"
    threshold: float | None = None

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """(N, H, W), (N, H, W) bool -> (N, H, W) float32; H, W are those of the healthy statistics."""
        scores = [self.healthy.zscore(i, b) for i, b in zip(images, brain, strict=True)]
        return np.stack([gaussian_filter(score, GAUSSIAN_SIGMA) for score in scores])

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """(I, J, K), (I, J, K) bool -> (I, J, K) float32, by magnitude."""
        return np.abs(gaussian_filter(self.healthy.zscore(image, brain), GAUSSIAN_SIGMA))
