"""Columns that slices and volumes share, as statistics over images.

auroc_image, auprc_image   is an image abnormal? Its score is the highest in its brain, as published for DeCo-Diff;
                           areas under the ROC and the precision-recall curve, with lesions against without
aupro                      mean share of each lesion that is marked, against the share of false positives from 0 to 0.3,
                           area over 0.3 (thesis section 4.5.1); every lesion counts the same, however large
f1_small, medium, large    2 TP / (2 TP + FP + FN) of whole lesions, a marked component without any lesion in it being
                           false, of its own size class
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.evaluation import metrics
from neurogen.evaluation.bootstrap import BinnedPrecision, Ratio, Statistic

FALSE_SHARE = 0.3
CURVE = np.concatenate([[0.0], np.geomspace(1e-4, 0.4, 150)])  # false-positive shares at which the curve is drawn


@dataclass(frozen=True, eq=False)
class BinnedRoc:
    """Area under the ROC curve from per-image counts (N, B) in bins of falling score; within a bin half counts."""

    positives: np.ndarray
    negatives: np.ndarray

    @property
    def value(self) -> float:
        return float(self.resampled(np.ones((1, len(self.positives)), np.float32))[0])

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        positives, negatives = weights @ self.positives, weights @ self.negatives
        total = positives.sum(1) * negatives.sum(1)
        below = negatives.sum(1, keepdims=True) - negatives.cumsum(1) + 0.5 * negatives
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(total > 0, (positives * below).sum(1) / total, np.nan)


@dataclass(frozen=True, eq=False)
class RegionOverlap:
    """The area of `aupro`. (N, T) at T falling thresholds: overlap, the sum over an image's lesions of the share
    that is above; false, its healthy voxels above. (N,): lesions and healthy voxels of each image."""

    overlap: np.ndarray
    lesions: np.ndarray
    false: np.ndarray
    healthy: np.ndarray

    @property
    def value(self) -> float:
        return float(self.resampled(np.ones((1, len(self.lesions))))[0])

    def resampled(self, weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (weights @ self.overlap) / (weights @ self.lesions)[:, None]
            false = (weights @ self.false) / (weights @ self.healthy)[:, None]
            inside = np.minimum(false, FALSE_SHARE)
            steps, whole = np.diff(inside), np.diff(false)
            reached = share[:, :-1] + np.diff(share) * np.where(whole > 0, steps / whole, 1.0)
        return (0.5 * (share[:, :-1] + reached) * steps).sum(1) / FALSE_SHARE


def image_columns(abnormal: Sequence[float], healthy: Sequence[float]) -> dict[str, Statistic]:
    """From the image scores of both kinds; their images in this order."""
    scores = np.concatenate([abnormal, healthy])
    _, place = np.unique(-scores, return_inverse=True)
    ill = np.arange(len(scores)) < len(abnormal)
    positives, negatives = (np.zeros((len(scores), place.max() + 1), np.float32) for _ in range(2))
    positives[np.flatnonzero(ill), place[ill]] = 1
    negatives[np.flatnonzero(~ill), place[~ill]] = 1
    exact = metrics.average_precision(scores, ill)
    return {
        "auroc_image": BinnedRoc(positives, negatives),
        "auprc_image": BinnedPrecision(positives, negatives, exact),
    }


def region_overlap(lesions: Sequence[Sequence[np.ndarray]], healthy: Sequence[np.ndarray]) -> RegionOverlap:
    """lesions : of each image, the scores of every lesion; healthy : of each image, the scores outside lesions."""
    thresholds = np.append(
        np.quantile(np.concatenate(healthy), 1 - CURVE), -np.inf
    )  # the curve ends where all is marked
    above = [[metrics.share_above(scores, thresholds) for scores in regions] for regions in lesions]
    return RegionOverlap(
        np.stack([np.sum(shares, axis=0) if shares else np.zeros(len(thresholds)) for shares in above]),
        np.array([len(regions) for regions in lesions], float),
        np.stack([metrics.share_above(scores, thresholds) * len(scores) for scores in healthy]),
        np.array([len(scores) for scores in healthy], float),
    )


def size_f1(found: np.ndarray, lesions: np.ndarray, false: np.ndarray) -> dict[str, Statistic]:
    """Per image and size class (N, 3): lesions found, lesions there, and false components."""
    twice = 2 * found
    return {
        f"f1_{size}": Ratio(twice[:, k], (twice + (lesions - found) + false)[:, k])
        for k, size in enumerate(metrics.SIZES)
    }


def false_components(marked: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """(C,) sizes in voxels of the marked components that touch no lesion."""
    labels, sizes = metrics.components(marked)
    touching = np.bincount(labels[lesion], minlength=len(sizes) + 1)[1:]
    return sizes[touching == 0]


def class_counts(sizes: np.ndarray, unit: str, weights: np.ndarray | None = None) -> np.ndarray:
    """(3,) how many sizes are small, medium and large."""
    return np.bincount(metrics.size_classes(sizes, unit), weights=weights, minlength=3)
