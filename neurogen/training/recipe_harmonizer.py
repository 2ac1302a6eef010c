"""Recipe: a site model, that is the harmonizer and the flow of one reference site, and their manifest, in one call.

The flow is trained first (recipe_flow.py) unless one is given. The harmonizer then learns to undo changes of contrast
by L1 + SSIM (eq. 2.5) on slices whose shape is varied, too (section 2.4.2.4). For the head "curve", every rising change
of a whole scan is undone by landmarks before the network sees it (landmarks.py), but wrongly where the anatomy is not
the average: so the landmarks are taken from a random part of each scan, and the network learns to put that right.
"""

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurogen.harmonize.contrast import FAMILIES, TO_UNDO, ContrastSettings, apply_curves, draw_curve, rescaled
from neurogen.harmonize.landmarks import follow_landmarks, landmarks_of
from neurogen.harmonize.similarity import ssim_of_pictures
from neurogen.harmonize.site_slices import SiteSlices
from neurogen.harmonize.slices import pictures, site_images, site_scans, spread
from neurogen.harmonize.tissue_shading import TissueReference, tissue_reference
from neurogen.networks.factory import build
from neurogen.progress import Progress, portion, silent
from neurogen.training.cache import SliceCache
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.geometry import ShapeSettings, vary_shape
from neurogen.training.loop import FitResult, LoopSettings, fit
from neurogen.training.recipe_flow import VALIDATION_SEED, FlowSettings, FlowTask

FLOW_ID = "flow"


@dataclass(frozen=True)
class HarmonizerSettings:
    """What is trained. Where the published choice is not ours, both are named."""

    model_id: str = "my-site"
    contrast: str = "t1w"
    flow: str | None = None  # folder of a trained flow; None trains one first
    flow_steps: int = 2000
    flow_minutes: float | None = None
    head: str = "curve"  # ours; published: image (thesis), affine (conference version)
    widths: tuple[int, ...] = (16, 32, 48, 64, 64)  # thesis section 2.4.1
    nodes: int = 16  # of the curve
    unchanged_share: float = 0.2  # of a batch: what already is the site's must stay; ours
    least_part: float = 0.35  # of a scan's extent along an axis that landmarks are taken from; head curve; ours
    most_families: int = 3  # chained in one change
    plane_shares: tuple[float, ...] = (0.6, 0.2, 0.2)  # of the batches: axial, coronal, sagittal
    reference_unit: float = 255.0  # intensity of the 98th percentile of a harmonized brain
    validation_slices: int = 8  # per scan
    changes: ContrastSettings = TO_UNDO
    shape: ShapeSettings = field(default_factory=ShapeSettings)
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=3000, batch_size=16, learning_rate=1e-3, warmup_steps=50, weight_decay=1e-4, validate_every=250,
            ema_decay=0.99, patience_gain=0.0,
        )  # published: Adam 1e-3, 5,000 steps of 64
    )  # fmt: skip


def run(
    data: Path, out: Path, settings: HarmonizerSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train the pair on the scans or the slice cache in `data`; the site model goes to out/<model id>."""
    out = Path(out)
    cache = open_slices(data, out / "cache", progress=portion(progress, 0.0, 0.1))
    facts = data_facts(data, cache)
    flow = Path(settings.flow) if settings.flow else _train_flow(cache, facts, out, settings, resume, progress)
    task = HarmonizerTask(cache, settings, facts=facts, flow=flow)
    resume = resume and (out / "checkpoint.pt").exists()
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.6, 1.0))


def _train_flow(
    cache: SliceCache, facts: dict, out: Path, settings: HarmonizerSettings, resume: bool, progress: Progress
) -> Path:
    """The folder of the flow's model, trained unless an earlier run has finished it."""
    folder = out / "flow" / FLOW_ID
    if resume and folder.is_dir():
        return folder
    base = FlowSettings()
    loop = replace(
        settings.loop, steps=settings.flow_steps, minutes=settings.flow_minutes,
        learning_rate=base.loop.learning_rate, weight_decay=base.loop.weight_decay,
        batch_size=base.loop.batch_size, validate_every=base.loop.validate_every,
    )  # fmt: skip
    task = FlowTask(cache, replace(base, model_id=FLOW_ID, contrast=settings.contrast, loop=loop), facts=facts)
    resume = resume and (out / "flow" / "checkpoint.pt").exists()
    fit(task, loop, out / "flow", resume=resume, progress=portion(progress, 0.1, 0.6))
    return folder


class HarmonizerTask:
    """Batches, loss, validation and export of the harmonizer; see `neurogen.training.loop.Task`."""

    def __init__(self, cache: SliceCache, settings: HarmonizerSettings, *, facts: dict, flow: Path):
        self.settings, self.facts, self.flow = settings, facts, Path(flow)
        self.train = site_scans(cache, settings.contrast, "train")
        self.kept = site_scans(cache, settings.contrast, "calibrate")
        self.images = partial(site_images, cache, settings.contrast)
        self.landmarks = np.mean([landmarks_of(image[image > 0]) for _, image in self.images("train")], axis=0)
        self._of_cells = np.mean([landmarks_of(v[v > 0] / 255) for v in self.train.values()], axis=0)
        self.slices = SiteSlices(self.train, settings.plane_shares)
        self._validation = self._fixed_pairs()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.loop.seed)
            self.network = build(self.network_description())

    @cached_property
    def tissues(self) -> TissueReference:
        """Against which a shading will be read; of all training scans."""
        return tissue_reference(list(self.train.values()))

    def network_description(self) -> dict:
        """The network as a manifest describes it."""
        settings = self.settings
        arguments = {"widths": list(settings.widths), "head": settings.head, "nodes": settings.nodes}
        return {"factory": "harmonizer_unet", "arguments": arguments}

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        """Eq. 2.5 over the brain: mean |x - h(f(x))| + 1 - SSIM(x, h(f(x)))."""
        changed, source = self.draw(self.settings.loop.batch_size, generator)
        device = next(self.network.parameters()).device
        changed, source = changed.to(device) / 255, source.to(device) / 255
        return reconstruction_loss(self.network(changed).float(), source)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the network sees, and source slices (B, 1, rows, columns), in levels."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        if self.settings.head == "curve":
            chosen, owners = self.slices.draw_with_owners(count, rng)
            source = vary_shape(chosen, self.settings.shape, generator)
            return self._landmarked(source, owners, rng), source
        source = vary_shape(self.slices.draw(count, rng), self.settings.shape, generator)
        return self._changed(source, rng), source

    def _landmarked(self, source: Tensor, owners: list[str], rng: np.random.Generator) -> Tensor:
        """Every slice with landmarks moved to the reference's as if a random part of its scan were the whole.

        With `unchanged_share`, the whole is taken.
        """
        own = []
        for name in owners:
            least = 1.0 if rng.random() < self.settings.unchanged_share else self.settings.least_part
            own.append(landmarks_of(random_part(self.train[name], least, rng) / 255))
        return self._moved(source, np.stack(own))

    def _moved(self, source: Tensor, own: np.ndarray) -> Tensor:
        own, standard = torch.from_numpy(own).float(), torch.from_numpy(self._of_cells).float()[None]
        mapped = follow_landmarks(source.flatten(1) / 255, own, standard).reshape(source.shape) * 255
        return torch.where(source > 0, mapped.clamp(min=1), torch.zeros_like(mapped))

    def _changed(self, source: Tensor, rng: np.random.Generator) -> Tensor:
        """Every slice under its own change of contrast, prepared as a scan of another site would be."""
        curves = []
        for picture in source:
            brain = picture[picture > 0]
            unchanged = rng.random() < self.settings.unchanged_share or not len(brain)
            number = 0 if unchanged else rng.integers(1, self.settings.most_families + 1)
            names = rng.choice(list(FAMILIES), size=number, replace=False)
            pivot = float(brain.mean()) if len(brain) else 128.0
            curves.append(rescaled(draw_curve(names, pivot, self.settings.changes, rng)))
        return apply_curves(source, np.stack(curves)).round()

    def _fixed_pairs(self) -> tuple[Tensor, Tensor]:
        """Kept-apart slices under fixed changes; for the head "curve", with the landmarks of fixed parts."""
        rng = np.random.default_rng(VALIDATION_SEED)
        stacks = [spread(pictures(scan, "axial"), self.settings.validation_slices) for scan in self.kept.values()]
        source = torch.from_numpy(np.concatenate(stacks).astype(np.float32))[:, None]
        if self.settings.head != "curve":
            return self._changed(source, rng), source
        owners = [name for name, stack in zip(self.kept, stacks, strict=True) for _ in stack]
        parts = [random_part(self.kept[name], self.settings.least_part, rng) for name in owners]
        return self._moved(source, np.stack([landmarks_of(part / 255) for part in parts])), source

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean absolute error (share of the range) and SSIM on kept-apart slices under fixed changes."""
        device = next(self.network.parameters()).device
        changed, source = (part.to(device) / 255 for part in self._validation)
        restored = self.network(changed).float()
        inside = source > 0
        measures = {
            "error": float((restored - source)[inside].abs().mean()),
            "ssim": float(ssim_of_pictures(restored, source, inside)),
            "error_unharmonized": float((changed - source)[inside].abs().mean()),
            "error_of_source": float((self.network(source).float() - source)[inside].abs().mean()),
        }
        return {"score": measures["ssim"] - measures["error"], **measures}

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        from neurogen.training.export_harmonizer import export_site

        self.network.load_state_dict(network_state)
        self.network.eval()
        export_site(self, Path(out) / self.settings.model_id, record | {"settings": asdict(self.settings)})


def random_part(levels: np.ndarray, least: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) brain levels of a random slab of a scan (80, 96, 80), of at least the share `least` along one axis."""
    axis = rng.integers(3)
    inside = np.flatnonzero((levels > 0).any(tuple(a for a in range(3) if a != axis)))
    size = max(int(len(inside) * rng.uniform(least, 1.0)), 8)
    start = inside[0] + rng.integers(0, max(len(inside) - size, 0) + 1)
    part = levels.take(range(start, min(start + size, inside[-1] + 1)), axis=axis)
    return part[part > 0]


def reconstruction_loss(restored: Tensor, source: Tensor) -> Tensor:
    """L1 + 1 - SSIM over the brain of (B, 1, H, W) pictures in [0, 1] (eq. 2.5)."""
    inside = source > 0
    absolute = ((restored - source).abs() * inside).sum() / inside.sum().clamp(min=1)
    return absolute + 1 - ssim_of_pictures(restored, source, inside)
