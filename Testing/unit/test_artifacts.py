"""Artifacts of acquisition: what each of them is in k-space, and that healthy slices stay what they are without."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurogen.training.artifacts import (
    ArtifactSettings,
    add_artifacts,
    at_resolution,
    draw_shifts,
    with_motion,
    with_noise,
)

NEVER = ArtifactSettings(motion_share=0.0, resolution_share=0.0, noise_share=0.0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def signal():
    """Two discs of bright tissue in darkness, with a step inside."""
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(40.0), indexing="ij")
    radius = torch.hypot(rows - 24, columns - 20)
    return torch.stack([(radius < r).float() * 3 + (radius < r / 2) for r in (16, 12)])[:, None]


@pytest.mark.parametrize("along", [-2, -1])
def test_a_head_that_lay_elsewhere_all_the_time_is_a_shifted_picture(signal, along):
    shifts = torch.full((2, signal.shape[along]), 3.0)
    torch.testing.assert_close(with_motion(signal, shifts, along), signal.roll(3, along), atol=1e-4, rtol=0)


def test_motion_every_other_line_is_a_ghost_half_a_picture_away(signal):
    """Even lines hold (s(x) + s(x + N/2)) / 2, odd ones (s(x) - s(x + N/2)) / 2; each is shifted on its own."""
    far = signal.roll(24, -2)
    expected = ((signal + far).roll(2, -2) / 2 + (signal - far).roll(-2, -2) / 2).abs()
    alternating = torch.tensor([2.0, -2.0]).repeat(24).expand(2, -1)  # the first of 48 lines is -24, an even one
    torch.testing.assert_close(with_motion(signal, alternating, -2), expected, atol=1e-4, rtol=0)


def test_shifts_stay_within_reach():
    shifts = draw_shifts(500, 96, 3.0, seeded())
    assert shifts.abs().max() <= 3.0
    assert shifts.abs().amax(1).min() < 1.0 < shifts.abs().amax(1).max()  # a range, not a constant


def test_all_frequencies_kept_are_the_picture(signal):
    sharp = at_resolution(signal, torch.ones(2), torch.zeros(2))
    torch.testing.assert_close(sharp, signal, atol=1e-4, rtol=0)


def test_cut_frequencies_ring_and_faded_ones_blur(signal):
    half = torch.full((2,), 0.5)
    rings, blurs = (at_resolution(signal, half, torch.full((2,), soft)) for soft in (0.0, 1.0))
    assert rings.max() > signal.max() + 0.2 > blurs.max()
    edges = [x.diff(dim=-2).abs().amax() for x in (signal, rings, blurs)]
    assert edges[0] > edges[1] > edges[2]


def test_noise_is_rician():
    """Without signal its mean is sigma sqrt(pi / 2); beside a strong signal, normal with deviation sigma."""
    dark = with_noise(torch.zeros(1, 1, 200, 200), torch.tensor(0.1), seeded())
    np.testing.assert_allclose(dark.mean(), 0.1 * np.sqrt(np.pi / 2), rtol=0.02)
    bright = with_noise(torch.full((1, 1, 200, 200), 5.0), torch.tensor(0.1), seeded())
    np.testing.assert_allclose(bright.std(), 0.1, rtol=0.02)


def test_never_means_never(signal):
    assert torch.equal(add_artifacts(signal, 2.0, NEVER, seeded()), signal)


@pytest.mark.parametrize("share", ["motion_share", "resolution_share", "noise_share"])
def test_each_happens_as_often_as_asked(signal, share):
    many = signal[:1].expand(400, -1, -1, -1)
    changed = (add_artifacts(many, 2.0, replace(NEVER, **{share: 0.3}), seeded()) - many).abs().amax((1, 2, 3)) > 1e-3
    assert 0.22 < changed.float().mean() < 0.38


def test_same_seed_same_artifacts(signal):
    settings = ArtifactSettings(motion_share=1.0, resolution_share=1.0, noise_share=1.0)
    first, again, other = (add_artifacts(signal, 2.0, settings, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert (first >= 0).all()
