"""Recipe: REFLECT, the rectified flow that makes abnormal slices healthy, for one or several contrasts.

Healthy slices are varied (augment.py), brought to the codec's space, corrupted there (anomaly/corruption.py), and a
velocity network learns the straight way back (eq. 5.8). Given a teacher, it learns the teacher's own paths instead:
2-REFLECT (eq. 5.5). Validation is what counts in the end: how well lesions planted in kept-apart healthy slices are
found, lesions of kinds that the corruption never draws. The loss alone is a bad guide: it went on falling in runs whose
detection got worse.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.correction import ReflectCorrection
from neurogen.anomaly.corruption import CorruptionSettings, draw_corruption
from neurogen.anomaly.reflect import RectifiedFlow, reflow_target
from neurogen.anomaly.textures import texture_bank
from neurogen.models import ModelStore
from neurogen.networks.factory import build, load_network
from neurogen.networks.small_weights import restored
from neurogen.progress import Progress, portion, silent
from neurogen.training.cache import SliceCache
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.loop import FitResult, fit
from neurogen.training.slice_task import HealthyBatch, SliceSettings, SliceTask


@dataclass(frozen=True)
class ReflectSettings(SliceSettings):
    """What is trained, and on what."""

    model_id: str = "my-reflect"
    teacher: str | None = None  # id of a REFLECT model whose paths 2-REFLECT learns
    teacher_steps: int = 5  # published implementation
    start_from: str | None = None  # id of a REFLECT model of the same network to train on from
    start_weight: float = 0.5  # share of that model's weights in the exported ones; see `blend`
    mirror: bool = True  # in pixels the network sees the slice in a mirror as well; ours
    start_share: float = 0.7  # of the times drawn at t = 0, where a one-step correction starts; ours
    textures: int = 256
    corruption: CorruptionSettings = field(default_factory=CorruptionSettings)


def run(
    data: Path, out: Path, settings: ReflectSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train a detector on the scans or the slice cache in `data`; the model goes to out/<model id>."""
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.1))
    task = ReflectTask(cache, settings, facts=data_facts(data, cache))
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.1, 1.0))


class ReflectTask(SliceTask):
    """Batches, loss, validation and export of the flow; see `neurogen.training.loop.Task`."""

    settings: ReflectSettings
    correction = ReflectCorrection()

    def __init__(self, cache: SliceCache, settings: ReflectSettings, *, facts: dict, store: ModelStore | None = None):
        super().__init__(cache, settings, facts=facts, store=store)
        start = settings.teacher or settings.start_from  # 2-REFLECT starts from 1-REFLECT
        self.start = None if start is None else self.store.get(start)
        self.teacher = None if settings.teacher is None else load_network(self.start)
        self.network = self._build()
        self._textures = texture_bank(settings.textures, (96, 80), np.random.default_rng(settings.loop.seed))

    def network_description(self) -> dict:
        """The network as a manifest describes it."""
        if self.start is not None:
            return self.start.manifest["network"]
        mirror = self.settings.mirror and self.in_pixels  # a latent does not flip with its image
        return {"factory": "velocity_unet", "arguments": self.network_arguments() | {"mirror": mirror}}

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        """Eq. 5.8 (or 5.5 with a teacher) on one freshly corrupted batch."""
        corrupted, healthy, contrast, context = self.draw_pairs(self.settings.loop.batch_size, generator)
        t = torch.rand(len(healthy), generator=generator)
        t = torch.where(torch.rand(len(t), generator=generator) < self.settings.start_share, 0.0, t)
        device = next(self.network.parameters()).device
        corrupted, healthy, contrast, context, t = (x.to(device) for x in (corrupted, healthy, contrast, context, t))
        if self.teacher is not None:
            teacher = self.teacher.to(device)
            healthy = reflow_target(
                lambda y, s: teacher(y, s, contrast, context), corrupted, steps=self.settings.teacher_steps
            )
        return RectifiedFlow.loss(lambda y, s: self.network(y, s, contrast, context), corrupted, healthy.float(), t)

    def draw_pairs(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Corrupted codes, healthy codes (B, C, H, W), contrast indices (B,) and contexts of a random batch."""
        parts = [
            (self._corrupt(batch, rng), batch.code, batch.contrast, batch.context)
            for batch, rng in self.healthy_batches(count, generator)
        ]
        corrupted, healthy, contrast, context = (torch.cat(part) for part in zip(*parts, strict=True))
        return corrupted, healthy, contrast, context

    def _corrupt(self, batch: HealthyBatch, rng: np.random.Generator) -> Tensor:
        corrupted = np.empty(batch.code.shape, np.float32)
        for k, healthy in enumerate(batch.code.numpy()):
            corruption = draw_corruption(
                batch.brain[k], len(healthy), float(self.codec.factor), self._textures, self.settings.corruption, rng
            )
            corrupted[k] = corruption.apply(healthy)
        if self.in_pixels:  # intensities outside the scale do not exist
            corrupted = np.clip(corrupted, batch.scale.background, batch.scale.top)
        return torch.from_numpy(corrupted)

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        from neurogen.training.export_reflect import export_reflect

        if self.settings.start_from is not None:
            network_state = blend(restored(self.start.weights()), network_state, self.settings.start_weight)
        self.network.load_state_dict(network_state)
        self.network.eval()
        export_reflect(self, Path(out) / self.settings.model_id, record | {"settings": asdict(self.settings)})

    def _build(self) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.loop.seed)
            network = build(self.network_description())
        if self.start is not None:
            network.load_state_dict(restored(self.start.weights()))
        return network


def blend(start: dict[str, Tensor], end: dict[str, Tensor], start_weight: float) -> dict[str, Tensor]:
    """The weighted mean of the weights before and after a training that went on from a model.

    What is trained for long fits the corruption ever better and real lesions worse; halfway it keeps most of both.
    Idea: M. Wortsman et al., Robust fine-tuning of zero-shot models (CVPR 2022), whose default is the middle.
    """
    return {name: start_weight * start[name].to(value) + (1 - start_weight) * value for name, value in end.items()}
