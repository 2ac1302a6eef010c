"""A 3D UNet that names the tissue of every voxel and the region of every block of voxels of a newborn's brain."""

from collections.abc import Sequence

import torch
from monai.networks.nets import DynUNet
from monai.networks.utils import pixelshuffle, pixelunshuffle
from torch import Tensor, nn
from torch.nn import functional

COORDINATES = 3
_SHARED = 8  # channels that the UNet hands to full resolution


class RegionUNet(nn.Module):
    """MONAI's DynUNet on blocks of 2 x 2 x 2 voxels, with two heads.

    Tissues need every voxel, regions do not: their borders inside a tissue are smooth. So

        p(region r | voxel x) = p(tissue t(r) | x) p(r | t(r), block of x)

    and the many channels of the second factor are computed at half the resolution. Tissue logits are those that the
    UNet gives each voxel of a block, plus what a few filters at full resolution see in the image and in channels that
    the UNet hands them. The first input channel is the image, the others say where a voxel lies in the brain's bounding
    box, -1 to 1 along R, A, S.
    """

    def __init__(self, *, filters: Sequence[int], tissues: int, regions: int, details: int):
        super().__init__()
        depth = len(filters)
        self.unet = DynUNet(
            spatial_dims=3,
            in_channels=8 + COORDINATES,
            out_channels=regions,
            kernel_size=[3] * depth,
            strides=[1] + [2] * (depth - 1),
            upsample_kernel_size=[2] * (depth - 1),
            filters=list(filters),
            norm_name=("instance", {"affine": True}),
        )
        # DynUNet registers every block a second time in `skip_layers`, which would store all weights twice.
        del self.unet.skip_layers
        self.coarse = nn.Conv3d(filters[0], 8 * tissues, 1)
        self.shared = nn.Conv3d(filters[0], 8 * _SHARED, 1)
        self.fine = nn.Sequential(
            nn.Conv3d(1 + _SHARED, details, 3, padding=1), nn.LeakyReLU(0.01), nn.Conv3d(details, tissues, 1)
        )

    def forward(self, scan: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 4, I, J, K), sides multiples of 16 for four filters -> tissue logits (B, T, I, J, K), region logits
        (B, R, I/2, J/2, K/2)."""
        image, place = contrasted(scan[:, :1]), scan[:, 1:]
        blocks = torch.cat([pixelunshuffle(image, 3, 2), functional.avg_pool3d(place, 2)], dim=1)
        features = self._features(blocks)
        shared = pixelshuffle(self.shared(features), 3, 2)
        tissues = pixelshuffle(self.coarse(features), 3, 2) + self.fine(torch.cat([image, shared], dim=1))
        return tissues, self.unet.output_block(features)

    def _features(self, blocks: Tensor) -> Tensor:
        """DynUNet without its last layer."""
        skips = [self.unet.input_block(blocks)]
        for down in self.unet.downsamples:
            skips.append(down(skips[-1]))
        x = self.unet.bottleneck(skips[-1])
        for up, skip in zip(self.unet.upsamples, reversed(skips), strict=True):
            x = up(x, skip)
        return x


def contrasted(image: Tensor) -> Tensor:
    """Within the brain (above 0) mean 0.5 and standard deviation 0.25, at least 0.02; 0 stays 0.

    Gray and white matter of a newborn differ little, and the fluid around them much: without this the network first
    has to learn to look at the smaller difference. image: (B, 1, I, J, K).
    """
    inside = image > 0
    count = inside.sum((1, 2, 3, 4), keepdim=True).clamp(min=1)
    mean = image.sum((1, 2, 3, 4), keepdim=True) / count
    spread = (((image - mean) * inside) ** 2).sum((1, 2, 3, 4), keepdim=True).div(count).sqrt().clamp(min=1e-4)
    return torch.where(inside, (0.5 + 0.25 * (image - mean) / spread).clamp(0.02, 2.0), 0.0)


def build(
    filters: Sequence[int] = (32, 64, 96, 128), tissues: int = 10, regions: int = 88, details: int = 16
) -> nn.Module:
    """RegionUNet with `filters` from half resolution down, three levels or more."""
    if len(filters) < 3:
        raise ValueError(f"Three levels of filters or more are needed, not {list(filters)}.")
    return RegionUNet(filters=filters, tissues=tissues, regions=regions, details=details)
