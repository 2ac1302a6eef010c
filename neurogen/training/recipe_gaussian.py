"""Recipe: Gaussians of healthy features from a backbone that is already trained: minutes instead of hours.

The second half of recipe_simclr.py alone, for scans of one's own scanner with the shipped features. Nothing is learned
by gradients: steps are scans seen.
"""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from neurogen.errors import UsageError
from neurogen.models import ModelStore
from neurogen.networks.factory import load_network
from neurogen.progress import Progress, portion, silent
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.export_gaussian import export_gaussian
from neurogen.training.fit_gaussian import GaussianSettings
from neurogen.training.healthy_volumes import HealthyVolumes
from neurogen.training.loop import FitResult, LoopSettings


@dataclass(frozen=True)
class GaussianFitSettings:
    """Whose features, and how they become Gaussians."""

    model_id: str = "my-gaussian"
    backbone: str = "adult-gaussian"  # id of a model of the method gaussian
    gaussian: GaussianSettings = field(default_factory=GaussianSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)  # of it, only the device counts


def run(
    data: Path, out: Path, settings: GaussianFitSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Fit a detector on the T1w scans or the slice cache in `data`; the model goes to out/<model id>.

    Scans that were prepared are not prepared again, so that a broken run goes on with `resume` or without it.
    Raises UsageError when the backbone's model is of another method.
    """
    model = ModelStore().get(settings.backbone)
    if model.manifest["method"] != "gaussian":
        raise UsageError(f"{settings.backbone!r} has no features to fit (method {model.manifest['method']}).")
    started = time.monotonic()
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.5))
    volumes = HealthyVolumes.of(cache)
    progress("fitting", 0.6)
    folder = Path(out) / settings.model_id
    record = {
        "seed": settings.loop.seed,
        "steps": len(volumes.training),
        "hours": 0.0,
        "backbone": {"model": model.id, "weights_sha256": model.sha256},
        "settings": asdict(settings),
    }
    tried = export_gaussian(
        load_network(model),
        model.manifest["network"],
        volumes,
        settings.gaussian,
        folder,
        facts=data_facts(data, cache),
        record=record,
        context_from=None,
    )
    progress("training", 1.0)
    minutes, best = (time.monotonic() - started) / 60, max(tried.values())
    return FitResult(Path(out), len(volumes.training), minutes, len(volumes.training), best, "steps", ())
