"""Lesions and operating points: known components, measured where they lie."""

import numpy as np
import pytest

from neurogen.anomaly.calibration import (
    healthy_quantiles,
    operating_threshold,
    slice_threshold,
    volume_threshold,
    with_margin,
)
from neurogen.anomaly.lesions import component_volume_ml, cut_lesions

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = [-40, -50, -30]
VOXEL_ML = 0.008


@pytest.fixture
def score():
    """A bright cube of 8 x 8 x 8 voxels (4.096 ml) at score 5, a dark one of 4 x 4 x 4 (0.512 ml) at -7, a speck."""
    array = np.zeros((40, 50, 30))
    array[4:12, 10:18, 5:13] = 5
    array[30:34, 30:34, 20:24] = -7
    array[20, 20, 20] = 9
    return array


def test_components_are_measured_in_the_patient(score):
    cut = cut_lesions(score, AFFINE, 3.0)
    bright, dark = cut.lesions
    assert (bright.polarity, dark.polarity) == ("bright", "dark")
    assert bright.volume_ml == pytest.approx(4.096)
    assert dark.volume_ml == pytest.approx(0.512)
    assert bright.centroid_ras_mm == pytest.approx((2 * 7.5 - 40, 2 * 13.5 - 50, 2 * 8.5 - 30))
    assert (bright.peak_score, dark.mean_score) == (5, 7)
    assert (bright.side, dark.side) == ("left", "right")
    assert (cut.labels == 1).sum() == 512 and (cut.labels == 2).sum() == 64
    assert cut.labels[20, 20, 20] == 0  # 0.008 ml is below the minimum


@pytest.mark.parametrize(("direction", "polarities"), [("bright", {"bright"}), ("dark", {"dark"})])
def test_one_direction_finds_only_that_polarity(score, direction, polarities):
    assert {lesion.polarity for lesion in cut_lesions(score, AFFINE, 3.0, direction=direction).lesions} == polarities


def test_touching_at_a_corner_is_one_lesion_and_opposite_signs_are_two():
    score = np.zeros((20, 20, 20))
    score[2:6, 2:6, 2:6] = score[6:10, 6:10, 6:10] = 4
    score[10:14, 6:10, 6:10] = -4
    assert len(cut_lesions(score, AFFINE, 1.0).lesions) == 2


def test_a_flipped_grid_gives_the_same_place_and_side(score):
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = score.shape[0] - 1
    here, there = cut_lesions(score, AFFINE, 3.0).lesions[0], cut_lesions(score[::-1], AFFINE @ flip, 3.0).lesions[0]
    assert there.centroid_ras_mm == pytest.approx(here.centroid_ras_mm)
    assert there.side == here.side


def test_the_side_is_that_of_the_template(score):
    to_template = np.eye(4)
    to_template[0, 3] = 200.0
    lesions = cut_lesions(score, AFFINE, 3.0, template_from_scan=to_template).lesions
    assert {lesion.side for lesion in lesions} == {"right"}


def test_an_unknown_direction_is_refused(score):
    with pytest.raises(ValueError, match="both, bright, dark"):
        cut_lesions(score, AFFINE, 3.0, direction="up")


def test_component_volume_counts_what_would_be_reported(score):
    assert component_volume_ml(score, 3.0, VOXEL_ML, 0.1) == pytest.approx(4.096 + 0.512)
    assert component_volume_ml(score, 6.0, VOXEL_ML, 0.1) == pytest.approx(0.512)


def test_the_operating_point_leaves_at_most_three_ml(score):
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    scans = [gaussian_filter(rng.standard_normal((40, 50, 30)), 1.5) * 5 for _ in range(6)]
    threshold = volume_threshold(scans, VOXEL_ML)
    volumes = [component_volume_ml(scan, threshold, VOXEL_ML, 0.1) for scan in scans]
    assert max(volumes) <= 3.0
    assert max(component_volume_ml(scan, threshold - 0.06, VOXEL_ML, 0.1) for scan in scans) > 3.0


def test_one_noisy_scan_in_forty_does_not_set_the_operating_point():
    quiet = np.zeros((20, 20, 20))
    quiet[:10] = 1.0
    loud = quiet * 50
    assert volume_threshold([quiet] * 39 + [loud], VOXEL_ML) == pytest.approx(1.0)


def peaked(height: float) -> np.ndarray:
    """A scan that needs a threshold of `height`: 4 ml of it."""
    scan = np.zeros((8, 8, 8))
    scan[2:4, 2:7, 2:6] = height
    return scan


def test_scans_that_agree_need_no_margin():
    assert operating_threshold([peaked(2.0)] * 10, 0.1) == pytest.approx(2.0)
    assert operating_threshold([peaked(2.0)], 0.1) == pytest.approx(2.0)


def test_nineteen_of_twenty_new_scans_stay_below_the_operating_point():
    """Ten scans are few: their maximum alone would let one new scan in eleven through."""
    rng = np.random.default_rng(0)
    below = [
        rng.normal(3, 0.5, 100) < operating_threshold([peaked(h) for h in rng.normal(3, 0.5, 10)], 0.1)
        for _ in range(100)
    ]
    assert np.mean(below) == pytest.approx(0.95, abs=0.02)


def test_the_operating_point_is_not_below_what_the_scans_themselves_need():
    scans = [peaked(1.0)] * 9 + [peaked(5.0)]
    assert operating_threshold(scans, 0.1) >= volume_threshold(scans, 0.1) == pytest.approx(5.0)


def test_a_margin_is_taken_as_far_as_it_costs_one_lesion_in_fifty():
    found_up_to = np.concatenate([np.linspace(2.0, 12.0, 100), np.full(30, 0.5)])  # the last are not found at 1.0
    threshold = with_margin(1.0, found_up_to)
    assert (found_up_to > threshold).sum() == 98
    assert (found_up_to > threshold + 0.01).sum() < 98


def test_no_margin_where_every_lesion_counts():
    few = np.array([1.2, 1.5, 3.0])
    assert with_margin(1.0, few) == pytest.approx(1.2, abs=0.002) and (few > with_margin(1.0, few)).all()
    assert with_margin(5.0, few) == 5.0
    assert with_margin(1.0, np.zeros(0)) == 1.0


def test_one_percent_of_healthy_pixels_exceed_the_slice_threshold():
    scores = np.arange(10000, dtype=float).reshape(1, 100, 100)
    brain = np.ones_like(scores, bool)
    assert (scores > slice_threshold(scores, brain)).mean() == pytest.approx(0.01, abs=1e-3)


def test_quantiles_are_of_the_magnitude_inside_the_brain():
    score = np.concatenate([np.full(500, -3.0), np.full(500, 1.0), np.full(1000, 99.0)])
    brain = np.arange(2000) < 1000
    assert healthy_quantiles([score], [brain])["0.999"] == 3.0


def test_a_wide_empty_margin_changes_no_lesion(score):
    margin = np.pad(score, 7)
    shifted = AFFINE.copy()
    shifted[:3, 3] -= 7 * 2.0
    tight, wide = cut_lesions(score, AFFINE, 3.0), cut_lesions(margin, shifted, 3.0)
    assert wide.lesions == tight.lesions
    assert (wide.labels[7:-7, 7:-7, 7:-7] == tight.labels).all()


def test_where_nothing_deviates_there_is_no_lesion(score):
    cut = cut_lesions(score, AFFINE, 100.0)
    assert cut.lesions == () and not cut.labels.any()
