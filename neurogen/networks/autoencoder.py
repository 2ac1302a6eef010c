"""The autoencoder that carries slices to latents and back: MONAI's AutoencoderKL, small enough for a CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurogen.models import Model


def build(
    *,
    channels: Sequence[int] = (32, 64),
    patch: int = 2,
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
    return SliceAutoencoder(inner, patch=patch)


class SliceAutoencoder(nn.Module):
    """AutoencoderKL on slices whose patch x patch pixels are folded into channels first, and unfolded at the end.

    KL-regularized autoencoder of latent diffusion (Rombach et al. 2022, arXiv:2112.10752). Nearly all of its time goes
    into the convolutions at full resolution; folding (pixel unshuffle, arXiv:1609.05158) removes those.

    Images (B, 1, H, W) in [0, 1]; latents (B, C, H / f, W / f); H and W must be multiples of f.
    """

    def __init__(self, inner: nn.Module, *, patch: int):
        super().__init__()
        self.inner, self.patch = inner, patch
        self.factor = patch * 2 ** (len(inner.encoder.channels) - 1)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and standard deviation, each of the latents' shape."""
        return self.inner.encode(functional.pixel_unshuffle(images, self.patch))

    def decode(self, latents: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.inner.decode(latents), self.patch)


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
