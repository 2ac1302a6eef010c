"""Healthy variation drawn around each training slice: pose, shape, gain, offset, shading. True ranges, never constants.

The published code shifts by one fixed amount and turns by one fixed angle; the ranges here are around those.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class AugmentSettings:
    """Half the published shift and most of its turn: the scans are registered, and their context is not moved."""

    shift_mm: float = 4.0  # published: 8, fixed
    turn_deg: float = 4.0  # published (MAD-AD): 5, fixed
    zoom: float = 0.05  # ours
    bend: float = 0.015  # ours: elastic displacement, deviation in half picture widths on a 7 x 6 lattice
    gain: float = 0.15  # published 0.1
    offset: float = 0.15  # in standardized units; published 0.1 of the image range
    shading: float = 0.10  # ours: smooth additive field, deviation in standardized units


def augment(
    slices: Tensor,
    brain: Tensor,
    background: Tensor,
    pixel_mm: float,
    settings: AugmentSettings,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Standardized slices (B, 1, H, W) and brain (B, 1, H, W) float -> the same, varied; `background` (B, 1, 1, 1)."""
    grid = _warp(slices, pixel_mm, settings, generator)
    pair = torch.cat([slices - background, brain], dim=1)
    warped = functional.grid_sample(pair, grid, align_corners=False)
    inside = warped[:, 1:] > 0.5
    varied = _vary_intensity(warped[:, :1] + background, settings, generator)
    return torch.where(inside, varied, background), inside.float()


def _warp(slices: Tensor, pixel_mm: float, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """(B, H, W, 2) sampling grid of a random flip, rotation, zoom, shift and elastic bend."""
    n, _, h, w = slices.shape
    angle = torch.deg2rad(_between(n, settings.turn_deg, generator))
    zoom = 1 + _between((n, 2), settings.zoom, generator)
    flip = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    aspect = h / w
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0] = angle.cos() * zoom[:, 0] * flip
    affine[:, 0, 1] = -angle.sin() * aspect * zoom[:, 0]
    affine[:, 1, 0] = angle.sin() / aspect * zoom[:, 1] * flip
    affine[:, 1, 1] = angle.cos() * zoom[:, 1]
    affine[:, :, 2] = _between((n, 2), settings.shift_mm / pixel_mm, generator) * torch.tensor([2 / w, 2 / h])
    grid = functional.affine_grid(affine, [n, 1, h, w], align_corners=False)
    bend = settings.bend * torch.randn(n, 2, 7, 6, generator=generator)
    smooth = functional.interpolate(bend, (h, w), mode="bicubic", align_corners=True)
    return grid + smooth.permute(0, 2, 3, 1)


def _vary_intensity(slices: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    n, _, h, w = slices.shape
    gain = 1 + _between((n, 1, 1, 1), settings.gain, generator)
    offset = _between((n, 1, 1, 1), settings.offset, generator)
    shading = settings.shading * torch.randn(n, 1, 4, 4, generator=generator)
    return slices * gain + offset + functional.interpolate(shading, (h, w), mode="bicubic", align_corners=True)


def _between(shape: int | tuple[int, ...], reach: float, generator: torch.Generator) -> Tensor:
    """Uniform in [-reach, reach]."""
    return (2 * torch.rand(shape, generator=generator) - 1) * reach
