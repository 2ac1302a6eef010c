"""What the recipes of all slice detectors share: healthy slices to corrupt, and validation on planted lesions.

Healthy slices are leveled, varied (augment.py), given artifacts (artifacts.py) and brought to the codec's space; what
is done to them there, and what a network learns from it, is the recipe's own. Validation is what counts in the end: how
well lesions planted in kept-apart healthy slices are found, lesions of kinds that no training ever draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.codec import Codec, PixelCodec
from neurogen.anomaly.contrast_scale import FLAIR, T1W, ContrastScale
from neurogen.anomaly.correction import Correction
from neurogen.anomaly.detector import Detector, ScoreSettings, autoencoder_codec
from neurogen.anomaly.leveling import Leveling
from neurogen.errors import InputRefused, UsageError
from neurogen.models import ModelStore
from neurogen.training.artifacts import ArtifactSettings, add_artifacts
from neurogen.training.augment import AugmentSettings, augment
from neurogen.training.cache import SliceCache
from neurogen.training.healthy_context import healthy_context, slab_of
from neurogen.training.level_slices import SliceLeveling
from neurogen.training.loop import LoopSettings
from neurogen.training.planted_validation import plant_in_slices

SCALES: dict[str, ContrastScale] = {"t1w": T1W, "flair": FLAIR}


@dataclass(frozen=True)
class SliceSettings:
    """What every slice detector is trained with."""

    model_id: str = "my-detector"
    autoencoder: str | None = None  # id of an autoencoder model; None = pixels of 2 mm
    widths: tuple[int, ...] = (32, 64, 96)
    blocks: int = 2
    shares: dict[str, float] = field(default_factory=lambda: {"t1w": 0.6, "flair": 0.4})  # of a batch
    augmentation: AugmentSettings = field(default_factory=AugmentSettings)
    artifacts: ArtifactSettings = field(default_factory=ArtifactSettings)
    validation_slices: int = 40  # per contrast
    leveling_cells: float | None = 8.0  # how smooth a field is taken out of scans (leveling.py), in pixels; None: not
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


@dataclass(frozen=True, eq=False)
class HealthyBatch:
    """Healthy slices of one contrast in the codec's space, ready to be corrupted."""

    scale: ContrastScale
    code: Tensor  # (B, C, H, W)
    brain: np.ndarray  # (B, H, W) bool: cells that are at least half brain
    contrast: Tensor  # (B,)
    context: Tensor  # (B, 2 C, H, W)


class SliceTask:
    """The part of `neurogen.training.loop.Task` that slice detectors share."""

    network: torch.nn.Module
    validation = ScoreSettings()
    correction: Correction  # the method as the exported model will run it

    def __init__(self, cache: SliceCache, settings: SliceSettings, *, facts: dict, store: ModelStore | None = None):
        self.cache, self.settings, self.facts = cache, settings, facts
        self.store = store or ModelStore()
        self.scales = self.scales_of(cache)
        self.codec: Codec = (
            PixelCodec() if settings.autoencoder is None else (autoencoder_codec(self.store.get(settings.autoencoder)))
        )
        self.contexts = {name: healthy_context(cache, name, s, self.codec) for name, s in self.scales.items()}
        self._train = {name: cache.where(split="train", contrast=name) for name in self.scales}
        self._level = {name: SliceLeveling(cache, leveling) for name, leveling in self.levelings().items()}
        self._planted = {
            name: plant_in_slices(cache, name, settings.validation_slices, level=self._level.get(name))
            for name in self.scales
        }

    def scales_of(self, cache: SliceCache) -> dict[str, ContrastScale]:
        """The intensity scales of the contrasts in a cache. Raises InputRefused for a contrast without one."""
        present = [str(name) for name in np.unique(cache.contrast)]
        unknown = [name for name in present if name not in SCALES]
        if unknown:
            raise InputRefused(
                f"No intensity scale is known for {', '.join(unknown)}. Train on {', '.join(SCALES)} scans."
            )
        return {name: SCALES[name] for name in SCALES if name in present}

    @property
    def in_pixels(self) -> bool:
        return isinstance(self.codec, PixelCodec)

    def network_arguments(self) -> dict:
        """The arguments of the UNet that all slice detectors are built on."""
        return {
            "channels": self.codec.channels,
            "contrasts": 1 + max(s.index for s in self.scales.values()),
            "widths": list(self.settings.widths),
            "blocks": self.settings.blocks,
            "fold": 2 if self.settings.autoencoder is None else 1,
            "context": 2 * self.codec.channels,
        }

    def levelings(self) -> dict[str, Leveling]:
        """What levels the volumes of each contrast. Latents say nothing of a receive field."""
        sigma = self.settings.leveling_cells if self.in_pixels else None
        volumes = [name for name, scale in self.scales.items() if sigma and not scale.benchmark_only]
        return {name: Leveling.from_context(self.contexts[name], self.scales[name], sigma) for name in volumes}

    def detector(self) -> Detector:
        """The network as it is now, behind the detector's interface (without healthy statistics)."""
        return Detector(
            self.network,
            self.codec,
            self.scales,
            self.contexts,
            {},
            correction=self.correction,
            levelings=self.levelings(),
            device=next(self.network.parameters()).device,
        )

    def healthy_batches(
        self, count: int, generator: torch.Generator
    ) -> Iterator[tuple[HealthyBatch, np.random.Generator]]:
        """`count` varied healthy slices, one part for each contrast that was drawn, and the generator to go on with."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        names = _draw_contrasts(count, self.settings.shares, list(self.scales), rng)
        for name in self.scales:
            if name in names:
                yield self._healthy_of(name, names.count(name), rng, generator), rng

    def _healthy_of(self, name: str, count: int, rng: np.random.Generator, generator: torch.Generator) -> HealthyBatch:
        scale, chosen = self.scales[name], self._train[name][rng.integers(0, len(self._train[name]), count)]
        slices, brain = self._slabs(chosen, name)
        if self.in_pixels:  # varied as coarse as the network sees them: a quarter of the work
            slices, brain = self.codec.encode(slices, scale), self.codec.encode(brain, scale)
        background = torch.full((count, 1, 1, 1), scale.background)
        pixel_mm = float(self.codec.factor) if self.in_pixels else 1.0
        slices, brain = augment(slices, brain, background, pixel_mm, self.settings.augmentation, generator)
        slices = background + add_artifacts(slices - background, pixel_mm, self.settings.artifacts, generator)
        slices = torch.where(brain > 0, slices.clamp(scale.background, scale.top), background)
        code = slices if self.in_pixels else self.codec.encode(slices, scale)
        cells = torch.nn.functional.adaptive_avg_pool2d(brain, code.shape[-2:])[:, 0].numpy() >= 0.5
        context = self.contexts[name][slab_of(self.cache, chosen, scale)]
        return HealthyBatch(scale, code, cells, torch.full((count,), scale.index), context)

    def _slabs(self, chosen: np.ndarray, name: str) -> tuple[Tensor, Tensor]:
        """Standardized slabs and brains (B, 1, 192, 160): the mean of a slice and the next one of the same scan,
        leveled as detection will level them."""
        following = np.minimum(chosen + 1, len(self.cache) - 1)
        paired = (self.cache.subject[following] == self.cache.subject[chosen]) & (
            self.cache.level[following] == self.cache.level[chosen] + 1
        )
        following = np.where(paired, following, chosen)
        pair = np.stack([self.cache.images[chosen], self.cache.images[following]]).astype(np.float32) / 255
        inside = (pair > 0).sum(0)
        slab = pair.sum(0) / np.maximum(inside, 1)
        if name in self._level:
            slab = self._level[name](slab, chosen)
        standardized = self.scales[name].standardize(slab, inside > 0)
        return torch.from_numpy(standardized)[:, None], torch.from_numpy((inside > 0).astype(np.float32))[:, None]

    def validate(self) -> dict[str, float]:
        """Average precision of planted lesions, per contrast and their mean (`score`), and the flow's healthy error."""
        measures: dict[str, float] = {}
        detector = self.detector()
        for name, planted in self._planted.items():
            measures |= {f"{key}_{name}": value for key, value in planted.measure(detector, self.validation).items()}
        return {"score": float(np.mean([measures[f"ap_{name}"] for name in self._planted])), **measures}


def _draw_contrasts(count: int, shares: dict[str, float], present: list[str], rng: np.random.Generator) -> list[str]:
    weight = np.array([shares.get(name, 0.0) for name in present])
    if weight.sum() <= 0:
        raise UsageError(f"The shares {shares} leave nothing to draw from {present}. Give each contrast a share.")
    return [present[k] for k in rng.choice(len(present), count, p=weight / weight.sum())]
