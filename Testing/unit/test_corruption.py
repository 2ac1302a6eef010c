"""The training corruption: eq. 5.6 and 5.7, the walk's shape, the ranges, the clean share."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from neurogen.anomaly.corruption import (
    Corruption,
    CorruptionSettings,
    coarse_noise,
    draw_corruption,
    random_walk,
)
from neurogen.anomaly.textures import random_crop, texture_bank

SHAPE = (48, 40)


@pytest.fixture(scope="module")
def brain():
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((rows - 24) / 20) ** 2 + ((columns - 20) / 16) ** 2 < 1


@pytest.fixture(scope="module")
def textures():
    return texture_bank(8, SHAPE, np.random.default_rng(0))


def draws(brain, textures, count=200, **changes):
    rng = np.random.default_rng(5)
    settings = CorruptionSettings(**changes)
    return [draw_corruption(brain, 2, 4.0, textures, settings, rng) for _ in range(count)]


def test_equation_5_6_written_out():
    rng = np.random.default_rng(1)
    healthy, replacement = rng.standard_normal((2, 1, 6, 6))
    mask = np.zeros((6, 6))
    mask[2:4, 2:4] = 1
    alpha = 0.36
    expected = (np.sqrt(1 - alpha) * healthy + np.sqrt(alpha) * replacement) * mask + healthy * (1 - mask)
    np.testing.assert_allclose(Corruption(alpha * mask, replacement).apply(healthy), expected)


def test_full_severity_replaces_and_none_leaves(brain):
    healthy, replacement = np.ones((1, *SHAPE)), np.full((1, *SHAPE), 7.0)
    assert (Corruption(np.ones(SHAPE), replacement).apply(healthy) == 7).all()
    assert (Corruption(np.zeros(SHAPE), replacement).apply(healthy) == 1).all()


def test_nothing_outside_the_brain_is_touched(brain, textures):
    for corruption in draws(brain, textures, 50):
        assert (corruption.severity[~brain] == 0).all()


def test_one_pair_in_ten_is_clean(brain, textures):
    clean = np.mean([not c.severity.any() for c in draws(brain, textures, 400)])
    assert 0.06 < clean < 0.14


def test_severity_stays_in_its_range(brain, textures):
    strongest = [c.severity.max() for c in draws(brain, textures, clean_share=0.0, severity=(0.3, 0.5))]
    assert max(strongest) <= 0.5
    assert np.std(strongest) > 0.01  # a range, not a constant


def test_sizes_span_small_and_large(brain, textures):
    share = np.array([(c.severity > 0.1).sum() / brain.sum() for c in draws(brain, textures, clean_share=0.0)])
    assert np.quantile(share, 0.1) < 0.05
    assert np.quantile(share, 0.95) > 0.15


def test_replacements_are_standard_normal_on_average():
    """q and p of eq. 5.7 have variance 1, so r has, for every b. Pooled over many draws of the noise strategy."""
    everywhere = np.ones(SHAPE, bool)
    drawn = draws(everywhere, np.zeros((1, *SHAPE)), 300, clean_share=0.0, texture_share=0.0, rim_mm=(0.1, 0.2))
    values = np.concatenate([c.replacement[:, c.severity > 0.15].ravel() for c in drawn])
    assert abs(values.mean()) < 0.15
    assert 0.8 < values.std() < 1.2


def test_a_walk_never_leaves_the_brain_and_goes_to_neighbors(brain):
    path = random_walk(brain, np.array([24, 20]), 300, np.random.default_rng(2))
    assert path.shape == (301, 2)
    assert brain[tuple(path.T)].all()
    assert np.abs(np.diff(path, axis=0)).max() == 1
    assert np.ptp(path, axis=0).min() > 3


def test_objects_are_solid(brain, textures):
    """Filled at the lattice's own resolution: most of an object lies inside, little at its rim."""
    drawn = draws(brain, textures, 100, clean_share=0.0, most_objects=1, step_mm=(8.0, 9.0), rim_mm=(0.1, 0.2))
    large = [c.severity > 0.1 for c in drawn if (c.severity > 0.1).sum() > 60]
    assert len(large) > 30
    inner = np.mean([binary_erosion(mask).sum() / mask.sum() for mask in large])
    assert inner > 0.3


@pytest.mark.parametrize("grain", [1.0, 2.5, 6.0])
def test_coarse_noise_has_unit_variance_and_its_grain(grain):
    noise = coarse_noise((200, 200), grain, np.random.default_rng(3))
    assert 0.85 < noise.std() < 1.15
    neighbours = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    assert neighbours < 0.1 if grain == 1.0 else neighbours > 0.3


def test_textures_are_standardized_different_and_repeatable():
    first, again = (texture_bank(8, SHAPE, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(first.std((1, 2)), 1, atol=1e-3)
    assert np.abs(np.corrcoef(first.reshape(8, -1)) - np.eye(8)).max() < 0.5


def test_a_crop_of_a_texture_keeps_its_values_within_range(textures):
    crop = random_crop(textures[0], (30, 20), np.random.default_rng(4))
    assert crop.shape == (30, 20)
    assert textures[0].min() - 1e-6 <= crop.min() and crop.max() <= textures[0].max() + 1e-6


def test_the_same_seed_draws_the_same_corruption(brain, textures):
    one, two = (draws(brain, textures, 5) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.severity, b.severity)
        np.testing.assert_array_equal(a.replacement, b.replacement)
