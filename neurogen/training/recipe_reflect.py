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

from neurogen.anomaly.codec import Codec, PixelCodec
from neurogen.anomaly.contrast_scale import FLAIR, T1W, ContrastScale
from neurogen.anomaly.corruption import CorruptionSettings, draw_corruption
from neurogen.anomaly.detector import Detector, autoencoder_codec, load_detector
from neurogen.anomaly.reflect import RectifiedFlow, reflow_target
from neurogen.anomaly.textures import texture_bank
from neurogen.errors import InputRefused, UsageError
from neurogen.models import ModelStore
from neurogen.networks.factory import build
from neurogen.progress import Progress, portion, silent
from neurogen.training.augment import AugmentSettings, augment
from neurogen.training.cache import SliceCache
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.healthy_context import healthy_context, slab_of
from neurogen.training.loop import FitResult, LoopSettings, fit
from neurogen.training.planted_validation import plant_in_slices

SCALES: dict[str, ContrastScale] = {"t1w": T1W, "flair": FLAIR}


@dataclass(frozen=True)
class ReflectSettings:
    """What is trained, and on what."""

    model_id: str = "my-reflect"
    autoencoder: str | None = None  # id of an autoencoder model; None = pixels of 2 mm
    teacher: str | None = None  # id of a REFLECT model whose paths 2-REFLECT learns
    teacher_steps: int = 5  # published implementation
    widths: tuple[int, ...] = (32, 64, 96)
    blocks: int = 2
    shares: dict[str, float] = field(default_factory=lambda: {"t1w": 0.6, "flair": 0.4})  # of a batch
    start_share: float = 0.7  # of the times drawn at t = 0, where a one-step correction starts; ours
    textures: int = 256
    corruption: CorruptionSettings = field(default_factory=CorruptionSettings)
    augmentation: AugmentSettings = field(default_factory=AugmentSettings)
    validation_slices: int = 40  # per contrast
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=6000,
            batch_size=16,
            learning_rate=1e-3,
            warmup_steps=100,
            weight_decay=1e-2,
            validate_every=250,
            ema_decay=0.998,
        )
    )


def run(
    data: Path, out: Path, settings: ReflectSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train a detector on the scans or the slice cache in `data`; the model goes to out/<model id>."""
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.1))
    task = ReflectTask(cache, settings, facts=data_facts(data, cache))
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.1, 1.0))


class ReflectTask:
    """Batches, loss, validation and export of the flow; see `neurogen.training.loop.Task`."""

    def __init__(self, cache: SliceCache, settings: ReflectSettings, *, facts: dict, store: ModelStore | None = None):
        self.cache, self.settings, self.facts = cache, settings, facts
        self.store = store or ModelStore()
        self.scales = _scales(cache)
        self.codec: Codec = (
            PixelCodec() if settings.autoencoder is None else (autoencoder_codec(self.store.get(settings.autoencoder)))
        )
        self.teacher = None if settings.teacher is None else load_detector(self.store.get(settings.teacher)).velocity
        self.contexts = {name: healthy_context(cache, name, s, self.codec) for name, s in self.scales.items()}
        self.network = self._build()
        self._train = {name: cache.where(split="train", contrast=name) for name in self.scales}
        self._textures = texture_bank(settings.textures, (96, 80), np.random.default_rng(settings.loop.seed))
        self._planted = {name: plant_in_slices(cache, name, settings.validation_slices) for name in self.scales}

    def network_description(self) -> dict:
        """The network as a manifest describes it."""
        fold = 2 if self.settings.autoencoder is None else 1
        arguments = {
            "channels": self.codec.channels,
            "contrasts": 1 + max(s.index for s in self.scales.values()),
            "widths": list(self.settings.widths),
            "blocks": self.settings.blocks,
            "fold": fold,
            "context": 2 * self.codec.channels,
        }
        return {"factory": "velocity_unet", "arguments": arguments}

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
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        names = _draw_contrasts(count, self.settings.shares, list(self.scales), rng)
        parts = [self._pairs_of(name, names.count(name), rng, generator) for name in self.scales if name in names]
        corrupted, healthy, contrast, context = (torch.cat(part) for part in zip(*parts, strict=True))
        return corrupted, healthy, contrast, context

    def _pairs_of(
        self, name: str, count: int, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scale, chosen = self.scales[name], self._train[name][rng.integers(0, len(self._train[name]), count)]
        slices, brain = self._slabs(chosen, scale)
        in_pixels = isinstance(self.codec, PixelCodec)
        if in_pixels:  # varied as coarse as the flow sees them: a quarter of the work
            slices, brain = self.codec.encode(slices, scale), self.codec.encode(brain, scale)
        background = torch.full((count, 1, 1, 1), scale.background)
        pixel_mm = float(self.codec.factor) if in_pixels else 1.0
        slices, brain = augment(slices, brain, background, pixel_mm, self.settings.augmentation, generator)
        slices = torch.where(brain > 0, slices.clamp(scale.background, scale.top), background)
        code = slices if in_pixels else self.codec.encode(slices, scale)
        corrupted = self._corrupt(code, brain, scale, rng)
        context = self.contexts[name][slab_of(self.cache, chosen, scale)]
        return corrupted, code, torch.full((count,), scale.index), context

    def _slabs(self, chosen: np.ndarray, scale: ContrastScale) -> tuple[Tensor, Tensor]:
        """Standardized slabs and brains (B, 1, 192, 160): the mean of a slice and the next one of the same scan."""
        following = np.minimum(chosen + 1, len(self.cache) - 1)
        paired = (self.cache.subject[following] == self.cache.subject[chosen]) & (
            self.cache.level[following] == self.cache.level[chosen] + 1
        )
        following = np.where(paired, following, chosen)
        pair = np.stack([self.cache.images[chosen], self.cache.images[following]]).astype(np.float32) / 255
        inside = (pair > 0).sum(0)
        slab = pair.sum(0) / np.maximum(inside, 1)
        standardized = scale.standardize(slab, inside > 0)
        return torch.from_numpy(standardized)[:, None], torch.from_numpy((inside > 0).astype(np.float32))[:, None]

    def _corrupt(self, code: Tensor, brain: Tensor, scale: ContrastScale, rng: np.random.Generator) -> Tensor:
        cells = torch.nn.functional.adaptive_avg_pool2d(brain, code.shape[-2:])[:, 0].numpy() >= 0.5
        corrupted = np.empty(code.shape, np.float32)
        for k, healthy in enumerate(code.numpy()):
            corruption = draw_corruption(
                cells[k], len(healthy), float(self.codec.factor), self._textures, self.settings.corruption, rng
            )
            corrupted[k] = corruption.apply(healthy)
        if isinstance(self.codec, PixelCodec):  # intensities outside the scale do not exist
            corrupted = np.clip(corrupted, scale.background, scale.top)
        return torch.from_numpy(corrupted)

    def validate(self) -> dict[str, float]:
        """Average precision of planted lesions, per contrast and their mean (`score`), and the flow's healthy error."""
        measures: dict[str, float] = {}
        detector = self.detector()
        for name, planted in self._planted.items():
            measures |= {f"{key}_{name}": value for key, value in planted.measure(detector).items()}
        return {"score": float(np.mean([measures[f"ap_{name}"] for name in self._planted])), **measures}

    def detector(self) -> Detector:
        """The network as it is now, behind the detector's interface (without healthy statistics)."""
        device = next(self.network.parameters()).device
        return Detector(self.network, self.codec, self.scales, self.contexts, {}, device=device)

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        from neurogen.training.export_reflect import export_reflect

        self.network.load_state_dict(network_state)
        self.network.eval()
        export_reflect(self, Path(out) / self.settings.model_id, record | {"settings": asdict(self.settings)})

    def _build(self) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.loop.seed)
            network = build(self.network_description())
        if self.teacher is not None:
            network.load_state_dict(self.teacher.state_dict())  # 2-REFLECT starts from 1-REFLECT
        return network


def _scales(cache: SliceCache) -> dict[str, ContrastScale]:
    present = [str(name) for name in np.unique(cache.contrast)]
    unknown = [name for name in present if name not in SCALES]
    if unknown:
        raise InputRefused(f"No intensity scale is known for {', '.join(unknown)}. Train on {', '.join(SCALES)} scans.")
    return {name: SCALES[name] for name in SCALES if name in present}


def _draw_contrasts(count: int, shares: dict[str, float], present: list[str], rng: np.random.Generator) -> list[str]:
    weight = np.array([shares.get(name, 0.0) for name in present])
    if weight.sum() <= 0:
        raise UsageError(f"The shares {shares} leave nothing to draw from {present}. Give each contrast a share.")
    return [present[k] for k in rng.choice(len(present), count, p=weight / weight.sum())]
