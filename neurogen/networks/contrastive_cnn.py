"""Small 3D networks whose intermediate features describe a brain: the backbones of SimCLR + Gaussian.

Feature Modeling for Anomaly Detection in Neuroimaging Data (D. Kovacevic), appendix A.2, where channels and blocks are
given in words; what it leaves open is chosen here. A volume of 2 mm goes in; block k gives layer "k" of the paper. The
first block of the five-block networks keeps the resolution, each further one halves it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

WIDTHS = (16, 32, 64, 128, 256)


class Backbone(nn.Module):
    """(B, 1, I, J, K) -> the features of every block. `checkpointing` trades time for memory in training."""

    def __init__(self, blocks: list[nn.Module], widths: tuple[int, ...], *, checkpointing: bool = False):
        super().__init__()
        self.blocks, self.widths, self.checkpointing = nn.ModuleList(blocks), widths, checkpointing

    def forward(self, volume: Tensor) -> list[Tensor]:
        features, x = [], volume
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointing and self.training else block(x)
            features.append(x)
        return features


class ProjectionHead(nn.Module):
    """Global average pooling and two linear layers to a unit vector (B, dimensions); thrown away after training."""

    def __init__(self, width: int, dimensions: int = 64):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, dimensions))

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(self.layers(features.mean((2, 3, 4))), dim=1)


class _Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, convolution: Callable[..., nn.Module]):
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, stride),
            _norm(outputs),
            nn.GELU(),
            convolution(outputs, outputs, 1),
            _norm(outputs),
        )
        plain = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if plain else nn.Conv3d(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(self.shortcut(x) + self.body(x))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(8, channels // 4), channels)


def _full(inputs: int, outputs: int, stride: int, dilation: int = 1) -> nn.Conv3d:
    layer = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def _factorized(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """R(2+1)D: in the slice, then across slices."""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, (3, 3, 1), stride=(stride, stride, 1), padding=(1, 1, 0), bias=False),
        _norm(outputs),
        nn.GELU(),
        nn.Conv3d(outputs, outputs, (1, 1, 3), stride=(1, 1, stride), padding=(0, 0, 1), bias=False),
    )


def _strided(inputs: int, outputs: int, stride: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(_full(inputs, outputs, stride, dilation), _norm(outputs), nn.GELU())


def _stages(widths: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(inputs, outputs, stride) of each block."""
    return [(1 if k == 0 else widths[k - 1], width, 1 if k == 0 else 2) for k, width in enumerate(widths)]


def _simple(widths: tuple[int, ...]) -> Backbone:
    """Simple3DCNN: three blocks up to 128 channels, halved by max-pooling."""
    widths = (16, 64, 128)[: len(widths)]
    blocks = []
    for k, (inputs, outputs, _) in enumerate(_stages(widths)):
        body = [nn.Conv3d(inputs, outputs, 3, padding=1), nn.ReLU()]
        blocks.append(nn.Sequential(*([nn.MaxPool3d(2)] if k else []), *body))
    return Backbone(blocks, widths)


def _dilated(widths: tuple[int, ...]) -> Backbone:
    """Enhanced3DCNN2: as 1, with dilated convolutions in its middle blocks."""
    blocks = [
        _strided(i, o, s, dilation=2 if 0 < k < len(WIDTHS) - 1 else 1) for k, (i, o, s) in enumerate(_stages(widths))
    ]
    return Backbone(blocks, widths)


def _residual(widths: tuple[int, ...], convolution: Callable[..., nn.Module]) -> list[nn.Module]:
    first, *others = _stages(widths)
    return [_strided(*first), *(_Residual(i, o, s, convolution) for i, o, s in others)]


BACKBONES: dict[str, Callable[[tuple[int, ...]], Backbone]] = {
    "simple-3dcnn": _simple,
    "enhanced-3dcnn-1": lambda widths: Backbone([_strided(*stage) for stage in _stages(widths)], widths),
    "enhanced-3dcnn-2": _dilated,
    "enhanced-3dcnn-3": lambda widths: Backbone(_residual(widths, _full), widths, checkpointing=True),
    "enhanced-3dcnn-4": lambda widths: Backbone(_residual(widths, _factorized), widths),
}


def build(*, name: str = "enhanced-3dcnn-1", depth: int = 5) -> Backbone:
    """The factory that manifests name `contrastive_cnn`: the first `depth` blocks of a backbone of appendix A.2.

    Raises ValueError for an unknown name or depth.
    """
    if name not in BACKBONES or not 1 <= depth <= len(WIDTHS):
        raise ValueError(f"There is no backbone {name!r} of {depth} blocks. Choose from {', '.join(BACKBONES)}.")
    return BACKBONES[name](WIDTHS[:depth])


def parameters_of(name: str) -> int:
    """Number of weights of a whole backbone."""
    return sum(p.numel() for p in build(name=name).parameters())


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """slow <- momentum slow + (1 - momentum) fast, weight by weight (MoCo, arXiv:1911.05722, eq. 2)."""
    for mine, theirs in zip(slow.parameters(), fast.parameters(), strict=True):
        mine.lerp_(theirs.to(mine), 1 - momentum)
