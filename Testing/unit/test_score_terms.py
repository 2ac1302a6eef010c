"""The two sides of a brain in the score, and the spread of a whole scan."""

import numpy as np
import pytest

from neurogen.anomaly.anomaly_map import (
    CellMaps,
    HealthyError,
    HealthyStandard,
    ScanSpread,
    beyond_the_mirror,
    rough_brain,
    roughness,
)
from neurogen.training.choose_standard import choose_volume_standard

SHAPE = (6, 12, 16)


def plain_error(shape=SHAPE) -> HealthyError:
    return HealthyError(np.zeros(shape), np.ones(shape), floor=0.0, sigma_cells=1.0)


def place_only(**changes) -> HealthyStandard:
    return HealthyStandard(plain_error(), plain_error(), 1.0, **changes)


def maps_of(image: np.ndarray) -> CellMaps:
    return CellMaps(np.zeros_like(image), image, np.ones(image.shape, bool))


def test_what_both_sides_show_alike_counts_nothing_beyond_the_mirror():
    image = np.random.default_rng(0).standard_normal(SHAPE)
    symmetric = image + image[..., ::-1]
    np.testing.assert_array_equal(place_only(sides_share=1.0).score(maps_of(symmetric)), 0)


def test_a_finding_on_one_side_keeps_its_score_and_leaves_no_ghost():
    image = np.zeros(SHAPE)
    image[2, 4:7, 2:5] = 4.0
    score = place_only(sides_share=1.0).score(maps_of(image))
    np.testing.assert_allclose(score, image, atol=1e-6)


def test_a_finding_whose_mirror_lies_outside_the_brain_keeps_its_score():
    image = np.zeros(SHAPE)
    image[2, 4:7, 2:5] = 4.0
    brain = np.ones(SHAPE, bool)
    brain[..., 11:14] = False
    score = place_only(sides_share=1.0).score(CellMaps(np.zeros(SHAPE), np.where(brain, image, 0), brain))
    np.testing.assert_allclose(score, image, atol=1e-6)


@pytest.mark.parametrize(
    "z, mirrored, expected",
    [(4.0, 0.0, 4.0), (-4.0, 0.0, -4.0), (4.0, 3.0, 2.0), (3.0, 4.0, 0.0), (1.0, -3.0, 1.0), (0.0, 5.0, 0.0)],
)
def test_beyond_the_mirror_is_the_geometric_mean_of_the_score_and_its_excess(z, mirrored, expected):
    assert beyond_the_mirror(np.array(z), np.array(mirrored)) == pytest.approx(expected)


def test_a_strong_lesion_draws_no_ghost_in_its_mirror():
    """A faint deviation there stays as faint as it is; unbounded, it would be the geometric mean with the lesion."""
    assert beyond_the_mirror(np.array(0.2), np.array(-9.0)) == pytest.approx(0.2)
    assert beyond_the_mirror(np.array(0.2), np.array(-9.0), bounded=False) == pytest.approx((0.2 * 9.2) ** 0.5)


def test_a_scan_that_is_noisy_all_over_is_brought_to_the_typical_spread():
    rng = np.random.default_rng(1)
    healthy = rng.standard_normal((9, *SHAPE)) * np.linspace(0.5, 2, 9)[:, None, None, None]
    brain = np.ones(healthy.shape, bool)
    spread = ScanSpread.fit(healthy, brain, quantile=0.9)
    equalized = [np.quantile(np.abs(spread.equalize(scan, inside)), 0.9) for scan, inside in zip(healthy, brain)]
    np.testing.assert_allclose(equalized, spread.typical, rtol=1e-6)


def test_a_brain_that_is_largely_abnormal_is_not_equalized_away():
    rng = np.random.default_rng(2)
    healthy = rng.standard_normal((9, *SHAPE))
    spread = ScanSpread.fit(healthy, np.ones(healthy.shape, bool), quantile=0.9)
    sick = rng.standard_normal(SHAPE)
    sick[:3] += 20.0  # half the brain
    equalized = spread.equalize(sick, np.ones(SHAPE, bool))
    assert equalized[:3].mean() > 10
    np.testing.assert_allclose(equalized, sick * spread.typical / spread.highest)
    assert spread.highest < 2 * spread.typical


def test_an_empty_brain_has_no_spread_to_equalize():
    spread = ScanSpread(0.9, 1.0, 0.5, 2.0)
    np.testing.assert_array_equal(spread.equalize(np.zeros(SHAPE), np.zeros(SHAPE, bool)), 0)


def test_scans_scored_together_score_as_they_do_alone():
    rng = np.random.default_rng(3)
    image = rng.standard_normal((3, *SHAPE)) * np.array([0.8, 1.0, 1.3])[:, None, None, None]
    together = CellMaps(np.zeros_like(image), image, rng.random(image.shape) < 0.9)
    standard = place_only(sides_share=0.5, spread=ScanSpread(0.9, 1.5, 1.2, 2.0))
    alone = [standard.score(CellMaps(*parts)) for parts in zip(together.flow, together.image, together.brain)]
    np.testing.assert_array_equal(standard.score(together), np.stack(alone))


def test_the_other_side_is_used_where_it_helps_to_find_planted_lesions():
    """Whole-brain patterns that both sides share hide one-sided lesions from the plain place term."""
    rng = np.random.default_rng(4)

    def scans(count):
        pattern = 3 * rng.standard_normal((count, *SHAPE))
        return pattern + pattern[..., ::-1] + 0.3 * rng.standard_normal((count, *SHAPE))

    healthy, calibration, planted = scans(30), scans(10), scans(10)
    truth = np.zeros(planted.shape, bool)
    truth[:, 2:4, 4:8, 2:6] = True
    standard, tried = choose_volume_standard(
        maps_of(healthy), maps_of(planted + 2 * truth), truth, maps_of(calibration), cell_ml=0.1
    )
    assert standard.sides_share > 0 and standard.spread is not None
    assert standard.spread.lowest <= standard.spread.typical <= standard.spread.highest
    assert max(v for k, v in tried.items() if not k.endswith(" 0")) > max(
        v for k, v in tried.items() if k.endswith(" 0")
    )


def noise_of(seed=5, shape=(16, 24, 20)):
    return np.random.default_rng(seed).standard_normal(shape), np.ones(shape, bool)


def test_roughness_is_the_logarithm_of_how_strong_the_texture_is():
    """Three times the noise in one half is a difference of log 3, whatever the noise of the scan as a whole."""
    image, brain = noise_of(shape=(32, 40, 32))
    image[16:] *= 3
    for strength in (1.0, 5.0):
        rough = roughness(strength * image, brain)
        assert rough.shape == (16, 20, 16)
        np.testing.assert_allclose(rough[12:].mean() - rough[:4].mean(), np.log(3), atol=0.05)


def test_what_is_smooth_has_no_texture():
    ramp = np.broadcast_to(np.linspace(-3, 3, 24)[None, :, None], (16, 24, 20))
    np.testing.assert_allclose(roughness(ramp, np.ones(ramp.shape, bool))[2:-2, 2:-2, 2:-2], 0, atol=0.05)


def test_outside_the_brain_nothing_is_rough_and_changes_nothing():
    image, brain = noise_of()
    brain[:, :, 10:] = False
    rough = roughness(image, brain)
    np.testing.assert_array_equal(rough, roughness(np.where(brain, image, 99.0), brain))
    assert (rough[~rough_brain(brain)] == 0).all() and np.median(rough[rough_brain(brain)]) == pytest.approx(
        0, abs=1e-6
    )
    assert (roughness(image, np.zeros_like(brain)) == 0).all()


def textured(weight: float, **changes) -> HealthyStandard:
    coarse = HealthyError(np.zeros((8, 12, 10)), np.full((8, 12, 10), 0.2), floor=0.0, sigma_cells=2.0)
    plain = plain_error((16, 24, 20))
    return HealthyStandard(plain, plain, 1.0, texture=coarse, texture_weight=weight, **changes)


def test_texture_adds_in_squares_and_keeps_the_direction():
    image, brain = noise_of()
    rough = np.zeros((8, 12, 10))
    rough[2:6, 2:10, 2:8] = 0.6  # three healthy deviations
    score = textured(0.5).score(CellMaps(np.zeros_like(image), image, brain, rough))
    inner = np.s_[5:11, 5:19, 5:15]  # where the finer cells are no mixture
    np.testing.assert_allclose(score[inner], np.sign(image[inner]) * np.hypot(image[inner], 1.5), rtol=1e-6)
    np.testing.assert_allclose(score[0, 0], image[0, 0], rtol=1e-6)


def test_less_texture_than_healthy_counts_nothing():
    image, brain = noise_of()
    score = textured(0.8).score(CellMaps(np.zeros_like(image), image, brain, np.full((8, 12, 10), -2.0)))
    np.testing.assert_allclose(score, image, rtol=1e-6)


def test_texture_that_both_sides_show_counts_nothing():
    image, brain = noise_of()
    image = 0.5 * (image - image[..., ::-1])  # beyond the mirror everywhere
    score = textured(0.8, sides_share=1.0).score(
        CellMaps(np.zeros_like(image), image, brain, np.full((8, 12, 10), 2.0))
    )
    np.testing.assert_allclose(score, image, rtol=1e-6)


def test_texture_is_used_where_it_helps_to_find_planted_lesions():
    """Spots without a mean, which the smoothed image does not show."""
    rng = np.random.default_rng(7)
    brain = np.ones((10, 16, 24, 20), bool)
    truth = np.zeros(brain.shape, bool)
    truth[:, 4:12, 8:16, 4:9] = True

    def maps(images):
        return CellMaps(
            np.zeros_like(images), images, brain, np.stack([roughness(i, b) for i, b in zip(images, brain)])
        )

    healthy, calibration, planted = (rng.standard_normal(brain.shape) for _ in range(3))
    standard, tried = choose_volume_standard(
        maps(healthy), maps(np.where(truth, 1.6 * planted, planted)), truth, maps(calibration), cell_ml=0.008
    )
    assert standard.texture_weight > 0
    assert max(v for k, v in tried.items() if "texture" in k) > max(v for k, v in tried.items() if "texture" not in k)
