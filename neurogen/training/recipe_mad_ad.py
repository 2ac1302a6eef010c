"""Recipe: MAD-AD, the masked diffusion that finds abnormal cells and renews them, for one or several contrasts.

Patches of healthy slices are noised, each slice at one of T = 10 levels (eq. 3.2), and a network learns the clean slice
and the mask (eq. 3.5).
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from neurogen.anomaly.mad_ad import MASK_LOSSES, MadAdCorrection, loss, noised
from neurogen.anomaly.masked_diffusion import network_time
from neurogen.errors import UsageError
from neurogen.networks.velocity_unet import VelocityUNet
from neurogen.progress import Progress, portion, silent
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.loop import FitResult, fit
from neurogen.training.masked_task import MaskedSettings, MaskedTask


@dataclass(frozen=True)
class MadAdSettings(MaskedSettings):
    """What is trained, and on what."""

    model_id: str = "my-mad-ad"
    mask_loss: str = "bce"  # eq. 3.5; "mse" with mask_weight 0.001 is what the published experiments used
    mask_weight: float = 0.05  # lambda; the paper gives none
    correction: MadAdCorrection = field(default_factory=MadAdCorrection)

    def __post_init__(self) -> None:
        if self.mask_loss not in MASK_LOSSES:
            raise UsageError(f"The mask loss {self.mask_loss!r} is unknown. Choose one of {', '.join(MASK_LOSSES)}.")


def run(
    data: Path, out: Path, settings: MadAdSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train a detector on the scans or the slice cache in `data`; the model goes to out/<model id>."""
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.1))
    task = MadAdTask(cache, settings, facts=data_facts(data, cache))
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.1, 1.0))


class MadAdTask(MaskedTask):
    """Loss and start of MAD-AD; see `neurogen.training.loop.Task`."""

    settings: MadAdSettings
    factory, method = "masked_unet", "mad-ad"
    notes = (
        "The mask is 1 where noised, that is abnormal. In pixels the noise is correlated over 2 to 64 mm, where the "
        "paper's is white in a latent space (ours).",
    )

    @property
    def correction(self) -> MadAdCorrection:
        """In latents the noise is white, in training as in use."""
        chosen = self.settings.correction
        return chosen if self.in_pixels else replace(chosen, grain_mm=None)

    def take_over(self, network: torch.nn.Module, trained: VelocityUNet) -> None:
        network.start_from(trained)

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        """Eq. 3.5 on one freshly noised batch."""
        batch = self.draw_batch(generator)
        z = batch.within(noised(batch.clean, batch.noise, batch.mask, batch.alpha_bar))
        predicted, logits = self.network(z, network_time(batch.t), batch.contrast, batch.context)
        settings = self.settings
        return loss(
            batch.clean, batch.mask, predicted, logits, mask_loss=settings.mask_loss, mask_weight=settings.mask_weight
        )
