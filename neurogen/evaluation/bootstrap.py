"""95 % intervals over patients: every column of a benchmark is a statistic of per-image numbers and image weights.

A resample draws as many patients as there are, with replacement; an image weighs as often as its patient was drawn.
A statistic maps weights (R, N) of R resamples over N images to R values, so all resamples are one matrix product.
(Percentile bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.)
Thresholds stay as they were chosen on all images: the interval speaks of the patients, not of the calibration.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95


class Statistic(Protocol):
    """One column of a table. `resampled` maps weights (R, N) to values (R,); `value` is that of all images once."""

    @property
    def value(self) -> float: ...

    def resampled(self, weights: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Ratio:
    """sum w a / sum w b. A mean over images has b = 1; a recall has found lesions over lesions. NaN when empty."""

    numerator: np.ndarray  # (N,)
    denominator: np.ndarray  # (N,)

    @property
    def value(self) -> float:
        return float(self.resampled(np.ones((1, len(self.numerator))))[0])

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        return _divide(weights @ self.numerator, weights @ self.denominator)


@dataclass(frozen=True)
class BestOfCurve:
    """max over thresholds of sum w a / sum w b: an oracle, chosen anew in every resample."""

    numerator: np.ndarray  # (N, T)
    denominator: np.ndarray  # (N, T)

    @property
    def value(self) -> float:
        return float(self.resampled(np.ones((1, len(self.numerator))))[0])

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        return np.max(_divide(weights @ self.numerator, weights @ self.denominator), axis=1)


@dataclass(frozen=True)
class BinnedPrecision:
    """Average precision from per-image counts in bins of falling score; `value` is the exact one, without bins.

    AP = sum over bins of (positives in bin / all positives) * precision down to this bin.
    """

    positives: np.ndarray  # (N, B) true voxels, highest scores first
    negatives: np.ndarray  # (N, B)
    value: float

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        positives = weights @ self.positives
        true = positives.cumsum(axis=1)
        marked = true + (weights @ self.negatives).cumsum(axis=1)
        precision = true / np.maximum(marked, 1)
        return _divide((positives * precision).sum(axis=1), true[:, -1])


def mean_over_images(values: np.ndarray) -> Ratio:
    """The plain mean over images; images whose value is NaN take no part."""
    known = np.isfinite(values)
    return Ratio(np.where(known, values, 0.0), known.astype(float))


def precision_statistic(scores: list[np.ndarray], truths: list[np.ndarray], *, value: float) -> BinnedPrecision:
    """Bin the scores of every image at shared pooled quantiles, finer toward the top where precision is decided."""
    pooled = np.concatenate(scores)
    levels = 1 - np.concatenate([np.geomspace(1e-5, 0.02, 400), np.linspace(0.02, 1, 800)[1:-1]])
    edges = np.unique(np.quantile(pooled, levels))
    bins = len(edges) + 1

    def counts(values: np.ndarray) -> np.ndarray:
        return np.bincount(len(edges) - np.searchsorted(edges, values, side="right"), minlength=bins)

    positives = np.stack([counts(s[t]) for s, t in zip(scores, truths, strict=True)])
    negatives = np.stack([counts(s[~t]) for s, t in zip(scores, truths, strict=True)])
    return BinnedPrecision(positives.astype(np.float32), negatives.astype(np.float32), value)


def patient_weights(patients: np.ndarray, *, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(R, N) float32: how often each image's patient was drawn. patients: (N,) any ids; images of one stay together."""
    ids, index = np.unique(patients, return_inverse=True)
    drawn = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=resamples)
    return drawn[:, index].astype(np.float32)


def interval(statistic: Statistic, weights: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the statistic over resamples; resamples where it is undefined are left out."""
    values = statistic.resampled(weights)
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
