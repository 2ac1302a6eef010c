"""Harmonization without learning: histogram matching, and the landmarks of Nyul et al. 2000.

Both are rivals in the benchmark. The landmarks are also what the curve head starts from: they undo every rising change
of contrast, whatever it was, but take differences of anatomy for differences of contrast.
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
    return rising(np.quantile(values, at), LEAST_GAP)


def rising(values: np.ndarray, gap: float) -> np.ndarray:
    """(K,) values, raised where one does not lie `gap` above the one before."""
    steps = gap * np.arange(len(values))
    return np.maximum.accumulate(values - steps) + steps


def match_landmarks(image: np.ndarray, brain: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Image whose landmarks `NYUL` are `standard` (11,), linear in between and beyond; 0 outside the brain."""
    out = np.zeros(image.shape, np.float32)
    out[brain] = np.maximum(move_landmarks(image[brain], standard, NYUL), 0)
    return out


def move_landmarks(values: np.ndarray, standard: np.ndarray, at: Sequence[float] = LANDMARKS) -> np.ndarray:
    """(n,) float32 values whose landmarks at the quantiles `at` are moved to `standard` (K,)."""
    own = landmarks_of(values, at)
    rows = (torch.from_numpy(np.asarray(one, np.float32))[None] for one in (values, own, standard))
    return follow_landmarks(*rows)[0].numpy()


def follow_landmarks(x: Tensor, own: Tensor, standard: Tensor) -> Tensor:
    """(B, N) intensities -> the same with landmarks `own` (B or 1, K) moved to `standard` (1, K), linear in between and
    beyond. Differentiable in x."""
    own = own.expand(len(x), -1).contiguous()
    slopes = standard.diff(dim=1) / own.diff(dim=1)
    index = (torch.searchsorted(own, x.detach().contiguous()) - 1).clamp(0, own.shape[1] - 2)
    start = own.gather(1, index)
    return standard.expand(len(x), -1).gather(1, index) + slopes.gather(1, index) * (x - start)
