"""Changes of contrast: monotone, bounded, measured in float; slices and shapes keep the brain a brain."""

import numpy as np
import pytest
import torch

from neurogen.harmonize.contrast import (
    FAMILIES,
    NEGATIVES,
    TO_UNDO,
    apply_curves,
    distance,
    draw_curve,
    draw_negative,
    milder,
    rescaled,
)
from neurogen.harmonize.shading import STRONGEST, TERMS, log_shading, places_of_pictures, places_of_voxels
from neurogen.harmonize.slices import FOLD, PLANES, pictures, spread, to_levels
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.training.geometry import ShapeSettings, vary_shape


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    levels = rng.integers(40, 250, (96, 80))
    levels[:10] = 0
    return levels.astype(np.uint8)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("settings", [NEGATIVES, TO_UNDO], ids=["negatives", "to-undo"])
def test_every_family_rises_and_stays_in_range(name, settings):
    rng = np.random.default_rng(1)
    for _ in range(20):
        curve = draw_curve([name], 150.0, settings, rng)
        assert curve.shape == (256,) and curve.min() >= 0 and curve.max() <= 255
        assert (np.diff(curve) >= -1e-9).all()


def test_chained_families_are_composed():
    one = draw_curve(["gamma", "brightness"], 128, NEGATIVES, np.random.default_rng(2))
    rng = np.random.default_rng(2)
    gamma = draw_curve(["gamma"], 128, NEGATIVES, rng)
    brightness = draw_curve(["brightness"], 128, NEGATIVES, rng)
    assert np.allclose(one, np.interp(gamma, np.arange(256), brightness))


def test_background_stays_background_and_brain_stays_brain(picture):
    levels = torch.from_numpy(picture.astype(np.float32))[None, None]
    mapped = apply_curves(levels, np.zeros((1, 256)))
    assert torch.equal(mapped > 0, levels > 0)
    assert torch.equal(apply_curves(levels, np.arange(256.0)[None]), levels)


def test_a_milder_curve_stays_just_far_enough_to_be_a_negative(picture):
    rng = np.random.default_rng(8)
    for _ in range(20):
        curve = draw_negative(picture, NEGATIVES, rng)
        drawn = milder(picture, curve, NEGATIVES, rng)
        assert NEGATIVES.distance * (1 - 1e-6) <= distance(picture, drawn) <= 2 * NEGATIVES.distance * (1 + 1e-6)
        assert (np.diff(drawn) >= -1e-9).all()


def test_distance_is_measured_in_float(picture):
    """In uint8 a brightening by 100 levels would wrap around and count as 246 for some voxels, and a small one, too."""
    assert distance(picture, np.arange(256) + 5.0) == pytest.approx(5.0)
    assert distance(picture, np.clip(np.arange(256) - 5.0, 0, 255)) == pytest.approx(5.0)


@pytest.mark.parametrize("families", [None, *[(name,) for name in FAMILIES]])
def test_negatives_are_far_enough(picture, families):
    rng = np.random.default_rng(3)
    for _ in range(5):
        assert distance(picture, draw_negative(picture, NEGATIVES, rng, families=families)) > NEGATIVES.distance


def test_negatives_out_of_reach_are_told(picture):
    with pytest.raises(ValueError, match="widen its range"):
        draw_negative(picture, NEGATIVES.__class__(gamma=(0.99, 1.01)), np.random.default_rng(0), families=("gamma",))


def test_rescaling_undoes_a_multiplication():
    assert np.allclose(rescaled(0.5 * np.arange(256)), np.arange(256))


def test_levels_are_means_over_the_brain_of_a_cell():
    image, brain = np.zeros(GRID_SHAPE, np.float32), np.zeros(GRID_SHAPE, bool)
    brain[80:82, 80:82, 80:82] = True
    brain[81, 81, 81] = False
    image[brain] = 0.5
    levels = to_levels(image, brain)
    assert levels[40, 40, 40] == 128 and np.count_nonzero(levels) == 1


@pytest.mark.parametrize("plane", PLANES)
def test_pictures_show_every_cell_once(plane):
    levels = np.random.default_rng(4).integers(0, 255, tuple(n // FOLD for n in GRID_SHAPE)).astype(np.uint8)
    stack = pictures(levels, plane)
    assert sorted(stack.shape) == sorted(levels.shape)
    assert np.bincount(stack.ravel()).tolist() == np.bincount(levels.ravel()).tolist()


@pytest.mark.parametrize("plane", PLANES)
def test_places_are_those_of_the_cells(plane):
    """The mean place of a voxel block is the place of its cell."""
    voxels = places_of_voxels(GRID_SHAPE, GRID_AFFINE)
    i, j, k = (n // FOLD for n in GRID_SHAPE)
    cells = voxels.reshape(3, i, FOLD, j, FOLD, k, FOLD).mean((2, 4, 6))
    expected = np.stack([pictures(axis, plane) for axis in cells], axis=1)
    assert np.allclose(places_of_pictures(plane), expected, atol=1e-4)


def test_shading_is_the_polynomial():
    place = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    coefficients = torch.zeros(len(TERMS))
    coefficients[TERMS.index((0, 1))], coefficients[TERMS.index((2, 2, 2))] = 0.02, -0.01
    x, y, z = place[0]
    assert torch.allclose(log_shading(place, coefficients)[0, 0], 0.02 * x * y - 0.01 * z**3, atol=1e-5)
    assert log_shading(place, 1e9 * coefficients).abs().max() <= STRONGEST


def test_spread_is_even_and_skips_empty_slices():
    stack = np.zeros((40, 10, 10), np.uint8)
    stack[5:36, 3:8] = 9
    assert len(spread(stack, 6)) == 6 and (spread(stack, 6) > 0).any((1, 2)).all()
    assert len(spread(stack, 99)) == 31


def test_a_varied_shape_is_a_brain_in_whole_levels(picture):
    levels = torch.from_numpy(picture.astype(np.float32))[None, None].repeat(3, 1, 1, 1)
    varied = vary_shape(levels, ShapeSettings(), torch.Generator().manual_seed(0))
    assert torch.equal(varied, varied.round()) and varied.max() <= 255
    assert not torch.equal(varied, levels)
    assert abs(float((varied > 0).float().mean() - (levels > 0).float().mean())) < 0.2
    still = ShapeSettings(size=0, axis=0, shear=0, perspective=0, bend=0, shift=0)
    assert torch.allclose(vary_shape(levels, still, torch.Generator().manual_seed(0)), levels, atol=1.0)
