"""The ensemble: one scale for all methods, their mean, their disagreement, and its door in `detect`."""

from types import SimpleNamespace

import numpy as np
import pytest
from builders import GEOMETRIES, phantom
from scipy.stats import norm

from neurogen.anomaly import DetectionSettings, detect, detection
from neurogen.anomaly.calibration import QUANTILES
from neurogen.anomaly.ensemble import calibrated, joined, joint_point
from neurogen.errors import ModelUnavailable, UsageError


def quantiles_of(values):
    return {str(q): float(np.quantile(np.abs(values), q)) for q in QUANTILES}


def model(name, values, threshold=4.0):
    calibration = {"t1w": {"threshold": threshold, "sentence": "", "healthy_quantiles": quantiles_of(values)}}
    manifest = {
        "task": "anomaly",
        "version": "1",
        "contrasts": ["t1w"],
        "age_range": [20, 80],
        "calibration": calibration,
    }
    return SimpleNamespace(id=name, sha256=name * 8, manifest=manifest)


@pytest.fixture
def healthy():
    """Healthy scores of two methods with different units and tails."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(200_000) * 0.3, rng.laplace(size=200_000) * 5


def test_every_method_becomes_standard_normal_on_healthy_brains(healthy):
    for values in healthy:
        common = calibrated(values, quantiles_of(values))
        for share in (0.5, 0.9, 0.99):
            assert np.quantile(np.abs(common), share) == pytest.approx(norm.ppf((1 + share) / 2), rel=0.03)


def test_the_scale_keeps_order_and_sign_also_beyond_the_last_quantile(healthy):
    ladder = np.linspace(-200, 200, 4001)
    common = calibrated(ladder, quantiles_of(healthy[1]))
    assert (np.diff(common) > 0).all()
    assert np.array_equal(np.sign(common), np.sign(ladder))


def test_a_score_that_is_mostly_zero_is_still_brought_to_scale():
    values = np.maximum(np.random.default_rng(1).standard_normal(100_000) - 1, 0)
    common = calibrated(values, quantiles_of(values))
    assert (common[values == 0] == 0).all()
    assert np.quantile(common, 0.99) == pytest.approx(norm.ppf(0.995), rel=0.03)


def test_agreement_has_no_uncertainty_and_disagreement_has(healthy):
    one, two = (model(name, values) for name, values in zip("ab", healthy))
    score = np.array([0.0, 0.3, 1.2])
    same = joined([score, score], [one, one])
    np.testing.assert_allclose(same.uncertainty, 0, atol=1e-6)
    np.testing.assert_allclose(same.score, calibrated(score, quantiles_of(healthy[0])))
    other = joined([score, -score], [one, one])
    np.testing.assert_allclose(other.score, 0, atol=1e-6)
    np.testing.assert_allclose(other.uncertainty, np.abs(same.score), rtol=1e-6)
    mixed = joined([score, np.zeros(3)], [one, two])
    np.testing.assert_allclose(mixed.score, same.score / 2)


def test_the_operating_point_is_the_members_mean_and_names_them(healthy):
    one, two = model("a", healthy[0], 0.9), model("b", healthy[1], 20.0)
    point = joint_point([one, two])
    own = [float(calibrated(np.array(t), quantiles_of(v))) for t, v in ((0.9, healthy[0]), (20.0, healthy[1]))]
    assert point.threshold == pytest.approx(np.mean(own))
    assert "2 methods (a, b)" in point.sentence


def test_a_model_without_quantiles_is_refused(healthy):
    bare = model("a", healthy[0])
    bare.manifest["calibration"]["t1w"].pop("healthy_quantiles")
    with pytest.raises(ModelUnavailable, match="cannot be averaged"):
        joined([np.zeros(3)], [bare])


def test_detect_averages_methods_and_maps_their_disagreement(healthy, monkeypatch):
    """Two methods that differ in one half of the brain: there, and only there, the uncertainty is large."""
    members = {"a": model("a", healthy[0]), "b": model("b", healthy[1])}
    scale = {"a": 1.0, "b": 5 / 0.3}

    def half(prepared, member, settings, device, progress):
        score = np.full(prepared.image.shape, 0.5 * scale[member.id], np.float32) * prepared.brain
        if member.id == "b":
            score[:80] *= -1
        return score, prepared.image * prepared.brain

    monkeypatch.setattr(detection, "_score", half)
    image, brain = phantom(*GEOMETRIES["ras"])
    store = SimpleNamespace(get=members.get)
    quick = {"registered": True, "bias_correction": False}
    found = detect(image, DetectionSettings("a", ("b",), **quick), mask=brain, store=store)
    assert found.uncertainty.shape == image.shape
    left = np.zeros(image.shape, bool)
    left[: image.shape[0] // 2 - 4] = True
    inside = brain.array.astype(bool)
    assert found.uncertainty.array[inside & left].mean() > 2 * found.uncertainty.array[inside & ~left].mean()
    assert "2 methods (a, b)" in found.operating_point.sentence
    assert [m["id"] for m in found.facts["ensemble"]] == ["a", "b"]
    alone = detect(image, DetectionSettings("a", **quick), mask=brain, store=store)
    assert alone.uncertainty is None and "ensemble" not in alone.facts


def test_a_model_twice_is_refused():
    with pytest.raises(UsageError, match="twice"):
        DetectionSettings(model="a", ensemble=("b", "a"))
