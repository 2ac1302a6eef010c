"""DeCo-Diff: known answers of the deviation from normality, patch shuffling, strategies and maps."""

import numpy as np
import pytest
import torch

from neurogen.anomaly.anomaly_map import CellMaps
from neurogen.anomaly.codec import PixelCodec
from neurogen.anomaly.contrast_scale import T1W
from neurogen.anomaly.deco_diff import (
    DecoDiffCorrection,
    correct,
    deviated,
    direction_of_deviation,
    shuffled_patches,
)
from neurogen.anomaly.detector import Detector, SliceCorrection
from neurogen.anomaly.masked_diffusion import cosine_alpha_bar

ALPHA_BAR = cosine_alpha_bar()


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(4)
    clean, noise = (torch.randn(5, 2, 8, 8, generator=generator) for _ in range(2))
    mask = (torch.rand(5, 1, 8, 8, generator=generator) < 0.4).float()
    return clean, noise, mask, torch.tensor([1, 3, 5, 8, 10])


def test_deviating_is_diffusing_the_masked_cells(scene):
    """Eq. 4.11 against eq. 4.9 written out; visible cells stay bit for bit."""
    clean, noise, mask, t = scene
    z = deviated(clean, direction_of_deviation(clean, noise, mask, ALPHA_BAR[t]), ALPHA_BAR[t])
    kept = ALPHA_BAR[t].view(-1, 1, 1, 1)
    diffused = kept.sqrt() * clean + (1 - kept).sqrt() * noise
    torch.testing.assert_close(z, torch.where(mask > 0, diffused, clean))
    visible = (mask == 0).expand_as(clean)
    assert torch.equal(z[visible], clean[visible])


def true_direction(clean):
    return lambda z, t: (z - clean) / (1 - ALPHA_BAR[t]).sqrt()


@pytest.mark.parametrize("steps", range(1, 11))
@pytest.mark.parametrize("strategy", ["z_0", "z_t-1"])
def test_the_true_direction_leads_back_for_any_number_of_steps(scene, steps, strategy):
    clean, noise, _, _ = scene
    torch.testing.assert_close(correct(true_direction(clean), noise, steps=steps, strategy=strategy), clean)


@pytest.mark.parametrize("strategy", ["z_0", "z_t-1"])
def test_zero_direction_leaves_the_input_untouched(scene, strategy):
    code = scene[1]
    assert torch.equal(correct(lambda z, t: torch.zeros_like(z), code, steps=5, strategy=strategy), code)


def test_one_step_is_the_same_for_both_strategies_and_more_are_not(scene):
    code = scene[1]

    def direction(z, t):
        return 0.1 * z + 0.01 * t

    assert torch.equal(*(correct(direction, code, steps=1, strategy=s) for s in ("z_0", "z_t-1")))
    assert not torch.allclose(*(correct(direction, code, steps=4, strategy=s) for s in ("z_0", "z_t-1")))


def test_two_steps_are_eq_414_written_out(scene):
    code = scene[1]
    s10, s5 = ((1 - ALPHA_BAR[t]).sqrt() for t in (10, 5))
    first = 0.2 * code
    z5 = (code - s10 * first) + s5 * first
    expected = z5 - s5 * 0.2 * z5
    torch.testing.assert_close(correct(lambda z, t: 0.2 * z, code, steps=2), expected)


def test_an_unknown_strategy_is_refused(scene):
    with pytest.raises(ValueError, match="z_0, z_t-1"):
        correct(lambda z, t: z, scene[1], steps=1, strategy="back")
    with pytest.raises(ValueError, match="combination"):
        DecoDiffCorrection(combine="product")


def test_shuffled_patches_come_whole_from_slices_of_the_batch():
    """Every cell's code names its slice and place, so that a patch tells where it comes from."""
    n, h, w = 3, 8, 12
    codes = np.stack([np.stack([np.full((h, w), k), *np.mgrid[:h, :w]]) for k in range(n)]).astype(float)
    patches = np.broadcast_to(np.arange(h)[:, None] // 4 * 3 + np.arange(w) // 4, (n, h, w))
    shuffled = shuffled_patches(codes, patches, np.random.default_rng(0))
    assert not np.array_equal(shuffled, codes)
    for k in range(n):
        for patch in range(6):
            donor, rows, columns = shuffled[k][:, patches[k] == patch]
            assert len(set(donor)) == 1
            y, x = np.nonzero(patches[k] == patch)
            assert len(set((rows - y) % h)) == len(set((columns - x) % w)) == 1


@pytest.mark.parametrize(
    ("combine", "expected"), [("pixel", 0.4), ("latent", 0.9), ("arithmetic", 0.65), ("geometric", 0.6)]
)
def test_pixel_and_latent_maps_are_combined_as_asked(combine, expected):
    """Eq. 4.15 and table 4.4 on a constant difference; the sign is the pixel term's."""

    class Latent:
        factor, channels = 4, 3

    detector = Detector(None, Latent(), {}, {}, {}, correction=DecoDiffCorrection(combine=combine))
    standardized = np.zeros((1, 192, 160), np.float32)
    correction = SliceCorrection(standardized + 0.4, np.full((1, 3, 48, 40), 0.9, np.float32), 4)
    np.testing.assert_allclose(detector.deviation(standardized, correction), -expected, rtol=1e-6)


def test_in_pixels_the_map_is_the_signed_difference():
    detector = Detector(None, PixelCodec(), {"t1w": T1W}, {}, {}, correction=DecoDiffCorrection())
    standardized = np.zeros((1, 192, 160), np.float32)
    correction = SliceCorrection(standardized - 0.3, np.zeros((1, 1, 96, 80)), 2)
    deviation = detector.deviation(standardized, correction)
    np.testing.assert_allclose(deviation, 0.3, rtol=1e-6)
    assert CellMaps(deviation, deviation, deviation > 0).flow.shape == (1, 96, 80)
