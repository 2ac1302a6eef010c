"""The harmonizer's three heads, and what its curve may and may not do."""

import numpy as np
import pytest
import torch

from neurogen.networks.harmonizer_unet import (
    FURTHEST,
    HEADS,
    STEEPEST,
    brain_histogram,
    build,
    curve_parts,
    follow_curve,
)


@pytest.fixture
def x():
    picture = torch.rand(2, 1, 48, 40, generator=torch.Generator().manual_seed(0))
    picture[:, :, :8] = 0
    return picture


@pytest.mark.parametrize("head", HEADS)
def test_the_background_stays_0(x, head):
    out = build(widths=(4, 6, 8), head=head)(x)
    assert out.shape == x.shape and out.dtype == torch.float32
    assert (out[x == 0] == 0).all() and torch.isfinite(out).all()


@pytest.mark.parametrize("head", ["affine", "curve"])
def test_a_fresh_network_changes_nothing(x, head):
    assert torch.allclose(build(widths=(4, 6, 8), head=head)(x), x, atol=1e-6)


def test_an_unknown_head_is_told():
    with pytest.raises(ValueError, match="curve"):
        build(head="magic")


def test_the_curve_rises_within_its_slopes_even_for_wild_parameters():
    raw = 50 * torch.randn(5, 17, generator=torch.Generator().manual_seed(1))
    start, slope = curve_parts(raw)
    assert (start.abs() <= FURTHEST).all()
    assert (slope >= 1 / STEEPEST - 1e-6).all() and (slope <= STEEPEST + 1e-6).all()
    x = torch.linspace(0.001, 1.3, 500).expand(5, -1)
    y = follow_curve(x, raw)
    assert (y.diff(dim=1) > 0).all()


def test_the_curve_is_the_integral_of_its_slopes():
    raw = torch.randn(1, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    start, slope = (part[0].numpy() for part in curve_parts(raw))
    x = np.linspace(0.01, 0.99, 50)
    nodes = np.linspace(0, 1, 9)
    expected = np.interp(x, nodes, start + np.concatenate([[0], np.cumsum(slope) / 8]))
    assert np.allclose(follow_curve(torch.from_numpy(x)[None], raw)[0].numpy(), expected)


def test_zero_parameters_are_the_identity_also_above_1():
    x = torch.tensor([[0.2, 1.0, 1.7]])
    assert torch.allclose(follow_curve(x, torch.zeros(1, 17)), x)


def test_the_histogram_counts_the_brain_only(x):
    shares = brain_histogram(x)
    assert torch.allclose(shares.sum(1), torch.ones(2))
    inside = x[0][x[0] > 0].numpy()
    expected = np.histogram(inside, bins=shares.shape[1], range=(0, 1))[0] / len(inside)
    assert np.allclose(shares[0].numpy(), expected, atol=1e-6)
