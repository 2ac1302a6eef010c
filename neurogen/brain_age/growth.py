"""Growth charts: centiles of every feature against postmenstrual age.

log(value) at age t is normal with mean m(t) and standard deviation s(t): m a cubic of u = (t - 38) / 6 weeks (quadratic
in small strata), log s a line of u, fitted by iterated weighted least squares. This is the LMS method (Cole and Green
1992) with L = 0. A scan's z is (log(value) - m(t)) / s(t), its centile 100 Phi(z).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.brain_age.tables import FeatureTable

CENTILES = (5, 25, 50, 75, 95)
STRATA = ("all", "term", "preterm", "female", "male")
TERM_WEEKS = 37.0
NO_NORM = "born preterm, not a norm"
_CENTER, _UNIT = 38.0, 6.0  # weeks
_MEAN_TERMS, _SPREAD_TERMS = 4, 2
_CUBIC_FROM = 150  # scans; smaller strata get a quadratic
_ROUNDS = 6


@dataclass(frozen=True, eq=False)
class GrowthCharts:
    """Curves of S strata and F features: log(value) ~ normal(mean(t), exp(log_spread(t)))."""

    mean: np.ndarray  # (S, F, 4) polynomial of u, constant first
    log_spread: np.ndarray  # (S, F, 2)
    age_range: np.ndarray  # (S, 2) weeks, of the scans that made each stratum
    strata: tuple[str, ...] = STRATA

    def z_scores(self, features: np.ndarray, age: np.ndarray, *, stratum: str = "all") -> np.ndarray:
        """(N, F) healthy standard deviations at each scan's age (N,). Raises ValueError for an unknown stratum."""
        mean, spread = self._curves(age, stratum)
        return (np.log(features) - mean) / spread

    def centile_curves(self, ages: np.ndarray, feature: int, *, stratum: str = "all") -> np.ndarray:
        """(5, A) values of the CENTILES of one feature at ages (A,); a share is 1 at most."""
        mean, spread = (curve[:, feature] for curve in self._curves(ages, stratum))
        return np.minimum(np.exp(mean + _normal_quantiles()[:, None] * spread), 1.0)

    def range_of(self, stratum: str) -> tuple[float, float]:
        """First and last age, in weeks, that the stratum's scans show."""
        low, high = self.age_range[self._row(stratum)]
        return float(low), float(high)

    def _row(self, stratum: str) -> int:
        if stratum not in self.strata:
            raise ValueError(f"The stratum {stratum!r} is unknown. Known are {', '.join(self.strata)}.")
        return self.strata.index(stratum)

    def _curves(self, age: np.ndarray, stratum: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of the logarithm, both (N, F). Beyond its ages a stratum's curve stays at its end."""
        row = self._row(stratum)
        powers = _powers(np.clip(age, *self.age_range[row]), _MEAN_TERMS)
        return powers @ self.mean[row].T, np.exp(powers[:, :_SPREAD_TERMS] @ self.log_spread[row].T)


def fit_charts(table: FeatureTable) -> GrowthCharts:
    """Charts of all features for every stratum."""
    fitted = [_fit(table.take(members(table, stratum))) for stratum in STRATA]
    return GrowthCharts(*(np.stack(arrays) for arrays in zip(*fitted)))


def members(table: FeatureTable, stratum: str) -> np.ndarray:
    """(N,) which scans belong to a stratum; "term" is born at 37 weeks or later."""
    sex = np.char.lower(np.array(table.sex, dtype=str))
    masks = {
        "all": np.ones(len(table), dtype=bool),
        "term": table.birth_weeks >= TERM_WEEKS,
        "preterm": table.birth_weeks < TERM_WEEKS,
        "female": sex == "female",
        "male": sex == "male",
    }
    return masks[stratum]


def centile_of(z: np.ndarray) -> np.ndarray:
    """100 Phi(z), in [0, 100]."""
    from scipy.special import ndtr

    return 100 * ndtr(z)


def norm_note(age: float) -> str:
    """What the charts are at this age: NO_NORM below 37 weeks, else nothing."""
    return NO_NORM if age < TERM_WEEKS else ""


def _fit(table: FeatureTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    terms = _MEAN_TERMS if len(table) >= _CUBIC_FROM else _MEAN_TERMS - 1
    powers, values = _powers(table.age_weeks, terms), np.log(table.features)
    mean = np.zeros((values.shape[1], _MEAN_TERMS))
    log_spread = np.zeros((values.shape[1], _SPREAD_TERMS))
    for feature, column in enumerate(values.T):
        mean[feature, :terms], log_spread[feature] = _fit_one(powers, column)
    return mean, log_spread, np.array([table.age_weeks.min(), table.age_weeks.max()])


def _fit_one(powers: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Alternate the weighted mean with the gamma regression of squared residuals that maximizes the likelihood."""
    line = powers[:, :_SPREAD_TERMS]
    log_spread = np.array([np.log(value.std()), 0.0])
    mean = np.zeros(powers.shape[1])
    for _ in range(_ROUNDS):
        weight = np.exp(-(line @ log_spread))
        mean = np.linalg.lstsq(powers * weight[:, None], value * weight, rcond=None)[0]
        squared = ((value - powers @ mean) * weight) ** 2
        # Fisher scoring of the normal likelihood in log s: step = (X'X)^-1 X' (r^2 / s^2 - 1) / 2.
        log_spread = log_spread + np.linalg.lstsq(line, (squared - 1) / 2, rcond=None)[0]
    return mean, log_spread


def _powers(age: np.ndarray, terms: int) -> np.ndarray:
    return np.vander((np.asarray(age, dtype=float) - _CENTER) / _UNIT, terms, increasing=True)


def _normal_quantiles(centiles: Sequence[float] = CENTILES) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(np.array(centiles) / 100)
