"""Cross-validation that never splits a subject: an infant scanned twice lies in one fold."""

from collections.abc import Callable, Iterator

import numpy as np

from neurogen.brain_age.tables import FeatureTable

Predict = Callable[[FeatureTable, FeatureTable], np.ndarray]
"""predict(fitted_on, held_out) -> ages (N,) of the held-out scans."""


def grouped_folds(subjects: tuple[str, ...], rng: np.random.Generator, *, folds: int = 10) -> np.ndarray:
    """(N,) fold of each scan; the subjects are dealt out in random order."""
    names, group = np.unique(subjects, return_inverse=True)
    return (rng.permutation(len(names)) % folds)[group]


def splits(fold: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(fitted on, held out), both masks (N,), for each fold."""
    for k in np.unique(fold):
        yield fold != k, fold == k


def out_of_fold(table: FeatureTable, predict: Predict, *, repeats: int = 10, seed: int = 0) -> np.ndarray:
    """(repeats, N) ages, each predicted by a fit without the scan's subject. Same seed, same folds: pair by it."""
    ages = np.empty((repeats, len(table)))
    for repeat in range(repeats):
        fold = grouped_folds(table.subject, np.random.default_rng([seed, repeat]))
        for fitted, held in splits(fold):
            ages[repeat, held] = predict(table.take(fitted), table.take(held))
    return ages
