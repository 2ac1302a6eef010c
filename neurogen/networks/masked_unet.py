"""The network of MAD-AD: clean code and mask from one trunk (thesis section 3.3.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neurogen.networks.velocity_unet import VelocityUNet


class MaskedUNet(VelocityUNet):
    """f(z, t, contrast, context) -> clean code (B, C, H, W) and mask logits (B, 1, H, W), 1 = noised.

    The clean code is predicted as z plus what the trunk gives: untrained, the network returns its input and flags
    nothing. The trunk is that of a velocity field, so that training can start from a trained one.
    """

    def __init__(self, *, channels: int, fold: int = 1, **arguments):
        super().__init__(channels=channels, fold=fold, **arguments)
        norm, activation, plain = self.leave
        head = nn.Conv2d(plain.in_channels, (channels + 1) * fold**2, 3, padding=1)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        self.channels = channels
        self.leave = nn.Sequential(norm, activation, head)

    def forward(self, z: Tensor, t: Tensor, contrast: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        change = super().forward(z, t, contrast, context)
        return z + change[:, : self.channels], change[:, self.channels :]

    def start_from(self, velocity: VelocityUNet) -> None:
        """Take over a trained velocity field: at t = 0 a velocity is healthy minus abnormal, the change asked for here.

        Raises RuntimeError when the two differ in anything but the mask.
        """
        weights = {name: value.clone() for name, value in velocity.state_dict().items()}
        for name in ("leave.2.weight", "leave.2.bias"):
            own = torch.zeros_like(self.state_dict()[name])
            own[: len(weights[name])] = weights[name]
            weights[name] = own
        self.load_state_dict(weights)


def build(
    *,
    channels: int,
    contrasts: int,
    widths: Sequence[int],
    blocks: int = 2,
    fold: int = 1,
    context: int = 0,
    attention_heads: int = 4,
    mirror: bool = False,
) -> MaskedUNet:
    """The factory that manifests name `masked_unet`; arguments as of `VelocityUNet`."""
    return MaskedUNet(
        channels=channels,
        contrasts=contrasts,
        widths=tuple(widths),
        blocks=blocks,
        fold=fold,
        context=context,
        attention_heads=attention_heads,
        mirror=mirror,
    )
