"""Recipe: the flow that knows the reference site (thesis section 2.3.1), from skull-stripped scans of one contrast.

Slices of the site become likely; slices whose contrast was changed become unlikely, by a margin (eq. 2.4). Validation
on kept-apart scans: bits per brain pixel, and for each family of changes the area under the ROC curve of source against
changed slices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurogen.harmonize.contrast import FAMILIES, NEGATIVES, ContrastSettings, apply_curves, draw_negative, milder
from neurogen.harmonize.flow import SCAN_SLICES, bits, bits_of_brain
from neurogen.harmonize.site_slices import SiteSlices
from neurogen.harmonize.slices import PLANES, pictures, site_scans, spread
from neurogen.models import write_model
from neurogen.networks.factory import build
from neurogen.progress import Progress, portion, silent
from neurogen.training.cache import SliceCache
from neurogen.training.dataset import data_facts, open_slices
from neurogen.training.geometry import ShapeSettings, vary_shape
from neurogen.training.loop import FitResult, LoopSettings, fit

VALIDATION_SEED = 20260102
BITS_WEIGHT = 0.05
"""Of the score: the worst area under the ROC curve minus this times bits per brain pixel."""


@dataclass(frozen=True)
class FlowSettings:
    """What is trained. Where the published choice is not ours, both are named."""

    model_id: str = "my-flow"
    contrast: str = "t1w"
    widths: tuple[int, ...] = (16, 32, 48, 64)  # thesis section 2.4.1
    dequantization_widths: tuple[int, ...] = (8, 16, 24, 32)  # ours; published as the others
    margin: float = 1.5  # bits per brain pixel above the own source; thesis: c = 1.2, code: 1.0, of the whole frame
    negative_share: float = 0.5  # of a batch, each a changed copy of one of its source slices; published 0.2, others
    negative_weight: float = 3.0  # of the hinge against the source's bits; published: the ratio of the shares
    mild_share: float = 0.5  # of the negatives, drawn toward the least change that makes one; ours
    shape_share: float = 0.3  # of the source slices warped: warping blurs, and sharpness is part of the likelihood
    plane_shares: tuple[float, ...] = (1.0, 0.0, 0.0)  # of the batches: axial, coronal, sagittal
    validation_slices: int = 6  # per scan
    negatives: ContrastSettings = NEGATIVES
    shape: ShapeSettings = field(default_factory=ShapeSettings)
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=2000, batch_size=16, learning_rate=2e-3, warmup_steps=50, weight_decay=1e-5, validate_every=200,
            ema_decay=0.99, patience_gain=0.0,
        )  # published: Adam 1e-3, 20,000 steps of 32
    )  # fmt: skip


def run(
    data: Path, out: Path, settings: FlowSettings, *, resume: bool = False, progress: Progress = silent
) -> FitResult:
    """Train a flow on the scans or the slice cache in `data`; the model goes to out/<model id>."""
    cache = open_slices(data, Path(out) / "cache", progress=portion(progress, 0.0, 0.1))
    task = FlowTask(cache, settings, facts=data_facts(data, cache))
    return fit(task, settings.loop, out, resume=resume, progress=portion(progress, 0.1, 1.0))


class FlowTask:
    """Batches, loss, validation and export of the flow; see `neurogen.training.loop.Task`."""

    def __init__(self, cache: SliceCache, settings: FlowSettings, *, facts: dict):
        self.settings, self.facts = settings, facts
        self.planes = tuple(p for p, share in zip(PLANES, settings.plane_shares, strict=True) if share > 0)
        scans = site_scans(cache, settings.contrast, "train")
        self.slices = SiteSlices(scans, settings.plane_shares)
        self._offset, self._scale = mean_logit(scans)
        self.kept = site_scans(cache, settings.contrast, "calibrate")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.loop.seed)
            self.network = build(self.network_description())

    def network_description(self) -> dict:
        """The network as a manifest describes it."""
        arguments = {
            "widths": list(self.settings.widths),
            "dequantization_widths": list(self.settings.dequantization_widths),
            "offset": self._offset,
            "scale": self._scale,
        }
        return {"factory": "coupling_flow", "arguments": arguments}

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        """Eq. 2.4 in bits per brain pixel: mean source + weight * mean max(0, source + margin - its changed copy).

        The thesis clamps the changed slices at one c for all. Slices of different levels differ by as much as a change
        of contrast does: against its own source, with the same noise, a negative says what its change has cost.
        """
        levels, negatives = self.draw(self.settings.loop.batch_size, generator)
        device = next(self.network.parameters()).device
        noise = torch.rand(levels[negatives:].shape, generator=generator)
        noise = torch.cat([noise[:negatives], noise])
        cost = bits_of_brain(self.network, levels.to(device), noise.to(device))
        changed, source = cost[:negatives], cost[negatives:]
        missing = (source[:negatives] + self.settings.margin - changed).clamp(min=0)
        return source.mean() + self.settings.negative_weight * missing.mean()

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, int]:
        """(B, 1, rows, columns) levels: first the negatives, then the source slices, the first of which they are
        changed copies of; and how many negatives there are, at most half."""
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        negatives = min(max(1, round(count * self.settings.negative_share)), count // 2)
        source = self.slices.draw(count - negatives, rng)
        warped = torch.from_numpy(rng.random(len(source)) < self.settings.shape_share)
        if warped.any():
            source[warped] = vary_shape(source[warped], self.settings.shape, generator)
        curves = np.stack([self._negative(picture[0].numpy(), rng) for picture in source[:negatives]])
        return torch.cat([apply_curves(source[:negatives], curves).round(), source]), negatives

    def _negative(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        curve = draw_negative(picture, self.settings.negatives, rng)
        if rng.random() < self.settings.mild_share:
            curve = milder(picture, curve, self.settings.negatives, rng)
        return curve

    def validate(self) -> dict[str, float]:
        """Bits of kept-apart slices of the first plane, and how well each family of changes is told from them."""
        stack = np.concatenate(
            [spread(pictures(scan, self.planes[0]), self.settings.validation_slices) for scan in self.kept.values()]
        )
        source = bits(self.network, stack)
        measures = {f"auroc_{name}": separation(self.network, stack, source.brain, name) for name in FAMILIES}
        worst, brain = min(measures.values()), float(source.brain.mean())
        score = worst - BITS_WEIGHT * brain
        return {"score": score, "bits_brain": brain, "bits_frame": float(source.frame.mean()), **measures}

    def told_apart(self) -> dict[str, float]:
        """Area under the ROC curve of whole kept-apart scans against the same scans changed, by family."""
        plane = self.planes[0]
        return {f"auroc_{n}": round(scan_separation(self.network, self.kept, plane, n), 4) for n in FAMILIES}

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        self.network.load_state_dict({name: value.half().float() for name, value in network_state.items()})
        self.network.eval()
        record = record | {"settings": asdict(self.settings)}
        last = {k: round(v, 4) for k, v in self.validate().items()}
        manifest = {
            "id": self.settings.model_id, "version": "1.0.0", "task": "flow", "method": "coupling-flow",
            "contrasts": [self.settings.contrast], "spacing_mm": 2.0, "network": self.network_description(),
            "training": record, "calibration": {"source_bits": source_bits(self.network, self.kept, self.planes)},
            "measured": [
                {"protocol": "kept-apart scans of the site, single slices", **last},
                {"protocol": "the same, whole scans: mean bits of 12 slices under one change", **self.told_apart()},
            ],
            "seconds": {},
            **self.facts,
        }  # fmt: skip
        write_model(Path(out) / self.settings.model_id, manifest, self.network.state_dict())


def mean_logit(scans: dict[str, np.ndarray]) -> tuple[float, float]:
    """Mean and deviation of log(p / (1 - p)), p = (level + 0.5) / 256, over the scans' brain cells."""
    levels = np.concatenate([volume[volume > 0] for volume in scans.values()])
    p = (levels.astype(np.float64) + 0.5) / 256
    logit = np.log(p / (1 - p))
    return round(float(logit.mean()), 4), round(float(logit.std()), 4)


def separation(
    flow: torch.nn.Module,
    stack: np.ndarray,
    source: np.ndarray,
    family: str,
    *,
    settings: ContrastSettings = NEGATIVES,
    seed: int = VALIDATION_SEED,
) -> float:
    """Area under the ROC curve: `source`, the bits of `stack` (N, rows, columns), against its changed slices."""
    rng = np.random.default_rng(seed)
    curves = np.stack([draw_negative(picture, settings, rng, families=(family,)) for picture in stack])
    return area_under_curve(source, changed_bits(flow, stack, curves))


def scan_separation(
    flow: torch.nn.Module,
    scans: Mapping[str, np.ndarray],
    plane: str,
    family: str,
    *,
    slices: int = SCAN_SLICES,
    draws: int = 4,
    settings: ContrastSettings = NEGATIVES,
    seed: int = VALIDATION_SEED,
) -> float:
    """Area under the ROC curve of scans by their mean bits, as adaptation measures a scan, against the same scans under
    `draws` changes each, one curve for all slices of a scan."""
    rng = np.random.default_rng(seed)
    source, changed = [], []
    for levels in scans.values():
        stack = spread(pictures(levels, plane), slices)
        source.append(bits(flow, stack).brain.mean())
        for _ in range(draws):
            curve = draw_negative(stack.reshape(-1, stack.shape[-1]), settings, rng, families=(family,))
            changed.append(changed_bits(flow, stack, np.stack([curve] * len(stack))).mean())
    return area_under_curve(np.array(source), np.array(changed))


def changed_bits(flow: torch.nn.Module, stack: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """(N,) bits per brain pixel of pictures (N, rows, columns), each under its own curve (N, 256)."""
    changed = apply_curves(torch.from_numpy(stack.astype(np.float32))[:, None], curves).round()[:, 0].numpy()
    return bits(flow, changed).brain


def area_under_curve(low: np.ndarray, high: np.ndarray) -> float:
    """Probability that a value of `high` exceeds one of `low`, ties counted half."""
    difference = np.asarray(high)[None, :] - np.asarray(low)[:, None]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def source_bits(
    flow: torch.nn.Module, scans: dict[str, np.ndarray], planes: Sequence[str], *, slices: int = 16
) -> dict[str, dict]:
    """Per plane: mean and deviation over kept-apart scans of a scan's mean bits per brain and per frame pixel."""
    found = {}
    for plane in planes:
        per_scan = [bits(flow, spread(pictures(levels, plane), slices)) for levels in scans.values()]
        brain, frame = ([float(getattr(b, part).mean()) for b in per_scan] for part in ("brain", "frame"))
        found[plane] = {
            "brain": round(float(np.mean(brain)), 4),
            "brain_deviation": round(float(np.std(brain)), 4),
            "brain_most": round(float(np.max(brain)), 4),
            "frame": round(float(np.mean(frame)), 4),
            "scans": len(brain),
        }
    return found
