"""Smoothing, floors and the mix of the two terms of the score: decided on planted lesions."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from neurogen.anomaly.anomaly_map import CellMaps, HealthyError, HealthyStandard, ScanSpread
from neurogen.anomaly.calibration import volume_threshold
from neurogen.evaluation.metrics import lesions_found

SLICE_SIGMAS_CELLS = (1.0, 1.5)
VOLUME_SIGMAS_CELLS = (1.5, 2.0)
FLOW_FLOORS = (0.05, 0.2)
PLACE_FLOORS = (0.3,)
SLICE_PLACE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.65, 0.75, 0.85, 1.0)
VOLUME_PLACE_WEIGHTS = (0.0, 0.3, 0.5, 0.65, 0.8, 1.0)
SLICE_SIDES_SHARES = (0.0, 0.5)
VOLUME_SIDES_SHARES = (0.0, 0.5, 1.0)
SPREAD_QUANTILE = 0.9  # above it lies what large lesions may take of a brain
SMALLEST_ML = 1.0  # of the planted lesions that decide


def choose_slice_standard(
    healthy: CellMaps, planted: CellMaps, truth: np.ndarray
) -> tuple[HealthyStandard, dict[str, float]]:
    """The standard with the best average precision of bright planted lesions, and what the best of each mix scored.

    healthy, planted : unsmoothed maps (N, h, w) of slices; truth : bool, shaped like `planted.flow`
    """
    best, tried = _Best(), {}
    for sigma in SLICE_SIGMAS_CELLS:
        marked = _smoothed(planted, sigma)
        for standard in _candidates(_smoothed(healthy, sigma), sigma, SLICE_PLACE_WEIGHTS, SLICE_SIDES_SHARES):
            merit = average_precision(standard.score(marked)[marked.brain], truth[marked.brain])
            tried[_mix(standard)] = max(round(merit, 4), tried.get(_mix(standard), 0.0))
            best.take((merit,), standard)
    return best.standard, tried


def choose_volume_standard(
    healthy: CellMaps, planted: CellMaps, truth: np.ndarray, calibration: CellMaps, *, cell_ml: float
) -> tuple[HealthyStandard, dict[str, float]]:
    """The standard that finds most planted lesions of 1 ml or more at the operating point of the calibration scans;
    average precision decides between equals. With it, the share that the best of each mix found.

    What is best over all thresholds is not what is best at the one that users see, which a few noisy scans decide.

    healthy, planted, calibration : unsmoothed maps (N, K, h, w) of training scans, of scans with lesions, and of scans
    that trained nothing and hold none; truth : bool, shaped like `planted.flow`
    """
    best, tried = _Best(), {}
    for sigma in VOLUME_SIGMAS_CELLS:
        marked, quiet = _smoothed(planted, sigma), _smoothed(calibration, sigma)
        for standard in _candidates(_smoothed(healthy, sigma), sigma, VOLUME_PLACE_WEIGHTS, VOLUME_SIDES_SHARES):
            healthy_scores = standard.score(quiet)
            spread = ScanSpread.fit(healthy_scores, quiet.brain, quantile=SPREAD_QUANTILE)
            standard = replace(standard, spread=spread)
            threshold = volume_threshold(list(map(spread.equalize, healthy_scores, quiet.brain)), cell_ml)
            score = np.abs(standard.score(marked))
            recall = _recall(score > threshold, truth, SMALLEST_ML / cell_ml)
            tried[_mix(standard)] = max(round(recall, 4), tried.get(_mix(standard), 0.0))
            if recall >= best.merit[0]:
                best.take((recall, average_precision(score[marked.brain], truth[marked.brain])), standard)
    return best.standard, tried


def average_precision(score: np.ndarray, truth: np.ndarray) -> float:
    """Of lesion voxels among all, scikit-learn's."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, score))


def _recall(marked: np.ndarray, truth: np.ndarray, smallest_cells: float) -> float:
    """Share of the lesions of all scans that are found, of those that are large enough; 0 where there is none."""
    sizes, found = (np.concatenate(part) for part in zip(*map(lesions_found, marked, truth), strict=True))
    large = sizes >= smallest_cells
    return float(found[large].mean()) if large.any() else 0.0


class _Best:
    """The standard of the highest merit so far; the first of equals stays."""

    def __init__(self) -> None:
        self.merit: tuple[float, ...] = (-1.0,)
        self.standard: HealthyStandard | None = None

    def take(self, merit: tuple[float, ...], standard: HealthyStandard) -> None:
        if merit > self.merit:
            self.merit, self.standard = merit, standard


def _mix(standard: HealthyStandard) -> str:
    return f"place weight {standard.place_weight:g}, sides {standard.sides_share:g}"


def _smoothed(maps: CellMaps, sigma: float) -> CellMaps:
    return maps.smoothed((0,) + (sigma,) * (maps.flow.ndim - 1))


def _candidates(
    healthy: CellMaps, sigma: float, place_weights: Sequence[float], sides_shares: Sequence[float]
) -> Iterator[HealthyStandard]:
    """Every mix of floors and weights at one smoothing; the pure terms once a floor."""
    flows = [HealthyError.fit(healthy.flow, healthy.brain, floor=f, sigma_cells=sigma) for f in FLOW_FLOORS]
    places = [HealthyError.fit(healthy.image, healthy.brain, floor=f, sigma_cells=sigma) for f in PLACE_FLOORS]
    for flow, place, weight, sides in product(flows, places, place_weights, sides_shares):
        if (weight == 0 and (sides or place is not places[0])) or (weight == 1 and flow is not flows[0]):
            continue
        yield HealthyStandard(flow, place, weight, sides)
