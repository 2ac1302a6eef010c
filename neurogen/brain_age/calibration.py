"""What out-of-fold errors say about a prediction: its interval, its pull to the mean, and the ages it was shown.

Interval: grouped conformal. The half width is the ceil((n + 1) level)-th smallest absolute error among scans whose
predicted age lies in the same band, each predicted without its subject (Vovk et al. 2005; by bands: Mondrian).
Pull to the mean: out of fold, E[predicted - age | age] = a + b age, which is subtracted from a gap when the age is
known.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BAND_EDGES = (37.0, 40.0, 42.0)
"""Weeks of predicted age between the bands of the interval; each band holds 50 of 418 scans at least."""

LEVELS = (0.5, 0.9)
USUAL_WEEKS = (29.0, 45.0)
PRETERM_ONLY_WEEKS = 34.0


@dataclass(frozen=True)
class Calibration:
    """Half widths in weeks by level and band, and the line of the gap against age."""

    edges: tuple[float, ...]
    half_width: dict[str, tuple[float, ...]]  # {"0.9": one a band}
    gap_intercept: float  # weeks
    gap_slope: float  # weeks a week; negative: the young are read too old

    def interval(self, predicted: float, level: float = 0.9) -> tuple[float, float]:
        """(low, high) weeks around a predicted age."""
        width = self.half_width[str(level)][int(np.searchsorted(self.edges, predicted, side="right"))]
        return predicted - width, predicted + width

    def covers(self, predicted: np.ndarray, age: np.ndarray, level: float = 0.9) -> np.ndarray:
        """Whether each age lies in its interval, bool of the common shape."""
        widths = np.array(self.half_width[str(level)])[np.searchsorted(self.edges, predicted, side="right")]
        return np.abs(predicted - age) <= widths

    def corrected_gap(self, predicted: float, age: float) -> float:
        """Weeks by which the brain looks older than brains of this age are read on average."""
        return predicted - age - (self.gap_intercept + self.gap_slope * age)


def calibrate(predicted: np.ndarray, age: np.ndarray, *, edges: tuple[float, ...] = BAND_EDGES) -> Calibration:
    """Calibrate on out-of-fold predictions (R, N) of ages (N,); R repeats of one scan count as one observation."""
    ages = np.broadcast_to(age, predicted.shape)
    errors = np.abs(predicted - ages)
    band = np.searchsorted(edges, predicted, side="right")
    widths = {
        str(level): tuple(_conformal(errors[band == k], level, len(predicted)) for k in range(len(edges) + 1))
        for level in LEVELS
    }
    slope, intercept = np.polyfit(ages.ravel(), (predicted - ages).ravel(), 1)
    return Calibration(tuple(edges), widths, float(intercept), float(slope))


def held_out_coverage(predicted: np.ndarray, age: np.ndarray, group: np.ndarray, *, level: float = 0.9) -> float:
    """Share of scans covered when the interval is calibrated without their group. group: (N,) folds of subjects."""
    covered = np.zeros(predicted.shape, dtype=bool)
    for k in np.unique(group):
        held = group == k
        calibration = calibrate(predicted[:, ~held], age[~held])
        covered[:, held] = calibration.covers(predicted[:, held], age[held], level)
    return float(covered.mean())


def age_warnings(predicted: float, age: float | None) -> tuple[str, ...]:
    """Sentences about ages that the training scans hardly or never showed."""
    low, high = USUAL_WEEKS
    given = [("predicted", predicted)] + ([] if age is None else [("given", age)])
    outside = [f"{name} age {weeks:.1f}" for name, weeks in given if not low <= weeks <= high]
    found = []
    if outside:
        found.append(
            f"The {' and the '.join(outside)} weeks lie outside {low:g}-{high:g} weeks, the ages trained on: "
            "the reading is an extrapolation and its interval does not hold."
        )
    if min(weeks for _, weeks in given) < PRETERM_ONLY_WEEKS:
        found.append(
            f"Below {PRETERM_ONLY_WEEKS:g} weeks the model knows 17 scans, all of infants born preterm: "
            "read the age and its interval with care."
        )
    return tuple(found)


def _conformal(errors: np.ndarray, level: float, repeats: int) -> float:
    scans = max(len(errors) / repeats, 1.0)
    share = min(np.ceil((scans + 1) * level) / scans, 1.0)
    return float(np.quantile(errors, share, method="higher")) if len(errors) else float("inf")


def band_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """For tables: "below 37", "37 to 40", ..., "42 and above"."""
    middle = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g}", *middle, f"{edges[-1]:g} and above")
