"""Harmonization without learning: histogram matching, and the landmarks of Nyul et al. 2000.

Both are rivals in the benchmark. The landmarks are also what the curve head starts from: they undo every rising change
of contrast, whatever it was, but take differences of anatomy for differences of contrast; that is left to the network.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

NYUL = (0.01, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.99)
"""Of the method as published."""

LANDMARKS = tuple(np.linspace(0.01, 0.97, 41).round(3).tolist())
"""Of the curve head: so many that a straight line between two of them is as good as the curve; those of the method bend
what lies between. None above the 98th percentile, where a prepared scan has one value only."""

MATCH_LEVELS, MATCH_POINTS = 1024, 64
LEAST_GAP = 0.001
"""Between two landmarks, share of the range."""


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


def landmarks_of(values: np.ndarray, at: Sequence[float] = LANDMARKS) -> np.ndarray:
    """(K,) intensities at the quantiles `at`, rising by at least LEAST_GAP."""
    found = np.quantile(values, at)
    steps = LEAST_GAP * np.arange(len(found))
    return np.maximum.accumulate(found - steps) + steps


def match_landmarks(image: np.ndarray, brain: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Image whose landmarks `NYUL` are `standard` (11,), linear in between and beyond; 0 outside the brain."""
    out = np.zeros(image.shape, np.float32)
    values = torch.from_numpy(image[brain].astype(np.float32))[None]
    own = torch.from_numpy(landmarks_of(image[brain], NYUL).astype(np.float32))[None]
    mapped = follow_landmarks(values, own, torch.from_numpy(standard.astype(np.float32))[None])
    out[brain] = mapped[0].clamp(min=0).numpy()
    return out


def follow_landmarks(x: Tensor, own: Tensor, standard: Tensor) -> Tensor:
    """(B, N) intensities -> the same with landmarks `own` (B or 1, K) moved to `standard` (1, K), linear in between and
    beyond. Differentiable in x."""
    own = own.expand(len(x), -1).contiguous()
    slopes = standard.diff(dim=1) / own.diff(dim=1)
    index = (torch.searchsorted(own, x.detach().contiguous()) - 1).clamp(0, own.shape[1] - 2)
    start = own.gather(1, index)
    return standard.expand(len(x), -1).gather(1, index) + slopes.gather(1, index) * (x - start)
