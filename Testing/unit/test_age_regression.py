"""The regressor: the published numbers again, exact files, grouped folds, honest intervals, distances that add up."""

import json

import numpy as np
import pytest

from neurogen.brain_age import regression
from neurogen.brain_age.age_model import contents_of, load_age_model
from neurogen.brain_age.calibration import age_warnings, calibrate, held_out_coverage
from neurogen.brain_age.distance import fit_cloud, with_quantiles
from neurogen.brain_age.folds import grouped_folds, out_of_fold, splits
from neurogen.brain_age.importance import groups
from neurogen.brain_age.regions import FEATURE_NAMES, LABELS
from neurogen.brain_age.regression import PUBLISHED, SHIPPED, AgeRegressor, TermRecipe, fit, strongest, to_view
from neurogen.brain_age.tables import FeatureTable, check_features, join, load_table
from neurogen.errors import InputRefused, ModelUnavailable
from neurogen.models import Model, ModelStore, write_model_files


def synthetic(count: int = 120, seed: int = 0) -> FeatureTable:
    """Scans whose regions grow with age at rates of their own, with noise; every third subject was scanned twice."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(30, 44, count)
    rate = rng.normal(0, 0.04, 2 * len(LABELS))
    logs = rng.normal(0, 0.5, 2 * len(LABELS)) + rate * (age[:, None] - 38) + rng.normal(0, 0.05, (count, 172))
    volumes = np.exp(logs[:, :86])
    features = np.hstack([volumes / volumes.sum(axis=1, keepdims=True), 1 / (1 + np.exp(-logs[:, 86:]))])
    subjects = tuple(f"S{k - (k % 3 == 2)}" for k in range(count))
    sex = tuple(rng.choice(["Female", "Male"], count))
    return FeatureTable(subjects, ("1",) * count, sex, age - rng.uniform(0, 4, count), age, features)


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return synthetic()


@pytest.fixture(scope="module")
def splits_of_the_study(shared_data) -> tuple[FeatureTable, FeatureTable]:
    folder = shared_data / "neonatal_features"
    return load_table(folder / "train.csv"), load_table(folder / "val.csv")


@pytest.mark.parametrize(("count", "expected"), [(100, 0.588), (172, 0.600)])
def test_the_published_recipe_gives_the_published_errors(splits_of_the_study, count, expected):
    """Fitted on the training split, tested on the validation split: mean absolute error in weeks."""
    train, val = splits_of_the_study
    regressor = fit(train.features, train.age_weeks, (TermRecipe(count=count),))
    assert np.abs(regressor.predict(val.features) - val.age_weeks).mean() == pytest.approx(expected, abs=0.0006)


def test_ours_beats_the_published_recipe_on_the_same_folds(splits_of_the_study):
    """2 x 10 folds here; 10 x 10 in the manifest."""
    table = join(*splits_of_the_study)
    error = {}
    for recipe in (PUBLISHED, SHIPPED):
        ages = out_of_fold(table, lambda a, b, r=recipe: fit(a.features, a.age_weeks, r).predict(b.features), repeats=2)
        error[recipe] = np.abs(ages - table.age_weeks).mean()
    assert error[SHIPPED] < 0.98 * error[PUBLISHED]
    fold = grouped_folds(table.subject, np.random.default_rng(5))
    assert 0.87 <= held_out_coverage(ages, table.age_weeks, fold) <= 0.93  # of the shipped recipe, the last one


def test_the_shipped_model_is_fitted_on_these_scans(splits_of_the_study):
    table = join(*splits_of_the_study)
    model = load_age_model(ModelStore().get("neonatal-age"))
    again = fit(table.features, table.age_weeks).predict(table.features)
    np.testing.assert_allclose(model.regressor.predict(table.features), again, atol=1e-6)
    assert model.subjects == set(table.subject)


def test_prediction_is_that_of_scikit_learn(table):
    from sklearn.linear_model import BayesianRidge
    from sklearn.preprocessing import StandardScaler

    kept = strongest(table.features, table.age_weeks, 50)
    scaler = StandardScaler().fit(table.features[:, kept])
    model = BayesianRidge().fit(scaler.transform(table.features[:, kept]), table.age_weeks)
    ours = fit(table.features, table.age_weeks, (TermRecipe(count=50),)).predict(table.features)
    np.testing.assert_allclose(ours, model.predict(scaler.transform(table.features[:, kept])), atol=1e-9)


def test_saving_changes_no_bit(table):
    regressor = fit(table.features, table.age_weeks)
    again = AgeRegressor.from_dict(json.loads(json.dumps(regressor.to_dict())))
    assert np.array_equal(regressor.predict(table.features), again.predict(table.features))


def test_foreign_terms_are_refused(table):
    content = fit(table.features, table.age_weeks, PUBLISHED).to_dict()
    content["terms"][0]["feature"][0] = "rv_84"
    with pytest.raises(ValueError, match="rv_84"):
        AgeRegressor.from_dict(content)


def test_contributions_add_up_to_the_age(table):
    regressor = fit(table.features, table.age_weeks)
    intercept = np.mean([term.intercept for term in regressor.terms])
    total = intercept + regressor.contributions(table.features).sum(axis=1)
    np.testing.assert_allclose(total, regressor.predict(table.features))


def test_pairs_are_means_and_differences():
    features = np.arange(172.0)[None]
    names, pairs = regression._view_names("pairs"), to_view(features, "pairs")[0]
    left, right = FEATURE_NAMES.index("svr_80"), FEATURE_NAMES.index("svr_79")
    assert pairs[names.index("svr_80_79_mean")] == (left + right) / 2
    assert pairs[names.index("svr_80_79_difference")] == left - right
    assert len(set(names)) == 172 and np.linalg.matrix_rank(regression._view_matrix("pairs")) == 172


def test_selection_sees_the_given_scans_only(table):
    kept = strongest(table.features, table.age_weeks, 10)
    r = [abs(np.corrcoef(column, table.age_weeks)[0, 1]) for column in table.features.T]
    assert set(kept) == set(np.argsort(r)[-10:])


def test_no_subject_is_split(table):
    fold = grouped_folds(table.subject, np.random.default_rng(1))
    for fitted, held in splits(fold):
        assert not {s for s, k in zip(table.subject, fitted) if k} & {s for s, k in zip(table.subject, held) if k}
    assert set(fold) == set(range(10))


def test_intervals_cover_what_they_promise():
    rng = np.random.default_rng(0)
    age = rng.uniform(34, 44, 600)
    predicted = age + rng.normal(0, 0.6, (3, 600))
    assert 0.87 <= held_out_coverage(predicted, age, np.arange(600) % 10) <= 0.94
    calibration = calibrate(predicted, age)
    low, high = calibration.interval(41.0)
    assert high - low == pytest.approx(2 * 1.645 * 0.6, rel=0.2)
    inner = calibration.interval(41.0, 0.5)
    assert low < inner[0] < 41 < inner[1] < high


def test_the_corrected_gap_forgets_the_pull_to_the_mean():
    age = np.linspace(30, 44, 200)
    predicted = (age + 0.2 * (39 - age))[None]
    calibration = calibrate(predicted, age)
    assert calibration.gap_slope == pytest.approx(-0.2)
    assert calibration.corrected_gap(31.8, 30.0) == pytest.approx(0, abs=1e-9)
    assert calibration.corrected_gap(32.8, 30.0) == pytest.approx(1)


@pytest.mark.parametrize(("weeks", "words"), [(28.0, "29-45"), (46.0, "29-45"), (33.0, "17 scans")])
def test_rare_ages_are_said(weeks, words):
    assert any(words in sentence for sentence in age_warnings(weeks, None))
    assert any(words in sentence for sentence in age_warnings(40.0, weeks))
    assert not age_warnings(40.0, 41.0)


def test_distance_adds_up_and_names_its_cause(table):
    cloud = fit_cloud(table.features)
    z = (table.features - cloud.mean) / cloud.deviation
    full = cloud.component.T @ np.diag(cloud.variance - cloud.noise) @ cloud.component + cloud.noise * np.eye(172)
    np.testing.assert_allclose(cloud.distance(table.features) ** 2, np.einsum("ni,ij,nj->n", z, np.linalg.inv(full), z))
    odd = table.features[0].copy()
    odd[FEATURE_NAMES.index("svr_48")] += 12 * cloud.deviation[FEATURE_NAMES.index("svr_48")]
    assert cloud.causes(odd)[0][0] == 48
    assert with_quantiles(cloud, cloud.distance(table.features)).percentile(cloud.distance(odd[None])[0]) == 100


def test_groups_hold_every_feature_once():
    for kind, count in (("rv", 86), ("svr", 86), ("both", 172)):
        for level in ("region", "pair", "lobe"):
            columns = np.concatenate(list(groups(level, kind).values()))
            assert len(columns) == len(set(columns)) == count


def test_swapped_columns_and_wrong_sums_are_refused(table):
    swapped = np.hstack([table.features[:, 86:], table.features[:, :86]])
    with pytest.raises(InputRefused, match="swapped"):
        check_features(swapped, "table.csv")
    with pytest.raises(InputRefused, match="sum to 0.5"):
        check_features(table.features * np.repeat([0.5, 1], 86), "table.csv")
    check_features(table.features, "table.csv")


def test_a_table_without_features_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("subject,scan_age_weeks\nA,40\n")
    with pytest.raises(InputRefused, match="172 columns"):
        load_table(tmp_path / "t.csv")


def test_the_shipped_model_leads_as_published():
    """SVR: frontal and parietal white matter, thalamus; RV: frontal and parietal gray matter."""
    importance = load_age_model(ModelStore().get("neonatal-age")).importance
    top = {kind: sorted(importance[kind]["region"], key=lambda n: -importance[kind]["region"][n].weeks) for kind in
           ("rv", "svr")}  # fmt: skip
    assert set(top["svr"][:6]) == {"79", "80", "81", "82", "86", "87"}
    assert {"36", "37", "38"} == set(top["rv"][:3])


def test_a_changed_or_foreign_model_is_refused(tmp_path):
    shipped = ModelStore().get("neonatal-age")
    files = contents_of(load_age_model(shipped))
    assert files == {name: (shipped.path / name).read_bytes() for name in files}
    manifest = {key: value for key, value in shipped.manifest.items() if key != "files"}
    copy = write_model_files(tmp_path / "neonatal-age", manifest, files)
    (copy.path / "regressor.json").write_bytes(files["regressor.json"].replace(b"0.1", b"0.2", 1))
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        load_age_model(copy)
    with pytest.raises(ModelUnavailable, match="brain-age"):
        load_age_model(Model("x", shipped.path, {**shipped.manifest, "task": "anomaly"}))
