"""The benchmark's parts against known answers: scanners, truth, segmenter, measures, lesions, rivals."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from site_builders import phantom_image

from neurogen.errors import UsageError
from neurogen.evaluation import harmonize
from neurogen.evaluation.harmonize_lesions import best_dice, lesion_keeping, worst_of
from neurogen.evaluation.harmonize_measures import changes, overlap, segmented_volumes, surface_distance_95
from neurogen.evaluation.harmonize_methods import Done
from neurogen.evaluation.harmonize_scanners import SCANNERS, apply_scanner, coil_profile, spoiled_echo, truncated
from neurogen.evaluation.harmonize_segmenter import KINDS, SegmenterSettings, load_or_train, segment
from neurogen.evaluation.harmonize_truth import CSF, DEEP, GRAY, IGNORED, WHITE, grouped_labels, mixture_truth, to_cells
from neurogen.evaluation.metrics import dice
from neurogen.harmonize.anatomy import VOXEL_ML, check_anatomy, slice_jump, ventricle_region
from neurogen.harmonize.landmarks import NYUL, landmarks_of, match_histogram, match_landmarks
from neurogen.harmonize.similarity import ssim, structure_similarity, wasserstein
from neurogen.harmonize.slices import to_levels


@pytest.fixture(scope="module")
def head():
    image, brain = phantom_image()
    levels = to_levels(image, brain)
    classes, shares = mixture_truth(levels)
    return image, brain, levels, classes, shares


def test_three_of_eight_scanners_are_of_unseen_families():
    assert len(SCANNERS) == 8 and sum(not scanner.trained for scanner in SCANNERS) == 3


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda s: s.name)
def test_every_scanner_changes_the_brain_only(head, scanner):
    image, brain, _, _, shares = head
    fine = shares.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    shown = apply_scanner(scanner, image, brain, fine)
    assert ((shown > 0) == brain).all() and shown.max() <= 1
    assert np.abs(shown - image)[brain].mean() > 0.005
    assert np.percentile(shown[brain], 98) == pytest.approx(1.0, abs=0.01)


def test_a_t1_weighted_echo_keeps_the_order_of_tissues():
    csf, gray, white = spoiled_echo(20, 20, 5)
    assert csf < gray < white


def test_the_spoiled_echo_is_its_formula():
    pd, t1, t2 = 0.70, 850.0, 53.0
    a, e1 = np.deg2rad(20), np.exp(-20 / t1)
    assert spoiled_echo(20, 20, 5)[2] == pytest.approx(
        pd * np.sin(a) * (1 - e1) / (1 - np.cos(a) * e1) * np.exp(-5 / t2)
    )


def test_the_coil_falls_with_distance():
    profile = coil_profile((160, 192, 160))
    assert profile[99, 0, 88] == pytest.approx(profile.max(), rel=0.02)
    assert 0.3 < profile.min() / profile.max() < 0.7


def test_truncation_keeps_low_frequencies_and_the_mean():
    rng = np.random.default_rng(0)
    image = rng.random((32, 32, 3)).astype(np.float32)
    assert np.allclose(truncated(image, 1.1), image, atol=1e-4)
    assert truncated(image, 0.5).mean() == pytest.approx(image.mean(), rel=1e-4)
    assert truncated(image, 0.5).std() < image.std()


def test_the_mixture_finds_the_phantoms_tissues(head):
    image, _, levels, classes, shares = head
    middle = classes[40, 48, 37]
    assert middle == CSF  # the ventricle
    assert np.isin(classes[classes > 0], (CSF, GRAY, WHITE, DEEP)).all()
    assert (classes[levels > 230] != CSF).all() and (shares.sum(0)[levels > 0] == pytest.approx(1, abs=1e-3))


def test_given_labels_are_grouped():
    labels = np.array([0, 51, 59, 82, 47, 120, 35])
    assert grouped_labels(labels).tolist() == [IGNORED, CSF, DEEP, WHITE, GRAY, GRAY, IGNORED]


def test_cells_take_the_most_frequent_class():
    classes = np.zeros((4, 4, 4), np.uint8)
    classes[:2, :2, :2] = GRAY
    classes[0, 0, 0] = WHITE
    assert to_cells(classes)[0, 0, 0] == GRAY and to_cells(classes)[1, 1, 1] == 0


def test_measures_of_a_perfect_and_of_a_shifted_segmentation():
    truth = np.zeros((80, 96, 80), np.uint8)
    for k, value in enumerate((CSF, GRAY, WHITE, DEEP)):
        truth[20 + 10 * k : 30 + 10 * k, 30:60, 30:60] = value
    assert all(v == 1.0 for v in overlap(truth, truth).values())
    assert surface_distance_95(truth, truth) == 0.0
    shifted = np.roll(truth, 1, axis=2)
    assert surface_distance_95(shifted, truth) == pytest.approx(2.0)
    unknown = np.where(truth == CSF, IGNORED, truth)
    assert np.isnan(overlap(truth, unknown)["csf"])


def test_ventricles_are_the_same_whatever_the_contrast(head):
    image, brain, levels, *_ = head
    quantiles = np.quantile(levels[levels > 0] / 255, np.linspace(0, 1, 201))
    same = check_anatomy(image, image, brain, quantiles)
    assert same.ventricles_before_ml == same.ventricles_after_ml > 0
    assert same.ventricles_before_ml < 0.2 * np.count_nonzero(brain) * VOXEL_ML and same.problem() == ""
    for other in (0.2 + 0.8 * image, image**1.8, image**0.6):
        found = check_anatomy(image, np.where(brain, other, 0).astype(np.float32), brain, quantiles)
        assert found.ventricles_after_ml == pytest.approx(found.ventricles_before_ml, rel=0.005)
    fine = ventricle_region().repeat(2, 0).repeat(2, 1).repeat(2, 2) & brain
    found = check_anatomy(image, np.where(fine, np.maximum(image, 0.6), image), brain, quantiles)
    assert found.ventricles_after_ml < 0.5 * found.ventricles_before_ml and "ventricles changed" in found.problem()


def test_segmented_volumes_are_counted_by_class(head):
    *_, classes, _ = head
    ventricles, tissue = segmented_volumes(classes)
    assert 0 < ventricles < tissue
    assert tissue == pytest.approx(np.isin(classes, (GRAY, WHITE, DEEP)).sum() * 0.008)
    around = ventricle_region() & (classes > 0)
    more, less = segmented_volumes(np.where(around, CSF, classes))
    assert more == pytest.approx(around.sum() * 0.008) and less < tissue
    assert changes("x", 10.0, 8.0) == {"x change ml": -2.0, "x change %": pytest.approx(20.0)}


def test_segmenters_are_trained_once_and_kept(head, tmp_path):
    _, _, levels, classes, _ = head
    settings = SegmenterSettings(steps=2, batch_size=2, widths=(4, 6))
    for kind in KINDS:
        first = segment(load_or_train(kind, {"a": levels}, {"a": classes}, tmp_path, settings), levels)
        again = segment(load_or_train(kind, {"a": levels}, {"a": classes}, tmp_path, settings), levels)
        assert (first == again).all() and ((first > 0) == (levels > 0)).all()
    assert len(list(tmp_path.glob("segmenter-*"))) == 2


def test_rivals_undo_a_rising_change(head):
    image, brain, *_ = head
    changed = np.where(brain, image**1.7, 0).astype(np.float32)
    for restored in (
        match_histogram(changed, brain, image[brain]),
        match_landmarks(changed, brain, landmarks_of(image[brain], NYUL)),
    ):
        assert (restored[~brain] == 0).all()
        assert np.abs(restored - image)[brain].mean() < 0.2 * np.abs(changed - image)[brain].mean()


def test_similarities_have_known_values(head):
    _, _, levels, *_ = head
    image, brain = levels / 255, levels > 0
    assert ssim(image, image, brain) == pytest.approx(1.0, abs=1e-3)
    assert structure_similarity(image, 0.5 * image + 0.1 * brain, brain) > 0.98
    assert structure_similarity(image, np.roll(image, 6, axis=0), brain) < 0.9
    assert wasserstein(np.array([0.0, 1.0]), np.array([0.25, 1.25])) == pytest.approx(0.25)


def test_slices_treated_alike_do_not_jump(head):
    _, _, levels, *_ = head
    alike = np.where(levels > 0, np.minimum(levels.astype(int) + 20, 255), 0)
    flicker = np.where((levels > 0) & (np.arange(80) % 2 == 0), np.minimum(levels.astype(int) + 20, 255), levels)
    assert slice_jump(levels, alike) < 0.005 < 0.05 < slice_jump(levels, flicker)


def test_a_lesion_is_kept_by_doing_nothing_and_lost_by_flattening(head):
    image, _, _, _, shares = head
    fine = shares.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    kept = lesion_keeping(image, fine, SCANNERS[:1], lambda images: Done(tuple(images)), seed=0)
    assert all(row["contrast kept"] == 1.0 and row["dice before"] == row["dice after"] for row in kept)
    assert "100 %" in worst_of(kept) and "by at most 0.000" in worst_of(kept)
    blurred = lesion_keeping(image, fine, SCANNERS[:1], lambda images: Done((gaussian_filter(images[0], 3),)), seed=0)
    assert all(row["dice after"] < row["dice before"] - 0.1 for row in blurred)


def test_the_best_threshold_finds_a_lesion_whatever_the_contrast():
    rng = np.random.default_rng(0)
    lesion = np.arange(1000) < 120
    values = rng.normal(np.where(lesion, 0.7, 0.5), 0.08)
    found = best_dice(values, lesion, bright=True)
    every = [dice(values >= threshold, lesion) for threshold in values]
    assert found == pytest.approx(max(every)) and 0.6 < found < 1
    assert best_dice(np.exp(5 * values), lesion, bright=True) == found
    assert best_dice(-values, lesion, bright=False) == found
    assert best_dice(np.where(lesion, 0.2, 0.5), lesion, bright=False) == 1.0
    assert best_dice(np.full(1000, 0.5), lesion, bright=True) == pytest.approx(2 * 120 / 1120)


def test_unknown_methods_are_told(tmp_path):
    with pytest.raises(UsageError, match="harmonizer \\+ flow"):
        harmonize.run(tmp_path, methods=["magic"])


def test_gains_are_compared_scan_by_scan():
    by_scan = {
        "coil / histogram matching": [0.80, 0.70],
        "coil / harmonizer": [0.85, 0.77],
        "coil / harmonizer + flow": [0.86, 0.78],
        "real / histogram matching": [0.5, 0.5],
    }
    rival, alone = harmonize.gains(by_scan)
    assert "histogram matching: coil +7.00 (1.00)." in rival
    assert "harmonizer alone: coil +1.00 (0.00)." in alone
    assert harmonize.gains({"coil / none": [0.5, 0.6]}) == []
