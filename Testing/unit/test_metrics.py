"""Metrics: known answers on tiny arrays, and independent routes."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import f1_score

from neurogen.evaluation import metrics


def test_average_precision_is_the_sum_of_precisions_at_the_hits():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    truth = np.array([True, False, True, False, False])
    assert metrics.average_precision(scores, truth) == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_average_precision_of_equal_scores_is_the_prevalence():
    truth = np.arange(100) < 7
    assert metrics.average_precision(np.zeros(100), truth) == pytest.approx(0.07)


def test_average_precision_without_truth_is_undefined():
    assert np.isnan(metrics.average_precision(np.arange(4.0), np.zeros(4, bool)))


def test_dice_of_known_overlap():
    marked, truth = np.arange(10) < 4, (np.arange(10) >= 2) & (np.arange(10) < 8)
    assert metrics.dice(marked, truth) == pytest.approx(2 * 2 / (4 + 6))


@pytest.mark.parametrize("marked", [np.zeros(5, bool), np.ones(5, bool)])
def test_dice_without_truth_is_undefined(marked):
    assert np.isnan(metrics.dice(marked, np.zeros(5, bool)))


def test_dice_with_nothing_marked_is_zero():
    assert metrics.dice(np.zeros(5, bool), np.ones(5, bool)) == 0


def test_counts_above_give_the_same_dice_as_masks_at_every_threshold():
    rng = np.random.default_rng(0)
    truth = rng.random(500) < 0.2
    scores = (rng.normal(size=500) + truth).round(1)  # rounded: many scores equal a threshold
    thresholds = np.unique(scores)[::5]
    hits, marked = metrics.counts_above(scores, truth, thresholds)
    curve = metrics.dice_from_counts(hits, marked, truth.sum())
    assert curve == pytest.approx([f1_score(truth, scores > t) for t in thresholds])


def test_curve_has_60_rising_thresholds_between_median_and_top():
    thresholds = metrics.curve_thresholds(np.arange(10_001.0))
    assert len(thresholds) == 60 and np.all(np.diff(thresholds) > 0)
    assert thresholds[0] == pytest.approx(5000) and thresholds[-1] == pytest.approx(9990)


def test_voxels_touching_at_a_corner_are_one_component():
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    _, sizes = metrics.components(mask)
    assert sorted(sizes) == [1, 2]


def test_keep_large_drops_only_smaller_components():
    mask = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0], bool)
    assert metrics.keep_large(mask, 2).tolist() == [0, 0, 1, 1, 0, 1, 1, 1, 0]
    assert not metrics.keep_large(np.zeros(5, bool), 2).any()


def test_a_lesion_is_found_at_a_tenth_of_it():
    lesion = np.zeros((3, 30), bool)
    lesion[0, :10] = lesion[2, 5:25] = True
    marked = np.zeros_like(lesion)
    marked[0, 0] = marked[2, 5] = True  # 1 of 10, 1 of 20
    sizes, found = metrics.lesions_found(marked, lesion)
    assert dict(zip(sizes.tolist(), found.tolist(), strict=True)) == {10: True, 20: False}


def test_no_lesion_gives_no_entry():
    sizes, found = metrics.lesions_found(np.ones((3, 3), bool), np.zeros((3, 3), bool))
    assert len(sizes) == len(found) == 0


@pytest.mark.parametrize("unit, sizes", [("ml", [0.99, 1, 10, 10.1]), ("mm2", [99, 100, 1000, 1001])])
def test_both_limits_are_medium(unit, sizes):
    assert metrics.size_classes(np.array(sizes), unit).tolist() == [0, 1, 1, 2]


def test_false_positives_count_visible_components_outside_the_truth():
    marked = np.zeros((20, 20, 20), bool)
    marked[:5, :5, :4] = True  # 100 voxels of 1 mm: exactly 0.1 ml
    marked[10:13, 10:13, 10:13] = True  # 27 voxels: too small to see
    marked[15:, 15:, 10:] = True  # 250 voxels, all of them lesion
    truth = np.zeros_like(marked)
    truth[15:, 15:, 10:] = True
    assert metrics.false_positive_ml(marked, truth, 0.001) == pytest.approx(0.1)
    assert metrics.false_positive_ml(marked, None, 0.001) == pytest.approx(0.35)


def test_operating_point_is_the_lowest_threshold_that_holds_for_every_one_of_ten_scans():
    rng = np.random.default_rng(1)
    brain = np.ones((12, 12, 12), bool)
    scans = []
    for _ in range(10):
        scan = rng.random(brain.shape)
        scan[:6] += 1  # 864 voxels above 1
        scans.append(scan)
    limit = 0.4  # ml of 1 mm voxels: 400 voxels
    threshold = metrics.threshold_for_false_positives(scans, [brain] * 10, voxel_ml=0.001, allowed_ml=limit)
    false_ml = [metrics.false_positive_ml(s > threshold, None, 0.001) for s in scans]
    just_below = max(s[s < threshold].max() for s in scans)
    assert max(false_ml) <= limit
    assert max(metrics.false_positive_ml(s > just_below, None, 0.001) for s in scans) > limit


@pytest.mark.parametrize("levels", [3, 40, 100_000])
def test_operating_point_of_one_scan_is_what_trying_every_score_gives(levels):
    rng = np.random.default_rng(levels)
    brain = rng.random((14, 14, 14)) < 0.9
    scan = gaussian_filter(rng.normal(size=brain.shape), 1)
    scan = np.round(scan * levels) / levels  # few levels: many voxels share a score
    threshold = metrics.threshold_for_false_positives([scan], [brain], voxel_ml=0.01, allowed_ml=2.0)
    quiet = [
        t for t in np.unique(scan[brain])
        if metrics.false_positive_ml((scan > t) & brain, None, 0.01) <= 2.0
    ]  # fmt: skip
    assert threshold in quiet
    assert metrics.false_positive_ml((scan > threshold - 1e-9) & brain, None, 0.01) > 2.0 or threshold == quiet[0]


def test_one_of_twenty_scans_may_be_loud():
    brain = np.ones((10, 10, 10), bool)
    quiet, loud = np.zeros(brain.shape), np.ones(brain.shape)
    scans = [quiet] * 19 + [loud]
    brains = [brain] * 20
    assert metrics.threshold_for_false_positives(scans, brains, voxel_ml=0.01) == 0
    assert metrics.threshold_for_false_positives(scans[1:], brains[1:], voxel_ml=0.01) == 1


def test_operating_point_needs_a_scan():
    with pytest.raises(ValueError, match="healthy"):
        metrics.threshold_for_false_positives([], [], voxel_ml=0.001)
