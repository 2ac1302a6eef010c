"""The harmonizer: what a slice looks like at the reference site (thesis section 2.3.2), with three heads.

"image"  : the UNet's output is the picture (thesis).
"affine" : alpha x + beta, one alpha a picture, beta a map (conference version of the paper).
"curve"  : one monotone curve over intensity, f(x), for all pixels of a picture (ours). It cannot move an edge, and the
           mean curve of a scan's slices can be applied to every voxel of the scan on its own grid.

Pictures are (B, 1, H, W) in [0, 1], 0 outside the brain; the output is 0 there, too.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurogen.networks.coupling_net import concat_elu

HEADS = ("image", "affine", "curve")
STEEPEST = 5.0
"""Slopes of a curve lie in [1 / STEEPEST, STEEPEST]."""
FURTHEST = 0.25
"""f(0) lies in [-FURTHEST, FURTHEST]."""
HISTOGRAM_BINS = 32


class HarmonizerUNet(nn.Module):
    """16/32/48/64/64 channels; a plain first convolution, then per scale (concat ELU, convolution) twice."""

    def __init__(self, widths: Sequence[int], *, head: str, nodes: int):
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"The head {head!r} is unknown. Choose one of {', '.join(HEADS)}.")
        self.head, self.nodes = head, nodes
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.first = nn.Conv2d(1, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Scale(a, b) for a, b in pairs)
        if head == "curve":
            self.features = nn.Linear(2 * widths[-1] + HISTOGRAM_BINS, 64)
            self.curve = _zeroed(nn.Linear(128, nodes + 1))
            return
        self.up = nn.ModuleList(Scale(a + b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(2 * widths[0], 1, 1)
        if head == "affine":
            _zeroed(self.last)
            self.alpha = _zeroed(nn.Linear(2 * widths[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H, W), float32, not limited to [0, 1]."""
        if self.head == "curve":
            return follow_curve(x, self.curve_of(x))
        hidden, skips = self._encode(x)
        pooled = _mean_over_brain(concat_elu(hidden), x)
        for scale in self.up:
            skip = skips.pop()
            large = functional.interpolate(hidden, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            hidden = scale(torch.cat([large, skip], dim=1))
        out = self.last(concat_elu(hidden)).float()
        if self.head == "affine":
            out = (1 + self.alpha(pooled).float())[:, :, None, None] * x + out
        return torch.where(x > 0, out, torch.zeros_like(out))

    def curve_of(self, x: Tensor) -> Tensor:
        """(B, nodes + 1) float32 raw parameters of `follow_curve`, all 0 for the identity. Head "curve" only."""
        hidden, _ = self._encode(x)
        seen = torch.cat([_mean_over_brain(concat_elu(hidden), x), brain_histogram(x)], dim=1)
        return self.curve(concat_elu(self.features(seen))).float()

    def _encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        hidden, skips = self.first(x), []
        for scale in self.down:
            skips.append(hidden)
            hidden = scale(functional.avg_pool2d(hidden, 2, ceil_mode=True))
        return hidden, skips


class Scale(nn.Module):
    """(concat ELU, 3x3 convolution) twice."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = nn.Conv2d(2 * inputs, outputs, 3, padding=1)
        self.last = nn.Conv2d(2 * outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(concat_elu(self.first(concat_elu(x))))


def follow_curve(x: Tensor, raw: Tensor) -> Tensor:
    """f(x) where x > 0, else 0: piecewise linear with equal steps over [0, 1], its last slope going on above 1.

    x : (B, ...) intensities; raw : (B, nodes + 1) or (1, nodes + 1): f(0) and the log slopes, before their limits
    """
    start, slope = curve_parts(raw)
    nodes = slope.shape[1]
    values = start + torch.cat([torch.zeros_like(start), slope.cumsum(1)[:, :-1]], dim=1) / nodes
    flat = x.flatten(1)
    index = (flat.detach() * nodes).floor().clamp(0, nodes - 1).long()
    values, slope = values.expand(len(x), -1).gather(1, index), slope.expand(len(x), -1).gather(1, index)
    mapped = values + slope * (flat - index / nodes)
    return torch.where(flat > 0, mapped, torch.zeros_like(mapped)).reshape(x.shape)


def curve_parts(raw: Tensor) -> tuple[Tensor, Tensor]:
    """(B, nodes + 1) raw parameters -> f(0) (B, 1) and the slopes (B, nodes), all within their limits."""
    return FURTHEST * torch.tanh(raw[:, :1]), torch.exp(math.log(STEEPEST) * torch.tanh(raw[:, 1:]))


def brain_histogram(x: Tensor) -> Tensor:
    """(B, HISTOGRAM_BINS) shares of the brain's pixels by intensity in [0, 1]."""
    index = (x.detach().flatten(1) * HISTOGRAM_BINS).clamp(0, HISTOGRAM_BINS - 1).long()
    inside = (x > 0).flatten(1).to(x.dtype)
    counts = x.new_zeros(len(x), HISTOGRAM_BINS).scatter_add(1, index, inside)
    return counts / inside.sum(1, keepdim=True).clamp(min=1)


def build(*, widths: Sequence[int] = (16, 32, 48, 64, 64), head: str = "curve", nodes: int = 16) -> HarmonizerUNet:
    """The network that a manifest describes."""
    return HarmonizerUNet(widths, head=head, nodes=nodes)


def _mean_over_brain(features: Tensor, x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C) mean over the cells weighted by how much brain they hold."""
    weight = functional.adaptive_avg_pool2d((x > 0).to(features.dtype), features.shape[-2:])
    return (features * weight).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1e-3)


def _zeroed(layer: nn.Module) -> nn.Module:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
