"""The operating point: where a score is cut by default, decided on healthy scans that trained nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.anomaly.lesions import component_volume_ml

TOLERATED_ML = 3.0
TOLERATED_SHARE = 19 / 20
MARGIN_LOSS = 1 / 50  # of the planted lesions
MINIMUM_ML = 0.1
SLICE_FALSE_POSITIVE_RATE = 0.01
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999)


@dataclass(frozen=True)
class OperatingPoint:
    """The score above which a voxel is marked, and what that means, in words."""

    threshold: float
    sentence: str


def volume_threshold(scores: Sequence[np.ndarray], voxel_ml: float, *, step: float = 0.05) -> float:
    """The lowest threshold at which 19 of 20 healthy scans show <= 3 ml of components of >= 0.1 ml.

    scores : signed score maps of healthy scans, 0 outside the brain. With 20 scans or fewer all must stay below.
    """
    last = len(scores) - 1
    if np.ceil(TOLERATED_SHARE * last) == last:  # the worst scan decides: most others need one look
        worst = 0
        for score in scores:
            worst = _scan_threshold(score, voxel_ml, step, worst)
        return worst * step
    return _held_by_most([_scan_threshold(score, voxel_ml, step) * step for score in scores])


def operating_threshold(scores: Sequence[np.ndarray], voxel_ml: float, *, step: float = 0.01) -> float:
    """`volume_threshold`, with the margin that few scans call for: 19 of 20 *new* healthy scans are to stay below.

    Of n scans the worst is exceeded by one new scan in n + 1. So the threshold is at least Student's prediction bound
    of what a further scan needs, m + t(0.95, n - 1) s sqrt(1 + 1 / n), m and s mean and standard deviation over the n.
    """
    from scipy.stats import t

    needed = np.array([_scan_threshold(score, voxel_ml, step) * step for score in scores])
    held = _held_by_most(needed)
    n = len(needed)
    if n < 2:
        return held
    return max(held, float(needed.mean() + t.ppf(TOLERATED_SHARE, n - 1) * needed.std(ddof=1) * np.sqrt(1 + 1 / n)))


def with_margin(threshold: float, found_up_to: np.ndarray) -> float:
    """The highest threshold, from `threshold` on, that still finds all but one in fifty of the lesions found there.

    A few healthy scans do not show what the next one needs; where lesions stand out, safety costs next to nothing.

    found_up_to : (L,) the threshold up to which each lesion that was planted in the healthy scans is found
    """
    found = np.sort(found_up_to[found_up_to > threshold])
    if not len(found):
        return threshold
    return max(threshold, float(np.floor(found[int(MARGIN_LOSS * len(found))] * 1000 - 1e-6) / 1000))


def _held_by_most(needed: Sequence[float]) -> float:
    """The lowest of the thresholds that scans need at which 19 of 20 of these scans have theirs."""
    return float(np.quantile(needed, TOLERATED_SHARE, method="higher"))


def _scan_threshold(score: np.ndarray, voxel_ml: float, step: float, at_least: int = 0) -> int:
    """The lowest number of steps, from `at_least` on, at which this scan stays below 3 ml; bisection, since volume
    falls with the threshold."""
    if at_least and component_volume_ml(score, at_least * step, voxel_ml, MINIMUM_ML) <= TOLERATED_ML:
        return at_least
    low, high = at_least, max(at_least, int(np.ceil(np.abs(score).max() / step)) + 1)
    while low < high:
        middle = (low + high) // 2
        if component_volume_ml(score, middle * step, voxel_ml, MINIMUM_ML) <= TOLERATED_ML:
            high = middle
        else:
            low = middle + 1
    return high


def slice_threshold(scores: np.ndarray, brain: np.ndarray) -> float:
    """The score that 1 % of the brain pixels of healthy slices exceed."""
    return float(np.quantile(scores[brain], 1 - SLICE_FALSE_POSITIVE_RATE))


def healthy_quantiles(scores: Sequence[np.ndarray], brains: Sequence[np.ndarray]) -> dict[str, float]:
    """Quantiles of |score| over the brains of healthy scans: what makes thresholds of different methods comparable."""
    pooled = np.concatenate([np.abs(score[brain]) for score, brain in zip(scores, brains, strict=True)])
    return {str(q): round(float(np.quantile(pooled, q)), 4) for q in QUANTILES}


def volume_sentence(threshold: float, scans: int) -> str:
    """The operating point of a volume in words."""
    return (
        f"Marked is what deviates by more than {threshold:.2f} standard deviations of healthy brains. "
        f"At this threshold at least 19 of 20 healthy scans are expected to show at most {TOLERATED_ML:g} ml of "
        f"findings of {MINIMUM_ML:g} ml or more, judging by {scans} that were kept for calibration."
    )
