"""What the benchmarks measure, on one image or volume at a time: pure functions over arrays.

Scores are floats, higher = more anomalous. A voxel is marked when its score is above the threshold (never equal) and
inside the brain. Components connect over faces, edges and corners (8 neighbours in a slice, 26 in a volume).
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

FOUND_SHARE = 0.1
"""A lesion counts as found when at least this share of it is marked."""

SMALL_AND_LARGE = {"ml": (1.0, 10.0), "mm2": (100.0, 1000.0)}
"""Lesions below the first size are small, above the second large; both limits themselves are medium."""

SIZES = ("small", "medium", "large")

MINIMUM_COMPONENT_ML = 0.1
"""Smaller false-positive components are not counted: a reader would not see them."""

ALLOWED_ML, HEALTHY_SHARE = 3.0, 0.95
"""The operating point: 19 of 20 healthy scans show at most 3 ml of components of at least 0.1 ml."""

RIM_MM = 8.0

CURVE_QUANTILES = np.linspace(0.5, 0.999, 60)
"""Quantiles of the pooled scores at which the oracle Dice curves are drawn."""


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the precision-recall curve, sum of (R_n - R_n-1) P_n, over all voxels pooled.

    Its value for random scores is the prevalence `truth.mean()`. NaN where there is no true voxel.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores)) if truth.any() else float("nan")


def dice(marked: np.ndarray, truth: np.ndarray) -> float:
    """2 |A n B| / (|A| + |B|) in [0, 1].

    Empty cases: no truth gives NaN, whatever is marked (a healthy scan is judged by its false-positive volume, never
    by a Dice); truth with nothing marked gives 0.
    """
    if not truth.any():
        return float("nan")
    return 2.0 * np.count_nonzero(marked & truth) / (np.count_nonzero(marked) + np.count_nonzero(truth))


def dice_from_counts(hits: np.ndarray, marked: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """`dice` from voxel counts (hits = marked and true); NaN where truth is 0. Arguments broadcast."""
    hits, marked, truth = np.broadcast_arrays(hits, marked, truth)
    with np.errstate(invalid="ignore"):
        return np.where(truth > 0, 2.0 * hits / (marked + truth), np.nan)


def curve_thresholds(pooled_scores: np.ndarray) -> np.ndarray:
    """60 thresholds, ascending: the 0.5-0.999 quantiles of the scores of all brain voxels pooled."""
    return np.quantile(pooled_scores, CURVE_QUANTILES)


def counts_above(scores: np.ndarray, truth: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hits and marked voxels of one image at each threshold, both (T,) int. scores, truth: (V,) brain voxels."""

    def above(values: np.ndarray) -> np.ndarray:
        return values.size - np.searchsorted(np.sort(values), thresholds, side="right")

    return above(scores[truth]), above(scores)


def share_above(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(T,) share of the scores (V,) above each threshold."""
    return 1 - np.searchsorted(np.sort(scores), thresholds, side="right") / max(scores.size, 1)


def rim(brain: np.ndarray) -> np.ndarray:
    """Where the brain (slice or volume of 1 mm) is less than 8 mm from its surface: the cortex and what lies below."""
    return brain & (ndimage.distance_transform_edt(brain) < RIM_MM)


def components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label map (0 = background) of the connected components and their sizes (C,) in voxels."""
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def keep_large(mask: np.ndarray, minimum_voxels: float) -> np.ndarray:
    """The mask without its components of fewer than `minimum_voxels` voxels."""
    labels, sizes = components(mask)
    return np.concatenate([[False], sizes >= minimum_voxels])[labels]


def lesions_found(marked: np.ndarray, lesion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Size in voxels (L,) of every connected lesion, and whether it was found (L,) bool."""
    labels, sizes = components(lesion)
    hits = np.bincount(labels[marked], minlength=len(sizes) + 1)[1:]
    return sizes, hits >= FOUND_SHARE * sizes


def size_classes(sizes: np.ndarray, unit: str) -> np.ndarray:
    """0 small, 1 medium, 2 large. sizes in `unit`: "ml" of a volume, "mm2" of a slice."""
    small, large = SMALL_AND_LARGE[unit]
    return (sizes >= small).astype(int) + (sizes > large)


def false_positive_ml(marked: np.ndarray, truth: np.ndarray | None, voxel_ml: float) -> float:
    """Ml of marked voxels outside the truth that form components of at least 0.1 ml. truth None = healthy."""
    _, sizes = components(marked if truth is None else marked & ~truth)
    return float(_visible_ml(sizes, voxel_ml))


def _visible_ml(sizes: np.ndarray, voxel_ml: float) -> float:
    # The small term keeps a component of exactly 0.1 ml countable in floating point.
    return sizes[sizes * voxel_ml >= MINIMUM_COMPONENT_ML - 1e-9].sum() * voxel_ml


def threshold_for_false_positives(
    scores: Sequence[np.ndarray],
    brains: Sequence[np.ndarray],
    *,
    voxel_ml: float,
    allowed_ml: float = ALLOWED_ML,
    share: float = HEALTHY_SHARE,
) -> float:
    """The operating point: the lowest threshold at which `share` of healthy scans show <= `allowed_ml`.

    With fewer than 20 scans the share is rounded up: of ten scans all ten must hold it.
    scores, brains: one (I, J, K) array a scan.
    """
    if not scores:
        raise ValueError("No healthy scan was given, but the operating point is measured on healthy scans.")
    per_scan = [_lowest_quiet(s, b, voxel_ml, allowed_ml) for s, b in zip(scores, brains, strict=True)]
    return float(np.sort(per_scan)[int(np.ceil(share * len(per_scan))) - 1])


def _lowest_quiet(scores: np.ndarray, brain: np.ndarray, voxel_ml: float, allowed_ml: float) -> float:
    """The lowest of the brain's scores that leaves <= `allowed_ml` above it: descend in doubling steps, then bisect."""
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    inside = np.where(brain[box], scores[box], -np.inf)
    values = np.sort(scores[brain])
    ordered = np.unique(values)

    def is_quiet(index: int) -> bool:
        return false_positive_ml(inside > ordered[index], None, voxel_ml) <= allowed_ml

    # As few voxels as are allowed in all cannot be too many in components.
    allowed = min(int(allowed_ml / voxel_ml + 1e-6), len(values) - 1)
    quiet = int(np.searchsorted(ordered, values[-1 - allowed]))
    step = max(len(ordered) - 1 - quiet, 1)
    loud = quiet - step
    while loud >= 0 and is_quiet(loud):
        quiet, step = loud, 2 * step
        loud = quiet - step
    loud = max(loud, -1)
    while quiet - loud > 1:
        middle = (loud + quiet) // 2
        if is_quiet(middle):
            quiet = middle
        else:
            loud = middle
    return float(ordered[quiet])
