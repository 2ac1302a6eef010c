"""Fit the shipped age model from feature tables, and measure it by cross-validation that never splits a subject."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurogen.brain_age.age_model import DEFAULT_MODEL, TASK, AgeModel, contents_of
from neurogen.brain_age.calibration import Calibration, calibrate, held_out_coverage
from neurogen.brain_age.distance import TrainingCloud, fit_cloud, with_quantiles
from neurogen.brain_age.folds import grouped_folds, out_of_fold, splits
from neurogen.brain_age.growth import fit_charts
from neurogen.brain_age.importance import RECIPES, permutation_importance
from neurogen.brain_age.regression import PUBLISHED, SHIPPED, TermRecipe, fit
from neurogen.brain_age.tables import FeatureTable
from neurogen.models import Model, write_model_files
from neurogen.progress import Progress, portion, silent

TERMS = "published feature tables of doi:10.1038/s41598-023-40244-z (scans: developing Human Connectome Project)"


@dataclass(frozen=True)
class Measured:
    """Cross-validation of the shipped recipe against the published one, on the same folds."""

    mae: float  # weeks
    published_mae: float
    gain: float  # 1 - mae / published_mae
    gain_error: float  # standard error of the gain over scans
    coverage: float  # of the 90 % interval, calibrated without the scan's fold
    r2: float


def build_model(
    table: FeatureTable, folder: Path, *, repeats: int = 10, seed: int = 0, progress: Progress = silent
) -> tuple[Model, Measured]:
    """Fit everything on `table`, measure it, and write the model folder `folder` (named as the model)."""
    progress("cross-validation", 0.0)
    predicted = cross_validate(table, SHIPPED, repeats=repeats, seed=seed)
    published = cross_validate(table, PUBLISHED, repeats=repeats, seed=seed)
    measured = measure(table, predicted, published, seed=seed)
    share = portion(progress, 0.4, 1.0)
    importance = {
        kind: permutation_importance(table, kind, seed=seed, progress=portion(share, k / 3, (k + 1) / 3))
        for k, kind in enumerate(RECIPES)
    }
    calibration = calibrate(predicted, table.age_weeks)
    model = AgeModel(
        fit(table.features, table.age_weeks, SHIPPED),
        calibration,
        _cloud(table, seed),
        fit_charts(table),
        importance,
        frozenset(table.subject),
    )
    written = write_model_files(folder, manifest_of(table, measured, calibration, repeats, seed), contents_of(model))
    return written, measured


def cross_validate(table: FeatureTable, recipe: tuple[TermRecipe, ...], *, repeats: int, seed: int) -> np.ndarray:
    """(repeats, N) out-of-fold ages of a recipe; selection happens inside each fold."""

    def predict(fitted: FeatureTable, held: FeatureTable) -> np.ndarray:
        return fit(fitted.features, fitted.age_weeks, recipe).predict(held.features)

    return out_of_fold(table, predict, repeats=repeats, seed=seed)


def measure(table: FeatureTable, predicted: np.ndarray, published: np.ndarray, *, seed: int) -> Measured:
    """Compare two sets of out-of-fold ages (R, N) made on the same folds."""
    ours, theirs = (np.abs(ages - table.age_weeks).mean(axis=0) for ages in (predicted, published))
    fold = grouped_folds(table.subject, np.random.default_rng([seed, 999]))
    error = (theirs - ours).std(ddof=1) / np.sqrt(len(table)) / theirs.mean()
    r2 = 1 - ((predicted - table.age_weeks) ** 2).mean() / table.age_weeks.var()
    coverage = held_out_coverage(predicted, table.age_weeks, fold)
    gain = 1 - ours.mean() / theirs.mean()
    return Measured(float(ours.mean()), float(theirs.mean()), float(gain), float(error), coverage, float(r2))


def manifest_of(table: FeatureTable, measured: Measured, calibration: Calibration, repeats: int, seed: int) -> dict:
    """All keys but `files` and `code_version`."""
    protocol = f"{repeats} x 10-fold cross-validation grouped by subject, {len(table)} scans"
    return {
        "id": DEFAULT_MODEL,
        "version": "1.0.0",
        "task": TASK,
        "method": "mean of four Bayesian ridge regressions on RV and SVR of 86 regions",
        "contrasts": ["Draw-EM label map"],
        "age_range": [round(float(table.age_weeks.min()), 1), round(float(table.age_weeks.max()), 1)],
        "age_unit": "postmenstrual weeks",
        "spacing_mm": 0.5,
        "network": {},
        "training_data": [
            {"name": "developing Human Connectome Project, features of 86 regions", "terms": TERMS, "scans": len(table)}
        ],
        "training": {"seed": seed, "subjects": len(set(table.subject)), "recipe": [vars(term) for term in SHIPPED]},
        "calibration": {"half_width_weeks": calibration.half_width, "band_edges_weeks": calibration.edges},
        "measured": [
            {"protocol": protocol, "mae_weeks": round(measured.mae, 4), "r2": round(measured.r2, 4),
             "coverage_90": round(measured.coverage, 3)},
            {"protocol": protocol + ", published recipe on the same folds",
             "mae_weeks": round(measured.published_mae, 4)},
            {"protocol": "gain over the published recipe, paired", "share": round(measured.gain, 4),
             "standard_error": round(measured.gain_error, 4)},
        ],
        "seconds": {"features of 290x290x203 voxels (cpu)": 0.2},
        "licence": "research only: the feature tables were published without stated terms",
    }  # fmt: skip


def _cloud(table: FeatureTable, seed: int) -> TrainingCloud:
    """The cloud of all scans, with quantiles of distances from clouds that lack the scan's fold."""
    held_out = np.empty(len(table))
    for fitted, held in splits(grouped_folds(table.subject, np.random.default_rng([seed, 998]))):
        held_out[held] = fit_cloud(table.features[fitted]).distance(table.features[held])
    return with_quantiles(fit_cloud(table.features), held_out)
