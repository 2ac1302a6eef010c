"""A 3D UNet that names the tissue of every voxel and the region of every block of voxels of a newborn's brain."""

from collections.abc import Sequence

import torch
from monai.networks.nets import DynUNet
from monai.networks.utils import pixelshuffle, pixelunshuffle
from torch import Tensor, nn
from torch.nn import functional

COORDINATES = 3
PRIOR_SHAPE = (24, 28, 24)
PRIOR_REACH = 1.25  # the prior's cells span -1.25 to 1.25 of the brain's bounding box
_SHARED = 8  # channels that the UNet hands to full resolution
_FLOOR = 2e-3  # probability of a region where no atlas has it


class RegionUNet(nn.Module):
    """MONAI's DynUNet on blocks of 2 x 2 x 2 voxels, with two heads, on top of what place alone says.

    Tissues need every voxel, regions do not: their borders inside a tissue are smooth. So

        p(region r | voxel x) = p(tissue t(r) | x) p(r | t(r), block of x)

    and the many channels of the second factor are computed at half the resolution. Both start from `prior`: how often
    each region lies at a place of the brain's bounding box in the label maps of the training. Tissue logits add what
    the UNet gives each voxel of a block, and what a few filters at full resolution see in the image, the prior and
    channels that the UNet hands them. Channels of the input: image, then where a voxel lies in the brain's bounding
    box, -1 to 1 along R, A, S.

    Buffers, which `set_prior` fills: prior (L, *PRIOR_SHAPE) uint8, 255 = 1, cells evenly from -PRIOR_REACH to
    PRIOR_REACH; tissue_of (L,) uint8.
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
            nn.Conv3d(1 + _SHARED + tissues, details, 3, padding=1), nn.LeakyReLU(0.01), nn.Conv3d(details, tissues, 1)
        )
        for last in (self.coarse, self.fine[-1], self.unet.output_block.conv.conv):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.register_buffer("prior", torch.zeros(regions, *PRIOR_SHAPE, dtype=torch.uint8))
        self.register_buffer("tissue_of", torch.zeros(regions, dtype=torch.uint8))
        self._tissues = tissues

    def set_prior(self, prior: Tensor, tissue_of: Tensor) -> None:
        """prior: (L, *PRIOR_SHAPE) in [0, 1]; tissue_of: (L,)."""
        self.prior.copy_((255 * prior).round().to(torch.uint8))
        self.tissue_of.copy_(tissue_of.to(torch.uint8))

    def forward(self, scan: Tensor, *, whole: bool = True) -> tuple[Tensor, Tensor | None]:
        """(B, 4, I, J, K), sides multiples of 16 for four filters -> tissue logits (B, T, I, J, K), region logits
        (B, L, I/2, J/2, K/2). whole: False leaves the UNet and the regions out."""
        image, place = contrasted(scan[:, :1]), functional.avg_pool3d(scan[:, 1:], 2)
        tissues = self._tissues_at(place)
        if not whole:
            handed = image.new_zeros(len(image), _SHARED, *image.shape[2:])
            return tissues + self.fine(torch.cat([image, handed, tissues], dim=1)), None
        features = self._features(torch.cat([pixelunshuffle(image, 3, 2), place], dim=1))
        handed = pixelshuffle(self.shared(features), 3, 2)
        seen = pixelshuffle(self.coarse(features), 3, 2) + self.fine(torch.cat([image, handed, tissues], dim=1))
        return tissues + seen, self._log_share(self.prior.float(), place) + self.unet.output_block(features)

    def _tissues_at(self, place: Tensor) -> Tensor:
        """Logarithm of how often each tissue lies at each voxel."""
        prior = self.prior.new_zeros(self._tissues, *self.prior.shape[1:], dtype=torch.float32)
        prior.index_add_(0, self.tissue_of.long(), self.prior.float())
        return functional.interpolate(self._log_share(prior, place), scale_factor=2, mode="trilinear")

    def _log_share(self, prior: Tensor, place: Tensor) -> Tensor:
        """Logarithm of `prior` (C, *PRIOR_SHAPE), 255 = 1, at blocks of voxels, in single precision."""
        with torch.autocast(place.device.type, enabled=False):
            grid = place.float().movedim(1, -1).flip(-1) / PRIOR_REACH  # torch wants the fastest axis first
            prior = (prior / 255).expand(len(place), *prior.shape)
            share = functional.grid_sample(prior, grid, padding_mode="border", align_corners=True)
            return (share + _FLOOR).log()

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
    filters: Sequence[int] = (24, 48, 72, 96), tissues: int = 10, regions: int = 88, details: int = 16
) -> nn.Module:
    """RegionUNet with `filters` from half resolution down, three levels or more."""
    if len(filters) < 3:
        raise ValueError(f"Three levels of filters or more are needed, not {list(filters)}.")
    return RegionUNet(filters=filters, tissues=tissues, regions=regions, details=details)
