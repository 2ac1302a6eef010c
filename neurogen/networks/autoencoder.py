"""The autoencoder that carries slices to latents and back: MONAI's AutoencoderKL, small enough for a CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurogen.models import Model

START_LOG_VARIANCE = -8.0
"""Of the posterior in a fresh network: a start at unit variance drowns the latents in noise and learns slowly."""


def build(
    *,
    channels: Sequence[int] = (96,),
    patch: int = 4,
    latent_channels: int = 4,
    residual_blocks: int = 1,
    norm_groups: int = 8,
    attention: bool = False,
) -> "SliceAutoencoder":
    """A `SliceAutoencoder` with fresh weights; f = patch * 2^(len(channels) - 1), so that the defaults are f4.

    `attention` adds one self-attention block in the middle of encoder and decoder.
    """
    from monai.networks.nets import AutoencoderKL

    inner = AutoencoderKL(
        spatial_dims=2,
        in_channels=patch**2,
        out_channels=patch**2,
        channels=tuple(channels),
        num_res_blocks=(residual_blocks,) * len(channels),
        attention_levels=(False,) * len(channels),
        latent_channels=latent_channels,
        norm_num_groups=norm_groups,
        with_encoder_nonlocal_attn=attention,
        with_decoder_nonlocal_attn=attention,
    )
    return SliceAutoencoder(inner, patch=patch, latent_channels=latent_channels)


class SliceAutoencoder(nn.Module):
    """AutoencoderKL on slices whose patch x patch pixels are folded into channels, beside a linear path.

    KL-regularized autoencoder of latent diffusion (Rombach et al. 2022, arXiv:2112.10752). Nearly all of its time goes
    into the convolutions at full resolution; folding (pixel unshuffle, arXiv:1609.05158) removes those. The linear
    path starts as the lowest cosine frequencies of each f x f block and the network beside it as zero, so that a fresh
    autoencoder is a plain block transform and training only has to improve on it; both are trained.

    Images (B, 1, H, W) in [0, 1]; latents (B, C, H / f, W / f); H and W must be multiples of f.
    """

    def __init__(self, inner: nn.Module, *, patch: int, latent_channels: int):
        super().__init__()
        self.inner, self.patch = inner, patch
        self.factor = patch * 2 ** (len(inner.encoder.channels) - 1)
        basis = block_cosines(self.factor, latent_channels)
        self.analysis = nn.Conv2d(self.factor**2, latent_channels, 1)
        self.synthesis = nn.Conv2d(latent_channels, self.factor**2, 1)
        with torch.no_grad():
            self.analysis.weight.copy_(basis[:, :, None, None])
            self.synthesis.weight.copy_(basis.T[:, :, None, None])
            zeroed = (self.inner.quant_conv_mu.conv, self.inner.decoder.blocks[-1].conv)
            for parameter in (self.analysis.bias, self.synthesis.bias, *(p for m in zeroed for p in m.parameters())):
                parameter.zero_()
            self.inner.quant_conv_log_sigma.conv.bias.fill_(START_LOG_VARIANCE)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and standard deviation, each of the latents' shape."""
        mean, deviation = self.inner.encode(functional.pixel_unshuffle(images, self.patch))
        return mean + self.analysis(functional.pixel_unshuffle(images, self.factor)), deviation

    def decode(self, latents: Tensor) -> Tensor:
        """Images that belong to latents; about [0, 1], not clipped."""
        linear = functional.pixel_shuffle(self.synthesis(latents), self.factor)
        return linear + functional.pixel_shuffle(self.inner.decode(latents), self.patch)


def block_cosines(side: int, count: int) -> Tensor:
    """The `count` lowest two-dimensional cosines (DCT-II) of a side x side block: orthonormal rows (count, side^2)."""
    n = torch.arange(side, dtype=torch.float64)
    waves = torch.cos(torch.pi / side * (n[None] + 0.5) * n[:, None])
    waves = waves / waves.norm(dim=1, keepdim=True)
    order = sorted(((u, v) for u in range(side) for v in range(side)), key=lambda w: (w[0] ** 2 + w[1] ** 2, w))
    return torch.stack([torch.outer(waves[u], waves[v]).flatten() for u, v in order[:count]]).float()


class LatentCodec:
    """Slices to latents of zero mean and unit variance per channel, and back.

    z = (encode(x) - mean) / deviation, with mean and deviation measured on the training slices and kept in the
    manifest (`latent_scale`); encode(x) is the posterior mean, so that nothing is drawn.

    Images (B, 1, H, W) in [0, 1], 0 outside the brain; latents (B, C, H / f, W / f).
    """

    def __init__(self, network: SliceAutoencoder, *, mean: Sequence[float], deviation: Sequence[float]):
        self.network = network
        parameter = next(network.parameters())
        self._mean = parameter.new_tensor(list(mean)).view(1, -1, 1, 1)
        self._deviation = parameter.new_tensor(list(deviation)).view(1, -1, 1, 1)

    @classmethod
    def of(cls, model: Model, device: torch.device | str = "cpu") -> "LatentCodec":
        """The codec of a shipped or trained autoencoder. Raises ModelUnavailable when the model is damaged."""
        from neurogen.networks.factory import load_network

        scale = model.manifest["latent_scale"]
        return cls(load_network(model, device), mean=scale["mean"], deviation=scale["deviation"])

    @property
    def factor(self) -> int:
        """Pixels of the image per latent cell, along each axis."""
        return self.network.factor

    @torch.no_grad()
    def encode(self, images: Tensor, *, batch_size: int = 16) -> Tensor:
        parts = [self.network.encode(part)[0] for part in images.split(batch_size)]
        return (torch.cat(parts) - self._mean) / self._deviation

    @torch.no_grad()
    def decode(self, latents: Tensor, *, batch_size: int = 16) -> Tensor:
        parts = [self.network.decode(part * self._deviation + self._mean) for part in latents.split(batch_size)]
        return torch.cat(parts)
