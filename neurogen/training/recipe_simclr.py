"""Recipe: SimCLR + Gaussian on whole T1w volumes: learn features without labels, then the Gaussian of healthy ones.

Feature Modeling for Anomaly Detection in Neuroimaging Data (D. Kovacevic). A 3D network learns to tell which brain an
altered view came from (contrastive.py, torchio_views.py); its features, and no longer its head, are then compared with
those of healthy brains at every place (fit_gaussian.py). `neurogen train gaussian` repeats the second part alone.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.gaussian_detector import GaussianDetector
from neurogen.errors import InputRefused, UsageError
from neurogen.networks.contrastive_cnn import BACKBONES
from neurogen.networks.factory import build
from neurogen.progress import Progress, portion, silent
from neurogen.training.cache import SliceCache
from neurogen.training.contrastive import ContrastiveLearner
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.fit_gaussian import GaussianSettings, fit_level, planted_precision, rescaled
from neurogen.training.healthy_volumes import HealthyVolumes
from neurogen.training.loop import FitResult, LoopSettings, fit
from neurogen.training.torchio_views import AlteredViews


@dataclass(frozen=True)
class SimclrSettings:
    """What is trained. Ranges in brackets are the report's."""

    model_id: str = "my-gaussian"
    backbone: str = "enhanced-3dcnn-1"  # the best of appendix A.2
    dimensions: int = 64  # of the contrastive space; ours
    bank: int = 512  # 128 to 1024; 1024 in the report's best run
    momentum: float = 0.99
    temperature: float = 0.07  # 0.05 to 0.1
    gaussian: GaussianSettings = field(default_factory=GaussianSettings)
    validation_scans: int = 16  # healthy scans whose Gaussian is judged on planted lesions while training
    context_from: str | None = None  # id of a model whose healthy context is the same and need not be stored again
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=2000,
            batch_size=8,  # 8 to 16
            learning_rate=1e-3,
            warmup_steps=20,
            weight_decay=1e-2,
            validate_every=100,
            ema_decay=0.99,
        )
    )

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise UsageError(f"The backbone {self.backbone!r} is unknown. Choose one of {', '.join(BACKBONES)}.")
        if not self.temperature > 0:
            raise UsageError(f"The temperature is {self.temperature}, but a positive number is needed.")


def run(
    data: Path, out: Path, settings: SimclrSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train a detector on the T1w scans or the slice cache in `data`; the model goes to out/<model id>."""
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.1))
    task = SimclrTask(cache, settings, facts=data_facts(data, cache))
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.1, 1.0))


class SimclrTask:
    """Views, loss, validation and export; see `neurogen.training.loop.Task`."""

    def __init__(self, cache: SliceCache, settings: SimclrSettings, *, facts: dict):
        self.settings, self.facts = settings, facts
        self.volumes = HealthyVolumes.of(cache)
        if len(self.volumes.training) < 2:
            raise InputRefused("SimCLR tells brains apart, but fewer than two T1w scans are there to train on.")
        self._views = AlteredViews(self.volumes.training[0].image.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.loop.seed)
            self.network = ContrastiveLearner(
                build(self.network_description()),
                dimensions=settings.dimensions,
                bank=settings.bank,
                momentum=settings.momentum,
            )

    def network_description(self) -> dict:
        """The whole backbone as a manifest describes it."""
        return {"factory": "contrastive_cnn", "arguments": {"name": self.settings.backbone}}

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        """NT-Xent of some volumes and their altered views."""
        count = min(self.settings.loop.batch_size, len(self.volumes.training))
        subjects = torch.randperm(len(self.volumes.training), generator=generator)[:count]
        plain = [self.volumes.training[int(k)].tensor()[0] for k in subjects]
        altered = [self._views(volume, generator) for volume in plain]
        device = next(self.network.parameters()).device
        return self.network.loss(
            torch.stack(altered).to(device),
            torch.stack(plain).to(device),
            subjects.to(device),
            temperature=self.settings.temperature,
        )

    def validate(self) -> dict[str, float]:
        """Average precision of planted lesions under Gaussians of some healthy scans, at each resolution that may be
        exported; `score` is the best of them."""
        backbone, volumes = self.network.backbone, self.volumes
        scans = volumes.training[:: max(1, len(volumes.training) // self.settings.validation_scans)]
        device = next(backbone.parameters()).device
        half, found = np.s_[::2], {}
        for name in self._resolutions():
            level = fit_level(backbone, scans, self.settings.gaussian, fine=name == "fine")
            level = rescaled(backbone, level, volumes.calibration[:2], shift=0)
            detector = GaussianDetector(backbone, [level], volumes.expected, volumes.scale, device=device)
            found[f"ap_{name}"] = planted_precision(detector, volumes.planted[half], volumes.truth[half])
        return {"score": max(found.values()), **found}

    def _resolutions(self) -> tuple[str, ...]:
        wanted = self.settings.gaussian.resolutions
        return (wanted,) if wanted in ("target", "fine") else ("target", "fine")

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        from neurogen.training.export_gaussian import export_gaussian

        self.network.load_state_dict(network_state)
        self.network.eval()
        settings = self.settings
        export_gaussian(
            self.network.backbone,
            self.network_description(),
            self.volumes,
            settings.gaussian,
            Path(out) / settings.model_id,
            facts=self.facts,
            record=record | {"settings": asdict(settings)},
            context_from=settings.context_from,
        )
