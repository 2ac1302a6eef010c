"""Columns shared by slices and volumes, each against another way to the same number."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from neurogen.evaluation import metrics
from neurogen.evaluation.detection_columns import false_components, image_columns, region_overlap, size_f1


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_image_columns_are_the_areas_of_scikit_learn_ties_included(rng):
    ill, healthy = rng.integers(2, 9, 40) / 8, rng.integers(0, 6, 30) / 8
    columns = image_columns(ill, healthy)
    truth, scores = [1] * 40 + [0] * 30, np.concatenate([ill, healthy])
    assert columns["auroc_image"].value == pytest.approx(roc_auc_score(truth, scores))
    assert columns["auprc_image"].value == pytest.approx(average_precision_score(truth, scores))
    once = np.ones((1, 70), np.float32)
    assert columns["auprc_image"].resampled(once)[0] == pytest.approx(columns["auprc_image"].value)
    weights = rng.multinomial(70, np.full(70, 1 / 70), size=3).astype(np.float32)
    expected = [roc_auc_score(truth, scores, sample_weight=w) for w in weights]
    assert columns["auroc_image"].resampled(weights) == pytest.approx(expected)


def test_region_overlap_is_the_area_drawn_threshold_by_threshold(rng):
    lesions = [[rng.normal(2, 1, 300)], [rng.normal(1, 1, 50), rng.normal(3, 1, 1000)]]
    healthy = [rng.normal(0, 1, 4000), rng.normal(0, 1, 6000)]
    levels = np.sort(np.concatenate(healthy))[::-1][:3001]  # up to a share of 0.3
    share = np.mean([(scores > levels[:, None]).mean(1) for image in lesions for scores in image], axis=0)
    expected = np.trapezoid(share, dx=1 / 10000) / 0.3
    assert region_overlap(lesions, healthy).value == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(("value", "expected"), [(1.0, 1.0), (0.0, 0.15)])
def test_region_overlap_of_one_score_for_all_that_is_healthy(value, expected):
    # known: everything found before the first false positive; nothing known: as many lesions as false positives
    found = region_overlap([[np.full(9, value)]], [np.zeros(50)]).value
    assert found == pytest.approx(expected)


def test_every_lesion_counts_the_same_however_large():
    healthy = [np.linspace(0, 1, 1000)]
    both = region_overlap([[np.full(10, 2.0), np.full(10_000, -1.0)]], healthy)
    assert both.value == pytest.approx(0.5)
    assert both.resampled(np.array([[3.0]]))[0] == pytest.approx(0.5)


def test_an_image_that_was_not_drawn_does_not_count():
    overlap = region_overlap([[np.full(5, 2.0)], [np.full(5, -1.0)]], [np.linspace(0, 1, 100)] * 2)
    assert overlap.resampled(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx([1.0, 0.0])


def test_f1_is_precision_and_recall_of_whole_lesions():
    found, lesions, false = np.array([[1, 0, 2]]), np.array([[2, 0, 2]]), np.array([[1, 3, 0]])
    f1 = {name: statistic.value for name, statistic in size_f1(found, lesions, false).items()}
    precision, recall = 1 / 2, 1 / 2
    assert f1["f1_small"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert f1["f1_medium"] == 0 and f1["f1_large"] == 1


def test_a_component_that_touches_a_lesion_is_not_false():
    marked, lesion = np.zeros((12, 12), bool), np.zeros((12, 12), bool)
    marked[1:4, 1:4] = marked[8:10, 8:10] = True
    lesion[3:6, 3:6] = True
    assert false_components(marked, lesion).tolist() == [4]
    assert false_components(marked, np.zeros_like(lesion)).tolist() == [9, 4]


def test_the_rim_is_what_lies_near_the_surface():
    brain = np.zeros((60, 60), bool)
    brain[5:55, 5:55] = True
    rim = metrics.rim(brain)
    assert rim[5, 30] and rim[11, 30] and not rim[13, 30] and not rim[4, 30]
    assert not rim[~brain].any()
