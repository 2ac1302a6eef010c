"""Leveling takes a smooth field out of a scan, and leaves lesions in it."""

import numpy as np
import pytest
import torch

from neurogen.anomaly.contrast_scale import T1W
from neurogen.anomaly.leveling import Leveling, refined

SHAPE = (40, 48, 40)


def grid():
    return np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")


@pytest.fixture(scope="module")
def healthy():
    """Layers of tissue in a ball, and their standard deviation among healthy brains."""
    radius = np.sqrt(sum(g**2 for g in grid()))
    return np.select([radius < 0.3, radius < 0.7], [0.4, 0.9], 0.65), radius < 0.95


@pytest.fixture(scope="module")
def leveling(healthy):
    return Leveling(np.log(healthy[0]).astype(np.float32), np.full(SHAPE, 0.05, np.float32), sigma_cells=8.0)


def test_a_healthy_brain_has_no_field(healthy, leveling):
    np.testing.assert_allclose(leveling.field(*healthy)[healthy[1]], 1, atol=1e-6)


def test_a_brighter_scan_as_a_whole_is_a_constant_field(healthy, leveling):
    image, brain = healthy
    np.testing.assert_allclose(leveling.field(1.1 * image, brain)[brain], 1.1, rtol=1e-5)


def test_a_smooth_field_is_found(healthy, leveling):
    image, brain = healthy
    field = np.exp(0.12 * grid()[0])
    rest = np.log(leveling.field(image * field, brain) / field)[brain]
    assert np.abs(rest).max() < 0.5 * 0.12 and rest.std() < 0.5 * np.log(field)[brain].std()


def test_a_lesion_stays(healthy, leveling):
    """Half as bright over 30 ml: outside the biweight, so that the field does not follow."""
    image, brain = healthy
    lesion = sum((g - c) ** 2 for g, c in zip(grid(), (0.3, -0.4, 0.2), strict=True)) < 0.35**2
    field = leveling.field(np.where(lesion, 0.5 * image, image), brain)
    assert np.abs(np.log(field)).max() < 0.02


def test_what_varies_among_healthy_brains_decides_little(healthy):
    image, brain = healthy
    restless = grid()[0] > 0
    deviation = np.where(restless, 1.0, 0.05).astype(np.float32)
    leveling = Leveling(np.log(image).astype(np.float32), deviation, sigma_cells=40.0)
    field = leveling.field(np.where(restless, 1.1 * image, image), brain)
    np.testing.assert_allclose(field[brain], 1, atol=0.01)


def test_no_brain_no_field(leveling):
    np.testing.assert_array_equal(leveling.field(np.zeros(SHAPE, np.float32), np.zeros(SHAPE, bool)), 1)


def test_the_context_of_a_model_says_what_is_healthy():
    context = torch.zeros(2, 2, 3, 4)
    context[:, 0], context[:, 1] = 0.5, 0.1
    leveling = Leveling.from_context(context, T1W, 8.0)
    np.testing.assert_allclose(np.exp(leveling.log_mean), 0.65 + 0.5 * 0.2, rtol=1e-6)
    np.testing.assert_allclose(leveling.log_deviation, 0.1 * 0.2 / 0.75, rtol=1e-6)


def test_refining_keeps_a_constant_and_the_mean_of_a_slope():
    np.testing.assert_allclose(refined(np.full((3, 4, 5), 1.3, np.float32), (3, 8, 10)), 1.3, rtol=1e-6)
    slope = np.linspace(1, 2, 5, dtype=np.float32)[None, None].repeat(3, 0).repeat(4, 1)
    fine = refined(slope, (3, 8, 10))
    assert fine.shape == (3, 8, 10)
    np.testing.assert_allclose(fine.mean(), slope.mean(), rtol=1e-3)
