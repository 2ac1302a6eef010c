"""The age benchmark: the shipped model on a feature table, and the comparisons of the published study.

Protocol of "shipped": every row of the table is predicted by the shipped model; subjects that trained it stand apart.
"cross-validation": the shipped recipe against the published one, 10 x 10 folds grouped by subject, the same folds.
"importance": permutation importance on held-out folds. Both join --train, where given, to the table.
"regressors": the regressors of the published table 6.4, with and without selection of the 100 features that correlate
best, fitted on --train and tested on the table. "low-data": the published recipe and ours fitted on 10, 20, 40, 60 and
100 scans of --train (table 6.3).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from neurogen.brain_age.age_model import DEFAULT_MODEL, AgeModel, load_age_model
from neurogen.brain_age.build import cross_validate, measure
from neurogen.brain_age.importance import RECIPES, permutation_importance
from neurogen.brain_age.regions import region_of
from neurogen.brain_age.regression import PUBLISHED, SHIPPED, fit, strongest
from neurogen.brain_age.tables import FeatureTable, join, load_table
from neurogen.errors import InputRefused, UsageError
from neurogen.evaluation.tables import Table
from neurogen.models import ModelStore
from neurogen.progress import Progress, silent

COMPARISONS = ("shipped", "cross-validation", "regressors", "low-data", "importance")
SELECTED = 100
LOW_DATA = (10, 20, 40, 60, 100)
DRAWS = 10  # random choices of the scans, a size
SCORES = ("scans", "mae", "mae_sd", "rmse", "r2", "r2_pearson")


def run(
    data: Path,
    *,
    methods: Sequence[str] | None = None,
    json_path: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = silent,
    compare: str = "shipped",
    train: Sequence[Path] = (),
) -> Table:
    """Measure on the feature table `data`. methods: some rows only. device: unused, all of it is linear algebra."""
    table = load_table(data)
    if not np.isfinite(table.age_weeks).all():
        raise InputRefused(f"{data} lacks the age of {int((~np.isfinite(table.age_weeks)).sum())} scans. Complete it.")
    made = _comparison(compare, table, train, seed, progress)
    if methods:
        unknown = [name for name in methods if name not in made.rows]
        if unknown:
            raise UsageError(f"Rows {', '.join(unknown)} are unknown. Choose among {', '.join(made.rows)}.")
        made = Table({name: made.rows[name] for name in methods}, made.columns, notes=made.notes, facts=made.facts)
    if json_path is not None:
        made.write_json(json_path)
    return made


def scores(predicted: np.ndarray, age: np.ndarray) -> dict[str, float]:
    """MAE and its spread, RMSE (weeks), R2 as coefficient of determination and as squared correlation."""
    error = predicted - age
    many = len(age) > 1 and age.std() > 0
    return {
        "scans": len(age),
        "mae": float(np.abs(error).mean()),
        "mae_sd": float(np.abs(error).std()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": float(1 - (error**2).sum() / ((age - age.mean()) ** 2).sum()) if many else float("nan"),
        "r2_pearson": float(np.corrcoef(predicted, age)[0, 1] ** 2) if many else float("nan"),
    }


def shipped_table(table: FeatureTable, model: AgeModel) -> Table:
    """The shipped model on all scans, on subjects it never saw, and on those it was fitted on."""
    predicted = model.regressor.predict(table.features)
    seen = np.array([subject in model.subjects for subject in table.subject])
    groups = {"all scans": np.full(len(table), True), "subjects not in training": ~seen, "subjects in training": seen}
    rows = {
        name: _shipped_row(predicted[mask], table.age_weeks[mask], model) for name, mask in groups.items() if mask.any()
    }
    notes = (
        "Weeks. r2: coefficient of determination; r2_pearson: squared correlation; bias_slope: weeks of error a week "
        "of age; coverage_90: share of ages inside the 90 % interval. Subjects in training were fitted on: no test.",
    )
    return Table(rows, (*SCORES, "bias_slope", "coverage_90"), notes=notes, facts={"protocol": "shipped"})


def regressors() -> dict[str, Callable]:
    """The regressors of the published table 6.4 with scikit-learn's defaults, and a Gaussian process on components."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import BayesianRidge, ElasticNet
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVR

    def process():
        kernel = ConstantKernel(10.0) * RBF(30.0) + ConstantKernel(0.1) * DotProduct(1.0) + WhiteKernel(0.3)
        return make_pipeline(PCA(40, random_state=0), GaussianProcessRegressor(kernel))

    return {
        "Kernel ridge": KernelRidge,
        "ElasticNet": ElasticNet,
        "Gradient boosting": lambda: GradientBoostingRegressor(random_state=0),
        "Support vectors": SVR,
        "Multi-layer perceptron": lambda: MLPRegressor(random_state=0, max_iter=1000),
        "Bayesian ridge": BayesianRidge,
        "PCA + Gaussian process": process,
    }


def regressor_table(fitted: FeatureTable, tested: FeatureTable, *, progress: Progress = silent) -> Table:
    """Each regressor without and with selection (published table 6.4); ours below. Suffix _100: with selection."""
    rows: dict[str, dict[str, float]] = {}
    for k, (name, make) in enumerate(regressors().items()):
        progress(name, k / 8)
        rows[name] = {}
        for count, suffix in ((fitted.features.shape[1], ""), (SELECTED, "_100")):
            found = scores(_fit_and_predict(make, fitted, tested, count), tested.age_weeks)
            rows[name] |= {key + suffix: value for key, value in found.items()}
    ours = fit(fitted.features, fitted.age_weeks, SHIPPED).predict(tested.features)
    rows["NeuroGen's recipe"] = scores(ours, tested.age_weeks)
    columns = tuple(key + suffix for suffix in ("", "_100") for key in SCORES[1:])
    notes = (
        f"Fitted on {len(fitted)} scans, tested on {len(tested)}. _100: the 100 features that correlate best with age "
        "in the fitted scans. NeuroGen's recipe selects by itself.",
    )
    return Table(rows, columns, notes=notes, facts={"protocol": "regressors"})


def low_data_table(fitted: FeatureTable, tested: FeatureTable, *, seed: int = 0) -> Table:
    """MAE with few scans (published table 6.3), mean and spread over random draws of them."""
    rows: dict[str, dict[str, float]] = {}
    for count in (n for n in LOW_DATA if n <= len(fitted)):
        for name, recipe in (("published", PUBLISHED), ("ours", SHIPPED)):
            errors = []
            for draw in range(DRAWS):
                chosen = np.random.default_rng([seed, count, draw]).permutation(len(fitted))[:count]
                regressor = fit(fitted.features[chosen], fitted.age_weeks[chosen], recipe)
                errors.append(scores(regressor.predict(tested.features), tested.age_weeks))
            mean = {key: float(np.mean([one[key] for one in errors])) for key in SCORES}
            rows[f"{count} scans, {name}"] = {
                **mean,
                "mae_between_draws": float(np.std([one["mae"] for one in errors])),
            }
    notes = (f"Means over {DRAWS} random draws of the scans; the same draws for both recipes.",)
    return Table(rows, (*SCORES, "mae_between_draws"), notes=notes, facts={"protocol": "low-data", "seed": seed})


def cross_validation_table(table: FeatureTable, *, seed: int = 0, repeats: int = 10) -> Table:
    """The shipped recipe and the published one on the same folds, grouped by subject."""
    recipes = {"published recipe": PUBLISHED, "NeuroGen's recipe": SHIPPED}
    ages = {name: cross_validate(table, recipe, repeats=repeats, seed=seed) for name, recipe in recipes.items()}
    measured = measure(table, ages["NeuroGen's recipe"], ages["published recipe"], seed=seed)
    rows = {name: scores(found.ravel(), np.tile(table.age_weeks, repeats)) for name, found in ages.items()}
    for row in rows.values():
        row["scans"] = len(table)
    rows["NeuroGen's recipe"] |= {
        "gain": measured.gain,
        "gain_se": measured.gain_error,
        "coverage_90": measured.coverage,
    }
    notes = (
        f"{repeats} x 10 folds grouped by subject. gain: share of the published recipe's MAE saved, paired by scan, "
        "with its standard error; coverage_90: of intervals calibrated without the scan's fold.",
    )
    columns = (*SCORES, "gain", "gain_se", "coverage_90")
    return Table(rows, columns, notes=notes, facts={"protocol": "cross-validation", "seed": seed})


def importance_table(table: FeatureTable, *, seed: int = 0, progress: Progress = silent) -> Table:
    """Weeks of error and standard error by region: RV alone, SVR alone, together; the most important first."""
    found = {kind: permutation_importance(table, kind, seed=seed, progress=progress)["region"] for kind in RECIPES}
    order = sorted(found["both"], key=lambda label: -max(found[kind][label].scaled for kind in RECIPES))
    rows = {}
    for label in order:
        values = {kind: found[kind][label] for kind in RECIPES}
        rows[f"{label} {region_of(int(label)).name}"] = {
            f"{kind}_{key}": getattr(one, field)
            for kind, one in values.items()
            for key, field in (("scaled", "scaled"), ("weeks", "weeks"), ("se", "standard_error"))
        }
    columns = tuple(f"{kind}_{key}" for kind in RECIPES for key in ("scaled", "weeks", "se"))
    notes = ("Rise of the mean absolute error, in weeks, on held-out folds; scaled by the largest of its kind.",)
    return Table(rows, columns, notes=notes, facts={"protocol": "importance", "seed": seed})


def _comparison(name: str, table: FeatureTable, train: Sequence[Path], seed: int, progress: Progress) -> Table:
    if name in ("regressors", "low-data"):
        if not train:
            raise UsageError(f"--compare {name} fits regressors: give the table to fit them on by --train TRAIN.csv.")
        fitted = join(*(load_table(path) for path in train))
        if name == "regressors":
            return regressor_table(fitted, table, progress=progress)
        return low_data_table(fitted, table, seed=seed)
    everything = join(*(load_table(path) for path in train), table)
    made: Mapping[str, Callable[[], Table]] = {
        "shipped": lambda: shipped_table(table, load_age_model(ModelStore().get(DEFAULT_MODEL))),
        "cross-validation": lambda: cross_validation_table(everything, seed=seed),
        "importance": lambda: importance_table(everything, seed=seed, progress=progress),
    }
    if name not in made:
        raise UsageError(f"--compare {name} is unknown. Choose one of {', '.join(COMPARISONS)}.")
    return made[name]()


def _shipped_row(predicted: np.ndarray, age: np.ndarray, model: AgeModel) -> dict[str, float]:
    several = len(age) > 1 and age.std() > 0
    slope = float(np.polyfit(age, predicted - age, 1)[0]) if several else float("nan")
    return {
        **scores(predicted, age),
        "bias_slope": slope,
        "coverage_90": float(model.calibration.covers(predicted, age).mean()),
    }


def _fit_and_predict(make: Callable, fitted: FeatureTable, tested: FeatureTable, count: int) -> np.ndarray:
    """Select, standardize, center the age, fit, predict: the published order."""
    kept = strongest(fitted.features, fitted.age_weeks, count)
    mean, deviation = fitted.features[:, kept].mean(axis=0), fitted.features[:, kept].std(axis=0)
    center = fitted.age_weeks.mean()
    model = make().fit((fitted.features[:, kept] - mean) / deviation, fitted.age_weeks - center)
    return model.predict((tested.features[:, kept] - mean) / deviation) + center
