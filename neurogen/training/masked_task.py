"""What the recipes of MAD-AD and DeCo-Diff share: batches with noised patches, and where training starts."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.detector import ScoreSettings
from neurogen.anomaly.masked_diffusion import STEPS, PatchSettings, cosine_alpha_bar, draw_mask, draw_noise
from neurogen.errors import UsageError
from neurogen.models import ModelStore
from neurogen.networks.factory import build, load_network
from neurogen.networks.velocity_unet import VelocityUNet
from neurogen.training.cache import SliceCache
from neurogen.training.slice_task import HealthyBatch, SliceSettings, SliceTask


@dataclass(frozen=True)
class MaskedSettings(SliceSettings):
    """What is trained, and on what."""

    start_from: str | None = None  # id of a REFLECT model whose trained trunk is taken over
    patches: PatchSettings = field(default_factory=PatchSettings)
    grain_mm: tuple[float, float] = (2.0, 64.0)  # of noise in pixels, ours; in latents it is white, as in the papers
    validation_steps: int = 2  # of the reverse process, while training


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Healthy codes (B, C, H, W) with the noise, mask (B, 1, H, W) and times (B,) in 1..T that are to disturb them."""

    clean: Tensor
    noise: Tensor
    mask: Tensor
    t: Tensor
    alpha_bar: Tensor  # (B,) at those times
    contrast: Tensor
    context: Tensor
    lowest: Tensor  # (B, 1, 1, 1) values below and above which no code lies
    highest: Tensor

    def within(self, code: Tensor) -> Tensor:
        """In pixel space, intensities outside the scale do not exist."""
        return torch.maximum(torch.minimum(code, self.highest), self.lowest)


class MaskedTask(SliceTask):
    """Batches, network and export; the loss is the method's own."""

    settings: MaskedSettings
    factory: str
    method: str
    notes: tuple[str, ...] = ()

    def __init__(self, cache: SliceCache, settings: MaskedSettings, *, facts: dict, store: ModelStore | None = None):
        super().__init__(cache, settings, facts=facts, store=store)
        self.validation = ScoreSettings(steps=settings.validation_steps)
        self.network = self._build()

    def take_over(self, network: torch.nn.Module, trained: VelocityUNet) -> None:
        """Start `network` from a trained velocity field."""
        raise NotImplementedError

    def network_description(self) -> dict:
        """The network as a manifest describes it: that of the model to start from, or one as the settings ask for."""
        arguments = self.network_arguments()
        if self.settings.start_from is not None:
            arguments = self.store.get(self.settings.start_from).manifest["network"]["arguments"]
        return {"factory": self.factory, "arguments": arguments}

    def draw_batch(self, generator: torch.Generator) -> MaskedBatch:
        """A batch of the loop's size on the network's device."""
        parts = [self._noised(batch, rng) for batch, rng in self.healthy_batches(self.batch_size, generator)]
        clean, noise, mask, contrast, context, lowest, highest = (torch.cat(p) for p in zip(*parts, strict=True))
        t = torch.randint(1, STEPS + 1, (len(clean),), generator=generator)
        device = next(self.network.parameters()).device
        tensors = (clean, noise, mask, t, cosine_alpha_bar()[t], contrast, context, lowest, highest)
        return MaskedBatch(*(x.to(device) for x in tensors))

    @property
    def batch_size(self) -> int:
        return self.settings.loop.batch_size

    def noise_of(self, batch: HealthyBatch, patches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(B, C, H, W) standard normal."""
        grain = self.settings.grain_mm if self.in_pixels else None
        shape = batch.code.shape[1:]
        return np.stack(
            [draw_noise(shape[0], tuple(shape[1:]), grain, float(self.codec.factor), rng) for _ in batch.code]
        ).astype(np.float32)

    def _noised(self, batch: HealthyBatch, rng: np.random.Generator) -> tuple[Tensor, ...]:
        drawn = [draw_mask(brain, float(self.codec.factor), self.settings.patches, rng) for brain in batch.brain]
        mask, patches = (np.stack(part) for part in zip(*drawn, strict=True))
        noise = torch.from_numpy(self.noise_of(batch, patches, rng))
        bound = torch.ones(len(batch.code), 1, 1, 1)
        low, high = (batch.scale.background, batch.scale.top) if self.in_pixels else (-np.inf, np.inf)
        masked = torch.from_numpy(mask[:, None].astype(np.float32))
        return batch.code.float(), noise, masked, batch.contrast, batch.context, low * bound, high * bound

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        from neurogen.training.export_masked import export_masked

        self.network.load_state_dict(network_state)
        self.network.eval()
        export_masked(self, Path(out) / self.settings.model_id, record | {"settings": asdict(self.settings)})

    def _build(self) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.loop.seed)
            network = build(self.network_description())
        if self.settings.start_from is not None:
            model = self.store.get(self.settings.start_from)
            if model.manifest["network"]["factory"] != "velocity_unet":
                method = model.manifest["method"]
                raise UsageError(f"Training starts from a REFLECT model, but {model.id!r} is {method}.")
            self.take_over(network, load_network(model))
        return network
