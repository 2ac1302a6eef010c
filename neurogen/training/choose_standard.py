"""Smoothing, floors and the mix of the two terms of the score: decided on planted lesions."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from neurogen.anomaly.anomaly_map import (
    AROUND_CELLS,
    CellMaps,
    HealthyError,
    HealthyStandard,
    ScanSpread,
    rough_brain,
)
from neurogen.anomaly.calibration import operating_threshold
from neurogen.evaluation.metrics import FOUND_SHARE, components

SLICE_SIGMAS_CELLS = (1.0, 1.5)
VOLUME_SIGMAS_CELLS = (1.5, 2.0)
FLOW_FLOORS = (0.05, 0.2)
PLACE_FLOORS = (0.3,)
SLICE_PLACE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.65, 0.75, 0.85, 1.0)
VOLUME_PLACE_WEIGHTS = (0.0, 0.3, 0.5, 0.65, 0.8, 1.0)
SLICE_SIDES_SHARES = (0.0, 0.5)
VOLUME_SIDES_SHARES = (0.0, 0.5, 1.0)
THRESHOLD_STEP = 0.02
TEXTURE_FLOOR = 0.2
TEXTURE_WEIGHTS = (0.4, 0.6, 0.8)
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

    What is best over all thresholds is not what is best at the one that users see, which a few noisy scans decide. The
    weight of texture is chosen last, for the mix that was best without it.

    healthy, planted, calibration : unsmoothed maps (N, K, h, w) of training scans, of scans with lesions, and of scans
    that trained nothing and hold none; truth : bool, shaped like `planted.flow`
    """
    judge = _AtOperatingPoint(planted, truth, calibration, cell_ml)
    for sigma in VOLUME_SIGMAS_CELLS:
        smoothed = _smoothed(healthy, sigma)
        for standard in _candidates(smoothed, sigma, VOLUME_PLACE_WEIGHTS, VOLUME_SIDES_SHARES):
            judge.take(standard)
    if healthy.rough is not None:
        rough = HealthyError.fit(
            healthy.rough, rough_brain(healthy.brain), floor=TEXTURE_FLOOR, sigma_cells=AROUND_CELLS
        )
        plain = judge.best.standard
        for weight in TEXTURE_WEIGHTS:
            judge.take(replace(plain, texture=rough, texture_weight=weight))
    return judge.best.standard, judge.tried


class _AtOperatingPoint:
    """Takes standards and keeps the one that finds most planted lesions at its own operating point."""

    def __init__(self, planted: CellMaps, truth: np.ndarray, calibration: CellMaps, cell_ml: float):
        self.best, self.tried = _Best(), {}
        self._planted, self._truth, self._calibration, self._cell_ml = planted, truth, calibration, cell_ml
        self._smoothed: dict[float, tuple[CellMaps, CellMaps]] = {}

    def take(self, standard: HealthyStandard) -> None:
        marked, quiet = self._maps(standard.sigma_cells)
        standard = replace(standard, spread=None)
        scores = standard.score(quiet)
        spread = ScanSpread.fit(scores, quiet.brain, quantile=SPREAD_QUANTILE)
        standard = replace(standard, spread=spread)
        equalized = list(map(spread.equalize, scores, quiet.brain))
        threshold = operating_threshold(equalized, self._cell_ml, step=THRESHOLD_STEP)
        score = np.abs(standard.score(marked))
        lesions = found_up_to(score, self._truth, SMALLEST_ML / self._cell_ml)
        recall = float((lesions > threshold).mean()) if len(lesions) else 0.0
        mix = _mix(standard)
        self.tried[mix] = max(round(recall, 4), self.tried.get(mix, 0.0))
        if recall >= self.best.merit[0]:
            precision = average_precision(score[marked.brain], self._truth[marked.brain])
            self.best.take((recall, precision), standard)

    def _maps(self, sigma: float) -> tuple[CellMaps, CellMaps]:
        """Planted and calibration maps, smoothed; those of one sigma are kept."""
        if sigma not in self._smoothed:
            self._smoothed = {sigma: (_smoothed(self._planted, sigma), _smoothed(self._calibration, sigma))}
        return self._smoothed[sigma]


def average_precision(score: np.ndarray, truth: np.ndarray) -> float:
    """Of lesion voxels among all, scikit-learn's."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, score))


def found_up_to(scores: np.ndarray, truth: np.ndarray, smallest_cells: float) -> np.ndarray:
    """(L,) the threshold below which each lesion of all scans (N, K, h, w) counts as found, of those that are large
    enough: a tenth of it has a higher |score|."""
    limits = []
    for score, lesions in zip(np.abs(scores), truth, strict=True):
        labels, sizes = components(lesions)
        for label in np.flatnonzero(sizes >= smallest_cells) + 1:
            inside = np.sort(score[labels == label])
            limits.append(inside[-int(np.ceil(FOUND_SHARE * len(inside)))])
    return np.array(limits)


class _Best:
    """The standard of the highest merit so far; the first of equals stays."""

    def __init__(self) -> None:
        self.merit: tuple[float, ...] = (-1.0,)
        self.standard: HealthyStandard | None = None

    def take(self, merit: tuple[float, ...], standard: HealthyStandard) -> None:
        if merit > self.merit:
            self.merit, self.standard = merit, standard


def _mix(standard: HealthyStandard) -> str:
    texture = f", texture {standard.texture_weight:g}" if standard.texture_weight else ""
    return f"place weight {standard.place_weight:g}, sides {standard.sides_share:g}{texture}"


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
