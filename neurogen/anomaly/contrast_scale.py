"""How slices of one contrast are brought to the numbers a detector's network was trained on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from neurogen.preprocess.intensity import median_scale


@dataclass(frozen=True)
class ContrastScale:
    """standardized = (clip(image, low, high) - mean) / deviation inside the brain, `background` outside.

    image is the prepared scan (98th percentile = 1) or, with `scale` "median-iqr", the slice relative to its own
    median and interquartile range.
    """

    index: int  # row of the network's contrast embedding
    scale: str  # "p98" | "median-iqr"
    low: float
    high: float
    mean: float
    deviation: float
    background: float  # in standardized units
    benchmark_only: bool = False

    @classmethod
    def from_manifest(cls, contrasts: Mapping[str, Mapping], name: str) -> "ContrastScale":
        return cls(**contrasts[name])

    def to_manifest(self) -> dict:
        return asdict(self)

    def standardize(self, slices: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """(N, H, W) prepared slices -> float32 network input."""
        if self.scale == "median-iqr":
            slices = np.stack([_relative(s, b) for s, b in zip(slices, brain, strict=True)])
        inside = (np.clip(slices, self.low, self.high) - self.mean) / self.deviation
        return np.where(brain, inside, self.background).astype(np.float32)

    @property
    def top(self) -> float:
        """The largest standardized value."""
        return (self.high - self.mean) / self.deviation

    def to_unit(self, standardized):
        """Standardized values (array or tensor) to [0, 1], the background at 0: what an autoencoder takes."""
        return (standardized - self.background) / (self.top - self.background)

    def from_unit(self, unit):
        """The inverse of `to_unit`."""
        return unit * (self.top - self.background) + self.background


T1W = ContrastScale(0, "p98", 0.0, 1.0, 0.65, 0.20, -3.25)
"""Adult T1w: brain mean and deviation after the 98th-percentile scale, rounded; the background is black (0)."""

FLAIR = ContrastScale(1, "median-iqr", -3.5, 5.0, 0.0, 1.0, -3.5, benchmark_only=True)
"""FLAIR slices relative to median and interquartile range: a large bright lesion hardly moves either."""


def _relative(slice_image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    if not brain.any():
        return np.zeros(slice_image.shape, np.float32)
    return median_scale(slice_image, brain).apply(slice_image.astype(np.float32))
