"""Smoothing, floors and the mix of the two terms of the score: decided on planted lesions."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from neurogen.anomaly.anomaly_map import CellMaps, HealthyError, HealthyStandard, ScanSpread

SIGMAS_CELLS = (1.0, 1.5)
FLOW_FLOORS = (0.05, 0.2)
PLACE_FLOORS = (0.3,)
PLACE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.65, 0.75, 0.85, 1.0)
SIDES_SHARES = (0.0, 0.5)
SPREAD_QUANTILE = 0.9  # above it lies what large lesions may take of a brain


def choose_standard(
    healthy: CellMaps,
    planted: CellMaps,
    truth: np.ndarray,
    *,
    calibration: CellMaps | None = None,
    bright_only: bool = False,
) -> tuple[HealthyStandard, dict[str, float]]:
    """The standard with the best average precision of planted lesions, and what the best of each weight scored.

    healthy, planted : unsmoothed maps of many scans or slices; truth : bool, shaped like `planted.flow`
    calibration : maps of healthy volumes that trained nothing; given them, every scan's spread is equalized
    bright_only : the signed score counts, not its magnitude
    """
    from sklearn.metrics import average_precision_score

    best: tuple[float, HealthyStandard] | None = None
    by_weight: dict[str, float] = {}
    for sigma in SIGMAS_CELLS:
        marked = _smoothed(planted, sigma)
        quiet = None if calibration is None else _smoothed(calibration, sigma)
        for standard in _candidates(_smoothed(healthy, sigma), sigma):
            if quiet is not None:
                spread = ScanSpread.fit(standard.score(quiet), quiet.brain, quantile=SPREAD_QUANTILE)
                standard = replace(standard, spread=spread)
            score = standard.score(marked)[marked.brain]
            precision = float(average_precision_score(truth[marked.brain], score if bright_only else np.abs(score)))
            key = f"place weight {standard.place_weight:g}, sides {standard.sides_share:g}"
            by_weight[key] = round(max(precision, by_weight.get(key, 0.0)), 4)
            if best is None or precision > best[0]:
                best = (precision, standard)
    return best[1], by_weight


def _smoothed(maps: CellMaps, sigma: float) -> CellMaps:
    return maps.smoothed((0,) + (sigma,) * (maps.flow.ndim - 1))


def _candidates(healthy: CellMaps, sigma: float) -> Iterator[HealthyStandard]:
    """Every mix of floors and weights at one smoothing; the pure terms once a floor."""
    flows = [HealthyError.fit(healthy.flow, healthy.brain, floor=f, sigma_cells=sigma) for f in FLOW_FLOORS]
    places = [HealthyError.fit(healthy.image, healthy.brain, floor=f, sigma_cells=sigma) for f in PLACE_FLOORS]
    for flow, place, weight, sides in product(flows, places, PLACE_WEIGHTS, SIDES_SHARES):
        if (weight == 0 and (sides or place is not places[0])) or (weight == 1 and flow is not flows[0]):
            continue
        yield HealthyStandard(flow, place, weight, sides)
