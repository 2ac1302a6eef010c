"""Tissue intensities: found where they were put, whatever the anatomy."""

import numpy as np
import pytest

from neurogen.harmonize.tissue import tissue_classes, tissue_levels, tissue_shares

TRUE = (50, 130, 220)


def three_tissues(sizes, seed=0):
    """Levels (24, 24, 24) with layers of fluid, gray and white of the given thickness, noise of 4 levels."""
    truth = np.repeat(np.arange(3), sizes)[:, None, None] * np.ones((1, 24, 24), int)
    noise = np.random.default_rng(seed).normal(0, 4, truth.shape)
    return np.clip(np.array(TRUE)[truth] + noise, 1, 255).round().astype(np.uint8), truth


@pytest.mark.parametrize("sizes", [(4, 10, 10), (2, 8, 14), (8, 10, 6)])
def test_levels_of_tissues_do_not_depend_on_how_much_there_is(sizes):
    levels, _ = three_tissues(sizes)
    assert tissue_levels(levels) * 255 == pytest.approx(TRUE, abs=1.5)


def test_classes_are_the_tissues_and_shares_add_up():
    levels, truth = three_tissues((4, 10, 10))
    levels[:, :3] = 0
    shares = tissue_shares(levels)
    assert np.allclose(shares.sum(0), levels > 0, atol=1e-5)
    classes = tissue_classes(shares, levels > 0)
    assert (classes[:, :3] == -1).all() and (classes == truth)[:, 4:].mean() > 0.99
