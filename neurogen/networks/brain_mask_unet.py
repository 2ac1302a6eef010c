"""A small 3D UNet that finds the brain in a whole head, whatever its contrast."""

from collections.abc import Sequence

from monai.networks.nets import BasicUNet
from monai.networks.utils import pixelshuffle, pixelunshuffle
from torch import Tensor, nn
from torch.nn import functional


class BrainMaskUNet(nn.Module):
    """MONAI's BasicUNet on blocks of 2 x 2 x 2 voxels, and local filters at full resolution that it steers.

    Folding each block into channels loses nothing of the input, makes the UNet see 4 mm voxels where it is given 2 mm,
    and costs an eighth of the operations. With `details` filters w_k (3 x 3 x 3) a voxel's logit is

        logit(x) = u(x) + sum_k g_k(x) phi((w_k * image)(x) + b_k(x))

    u: the UNet's own eight logits a block; shift b and gain g: its further outputs, one a block; phi: leaky ReLU. What
    is darker than what differs from scan to scan, so the UNet decides which filters count, and for what.
    """

    def __init__(self, *, features: Sequence[int], details: int):
        super().__init__()
        self.unet = BasicUNet(
            spatial_dims=3,
            in_channels=8,
            out_channels=8 + 2 * details,
            features=tuple(features),
            norm=("instance", {"affine": True}),
            act=("LeakyReLU", {"negative_slope": 0.1, "inplace": True}),
            upsample="nontrainable",
        )
        self.local = nn.Conv3d(1, details, 3, padding=1, bias=False) if details else None

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, I, J, K) in [0, 1], sides multiples of 32 -> brain logits of the same shape."""
        blocks = self.unet(pixelunshuffle(image, spatial_dims=3, scale_factor=2))
        logit = pixelshuffle(blocks[:, :8], spatial_dims=3, scale_factor=2)
        if self.local is None:
            return logit
        shift, gain = functional.interpolate(blocks[:, 8:], scale_factor=2).chunk(2, dim=1)
        return logit + (gain * functional.leaky_relu(self.local(image) + shift, 0.1)).sum(1, keepdim=True)


def build(features: Sequence[int] = (16, 32, 48, 64, 96, 16), details: int = 0) -> nn.Module:
    """BrainMaskUNet with `features` at 4, 8, 16, 32 and 64 mm and in the last 4 mm stage."""
    if len(features) != 6:
        raise ValueError(f"Six numbers of features are needed (five levels and the last stage), not {list(features)}.")
    return BrainMaskUNet(features=features, details=details)


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
