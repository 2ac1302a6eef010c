"""REFLECT: the flow's known answers, the reflow target, the network's contract."""

import pytest
import torch

from neurogen.anomaly.reflect import RectifiedFlow, reflow_target
from neurogen.networks.velocity_unet import build


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(4, 2, 8, 8, generator=generator), torch.randn(4, 2, 8, 8, generator=generator)


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_the_true_velocity_recovers_the_healthy_code_for_any_number_of_steps(pair, steps):
    corrupted, healthy = pair
    corrected = RectifiedFlow.correct(lambda y, t: healthy - corrupted, corrupted, steps=steps)
    torch.testing.assert_close(corrected, healthy)


def test_the_sign_points_toward_healthy(pair):
    corrupted, healthy = pair
    target = RectifiedFlow.velocity_target(corrupted, healthy)
    before, after = (corrupted - healthy).norm(), (corrupted + 0.1 * target - healthy).norm()
    assert after < before


def test_the_path_starts_corrupted_and_ends_healthy(pair):
    corrupted, healthy = pair
    assert torch.equal(RectifiedFlow.interpolate(corrupted, healthy, torch.zeros(4)), corrupted)
    assert torch.equal(RectifiedFlow.interpolate(corrupted, healthy, torch.ones(4)), healthy)
    middle = RectifiedFlow.interpolate(corrupted, healthy, torch.full((4,), 0.5))
    torch.testing.assert_close(middle, (corrupted + healthy) / 2)


def test_a_time_dependent_velocity_is_integrated_at_the_left_ends(pair):
    """Euler with K steps of v = t: sum of (k / K) / K = (K - 1) / (2 K)."""
    corrupted, _ = pair
    moved = RectifiedFlow.correct(lambda y, t: t.view(-1, 1, 1, 1).expand_as(y), corrupted, steps=4)
    torch.testing.assert_close(moved, corrupted + 3 / 8)


def test_the_loss_is_zero_for_the_true_velocity_and_equals_the_formula_otherwise(pair):
    corrupted, healthy = pair
    t = torch.tensor([0.0, 0.3, 0.6, 0.9])
    assert RectifiedFlow.loss(lambda y, s: healthy - corrupted, corrupted, healthy, t) == 0
    written_out = ((0 - (healthy - corrupted)) ** 2).mean()
    torch.testing.assert_close(RectifiedFlow.loss(lambda y, s: torch.zeros_like(y), corrupted, healthy, t), written_out)


def test_reflow_targets_are_where_the_teacher_goes(pair):
    corrupted, healthy = pair
    torch.testing.assert_close(reflow_target(lambda y, t: healthy - corrupted, corrupted), healthy)


def test_no_step_is_refused(pair):
    with pytest.raises(ValueError, match="at least one"):
        RectifiedFlow.correct(lambda y, t: y, pair[0], steps=0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    net = build(channels=1, contrasts=2, widths=(8, 16), blocks=1, fold=2, attention_heads=2)
    for parameter in net.parameters():  # the last layers start as zero, which would hide everything
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return net.eval()


def test_an_untrained_network_moves_nothing():
    net = build(channels=1, contrasts=2, widths=(8, 16), blocks=1, fold=2, attention_heads=2)
    z = torch.randn(2, 1, 16, 24)
    assert torch.equal(net(z, torch.rand(2), torch.tensor([0, 1])), torch.zeros_like(z))


def test_the_velocity_has_the_shape_of_the_code_and_depends_on_time_and_contrast(network):
    z = torch.randn(1, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        at_start = network(z, torch.tensor([0.0]), torch.tensor([0]))
        later = network(z, torch.tensor([0.7]), torch.tensor([0]))
        other = network(z, torch.tensor([0.0]), torch.tensor([1]))
    assert at_start.shape == z.shape
    assert not torch.allclose(at_start, later)
    assert not torch.allclose(at_start, other)


def test_a_batch_equals_one_slice_at_a_time(network):
    z = torch.randn(3, 1, 16, 24, generator=torch.Generator().manual_seed(2))
    t, contrast = torch.tensor([0.0, 0.4, 1.0]), torch.tensor([0, 1, 0])
    with torch.no_grad():
        together = network(z, t, contrast)
        alone = torch.cat([network(z[k : k + 1], t[k : k + 1], contrast[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
