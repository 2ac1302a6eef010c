"""Intervals over patients: against the formulas written out, one resample at a time."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from neurogen.evaluation.bootstrap import (
    BestOfCurve,
    Ratio,
    interval,
    mean_over_images,
    patient_weights,
    precision_statistic,
)


def noisy_images(rng, count=40, pixels=600):
    truths = [rng.random(pixels) < share for share in rng.uniform(0, 0.2, count)]
    return [rng.normal(size=pixels) + 1.5 * t for t in truths], truths


def test_images_of_one_patient_are_drawn_together_and_patients_keep_their_number():
    patients = np.array(["a", "b", "b", "c"])
    weights = patient_weights(patients, resamples=200, rng=np.random.default_rng(0))
    assert weights.shape == (200, 4)
    assert np.array_equal(weights[:, 1], weights[:, 2])
    assert np.all(weights[:, [0, 1, 3]].sum(axis=1) == 3)
    assert weights[:, 0].std() > 0


def test_the_same_generator_draws_the_same_patients():
    draws = [patient_weights(np.arange(9), resamples=5, rng=np.random.default_rng(3)) for _ in range(2)]
    assert np.array_equal(*draws)


def test_ratio_of_a_resample_is_the_ratio_of_the_repeated_images():
    found, lesions = np.array([1.0, 0, 2]), np.array([2.0, 0, 2])
    recall = Ratio(found, lesions)
    assert recall.value == pytest.approx(3 / 4)
    assert recall.resampled(np.array([[2, 1, 0], [0, 3, 0]]))[0] == pytest.approx(2 / 4)
    assert np.isnan(recall.resampled(np.array([[0, 3, 0]]))[0])


def test_mean_leaves_out_undefined_images():
    assert mean_over_images(np.array([1.0, np.nan, 2.0])).value == pytest.approx(1.5)


def test_best_of_curve_chooses_its_threshold_anew_in_every_resample():
    curve = BestOfCurve(np.array([[1.0, 0.0], [0.0, 0.8]]), np.ones((2, 2)))
    assert curve.value == pytest.approx(0.5)
    assert curve.resampled(np.array([[2, 0], [0, 2]])) == pytest.approx([1.0, 0.8])


def test_binned_precision_equals_scikit_learn_on_the_repeated_images():
    rng = np.random.default_rng(4)
    scores, truths = noisy_images(rng)
    statistic = precision_statistic(scores, truths, value=0.0)
    weights = patient_weights(np.arange(len(scores)), resamples=5, rng=rng)
    for drawn, value in zip(weights, statistic.resampled(weights), strict=True):
        repeated = np.repeat(np.arange(len(scores)), drawn.astype(int))
        exact = average_precision_score(
            np.concatenate([truths[k] for k in repeated]), np.concatenate([scores[k] for k in repeated])
        )
        assert value == pytest.approx(exact, abs=2e-3)


def test_binned_precision_of_constant_scores_is_the_prevalence():
    truths = [np.arange(100) < n for n in (5, 15)]
    statistic = precision_statistic([np.zeros(100)] * 2, truths, value=0.1)
    assert statistic.resampled(np.ones((1, 2)))[0] == pytest.approx(0.1)


def test_interval_of_a_mean_agrees_with_the_normal_approximation():
    rng = np.random.default_rng(5)
    values = rng.normal(10, 2, 400)
    weights = patient_weights(np.arange(400), resamples=4000, rng=rng)
    low, high = interval(mean_over_images(values), weights)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_interval_of_what_is_never_defined_is_undefined():
    low, high = interval(Ratio(np.zeros(3), np.zeros(3)), np.ones((10, 3)))
    assert np.isnan(low) and np.isnan(high)
