"""Recipe: DeCo-Diff, the direction of deviation from normality, for one or several contrasts.

Patches of healthy slices deviate, toward noise or toward patches of other slices, each slice at one of T = 10 levels
(eq. 4.11), and a network learns the direction; it is 0 wherever nothing was done (eq. 4.12). The published classes are
kinds of objects; here they are contrasts, and `conditional=False` tells the network nothing of them.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.contrast_scale import ContrastScale
from neurogen.anomaly.deco_diff import DecoDiffCorrection, deviated, direction_of_deviation, shuffled_patches
from neurogen.anomaly.masked_diffusion import PatchSettings, network_time
from neurogen.networks.velocity_unet import VelocityUNet
from neurogen.progress import Progress, portion, silent
from neurogen.training.cache import SliceCache
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.loop import FitResult, fit
from neurogen.training.masked_task import MaskedSettings, MaskedTask
from neurogen.training.slice_task import HealthyBatch

PUBLISHED_PATCHES = PatchSettings(
    sizes_mm=(8.0, 16.0, 32.0, 64.0, 128.0), shares=(0.3, 0.25, 0.2, 0.15, 0.1), square=True, most=0.7
)
"""Of the published implementation; section 4.5.1 has no patches of 128 mm (16 cells) and equal shares."""


@dataclass(frozen=True)
class DecoDiffSettings(MaskedSettings):
    """What is trained, and on what."""

    model_id: str = "my-deco-diff"
    patches: PatchSettings = PUBLISHED_PATCHES
    shuffled: float = 0.3  # the share of patches filled from other slices is U(0, shuffled), section 4.5.1
    conditional: bool = True  # the network is told the contrast
    correction: DecoDiffCorrection = field(default_factory=DecoDiffCorrection)


def run(
    data: Path, out: Path, settings: DecoDiffSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train a detector on the scans or the slice cache in `data`; the model goes to out/<model id>."""
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.1))
    task = DecoDiffTask(cache, settings, facts=data_facts(data, cache))
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.1, 1.0))


class DecoDiffTask(MaskedTask):
    """Loss and start of DeCo-Diff; see `neurogen.training.loop.Task`."""

    settings: DecoDiffSettings
    factory, method = "velocity_unet", "deco-diff"
    notes = (
        "In pixels the noise is correlated over 2 to 64 mm, where the paper's is white in a latent space (ours). "
        "Patches are shuffled within a contrast.",
    )

    def scales_of(self, cache: SliceCache) -> dict[str, ContrastScale]:
        """Without conditioning every contrast has the same index."""
        scales = super().scales_of(cache)
        if self.settings.conditional:
            return scales
        return {name: replace(scale, index=0) for name, scale in scales.items()}

    @property
    def correction(self) -> DecoDiffCorrection:
        return self.settings.correction

    def take_over(self, network: torch.nn.Module, trained: VelocityUNet) -> None:
        """A velocity is healthy minus abnormal; at t = T the direction of deviation is abnormal minus healthy."""
        network.load_state_dict(trained.state_dict())
        with torch.no_grad():
            for parameter in network.leave[-1].parameters():
                parameter.neg_()

    def noise_of(self, batch: HealthyBatch, patches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noise, and in some patches what lies elsewhere in other slices (section 4.4.2)."""
        noise, other = super().noise_of(batch, patches, rng), shuffled_patches(batch.code.numpy(), patches, rng)
        replaced = np.zeros(patches.shape, bool)
        for k, patch in enumerate(patches):
            replaced[k] = (rng.random(patch.max() + 1) < rng.uniform(0, self.settings.shuffled))[patch]
        return np.where(replaced[:, None], other, noise).astype(np.float32)

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        """Eq. 4.12 on one batch that freshly deviates. Where z_t meets the end of the intensity scale, the direction is
        the one to there, so that eq. 4.13 always leads back."""
        batch = self.draw_batch(generator)
        direction = direction_of_deviation(batch.clean, batch.noise, batch.mask, batch.alpha_bar)
        z = batch.within(deviated(batch.clean, direction, batch.alpha_bar))
        direction = (z - batch.clean) / (1 - batch.alpha_bar).sqrt()[:, None, None, None]
        predicted = self.network(z, network_time(batch.t), batch.contrast, batch.context)
        return (predicted.float() - direction).square().mean()
