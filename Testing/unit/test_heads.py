"""Heads drawn from label maps: the brain is what it is said to be, and no contrast is left out."""

from dataclasses import replace

import numpy as np
import pytest

from neurogen.synth import acquisition
from neurogen.synth.acquisition import AcquisitionSettings
from neurogen.synth.deform import DeformSettings, random_map, warp
from neurogen.synth.heads import HeadSettings, brain_of, close_and_fill, draw_head, field_center, head_labels

STILL = DeformSettings(rotation_deg=0, scale=0, shear=0, shift_voxels=0, elastic_voxels=0, flip=False)
CLEAN = AcquisitionSettings(bias=0, blur_voxels=0, thick_share=0, noise=0, cut_share=0)
PLAIN = HeadSettings(shape=(32, 40, 32), lesion_share=0, stripped_share=0, deform=STILL, acquisition=CLEAN)


def onion(shape=(64, 80, 64)):
    """A label map of nested ellipsoids: ventricle, white, gray, sulcal fluid, skull and skin."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(g**2 for g in grid))
    labels = np.zeros(shape, np.int16)
    for limit, label in ((0.95, 516), (0.85, 511), (0.75, 24), (0.7, 3), (0.55, 2), (0.2, 4)):
        labels[radius < limit] = label
    return labels


@pytest.fixture(scope="module")
def labels():
    return head_labels(onion())


def test_brain_takes_in_the_fluid_around_it_and_nothing_outer():
    labels = onion()
    brain = brain_of(labels, (1, 1, 1))
    assert brain[np.isin(labels, [2, 3, 4, 24])].all()
    assert not brain[np.isin(labels, [0, 511, 516])].any()
    assert brain.sum() == pytest.approx(np.isin(labels, [2, 3, 4, 24]).sum(), rel=0.01)


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (2, 2, 2), (1, 1, 3)], ids=str)
def test_closing_joins_what_is_nearer_than_its_diameter(spacing_mm):
    mask = np.zeros((60, 40, 30), bool)
    mask[10:20, 5:35, 5:25] = True
    gap = int(4 / spacing_mm[0])
    mask[20 + gap : 40, 5:35, 5:25] = True
    mask[30:33, 15:18, 12:15] = False
    closed = close_and_fill(mask, spacing_mm)
    assert closed[10:40, 20, 15].all()
    assert closed[~mask].sum() < 0.3 * mask.sum() and closed[mask].all()
    assert not closed[:8].any()


def test_far_pieces_stay_apart():
    mask = np.zeros((40, 20, 20), bool)
    mask[5:10, 5:15, 5:15] = mask[18:25, 5:15, 5:15] = True
    assert np.array_equal(close_and_fill(mask, (1, 1, 1)), mask)


def test_without_deformation_the_brain_is_the_label_map_s(labels):
    head = draw_head(labels, np.random.default_rng(0), replace(PLAIN, shape=(32, 40, 32)))
    spread = onion()[np.ix_(*[np.flatnonzero((onion() > 0).any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))])]
    expected = np.isin(spread, [2, 3, 4, 24]).sum() / 8
    assert head.image.shape == head.brain.shape == (32, 40, 32)
    assert head.brain.sum() == pytest.approx(expected, rel=0.03)


def test_the_same_seed_draws_the_same_head(labels):
    one, again, other = (draw_head(labels, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one.image, again.image) and np.array_equal(one.brain, again.brain)
    assert not np.array_equal(one.image, other.image)


def test_every_order_of_tissue_brightness_occurs(labels):
    signs = set()
    for seed in range(24):
        head = draw_head(labels, np.random.default_rng(seed), PLAIN)
        white, gray = head.image[16, 20, 24], head.image[16, 20, 26]
        outside = head.image[16, 20, 29]
        signs.add((bool(white > gray), bool(gray > outside)))
    assert len(signs) == 4


def test_a_stripped_head_is_zero_outside_its_target(labels):
    for seed in range(5):
        settings = replace(PLAIN, stripped_share=1.0)
        head = draw_head(labels, np.random.default_rng(seed), settings)
        assert (head.image[~head.brain] == 0).all() and (head.image[head.brain] > 0).all()


def test_a_cut_field_of_view_cuts_image_and_brain_alike(labels):
    settings = replace(PLAIN, acquisition=replace(CLEAN, cut_share=1.0, cut_voxels=12))
    head = draw_head(labels, np.random.default_rng(1), settings)
    whole = draw_head(labels, np.random.default_rng(1), PLAIN)
    lost = whole.brain & ~head.brain
    assert lost.any() and (head.image[lost] == 0).all()


def test_nothing_moves_without_deformation():
    array = np.random.default_rng(0).random((10, 12, 8), dtype=np.float32)
    offsets = random_map(array.shape, np.random.default_rng(1), STILL)
    center = (np.array(array.shape) - 1) / 2
    assert np.allclose(warp(array[None], center, offsets)[0], array, atol=1e-5)
    (shifted,) = warp(array[None], center + [1, 0, 0], offsets)
    assert np.allclose(shifted[:-1], array[1:], atol=1e-5) and np.allclose(shifted[-1], 0)


def test_a_map_moves_image_and_mask_together():
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in (40, 40, 40)], indexing="ij"))
    ball = (np.sqrt(((grid - 19.5) ** 2).sum(0)) < 10).astype(np.float32)
    offsets = random_map((40, 40, 40), np.random.default_rng(2), DeformSettings(shift_voxels=2))
    image, mask = warp(np.stack([ball * 0.7, ball]), np.full(3, 19.5), offsets)
    assert np.allclose(image, 0.7 * mask, atol=1e-5)
    assert 0.5 < mask.sum() / ball.sum() < 2


def test_curves_are_monotone_and_both_directions_occur():
    ramp = np.linspace(0, 1, 50, dtype=np.float32)
    directions = set()
    for seed in range(12):
        steps = np.diff(acquisition.random_curve(ramp, np.random.default_rng(seed)))
        assert (steps >= -1e-6).all() or (steps <= 1e-6).all()
        directions.add(bool(steps.sum() > 0))
    assert directions == {True, False}


def test_thick_slices_keep_a_constant_and_lose_detail():
    rng = np.random.default_rng(0)
    assert np.allclose(acquisition.thick_slices(np.ones((9, 10, 11), np.float32), axis=1, thickness=3.3), 1)
    noise = rng.standard_normal((30, 30, 30)).astype(np.float32)
    thick = acquisition.thick_slices(noise, axis=2, thickness=4.0)
    assert np.diff(thick, axis=2).std() < 0.4 * np.diff(noise, axis=2).std()
    assert thick.shape == noise.shape


def test_noise_of_magnitudes_is_rician():
    rng = np.random.default_rng(0)
    air = acquisition.rician_noise(np.zeros((50, 50, 50), np.float32), rng, sigma=0.1)
    assert air.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.02)
    bright = acquisition.rician_noise(np.full((50, 50, 50), 5, np.float32), rng, sigma=0.1)
    assert bright.std() == pytest.approx(0.1, rel=0.02)


def test_the_field_lies_around_the_upper_head():
    foreground = np.zeros((50, 60, 200), bool)
    foreground[10:40, 5:45, 20:180] = True
    center = field_center(foreground, (2, 2, 2))
    assert np.allclose(center, [24.5, 24.5, 137], atol=0.6)


def test_an_empty_label_map_is_refused():
    with pytest.raises(ValueError, match="FreeSurfer"):
        head_labels(np.zeros((5, 5, 5), int))
