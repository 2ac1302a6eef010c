"""Permutation importance (Breiman 2001) on scans that were not fitted on, for features and for groups of features.

The importance of a group is the rise of the mean absolute error, in weeks, when the group's columns are shuffled
together among the held-out scans of a fold. Standard errors are over the folds of all repeats.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neurogen.brain_age.folds import grouped_folds, splits
from neurogen.brain_age.regions import LABELS, REGIONS
from neurogen.brain_age.regression import SHIPPED, TermRecipe, fit
from neurogen.brain_age.tables import FeatureTable
from neurogen.progress import Progress, silent

RECIPES = {
    "rv": (TermRecipe(count=len(LABELS), kind="rv"),),
    "svr": (TermRecipe(count=len(LABELS), kind="svr"),),
    "both": SHIPPED,
}
"""As published, RV and SVR are judged by a ridge of their own; together by the shipped model."""


@dataclass(frozen=True)
class Importance:
    """Of one group of features."""

    weeks: float  # rise of the mean absolute error
    standard_error: float
    scaled: float  # weeks over the largest of its kind and level, clipped to [0, 1]


def groups(level: str, kind: str) -> dict[str, np.ndarray]:
    """Columns (of 172) shuffled together. level: "region", "pair" or "lobe"; kind: "rv", "svr" or "both"."""
    key: dict[str, Callable] = {
        "region": lambda region: f"{region.label}",
        "pair": lambda region: region.structure + (f" {region.tissue}" if region.tissue in ("GM", "WM") else ""),
        "lobe": lambda region: region.lobe + (f" {region.tissue}" if region.tissue in ("GM", "WM") else ""),
    }
    offsets = {"rv": (0,), "svr": (len(LABELS),), "both": (0, len(LABELS))}[kind]
    found: dict[str, list[int]] = {}
    for position, region in enumerate(REGIONS):
        found.setdefault(key[level](region), []).extend(position + offset for offset in offsets)
    return {name: np.array(columns) for name, columns in found.items()}


def permutation_importance(
    table: FeatureTable,
    kind: str,
    *,
    repeats: int = 1,
    shuffles: int = 10,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, dict[str, Importance]]:
    """{level: {group: importance}} for one kind. repeats: of the 10 folds; shuffles: a fold."""
    wanted = {level: groups(level, kind) for level in ("region", "pair", "lobe")}
    rises: dict[str, dict[str, list[float]]] = {level: {name: [] for name in found} for level, found in wanted.items()}
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        for k, (fitted, held) in enumerate(splits(grouped_folds(table.subject, rng))):
            progress(f"importance of {kind}", (10 * repeat + k) / (10 * repeats))
            regressor = fit(table.features[fitted], table.age_weeks[fitted], RECIPES[kind])
            rise = _Rise(regressor.predict, table.take(held), shuffles, rng)
            for level, found in wanted.items():
                for name, columns in found.items():
                    rises[level][name].append(rise(columns))
    return {level: _summary(found) for level, found in rises.items()}


class _Rise:
    """Rise of the mean absolute error of one fold's scans when columns are shuffled."""

    def __init__(self, predict: Callable, held: FeatureTable, shuffles: int, rng: np.random.Generator) -> None:
        self.predict, self.held = predict, held
        self.orders = [rng.permutation(len(held)) for _ in range(shuffles)]
        self.plain = np.abs(predict(held.features) - held.age_weeks).mean()

    def __call__(self, columns: np.ndarray) -> float:
        shuffled = np.tile(self.held.features, (len(self.orders), 1))
        shuffled[:, columns] = np.concatenate([self.held.features[order][:, columns] for order in self.orders])
        ages = np.tile(self.held.age_weeks, len(self.orders))
        return float(np.abs(self.predict(shuffled) - ages).mean() - self.plain)


def _summary(rises: Mapping[str, list[float]]) -> dict[str, Importance]:
    means = {name: float(np.mean(values)) for name, values in rises.items()}
    largest = max(max(means.values()), 1e-12)
    return {
        name: Importance(
            means[name], float(np.std(values, ddof=1) / np.sqrt(len(values))), min(max(means[name] / largest, 0.0), 1.0)
        )
        for name, values in rises.items()
    }
