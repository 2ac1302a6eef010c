"""Bits per dimension of slices under a trained flow, repeatable to the last digit, over brain and frame."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from neurogen.harmonize.slices import pictures, spread

DEQUANTIZATION_SEED = 20260101
SCAN_SLICES = 16


@dataclass(frozen=True, eq=False)
class Bits:
    """Bits per dimension (eq. 2.7) of N pictures: -log2 p divided by the pixels of the brain, or by all pixels."""

    brain: np.ndarray
    frame: np.ndarray


def fixed_noise(shape: tuple[int, ...], *, seed: int = DEQUANTIZATION_SEED) -> Tensor:
    """(B, 1, H, W) uniform noise, the same for every picture and every call: the number is then repeatable, whatever
    the batch."""
    one = torch.rand((1, *shape[1:]), generator=torch.Generator().manual_seed(seed))
    return one.expand(shape)


def bits_of_brain(flow: nn.Module, levels: Tensor, noise: Tensor) -> Tensor:
    """(B,) bits per brain pixel of (B, 1, H, W) levels 0..255, differentiable in both."""
    count = (levels.detach() > 0).flatten(1).sum(1).clamp(min=1)
    return -flow(levels, noise) / (math.log(2) * count)


@torch.no_grad()
def bits(flow: nn.Module, stack: np.ndarray, *, batch_size: int = 16) -> Bits:
    """Bits per dimension of pictures (N, H, W) in levels 0..255, with the fixed noise."""
    device = next(flow.parameters()).device
    found = []
    for start in range(0, len(stack), batch_size):
        levels = torch.from_numpy(np.asarray(stack[start : start + batch_size], np.float32))[:, None]
        noise = fixed_noise(tuple(levels.shape))
        found.append(bits_of_brain(flow, levels.to(device), noise.to(device)).cpu().numpy())
    brain = np.concatenate(found) if found else np.zeros(0)
    share = (np.asarray(stack) > 0).mean((1, 2))
    return Bits(brain.astype(float), brain * share)


def scan_bits(flow: nn.Module, levels: np.ndarray, plane: str, *, slices: int = SCAN_SLICES) -> float:
    """Mean bits per brain pixel of a scan's pictures in one plane; NaN where none holds enough brain.

    levels : (80, 96, 80) of the scan
    """
    found = bits(flow, spread(pictures(levels, plane), slices)).brain
    return float(found.mean()) if len(found) else math.nan
