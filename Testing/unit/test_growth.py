"""Growth charts: known curves are found again, centiles hold their share of infants, strata stay apart."""

import numpy as np
import pytest

from neurogen.brain_age.age_model import load_age_model
from neurogen.brain_age.growth import NO_NORM, centile_of, fit_charts, members, norm_note
from neurogen.brain_age.tables import FeatureTable, join, load_table
from neurogen.models import ModelStore


def grown(count: int = 400, seed: int = 0) -> FeatureTable:
    """log(value) = 0.1 (t - 38) - 2, spread 0.1 at 38 weeks that halves over 7 weeks; the same for 172 features."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(30, 45, count)
    spread = 0.1 * 0.5 ** ((age - 38) / 7)
    values = np.exp(0.1 * (age - 38) - 2 + spread * rng.normal(size=(172, count))).T
    sex = ("Female", "Male") * (count // 2)
    birth = np.where(np.arange(count) % 4 == 0, 33.0, 39.0)
    return FeatureTable(("s",) * count, ("1",) * count, sex, birth, age, values)


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return grown()


@pytest.fixture(scope="module")
def charts(table):
    return fit_charts(table)


def test_the_median_and_the_spread_are_found_again(charts):
    low, _, median, _, high = charts.centile_curves(np.array([34.0, 38.0, 43.0]), 5)
    np.testing.assert_allclose(np.log(median), 0.1 * np.array([-4, 0, 5]) - 2, atol=0.03)
    np.testing.assert_allclose(np.log(high / low) / (2 * 1.645), 0.1 * 0.5 ** (np.array([-4, 0, 5]) / 7), rtol=0.15)


def test_centiles_hold_their_share(charts, table):
    z = charts.z_scores(table.features, table.age_weeks)
    assert z.mean() == pytest.approx(0, abs=0.02) and z.std() == pytest.approx(1, abs=0.02)
    for centile in (5, 25, 50, 75, 95):
        assert (centile_of(z) < centile).mean() == pytest.approx(centile / 100, abs=0.02)


def test_a_value_on_a_curve_has_its_centile(charts):
    ages = np.array([40.0])
    curves = charts.centile_curves(ages, 7)
    for centile, value in zip((5, 25, 50, 75, 95), curves[:, 0]):
        features = np.full((1, 172), value)
        assert centile_of(charts.z_scores(features, ages))[0, 7] == pytest.approx(centile)


def test_strata_divide_the_infants(table, charts):
    assert (members(table, "term") ^ members(table, "preterm")).all()
    assert (members(table, "female") ^ members(table, "male")).all()
    with pytest.raises(ValueError, match="twins"):
        charts.z_scores(table.features, table.age_weeks, stratum="twins")


def test_beyond_its_ages_a_chart_stays_at_its_end(charts):
    _, last = charts.range_of("all")
    curves = charts.centile_curves(np.array([last, last + 10]), 0)
    np.testing.assert_array_equal(curves[:, 0], curves[:, 1])


def test_no_centile_exceeds_all_of_a_region():
    near_one = grown()
    near_one.features[:] = np.minimum(near_one.features / near_one.features.max() * 1.3, 1.0)
    curves = fit_charts(near_one).centile_curves(np.linspace(30, 45, 9), 3)
    assert curves.max() == 1.0 and (np.diff(curves, axis=0) >= 0).all()


def test_early_charts_are_labeled():
    assert norm_note(36.9) == NO_NORM and not norm_note(37.0)


def test_the_shipped_charts_hold_the_scans(shared_data):
    tables = [load_table(shared_data / "neonatal_features" / f"{name}.csv") for name in ("train", "val")]
    table = join(*tables)
    z = load_age_model(ModelStore().get("neonatal-age")).charts.z_scores(table.features, table.age_weeks)
    shares = [(centile_of(z) < centile).mean() for centile in (5, 25, 50, 75, 95)]
    np.testing.assert_allclose(shares, [0.05, 0.25, 0.5, 0.75, 0.95], atol=0.015)
