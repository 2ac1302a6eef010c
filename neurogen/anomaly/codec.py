"""The space in which a flow works: pixels of 2 mm, or the latents of an autoencoder. One interface for both.

A codec takes standardized slices (B, 1, 192, 160) at 1 mm to codes (B, C, H, W) and back.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from neurogen.anomaly.contrast_scale import ContrastScale
from neurogen.networks.autoencoder import LatentCodec


class Codec(Protocol):
    """What a detector needs of a space. `factor`: pixels of 1 mm along the side of one code cell."""

    channels: int
    factor: int

    def encode(self, slices: Tensor, scale: ContrastScale) -> Tensor:
        """Standardized slices (B, 1, 192, 160) -> code (B, channels, 192 / factor, 160 / factor)."""

    def restore(self, slices: Tensor, code: Tensor, corrected: Tensor, scale: ContrastScale) -> Tensor:
        """The pseudo-healthy slices (B, 1, 192, 160) that belong to a corrected code."""


@dataclass(frozen=True)
class PixelCodec:
    """The code is the slice itself, averaged over `factor` x `factor` pixels."""

    factor: int = 2
    channels: int = 1

    def encode(self, slices: Tensor, scale: ContrastScale) -> Tensor:
        return functional.avg_pool2d(slices, self.factor)

    def restore(self, slices: Tensor, code: Tensor, corrected: Tensor, scale: ContrastScale) -> Tensor:
        """The scan plus the bilinearly interpolated change: healthy tissue keeps its full resolution."""
        change = functional.interpolate(corrected - code, slices.shape[-2:], mode="bilinear", align_corners=False)
        return slices + change


@dataclass(frozen=True, eq=False)
class AutoencoderCodec:
    """The code is the standardized latent mean of an autoencoder that takes slices in [0, 1]."""

    autoencoder: LatentCodec
    channels: int

    @property
    def factor(self) -> int:
        return self.autoencoder.factor

    def encode(self, slices: Tensor, scale: ContrastScale) -> Tensor:
        return self.autoencoder.encode(scale.to_unit(slices))

    def restore(self, slices: Tensor, code: Tensor, corrected: Tensor, scale: ContrastScale) -> Tensor:
        """The decoded corrected latent, as it is: eq. 5.10 compares it with the scan itself."""
        return scale.from_unit(self.autoencoder.decode(corrected))
