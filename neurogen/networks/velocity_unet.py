"""The velocity field v(z, t) of a rectified flow: a small UNet conditioned on raw time, contrast and place.

Hand-written because MONAI's DiffusionModelUNet knows sinusoidal integer time only, and REFLECT feeds raw t in [0, 1]
through a perceptron (REFLECT: Rectified Flows for Efficient Brain Anomaly Correction Transport, arXiv:2508.02889).
Time and contrast scale and shift the features of every residual block. What healthy brains look like at the same place
of the template comes in as further channels (`context`; ours), and so does the slice seen in a mirror (`mirror`; ours):
on the template's grid the other side of the brain then lies on the same spot, and what is on one side only stands out.
Pixels are first folded into channels (`fold`), since
full-resolution layers cost most and see least.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice; the second norm is scaled and shifted by the condition."""

    def __init__(self, inputs: int, outputs: int, condition: int):
        super().__init__()
        self.first = nn.Sequential(_norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.condition = nn.Linear(condition, 2 * outputs)
        self.norm = _norm(outputs)
        self.last = _zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.condition(condition)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm(self.first(x)) * (1 + scale) + shift
        return self.skip(x) + self.last(functional.silu(hidden))


class SelfAttention(nn.Module):
    """Every position looks at every other: what a lesion on one side looks like on the other is decided here."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = _norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(mixed.transpose(-1, -2).reshape(b, c, h, w))


class VelocityUNet(nn.Module):
    """v(z, t, contrast, context): (B, C, H, W), (B,), (B,), (B, context, H, W) -> (B, C, H, W).

    H and W are multiples of fold * 2**(levels - 1). `mirror` is for codes that a flip of the image flips: pixels.
    """

    def __init__(
        self,
        *,
        channels: int,
        contrasts: int,
        widths: tuple[int, ...],
        blocks: int = 2,
        fold: int = 1,
        context: int = 0,
        mirror: bool = False,
        attention_heads: int = 4,
    ):
        super().__init__()
        condition = 4 * widths[0]
        self.fold, self.mirror = fold, mirror
        self.time = nn.Sequential(nn.Linear(1, condition), nn.SiLU(), nn.Linear(condition, condition))
        self.contrast = nn.Embedding(contrasts, condition)
        self.enter = nn.Conv2d((channels * (1 + mirror) + context) * fold**2, widths[0], 3, padding=1)
        self.down, self.shrink, skips = nn.ModuleList(), nn.ModuleList(), [widths[0]]
        width = widths[0]
        for level, wider in enumerate(widths):
            for _ in range(blocks):
                self.down.append(ResidualBlock(width, wider, condition))
                width = wider
                skips.append(width)
            if level + 1 < len(widths):
                self.shrink.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList([ResidualBlock(width, width, condition) for _ in range(2)])
        self.attention = SelfAttention(width, attention_heads)
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, narrower in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(ResidualBlock(width + skips.pop(), narrower, condition))
                width = narrower
            if level:
                self.grow.append(nn.Conv2d(width, width, 3, padding=1))
        self.blocks = blocks
        self.leave = nn.Sequential(_norm(width), nn.SiLU(), _zeroed(nn.Conv2d(width, channels * fold**2, 3, padding=1)))

    def forward(self, z: Tensor, t: Tensor, contrast: Tensor, context: Tensor | None = None) -> Tensor:
        condition = functional.silu(self.time(t[:, None].to(z.dtype)) + self.contrast(contrast))
        x = self.enter(self.seen(z, context))
        skips = [x]
        for k, block in enumerate(self.down):
            x = block(x, condition)
            skips.append(x)
            if (k + 1) % self.blocks == 0 and k + 1 < len(self.down):
                x = self.shrink[(k + 1) // self.blocks - 1](x)
                skips.append(x)
        x = self.middle[1](self.attention(self.middle[0](x, condition)), condition)
        for k, block in enumerate(self.up):
            x = block(torch.cat([x, skips.pop()], dim=1), condition)
            if (k + 1) % (self.blocks + 1) == 0 and k + 1 < len(self.up):
                x = self.grow[(k + 1) // (self.blocks + 1) - 1](functional.interpolate(x, scale_factor=2.0))
        return functional.pixel_shuffle(self.leave(x), self.fold)

    def seen(self, z: Tensor, context: Tensor | None) -> Tensor:
        """The codes, their context and their mirror image as folded channels (B, C', H / fold, W / fold)."""
        parts = [z] if context is None else [z, context.to(z.dtype)]
        if self.mirror:
            parts.append(z.flip(-1))
        return functional.pixel_unshuffle(torch.cat(parts, dim=1), self.fold)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(8, channels // 4), channels)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer that starts as zero, so that an untrained network moves nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def build(
    *,
    channels: int,
    contrasts: int,
    widths: Sequence[int],
    blocks: int = 2,
    fold: int = 1,
    context: int = 0,
    mirror: bool = False,
    attention_heads: int = 4,
) -> VelocityUNet:
    """The factory that manifests name `velocity_unet`; arguments as of `VelocityUNet`."""
    return VelocityUNet(
        channels=channels,
        contrasts=contrasts,
        widths=tuple(widths),
        blocks=blocks,
        fold=fold,
        context=context,
        mirror=mirror,
        attention_heads=attention_heads,
    )
