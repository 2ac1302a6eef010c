"""MAD-AD: known answers of the masked diffusion, its noise schedule, masks, losses and network."""

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDIMScheduler
from torch.nn import functional

from neurogen.anomaly.correction import Conditions, correction_of
from neurogen.anomaly.mad_ad import MadAdCorrection, SeededNoise, loss, noised, renew
from neurogen.anomaly.masked_diffusion import (
    PatchSettings,
    cosine_alpha_bar,
    draw_mask,
    draw_noise,
    eligible_cells,
    reverse_times,
)
from neurogen.anomaly.shared_tensors import brain_cells, packed, unpacked
from neurogen.errors import ModelUnavailable
from neurogen.networks import masked_unet, velocity_unet
from neurogen.networks.small_weights import reduced, restored

# squaredcos_cap_v2 at T = 10, as the published code prints it.
PUBLISHED_ALPHA_BAR = np.array(
    "0.972093 0.898706 0.786911 0.647478 0.493844 0.34081 0.203121 0.094046 0.024092 2.409e-5".split(), float
)
SMALL = {"channels": 1, "contrasts": 2, "widths": (8, 16), "blocks": 1, "fold": 2, "context": 2, "attention_heads": 2}


@pytest.fixture
def scene():
    """An abnormal code, the healthy one, and the mask of where they differ."""
    generator = torch.Generator().manual_seed(3)
    healthy = torch.randn(4, 2, 8, 8, generator=generator)
    mask = (torch.rand(4, 1, 8, 8, generator=generator) < 0.3).float()
    return torch.where(mask > 0, torch.randn(4, 2, 8, 8, generator=generator), healthy), healthy, mask


def seeded(code):
    def noise(t):
        return torch.randn(code.shape, generator=torch.Generator().manual_seed(t))

    return noise


def test_the_schedule_is_the_published_one():
    alpha_bar = cosine_alpha_bar()
    assert alpha_bar[0] == 1
    np.testing.assert_allclose(alpha_bar[1:], PUBLISHED_ALPHA_BAR, rtol=1e-4)
    monai = DDIMScheduler(10, schedule="cosine", clip_sample=False).alphas_cumprod
    np.testing.assert_allclose(alpha_bar[1:], monai, rtol=0.02, atol=1e-4)  # its offset differs by rounding


@pytest.mark.parametrize("steps", range(1, 11))
def test_reverse_times_fall_from_the_last_for_every_count(steps):
    times = reverse_times(steps)
    assert len(times) == steps and times[0] == 10 and times[-1] >= 1
    assert list(times) == sorted(set(times), reverse=True)


@pytest.mark.parametrize("steps", [0, 11])
def test_impossible_counts_are_refused(steps):
    with pytest.raises(ValueError, match="1 to 10"):
        reverse_times(steps)


@pytest.mark.parametrize("steps", range(1, 11))
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_with_the_true_prediction_the_healthy_code_comes_back_for_any_number_of_steps(scene, steps, eta):
    code, healthy, mask = scene
    found, seen = renew(lambda z, t: (healthy, mask), code, steps=steps, noise=seeded(code), eta=eta)
    torch.testing.assert_close(found, healthy)
    torch.testing.assert_close(seen, mask)


def test_cells_never_flagged_are_bit_identical(scene):
    code, _, mask = scene
    found, _ = renew(lambda z, t: (torch.full_like(z, 9.0), mask), code, steps=5, noise=seeded(code))
    untouched = (mask == 0).expand_as(code)
    assert torch.equal(found[untouched], code[untouched])
    assert not torch.equal(found, code)


def test_the_polarity_is_one_for_noised(scene):
    _, healthy, mask = scene
    noise = torch.full_like(healthy, 5.0)
    z = noised(healthy, noise, mask, torch.full((4,), 0.0))
    assert torch.equal(z, torch.where(mask > 0, noise, healthy))
    here = noised(healthy, noise, mask, torch.full((4,), 0.25))
    torch.testing.assert_close(here, torch.where(mask > 0, 0.5 * healthy + 0.75**0.5 * noise, healthy))


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_one_reverse_step_is_ddims(scene, eta):
    """An independent route: MONAI's scheduler, without its clipping, over the same alphas, all cells flagged."""
    code, healthy, _ = scene
    scheduler = DDIMScheduler(10, prediction_type="sample", clip_sample=False)
    scheduler.alphas_cumprod = cosine_alpha_bar()[1:]
    scheduler.set_timesteps(10)
    everywhere = torch.ones_like(code[:, :1])
    calls = []

    def predict(z, t):
        calls.append((t, z))
        return healthy, everywhere

    renew(predict, code, steps=10, noise=lambda t: torch.zeros_like(code), eta=eta)
    for (t, z), (_, following) in zip(calls, calls[1:]):
        variance = scheduler._get_variance(t - 1, torch.tensor(t - 2))
        expected, _ = scheduler.step(healthy, t - 1, z, eta=0.0)
        if eta == 0:
            torch.testing.assert_close(following, expected, rtol=1e-4, atol=1e-4)
        else:
            a, b = scheduler.alphas_cumprod[t - 1], scheduler.alphas_cumprod[t - 2]
            epsilon = (z - a.sqrt() * healthy) / (1 - a).sqrt()
            written_out = b.sqrt() * healthy + (1 - b - eta**2 * variance).sqrt() * epsilon
            torch.testing.assert_close(following, written_out, rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_formula(scene):
    code, healthy, mask = scene
    logits = torch.linspace(-2, 2, mask.numel()).view_as(mask)
    p = logits.sigmoid()
    error = ((code - healthy) ** 2).mean()
    bce = -(mask * p.log() + (1 - mask) * (1 - p).log()).mean()
    torch.testing.assert_close(loss(healthy, mask, code, logits, mask_weight=0.3), error + 0.3 * bce)
    mse = loss(healthy, mask, code, logits, mask_loss="mse", mask_weight=0.001)
    torch.testing.assert_close(mse, error + 0.001 * functional.mse_loss(p, mask))
    with pytest.raises(ValueError, match="bce, mse"):
        loss(healthy, mask, code, logits, mask_loss="dice")


def disk(shape=(96, 80), radius=30):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - shape[0] / 2) ** 2 + (columns - shape[1] / 2) ** 2 < radius**2


def test_masks_stay_in_the_brain_and_within_the_ratio():
    rng, brain = np.random.default_rng(0), disk()
    shares = []
    for _ in range(200):
        mask, patches = draw_mask(brain, 2.0, PatchSettings(), rng)
        assert not (mask & ~brain).any()
        chosen = np.unique(patches[mask])
        assert np.array_equal(mask, brain & np.isin(patches, chosen))  # whole patches, cut by the brain alone
        shares.append(mask.sum() / brain.sum())
    assert 0.1 < np.mean(shares) < 0.3 and max(shares) < 0.6  # U(0, 0.4) of the patches


def test_noise_reaches_the_rim_that_the_published_rule_leaves_out():
    brain = disk()
    rim = brain & ~disk(radius=27)
    assert eligible_cells(brain, 2.0, "brain")[rim].all()
    blocks = eligible_cells(brain, 2.0, "blocks")
    assert blocks.any() and blocks[rim].mean() < 0.5 and not (blocks & ~brain).any()


@pytest.mark.parametrize("grain", [None, (2.0, 64.0)])
def test_noise_is_standard_normal_whatever_its_grain(grain):
    rng = np.random.default_rng(1)
    values = np.stack([draw_noise(1, (96, 80), grain, 2.0, rng) for _ in range(300)])
    assert abs(values.mean()) < 0.1 and values.std() == pytest.approx(1.0, abs=0.1)
    neighbors = np.corrcoef(values[..., 1:].ravel(), values[..., :-1].ravel())[0, 1]
    assert (neighbors > 0.5) == (grain is not None)


def test_seeded_noise_depends_on_seed_level_and_time_but_not_on_the_batch():
    code, slabs = torch.zeros(3, 1, 96, 80), torch.tensor([4, 9, 4])
    noise = SeededNoise(code, slabs, 8.0, 7)(5)
    assert torch.equal(noise[0], noise[2]) and not torch.equal(noise[0], noise[1])
    assert torch.equal(SeededNoise(code[1:2], slabs[1:2], 8.0, 7)(5), noise[1:2])
    assert not torch.equal(SeededNoise(code, slabs, 8.0, 8)(5), noise)
    assert not torch.equal(SeededNoise(code, slabs, 8.0, 7)(4), noise)


@pytest.fixture
def networks():
    torch.manual_seed(0)
    velocity = velocity_unet.build(**SMALL)
    for parameter in velocity.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    masked = masked_unet.build(**SMALL)
    masked.start_from(velocity)
    return velocity.eval(), masked.eval()


def inputs(n=2):
    generator = torch.Generator().manual_seed(1)
    z, context = (torch.randn(n, c, 16, 24, generator=generator) for c in (1, 2))
    return z, torch.zeros(n), torch.arange(n) % 2, context


def test_an_untrained_network_returns_its_input_and_flags_nothing():
    z, t, contrast, context = inputs()
    clean, logits = masked_unet.build(**SMALL)(z, t, contrast, context)
    assert torch.equal(clean, z) and torch.equal(logits, torch.zeros_like(z))


def test_a_trained_velocity_carries_over(networks):
    velocity, masked = networks
    z, t, contrast, context = inputs()
    with torch.no_grad():
        clean, logits = masked(z, t, contrast, context)
        torch.testing.assert_close(clean, z + velocity(z, t, contrast, context))
    assert torch.equal(logits, torch.zeros_like(logits))


def test_another_network_is_not_taken_over(networks):
    other = velocity_unet.build(**SMALL | {"widths": (8, 24)})
    with pytest.raises(RuntimeError):
        networks[1].start_from(other)


@pytest.mark.parametrize("source", ["image", "mask"])
def test_the_same_seed_gives_the_same_correction(networks, source):
    masked = networks[1]
    for parameter in masked.leave.parameters():
        parameter.data.add_(0.3)
    z, _, contrast, context = inputs()
    conditions = Conditions(contrast, context, torch.tensor([3, 4]))
    method = MadAdCorrection(source=source, mask_threshold=0.4)
    one, two, other = (method(masked, z, conditions, steps=3, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.code, two.code) and not torch.equal(one.code, other.code)
    assert (one.evidence is None) == (source == "image")
    if source == "mask":
        assert one.evidence.shape == z.shape and one.evidence.abs().max() <= 1


def test_foreign_methods_and_settings_are_refused_with_a_sentence():
    with pytest.raises(ModelUnavailable, match="no anomaly detector"):
        correction_of("oracle", {}, model_id="m")
    with pytest.raises(ModelUnavailable, match="sets speed"):
        correction_of("mad-ad", {"speed": 3}, model_id="m")
    assert correction_of("mad-ad", {"steps": 3}, model_id="m") == MadAdCorrection(steps=3)


def test_weights_in_eight_bits_come_back_within_half_a_step():
    generator = torch.Generator().manual_seed(0)
    spread = torch.logspace(-3, 1, 32).view(-1, 1, 1, 1)
    weights = {
        "kernel": torch.randn(32, 16, 3, 3, generator=generator) * spread,
        "bias": torch.randn(32),
        "n": torch.tensor(3),
    }
    small = reduced(weights)
    assert small["kernel"].dtype == torch.int8 and small["bias"].dtype == torch.float16
    back = restored(small)
    assert set(back) == set(weights) and back["n"] == 3
    step = weights["kernel"].flatten(1).abs().amax(1) / 127
    error = (back["kernel"] - weights["kernel"]).flatten(1).abs().amax(1)
    assert (error <= 0.51 * step + 1e-3 * step * 127).all()
    assert torch.equal(restored({"kernel": weights["kernel"]})["kernel"], weights["kernel"])


def test_statistics_of_brain_cells_come_back_where_the_brain_is():
    context = torch.zeros(4, 2, 6, 5)
    context[1:3, 1, 2:5, 1:4] = 0.5  # the deviation: no scan has brain elsewhere
    mean = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(0))
    cells = brain_cells(context)
    flat = {"t1w_flow_mean": packed(mean, context), "t1w_flow_deviation": packed(mean.abs(), context), "other": mean}
    back = unpacked(flat, context)
    assert flat["t1w_flow_mean"].shape == (18,)
    for name in ("t1w_flow_mean", "t1w_flow_deviation"):
        assert torch.equal(back[name][cells], flat[name])
    assert (back["t1w_flow_mean"][~cells] == 0).all()
    assert (back["t1w_flow_deviation"][~cells] == flat["t1w_flow_deviation"].max()).all()
    assert torch.equal(back["other"], mean)
