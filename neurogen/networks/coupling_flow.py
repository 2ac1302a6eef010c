"""A normalizing flow of affine couplings over slices: how likely is this picture at the reference site?

Variational dequantization by four checkerboard couplings conditioned on the slice, a logit, four checkerboard
couplings, squeeze, four channel couplings, squeeze, four channel couplings, standard normal base (Harmonizing Flows,
thesis section 2.3.1 and "Implementation details" of 2.4.1). What is modeled is the brain, given where it is (ours): the
background is 0 in every layer and costs nothing. Every layer's `forward` and `inverse` return the output and the
log|det| (B,), in nats, of the direction just traveled. Likelihoods are in float32 whatever the autocast; only the
coupling nets run in lower precision.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurogen.networks.coupling_net import CouplingNet

LEVELS = 256
EDGE = 1e-5
"""Probabilities are kept this far from 0 and 1 before a logit (the published value)."""


class Coupling(nn.Module):
    """y = m x + (1 - m) (x exp(s) + t), (s, t) from the net of m x (eq. 2.3), s = exp(a) tanh(s' / exp(a)).

    pattern : (1, C, h, w) mask m of zeros and ones, repeated over the picture: a checkerboard, or whole channels; what
        lies outside the brain is kept, too
    a : (C,), learned limit of the log scale, 0 at the start (published implementation)
    """

    def __init__(self, net: nn.Module, pattern: Tensor):
        super().__init__()
        self.net = net
        self.register_buffer("pattern", pattern.float(), persistent=False)
        self.limit = nn.Parameter(torch.zeros(1, pattern.shape[1], 1, 1))

    def forward(self, x: Tensor, inside: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C, H, W), brain `inside` of the same shape, zeros and ones -> same shape, log_det (B,)."""
        log_scale, shift = self._scale_and_shift(x, inside, condition)
        return x * log_scale.exp() + shift, log_scale.flatten(1).sum(1)

    def inverse(self, y: Tensor, inside: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._scale_and_shift(y, inside, condition)
        return (y - shift) * (-log_scale).exp(), -log_scale.flatten(1).sum(1)

    def _scale_and_shift(self, x: Tensor, inside: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Log scale and shift, 0 where x is kept. They depend on the kept part only."""
        rows, columns = x.shape[-2] // self.pattern.shape[-2], x.shape[-1] // self.pattern.shape[-1]
        kept = self.pattern.to(x.dtype).repeat(1, 1, rows, columns)
        seen = x * kept if condition is None else torch.cat([x * kept, condition], dim=1)
        raw, shift = self.net(seen).to(x.dtype).chunk(2, dim=1)
        moved, limit = (1 - kept) * inside, self.limit.exp()
        return moved * limit * torch.tanh(raw / limit), moved * shift


class Squeeze(nn.Module):
    """2 x 2 pixels become four channels, and back; volume preserving."""

    def forward(self, x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        return functional.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, y: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        return functional.pixel_shuffle(y, 2), y.new_zeros(len(y))


class Logit(nn.Module):
    """y = (log(p / (1 - p)) - offset) / scale, p = EDGE / 2 + (1 - EDGE) x, for x in [0, 1]; 0 outside the brain.

    offset, scale : mean and deviation of the logits in the training brains, so that training starts near the base
    """

    def __init__(self, *, offset: float = 0.0, scale: float = 1.0):
        super().__init__()
        self.offset, self.scale = offset, scale

    def forward(self, x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        p = EDGE / 2 + (1 - EDGE) * x
        y = (p.log() - (1 - p).log() - self.offset) / self.scale
        slope = math.log((1 - EDGE) / self.scale) - p.log() - (1 - p).log()
        return y * inside, (slope * inside).flatten(1).sum(1)

    def inverse(self, y: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        logit = y * self.scale + self.offset
        log_slope = functional.logsigmoid(logit) + functional.logsigmoid(-logit) + math.log(self.scale / (1 - EDGE))
        x = (torch.sigmoid(logit) - EDGE / 2) / (1 - EDGE)
        return x * inside, (log_slope * inside).flatten(1).sum(1)


class Dequantization(nn.Module):
    """Integer levels -> (levels + u) / 256 with u in [0, 1] drawn from a flow that has seen the picture (1902.00275).

    u = sigmoid(couplings(logit(uniform noise))), each coupling conditioned on the picture. Without couplings u is the
    noise itself.
    """

    def __init__(self, couplings: Sequence[nn.Module]):
        super().__init__()
        self.couplings = nn.ModuleList(couplings)
        self.logit = Logit()

    def forward(self, levels: Tensor, noise: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) levels 0..255 and noise in [0, 1) -> picture in [0, 1], log|d picture / d u| - log q(u)."""
        u, log_det = self.logit(noise, inside)
        condition = levels / (LEVELS / 2) - 1
        for coupling in self.couplings:
            u, change = coupling(u, inside, condition)
            log_det = log_det + change
        u, change = self.logit.inverse(u, inside)
        pixels = inside.flatten(1).sum(1)
        return (levels + u) / LEVELS * inside, log_det + change - pixels * math.log(LEVELS)


class CouplingFlow(nn.Module):
    """Log likelihood of slices: (B, 1, H, W) levels 0..255 and noise in [0, 1) -> (B,) nats. H, W multiples of 4.

    Level 0 is outside the brain.
    """

    def __init__(self, dequantization: Dequantization, layers: Sequence[nn.Module], *, logit: Logit | None = None):
        super().__init__()
        self.dequantization = dequantization
        self.layers = nn.ModuleList([logit or Logit(), *layers])

    def forward(self, levels: Tensor, noise: Tensor) -> Tensor:
        """log p(levels in the brain | brain) (eq. 2.1), a lower bound, as dequantization gives one."""
        inside = (levels.detach() > 0).to(levels.dtype)
        picture, log_det = self.dequantization(levels, noise, inside)
        z, change = self.encode(picture, inside)
        pixels = inside.flatten(1).sum(1)
        base = -0.5 * z.square().flatten(1).sum(1) - 0.5 * math.log(2 * math.pi) * pixels
        return base + log_det + change

    def encode(self, picture: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) in [0, 1] -> base variable (B, 16, H / 4, W / 4), 0 outside the brain, and log_det."""
        z, log_det = picture, picture.new_zeros(len(picture))
        for layer in self.layers:
            z, change = layer(z, inside)
            log_det = log_det + change
            inside = functional.pixel_unshuffle(inside, 2) if isinstance(layer, Squeeze) else inside
        return z, log_det

    def decode(self, z: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `encode`; `inside` (B, 1, H, W) as given there."""
        squeezes = sum(isinstance(layer, Squeeze) for layer in self.layers)
        scales = [inside]
        for _ in range(squeezes):
            scales.append(functional.pixel_unshuffle(scales[-1], 2))
        log_det = z.new_zeros(len(z))
        for layer in reversed(self.layers):
            squeezes -= isinstance(layer, Squeeze)
            z, change = layer.inverse(z, scales[squeezes])
            log_det = log_det + change
        return z, log_det


def build(
    *,
    widths: Sequence[int] = (16, 32, 48, 64),
    dequantization_widths: Sequence[int] = (8, 16, 24, 32),
    steps: int = 4,
    offset: float = 0.0,
    scale: float = 1.0,
) -> CouplingFlow:
    """The flow of the module's description; `steps` couplings a stage; offset, scale: see `Logit`.

    The published nets concatenate skips (4.0 M parameters); ours add them, dequantization is half as wide: 2.4 M. At
    full resolution the nets see 2 x 2 pixels as channels, for a quarter of the work.
    """
    dequantization = [Coupling(CouplingNet(2, 2, dequantization_widths, fold=2), checkerboard(k)) for k in range(steps)]
    layers: list[nn.Module] = [Coupling(CouplingNet(1, 2, widths, fold=2), checkerboard(k)) for k in range(steps)]
    for channels in (4, 16):
        layers.append(Squeeze())
        nets = [CouplingNet(channels, 2 * channels, widths) for _ in range(steps)]
        layers += [Coupling(net, half_of_channels(channels, k)) for k, net in enumerate(nets)]
    return CouplingFlow(Dequantization(dequantization), layers, logit=Logit(offset=offset, scale=scale))


def checkerboard(parity: int) -> Tensor:
    """(1, 1, 2, 2): pixels whose row + column is even (parity 0) or odd (1) are kept."""
    board = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    return (board if parity % 2 == 0 else 1 - board)[None, None]


def half_of_channels(channels: int, parity: int) -> Tensor:
    """(1, C, 1, 1): the first half of the channels is kept (parity 0), or the second."""
    first = (torch.arange(channels) < channels // 2).float()
    return (first if parity % 2 == 0 else 1 - first)[None, :, None, None]
