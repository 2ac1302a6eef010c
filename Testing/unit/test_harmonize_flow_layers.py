"""Every flow layer is exactly invertible, and its log-determinant is that of the autograd Jacobian."""

import math

import pytest
import torch
from torch.testing import assert_close

from neurogen.networks.coupling_flow import (
    LEVELS,
    Coupling,
    CouplingFlow,
    Dequantization,
    Logit,
    Squeeze,
    build,
    checkerboard,
    half_of_channels,
)
from neurogen.networks.coupling_net import CouplingNet, concat_elu

SMALL = (4, 6)


def randomized(module, seed=3):
    """Fresh weights start as the identity, where inverting proves nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return module.double()


def layers():
    torch.manual_seed(0)
    return {
        "checkerboard-even": (Coupling(CouplingNet(1, 2, SMALL), checkerboard(0)), 1),
        "checkerboard-odd": (Coupling(CouplingNet(1, 2, SMALL), checkerboard(1)), 1),
        "channels-first": (Coupling(CouplingNet(4, 8, SMALL), half_of_channels(4, 0)), 4),
        "channels-second": (Coupling(CouplingNet(4, 8, SMALL), half_of_channels(4, 1)), 4),
        "squeeze": (Squeeze(), 1),
        "logit": (Logit(offset=0.7, scale=1.3), 1),
    }


def brain(*shape):
    """Zeros and ones, the same in every channel of a picture."""
    whole = torch.rand(1, 1, *shape[2:], generator=torch.Generator().manual_seed(8)) < 0.8
    return whole.expand(shape).double()


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "brain"])
@pytest.mark.parametrize("name", layers())
def test_layer_is_invertible_and_its_log_det_is_the_jacobians(name, masked):
    layer, channels = layers()[name]
    randomized(layer)
    x = torch.rand(1, channels, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    inside = brain(*x.shape) if masked else torch.ones_like(x)
    x = x * inside
    y, log_det = layer(x, inside)
    back, inverse_log_det = layer.inverse(y, inside)
    assert_close(back, x)
    assert_close(inverse_log_det, -log_det)
    assert y.shape != x.shape or not torch.allclose(y, x)
    # The Jacobian among the brain's pixels: the others are constants.
    chosen = inside.flatten() > 0
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v, inside)[0], x).reshape(x.numel(), -1)
    if name == "squeeze":
        outside = torch.nn.functional.pixel_unshuffle(inside, 2).flatten() > 0
        jacobian = jacobian[outside][:, chosen]
    else:
        jacobian = jacobian[chosen][:, chosen]
    assert_close(log_det[0], torch.linalg.slogdet(jacobian).logabsdet)


def test_conditioned_coupling_is_invertible():
    layer = randomized(Coupling(CouplingNet(2, 2, SMALL), checkerboard(0)))
    x, condition = torch.randn(2, 1, 8, 8, dtype=torch.float64), torch.randn(2, 1, 8, 8, dtype=torch.float64)
    inside = torch.ones_like(x)
    y, log_det = layer(x, inside, condition)
    back, inverse_log_det = layer.inverse(y, inside, condition)
    assert_close(back, x)
    assert_close(inverse_log_det, -log_det)
    assert not torch.allclose(layer(x, inside, -condition)[0], y)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "brain"])
def test_whole_flow_is_invertible_and_its_log_det_is_the_jacobians(masked):
    flow = randomized(build(widths=SMALL, dequantization_widths=SMALL, steps=2, offset=0.4, scale=0.8))
    picture = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    inside = brain(1, 1, 8, 8) if masked else torch.ones_like(picture)
    picture = picture * inside
    z, log_det = flow.encode(picture, inside)
    assert z.shape == (1, 16, 2, 2)
    back, inverse_log_det = flow.decode(z, inside)
    assert_close(back, picture)
    assert_close(inverse_log_det, -log_det)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow.encode(v, inside)[0], picture).reshape(64, 64)
    chosen = inside.flatten() > 0
    seen = torch.nn.functional.pixel_unshuffle(torch.nn.functional.pixel_unshuffle(inside, 2), 2).flatten() > 0
    assert_close(log_det[0], torch.linalg.slogdet(jacobian[seen][:, chosen]).logabsdet)


def test_dequantization_log_det_is_the_jacobians_in_its_noise():
    layer = randomized(Dequantization([Coupling(CouplingNet(2, 2, SMALL), checkerboard(k)) for k in range(2)]))
    levels = torch.randint(1, LEVELS, (1, 1, 4, 4), generator=torch.Generator().manual_seed(4)).double()
    noise = torch.rand(1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    inside = torch.ones_like(levels)
    picture, log_det = layer(levels, noise, inside)
    assert_close((picture * LEVELS).floor(), levels)
    jacobian = torch.autograd.functional.jacobian(lambda u: layer(levels, u, inside)[0], noise).reshape(16, 16)
    assert_close(log_det[0], torch.linalg.slogdet(jacobian).logabsdet)


def test_256_equal_levels_cost_8_bits():
    """Uniform levels through a flow whose base density undoes the logit (standard logistic): 8 bits each, exactly."""
    flow = CouplingFlow(Dequantization([]), []).double()
    levels = torch.arange(LEVELS, dtype=torch.float64).reshape(1, 1, 16, 16)
    noise = torch.rand(1, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    inside = torch.ones_like(levels)
    picture, log_det = flow.dequantization(levels, noise, inside)
    z, change = flow.encode(picture, inside)
    log_logistic = torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z)
    bits = -(log_logistic.sum() + (log_det + change)[0]) / math.log(2) / LEVELS
    assert_close(bits, torch.tensor(8.0, dtype=torch.float64), atol=1e-4, rtol=0)


def test_a_fresh_flow_gives_the_known_likelihood_of_one_picture():
    """At the start the couplings are the identity: log p is the sum of normal densities of logits, written out here."""
    flow = build(widths=SMALL, dequantization_widths=SMALL, offset=1.0, scale=0.5).double()
    levels = torch.full((1, 1, 8, 8), 200.0, dtype=torch.float64)
    levels[:, :, :2] = 0
    noise = torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    p = 200.5 / 256
    z = (math.log(p / (1 - p)) - 1.0) / 0.5
    per_pixel = -0.5 * (z**2 + math.log(2 * math.pi)) - math.log(p * (1 - p) * 0.5) - math.log(256)
    assert_close(flow(levels, noise), torch.tensor([48 * per_pixel], dtype=torch.float64), atol=1e-2, rtol=0)


def test_the_background_costs_nothing():
    flow = randomized(build(widths=SMALL, dequantization_widths=SMALL, steps=2))
    levels = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    assert flow(levels, torch.rand_like(levels)).item() == 0.0


def test_batch_equals_one_at_a_time():
    flow = randomized(build(widths=SMALL, dequantization_widths=SMALL, steps=2))
    levels = torch.randint(0, LEVELS, (3, 1, 8, 8)).double()
    noise = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    together = flow(levels, noise)
    assert_close(together, torch.cat([flow(levels[k : k + 1], noise[k : k + 1]) for k in range(3)]))


def test_log_scale_stays_below_its_limit():
    layer = randomized(Coupling(CouplingNet(1, 2, SMALL), checkerboard(0)))
    x = 1e6 * torch.randn(1, 1, 8, 8, dtype=torch.float64)
    log_scale, _ = layer._scale_and_shift(x, torch.ones_like(x), None)
    assert log_scale.abs().max() <= layer.limit.exp().item() * (1 + 1e-9)


def test_concat_elu_is_symmetric():
    x = torch.randn(2, 3, 4, 4)
    a, b = concat_elu(x).chunk(2, dim=1)
    c, d = concat_elu(-x).chunk(2, dim=1)
    assert_close(a, d)
    assert_close(b, c)


def test_the_flow_has_at_most_two_and_a_half_million_parameters():
    assert sum(p.numel() for p in build().parameters()) <= 2.5e6
