"""The U-shaped network inside a coupling: shallow, symmetric in sign, and the identity coupling at the start."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def concat_elu(x: Tensor) -> Tensor:
    """[ELU(x), ELU(-x)] along the channels (thesis section 2.4.1, "Normalizing Flow")."""
    return torch.cat([functional.elu(x), functional.elu(-x)], dim=1)


class CouplingNet(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H, W). One concat ELU, 3x3 convolution and norm a scale, each way.

    Pooled by means, enlarged by repeating, the skip added (published: maxima, bilinear, concatenated: twice the work).
    fold : pixels along the side of a block that becomes channels first, where full-resolution layers would cost most
    H and W are multiples of fold; odd sizes on the way down are rounded up, and cut on the way up. The last layer is 0
    at the start.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], *, fold: int = 1):
        super().__init__()
        self.fold = fold
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.first = nn.Conv2d(inputs * fold**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_layer(a, b) for a, b in pairs)
        self.up = nn.ModuleList(_layer(b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(2 * widths[0], outputs * fold**2, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(functional.pixel_unshuffle(x, self.fold))
        skips = []
        for layer in self.down:
            skips.append(hidden)
            hidden = layer(concat_elu(functional.avg_pool2d(hidden, 2, ceil_mode=True)))
        for layer in self.up:
            skip = skips.pop()
            large = functional.interpolate(layer(concat_elu(hidden)), scale_factor=2, mode="nearest")
            hidden = skip + large[..., : skip.shape[-2], : skip.shape[-1]]
        return functional.pixel_shuffle(self.last(concat_elu(hidden)), self.fold)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2 * inputs, outputs, 3, padding=1), nn.GroupNorm(1, outputs))
