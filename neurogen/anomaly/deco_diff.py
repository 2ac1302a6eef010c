"""DeCo-Diff: a network predicts the direction in which a code deviates from normality, and the code goes back along it.

Correcting Deviations from Normality: a Reformulated Diffusion Model for Multi-class Unsupervised Anomaly Detection
(thesis chapter 4, CVPR 2025). Published for industrial images; here the classes are contrasts. Mask 1 = noised.
The networks and the codes they work on stay outside; this file is the mathematics.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from neurogen.anomaly.correction import Conditions, Corrected
from neurogen.anomaly.masked_diffusion import STEPS, cosine_alpha_bar, network_time, reverse_times

Direction = Callable[[Tensor, int], Tensor]
"""eta(z_t, t): codes (B, C, H, W) to directions of deviation (B, C, H, W)."""

STRATEGIES = ("z_0", "z_t-1")
COMBINATIONS = ("geometric", "arithmetic", "pixel", "latent")


def direction_of_deviation(clean: Tensor, noise: Tensor, mask: Tensor, alpha_bar: Tensor) -> Tensor:
    """eta of eq. 4.11, noise - (1 - sqrt(alpha_bar)) / sqrt(1 - alpha_bar) z_0, and 0 where nothing is noised."""
    kept = alpha_bar.view(-1, 1, 1, 1)
    return mask * (noise - (1 - kept.sqrt()) / (1 - kept).sqrt() * clean)


def deviated(clean: Tensor, direction: Tensor, alpha_bar: Tensor) -> Tensor:
    """z_t = z_0 + sqrt(1 - alpha_bar_t) eta (eq. 4.11): the same as diffusing, and untouched where eta = 0."""
    return clean + (1 - alpha_bar.view(-1, 1, 1, 1)).sqrt() * direction


@torch.no_grad()
def correct(direction: Direction, code: Tensor, *, steps: int, strategy: str = "z_t-1") -> Tensor:
    """The reverse process from z_T = code, deterministic: eq. 4.13, and from step to step by one of table 4.3's ways.

    "z_t-1": z = z~_0 + sqrt(1 - alpha_bar_{t-1}) eta (eq. 4.14); "z_0": z = z~_0, refined again. With one step both
    are the same. Eq. 4.14 reuses eta although it depends on t; so does this.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"The strategy is {strategy!r}; choose one of {', '.join(STRATEGIES)}.")
    deviation = (1 - cosine_alpha_bar()).sqrt().tolist()
    times = reverse_times(steps)
    z = code
    for t, following in zip(times, (*times[1:], 0), strict=True):
        eta = direction(z, t)
        z = z - deviation[t] * eta
        if strategy == "z_t-1" and following:
            z = z + deviation[following] * eta
    return z


def shuffled_patches(codes: np.ndarray, patches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B, C, H, W): every patch filled from a random place of a random slice of the batch (section 4.4.2).

    patches : (B, H, W) numbers of the patches of each slice
    """
    n, _, h, w = codes.shape
    rows, columns = np.mgrid[:h, :w]
    result = np.empty_like(codes)
    for k, patch in enumerate(patches):
        count = patch.max() + 1
        donor, down, right = (rng.integers(0, high, count)[patch] for high in (n, h, w))
        result[k] = codes.transpose(1, 0, 2, 3)[:, donor, (rows + down) % h, (columns + right) % w]
    return result


@dataclass(frozen=True)
class DecoDiffCorrection:
    """DeCo-Diff as a detector runs it; nothing is drawn at random."""

    steps: int = 5  # published implementation
    strategy: str = "z_t-1"  # eq. 4.14
    combine: str = "geometric"  # eq. 4.15; table 4.4 has the others

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES or self.combine not in COMBINATIONS:
            raise ValueError(
                f"The strategy is {self.strategy!r} and the combination {self.combine!r}; choose from "
                f"{', '.join(STRATEGIES)} and from {', '.join(COMBINATIONS)}."
            )

    def __call__(self, network: nn.Module, code: Tensor, conditions: Conditions, *, steps: int, seed: int) -> Corrected:
        def direction(z: Tensor, t: int) -> Tensor:
            time = network_time(z.new_full((len(z),), float(t)))
            return network(z, time, conditions.contrast, conditions.context)

        return Corrected(correct(direction, code, steps=min(steps, STEPS), strategy=self.strategy))
