"""Brains of other shapes: geometric variation of slices (thesis section 2.4.2.4), so that contrast alone is learned."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class ShapeSettings:
    """Resizing, scaling along the axes, shear, perspective and piecewise displacement; the ranges are ours."""

    size: float = 0.08
    axis: float = 0.05
    shear: float = 0.05
    perspective: float = 0.05
    bend: float = 0.012  # deviation in half picture widths on a 5 x 5 lattice, linear in between
    shift: float = 0.05  # in half picture widths


def vary_shape(levels: Tensor, settings: ShapeSettings, generator: torch.Generator) -> Tensor:
    """(B, 1, H, W) levels, 0 outside the brain -> the same warped and rounded, at least 1 in the brain."""
    grid = _grid(levels, settings, generator)
    brain = functional.grid_sample((levels > 0).float(), grid, align_corners=False)
    values = functional.grid_sample(levels, grid, align_corners=False) / brain.clamp(min=0.5)
    return torch.where(brain > 0.5, values.round().clamp(1, 255), torch.zeros_like(values))


def _grid(levels: Tensor, settings: ShapeSettings, generator: torch.Generator) -> Tensor:
    """(B, H, W, 2) sampling grid."""
    n, _, h, w = levels.shape

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(n, *shape, generator=generator) - 1

    affine = torch.eye(2).repeat(n, 1, 1) * (1 + settings.size * uniform(1, 1))
    affine = affine + torch.diag_embed(settings.axis * uniform(2)) + settings.shear * uniform(2, 2) * (1 - torch.eye(2))
    theta = torch.cat([affine, settings.shift * uniform(2, 1)], dim=2)
    grid = functional.affine_grid(theta, [n, 1, h, w], align_corners=False)
    depth = 1 + (grid * settings.perspective * uniform(1, 1, 2)).sum(-1, keepdim=True)
    bend = settings.bend * torch.randn(n, 2, 5, 5, generator=generator)
    bend = functional.interpolate(bend, (h, w), mode="bilinear", align_corners=True)
    return grid / depth + bend.permute(0, 2, 3, 1)
