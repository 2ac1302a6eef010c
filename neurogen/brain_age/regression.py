"""From the 172 features to an age: Bayesian ridge regression, as published and as shipped.

A term standardizes the features of its view, z = (x - mean) / deviation, keeps those that correlate best with age, and
adds intercept + sum_j a_j z_j + b_j (min(|z_j|, 3)^2 - 1); the b_j let a region's growth slow down with age. The age is
the mean of the terms. Coefficients are fitted by Bayesian ridge (Tipping 2001; scikit-learn's defaults), and predicting
needs numpy alone. Views: "regions", the features as they are; "pairs", for each left/right pair their mean and their
difference, which shrinks the two apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from neurogen.brain_age.regions import FEATURE_NAMES, LABELS, REGIONS

SQUARE_LIMIT = 3.0  # standard deviations; beyond, a square would let one odd region take over
SQUARE_WEIGHT = 0.2  # of a squared feature against a linear one, before the ridge: chosen by cross-validation


@dataclass(frozen=True)
class TermRecipe:
    """How one term is fitted. count: features kept, by |Pearson r| with age among those that are fitted on."""

    view: str = "regions"
    count: int = 100
    squares: bool = False
    kind: str = "both"  # or "rv", "svr": which features may be kept


PUBLISHED = (TermRecipe(),)
"""The published recipe: the 100 features that correlate best, Bayesian ridge (doi:10.1038/s41598-023-40244-z)."""

SHIPPED = (
    TermRecipe("pairs", 40, squares=True),
    TermRecipe("pairs", 60, squares=True),
    TermRecipe("regions", 80, squares=True),
    TermRecipe("regions", 140, squares=True),
)
"""Ours: best of the candidates by subject-grouped cross-validation on train and val."""


@dataclass(frozen=True, eq=False)
class Term:
    """One fitted term; arrays (C,), one entry a kept feature of the view."""

    view: str
    feature: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray
    linear: np.ndarray  # weeks a standard deviation
    square: np.ndarray  # weeks, for min(|z|, 3)^2 - 1
    intercept: float  # weeks

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """(N, C) weeks that each kept feature adds; their sum and the intercept are the term. features: (N, 172)."""
        z = self._standardized(features)
        return self.linear * z + self.square * _square(z)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(N,) weeks."""
        return self.intercept + self.contributions(features).sum(axis=1)

    def _standardized(self, features: np.ndarray) -> np.ndarray:
        names = _view_names(self.view)
        columns = [names.index(name) for name in self.feature]
        return (to_view(features, self.view)[:, columns] - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class AgeRegressor:
    """The mean of its terms."""

    terms: tuple[Term, ...]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Postmenstrual age (N,) in weeks. features: (N, 172) in the order of `regions.FEATURE_NAMES`."""
        return np.mean([term.predict(features) for term in self.terms], axis=0)

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """(N, 172) weeks that each feature adds to the mean intercept; a pair's share is halved between its sides."""
        total = np.zeros(features.shape)
        for term in self.terms:
            split = np.abs(_view_matrix(term.view))
            split = split / split.sum(axis=1, keepdims=True)
            rows = [_view_names(term.view).index(name) for name in term.feature]
            total += term.contributions(features) @ split[rows]
        return total / len(self.terms)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and names; `from_dict` gives the same predictions to the last bit."""
        return {"terms": [{**asdict(term), **_lists(term)} for term in self.terms]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "AgeRegressor":
        """Raises ValueError for a feature or view that is not known, KeyError for a missing entry."""
        return cls(tuple(_term_from(entry) for entry in content["terms"]))


def fit(features: np.ndarray, age: np.ndarray, recipe: Sequence[TermRecipe] = SHIPPED) -> AgeRegressor:
    """Fit every term. features: (N, 172); age: (N,) weeks. Selection sees these scans only."""
    return AgeRegressor(tuple(_fit_term(features, age, term) for term in recipe))


def strongest(features: np.ndarray, age: np.ndarray, count: int) -> np.ndarray:
    """Indices, ascending, of the `count` columns with the largest |Pearson r| with age."""
    x, y = features - features.mean(axis=0), age - age.mean()
    spread = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    r = np.abs(x.T @ y) / np.where(spread > 0, spread, np.inf)
    return np.sort(np.argsort(-r, kind="stable")[:count])


def to_view(features: np.ndarray, view: str) -> np.ndarray:
    """(N, 172) in another basis of the same features."""
    return features if view == "regions" else features @ _view_matrix(view).T


def _fit_term(features: np.ndarray, age: np.ndarray, recipe: TermRecipe) -> Term:
    from sklearn.linear_model import BayesianRidge

    values, names = to_view(features, recipe.view), _view_names(recipe.view)
    allowed = np.array([k for k, name in enumerate(names) if recipe.kind in ("both", name.split("_")[0])])
    kept = allowed[strongest(values[:, allowed], age, recipe.count)]
    mean, deviation = values[:, kept].mean(axis=0), values[:, kept].std(axis=0)
    z = (values[:, kept] - mean) / deviation
    design = np.hstack([z, SQUARE_WEIGHT * _square(z)]) if recipe.squares else z
    model = BayesianRidge().fit(design, age)
    linear, square = model.coef_[: len(kept)], np.zeros(len(kept))
    if recipe.squares:
        square = SQUARE_WEIGHT * model.coef_[len(kept) :]
    chosen = tuple(names[k] for k in kept)
    return Term(recipe.view, chosen, mean, deviation, linear, square, float(model.intercept_))


def _square(z: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs(z), SQUARE_LIMIT) ** 2 - 1


@cache
def _view_rows(view: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Names (172,) and matrix (172, 172) of a view."""
    if view == "regions":
        return FEATURE_NAMES, np.eye(len(FEATURE_NAMES))
    if view != "pairs":
        raise ValueError(f"The view {view!r} is unknown. Known are 'regions' and 'pairs'.")
    names, rows = [], []
    for kind, offset in (("rv", 0), ("svr", len(LABELS))):
        for left, right in _pairs():
            for name, weights in _pair_rows(kind, left, right):
                row = np.zeros(len(FEATURE_NAMES))
                for position, weight in weights:
                    row[offset + position] = weight
                names.append(name)
                rows.append(row)
    return tuple(names), np.array(rows)


def _view_names(view: str) -> tuple[str, ...]:
    return _view_rows(view)[0]


def _view_matrix(view: str) -> np.ndarray:
    return _view_rows(view)[1]


def _pair_rows(kind: str, left: int, right: int | None):
    """The named rows of one pair (positions in LABELS), or of one midline region."""
    if right is None:
        return [(f"{kind}_{LABELS[left]:02d}", [(left, 1.0)])]
    name = f"{kind}_{LABELS[left]:02d}_{LABELS[right]:02d}"
    return [(f"{name}_mean", [(left, 0.5), (right, 0.5)]), (f"{name}_difference", [(left, 1.0), (right, -1.0)])]


def _pairs() -> list[tuple[int, int | None]]:
    """Positions of (left, right) in LABELS, (position, None) for midline regions, by first label."""
    found: dict[tuple[str, str], list[int]] = {}
    for position, region in enumerate(REGIONS):
        found.setdefault((region.structure, region.tissue), []).append(position)
    pairs = []
    for positions in found.values():
        sides = {REGIONS[p].side: p for p in positions}
        pairs.append((sides["left"], sides["right"]) if len(positions) == 2 else (positions[0], None))
    return pairs


_ARRAYS = ("mean", "deviation", "linear", "square")


def _lists(term: Term) -> dict[str, list]:
    return {"feature": list(term.feature), **{name: getattr(term, name).tolist() for name in _ARRAYS}}


def _term_from(entry: Mapping[str, Any]) -> Term:
    names = tuple(entry["feature"])
    unknown = set(names) - set(_view_names(entry["view"]))
    arrays = {name: np.array(entry[name], dtype=np.float64) for name in _ARRAYS}
    if unknown or any(array.shape != (len(names),) for array in arrays.values()):
        raise ValueError(f"A term has unknown features ({sorted(unknown)[:3]}) or lists of different lengths.")
    return Term(entry["view"], names, intercept=float(entry["intercept"]), **arrays)
