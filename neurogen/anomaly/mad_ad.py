"""MAD-AD: masked diffusion. A network finds which cells are abnormal and renews them alone, step by step.

MAD-AD: Masked Diffusion for Unsupervised Brain Anomaly Detection (thesis chapter 3, IPMI 2025). Mask 1 = noised, that
is abnormal. The networks and the codes they work on stay outside; this file is the mathematics.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neurogen.anomaly.correction import Conditions, Corrected
from neurogen.anomaly.masked_diffusion import STEPS, cosine_alpha_bar, draw_noise, network_time, reverse_times

Prediction = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""f(z_t, t): codes (B, C, H, W) to clean codes and the probability (B, 1, H, W) that a cell is noised."""

MASK_LOSSES = ("bce", "mse")
SOURCES = ("image", "latent", "mask", "image-mask", "latent-mask")


def noised(clean: Tensor, noise: Tensor, mask: Tensor, alpha_bar: Tensor) -> Tensor:
    """z_t of eq. 3.2; alpha_bar (B,) at the times of the batch, mask (B, 1, H, W)."""
    kept = alpha_bar.view(-1, 1, 1, 1)
    return torch.where(mask > 0, kept.sqrt() * clean + (1 - kept).sqrt() * noise, clean)


def loss(
    clean: Tensor, mask: Tensor, predicted: Tensor, logits: Tensor, *, mask_loss: str = "bce", mask_weight: float = 0.05
) -> Tensor:
    """Eq. 3.5: mean squared error of the clean code over all cells + lambda times the error of the mask.

    mask_loss "bce" is the paper's; "mse" with weight 0.001 is what the published experiments used. The paper gives no
    lambda; 0.05 is ours.
    """
    if mask_loss not in MASK_LOSSES:
        raise ValueError(f"mask_loss is {mask_loss!r}; choose one of {', '.join(MASK_LOSSES)}.")
    logits, error = logits.float(), (predicted.float() - clean).square().mean()
    if mask_loss == "mse":
        return error + mask_weight * (logits.sigmoid() - mask).square().mean()
    return error + mask_weight * functional.binary_cross_entropy_with_logits(logits, mask)


@torch.no_grad()
def renew(
    predict: Prediction,
    code: Tensor,
    *,
    steps: int,
    noise: Callable[[int], Tensor],
    eta: float = 0.5,
    mask_threshold: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """The masked reverse process of eq. 3.6: the healthy code, and the mean predicted mask (B, 1, H, W).

    The code itself counts as z_T; nothing is noised first. Cells are renewed where the mask exceeds `mask_threshold`;
    cells that never do come back bit for bit. noise(t) : standard normal, shaped like `code`.

    Eq. 3.7 is printed without "- sqrt(alpha_bar_t)": eps = (z_t - sqrt(alpha_bar_t) z_0) / sqrt(1 - alpha_bar_t). The
    text sets sigma_t = 0.5; as in the published code, 0.5 is DDIM's eta, from which sigma_t follows.
    """
    alpha_bar = cosine_alpha_bar().tolist()
    times = reverse_times(steps)
    z, seen = code, torch.zeros_like(code[:, :1])
    for t, following in zip(times, (*times[1:], 0), strict=True):
        clean, probability = predict(z, t)
        now, then = alpha_bar[t], alpha_bar[following]
        epsilon = (z - now**0.5 * clean) / (1 - now) ** 0.5
        sigma = eta * ((1 - then) / (1 - now) * (1 - now / then)) ** 0.5
        step = then**0.5 * clean + max(1 - then - sigma**2, 0.0) ** 0.5 * epsilon
        if following:
            step = step + sigma * noise(t)
        z = torch.where(probability > mask_threshold, step, z)
        seen = seen + probability / steps
    return z, seen


@dataclass(frozen=True)
class MadAdCorrection:
    """MAD-AD as a detector runs it."""

    steps: int = 5  # table 3.4: 2, 5 and 10 steps differ by 1.3 points of Dice
    eta: float = 0.5  # published implementation
    mask_threshold: float = 0.5  # published implementation
    source: str = "image"  # table 3.3: "image", "latent" or "mask"; ours: geometric means of a difference and the mask
    grain_mm: float | None = 8.0  # of the noise of the reverse process; None = white

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"The score source is {self.source!r}; choose one of {', '.join(SOURCES)}.")

    @property
    def combine(self) -> str:
        difference = "latent" if self.source.startswith("latent") else "pixel"
        return {"mask": "evidence"}.get(self.source, difference)

    def __call__(self, network: nn.Module, code: Tensor, conditions: Conditions, *, steps: int, seed: int) -> Corrected:
        steps = min(steps, STEPS)

        def predict(z: Tensor, t: int) -> tuple[Tensor, Tensor]:
            time = network_time(z.new_full((len(z),), float(t)))
            clean, logits = network(z, time, conditions.contrast, conditions.context)
            return clean, logits.sigmoid()

        noise = SeededNoise(code, conditions.slabs, self.grain_mm, seed)
        clean, seen = renew(predict, code, steps=steps, noise=noise, eta=self.eta, mask_threshold=self.mask_threshold)
        if "mask" not in self.source:
            return Corrected(clean)
        first, _ = predict(code, STEPS)
        return Corrected(clean, (code - first).sign() * seen)


@dataclass(frozen=True, eq=False)
class SeededNoise:
    """noise(t) of each slice, by seed, level and time only: neither batch nor device change it."""

    code: Tensor
    slabs: Tensor
    grain_mm: float | None
    seed: int

    def __call__(self, t: int) -> Tensor:
        channels, *shape = self.code.shape[1:]
        cell_mm = 160.0 / shape[-1]  # the picture is 160 mm wide
        grain = None if self.grain_mm is None else (self.grain_mm, self.grain_mm)
        fields = [
            draw_noise(channels, tuple(shape), grain, cell_mm, np.random.default_rng([self.seed, int(slab), t]))
            for slab in self.slabs
        ]
        return torch.from_numpy(np.stack(fields)).to(self.code)
