"""What MAD-AD and DeCo-Diff share: the noise schedule, the masks of patches, and the noise that fills them.

Both noise only some patches of a healthy code and leave the others visible (thesis eq. 3.2 and 4.7). Polarity
throughout: mask 1 = noised, and so abnormal; 0 = visible, healthy. (The published MAD-AD code has it the other way.)
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.corruption import coarse_noise

STEPS = 10
"""T of both papers."""
BLOCK_MM, BLOCK_SHARE = 16.0, 0.9


def cosine_alpha_bar(steps: int = STEPS) -> Tensor:
    """(T + 1,) float32: the share of signal variance left at t = 0..T; 1 at t = 0.

    Squared-cosine schedule (Nichol and Dhariwal, arXiv:2102.09672, eq. 17): f(u) = cos^2((u + 0.008) / 1.008 pi / 2),
    beta_t = min(1 - f(t / T) / f((t - 1) / T), 0.999), alpha_bar_t = prod (1 - beta). In 64 bits until the end.
    """
    level = [math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(steps + 1)]
    kept = [1.0] + [1 - min(1 - level[t] / level[t - 1], 0.999) for t in range(1, steps + 1)]
    return torch.tensor(np.cumprod(kept), dtype=torch.float32)


def reverse_times(steps: int, total: int = STEPS) -> tuple[int, ...]:
    """`steps` of the times T..1, evenly spread, always from T on: the scan counts as step T (section 3.3.2)."""
    if not 1 <= steps <= total:
        raise ValueError(f"steps is {steps}, but 1 to {total} reverse steps are possible.")
    return tuple(round(total * (steps - k) / steps) for k in range(steps))


def network_time(t: Tensor, total: int = STEPS) -> Tensor:
    """1 - t / T in [0, 1]: 0 = abnormal, 1 = healthy, like the time of a rectified flow, whose trunk can serve."""
    return 1 - t / total


@dataclass(frozen=True)
class PatchSettings:
    """Which patches are noised. Sizes are in millimetres: 8 is one cell of the published latents."""

    sizes_mm: tuple[float, ...] = (8.0, 16.0, 32.0, 64.0)  # section 3.4.1: 1, 2, 4, 8 cells
    shares: tuple[float, ...] = (0.2, 0.3, 0.3, 0.2)  # published implementation; equal in the thesis
    square: bool = False  # MAD-AD draws both sides, DeCo-Diff one
    most: float = 0.4  # the noised share of the patches is U(0, most)
    eligible: str = "brain"  # "brain": up to the cortex rim; "blocks": blocks of 16 mm with 90 % brain, as published

    def __post_init__(self) -> None:
        if self.eligible not in ("brain", "blocks"):
            raise ValueError(f"eligible is {self.eligible!r}; choose brain or blocks.")


def draw_mask(
    brain: np.ndarray, cell_mm: float, settings: PatchSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random mask of one slice (H, W) bool, 1 = noised, and the number of the patch that each cell belongs to.

    The grid of patches starts anywhere (ours), so that no border is always in the same place.
    """
    sizes = rng.choice(len(settings.sizes_mm), 2, p=settings.shares)
    if settings.square:
        sizes[1] = sizes[0]
    rows, columns = (
        (np.arange(n) + rng.integers(cells)) // cells
        for n, cells in zip(brain.shape, [max(1, round(settings.sizes_mm[s] / cell_mm)) for s in sizes], strict=True)
    )
    patches = rows[:, None] * (columns[-1] + 1) + columns
    eligible = eligible_cells(brain, cell_mm, settings.eligible)
    present = np.unique(patches[eligible])
    noised = rng.permutation(present)[: round(rng.uniform(0, settings.most) * len(present))]
    return eligible & np.isin(patches, noised), patches


def eligible_cells(brain: np.ndarray, cell_mm: float, rule: str) -> np.ndarray:
    """(H, W) bool: where noise may come. "blocks" leaves out the cortex rim, as the published code does."""
    if rule == "brain":
        return brain
    n = round(BLOCK_MM / cell_mm)
    h, w = (-(-size // n) for size in brain.shape)
    padded = np.zeros((h * n, w * n), bool)
    padded[: brain.shape[0], : brain.shape[1]] = brain
    full = padded.reshape(h, n, w, n).mean((1, 3)) >= BLOCK_SHARE
    return brain & full.repeat(n, 0).repeat(n, 1)[: brain.shape[0], : brain.shape[1]]


def draw_noise(
    channels: int,
    shape: tuple[int, int],
    grain_mm: tuple[float, float] | None,
    cell_mm: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(channels, H, W) standard normal at every cell, correlated over a length drawn log-uniformly from `grain_mm`.

    None is white noise, as in the papers: white in a latent space, it is structured in the picture. In pixels it has to
    bring its structure along, or a network learns to remove grain and nothing else.
    """
    if grain_mm is None:
        return rng.standard_normal((channels, *shape))
    grain = float(np.exp(rng.uniform(*np.log(grain_mm)))) / cell_mm
    return np.stack([coarse_noise(shape, grain, rng) for _ in range(channels)])
