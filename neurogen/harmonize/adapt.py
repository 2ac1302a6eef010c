"""Adaptation at test time: the harmonizer moves until its pictures are as likely as the reference site's (eq. 2.6).

Eq. 2.6 is misprinted, p(g(h(x))): what is maximized is the likelihood of h(x) under the flow, which stays frozen. It
stops at the source's bits per dimension, at the least entropy of a user's segmentation network, or at a cap, and keeps
the best state. Every draw is seeded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from neurogen.errors import UsageError
from neurogen.harmonize.flow import bits_of_brain, fixed_noise
from neurogen.harmonize.settings import STOPS
from neurogen.harmonize.slices import middles
from neurogen.harmonize.transform import CurveTransform, NetworkTransform
from neurogen.progress import Progress, silent

SOURCE_BITS, OUT_OF_REACH = "source bits", "out of reach"  # reasons to stop
Segmenter = Callable[[Tensor], Tensor]
"""(B, 1, H, W) harmonized pictures in [0, 1] -> (B, classes, H, W) logits."""


@dataclass(frozen=True)
class AdaptationSettings:
    """How the harmonizer moves; see `stop` for when it ends."""

    stop: str = "bits"  # "bits" of the source (thesis) | "entropy" of a segmenter (thesis) | "cap": after most_steps
    most_steps: int = 40  # ours; the published code makes 20 epochs over the test set
    evaluate_every: int = 5
    patience: int = 4  # evaluations without a gain
    slices: int = 20  # of a site, evenly spread over its scans; ours
    batch_size: int = 8  # published 16 (code), 32 (thesis)
    learning_rate: float | None = None  # None = of the transform
    must_reach: bool = False  # where the source's bits stay out of reach, nothing is changed: another fault must be it
    hold: float = 1.0  # bits per unit of squared distance from the trained harmonizer; ours, see Docs/harmonize.md
    seed: int = 0

    def __post_init__(self) -> None:
        if self.stop not in STOPS:
            raise UsageError(f"The stop rule {self.stop!r} is unknown. Choose one of {', '.join(STOPS)}.")
        if min(self.most_steps, self.evaluate_every, self.slices, self.batch_size) < 1:
            raise UsageError("most_steps, evaluate_every, slices and batch_size must be at least 1.")


@dataclass(frozen=True, eq=False)
class SiteStack:
    """Pictures of all scans of a site in one plane: levels (N, H, W), the levels of the voxels that make each pixel
    (N, 8, H, W), place (N, 3, H, W), curves read (N, R)."""

    levels: np.ndarray
    voxels: np.ndarray
    place: np.ndarray
    read: Tensor


@dataclass(frozen=True)
class Adaptation:
    """How it went. `curve` has one (step, bits per brain pixel, entropy or NaN) an evaluation.

    reason : "source bits", "entropy", "no further gain", "cap", "out of reach" or "not adapted"
    """

    before: float
    after: float
    steps: int
    reason: str
    curve: tuple[tuple[int, float, float], ...]


def adapt(
    transform: CurveTransform | NetworkTransform,
    flow: nn.Module,
    stack: SiteStack,
    source_bits: float,
    settings: AdaptationSettings = AdaptationSettings(),
    *,
    segmenter: Segmenter | None = None,
    progress: Progress = silent,
) -> Adaptation:
    """Move `transform` in place; it is left in its best state. `before` and `after` are of the harmonized pictures.

    Raises UsageError when the stop rule is the entropy and no segmenter is given; Cancelled where `progress` raises it.
    """
    if settings.stop == "entropy" and segmenter is None:
        raise UsageError("The stop rule 'entropy' needs a segmentation network. Give one, or stop at 'bits'.")
    free = [p for p in transform.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(free, lr=settings.learning_rate or transform.learning_rate)
    rng = np.random.default_rng(settings.seed)
    judge = _Judge(transform, flow, stack, settings, segmenter)
    curve = [judge.look(0)]
    start = best_state = transform.adapted()
    best, reason = curve[0], _reached(curve, source_bits, settings)
    step = 0
    while not reason:
        for _ in range(min(settings.evaluate_every, settings.most_steps - step)):
            chosen = rng.choice(len(stack.levels), min(settings.batch_size, len(stack.levels)), replace=False)
            loss = judge.bits(chosen).mean() + settings.hold * transform.penalty()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            progress(f"adapting: step {step}, {curve[-1][1]:.3f} bits", step / settings.most_steps)
        curve.append(judge.look(step))
        if _measure(curve[-1], settings) < _measure(best, settings):
            best, best_state = curve[-1], transform.adapted()
        reason = _reached(curve, source_bits, settings)
    if settings.must_reach and reason != SOURCE_BITS:
        best, best_state, reason = curve[0], start, OUT_OF_REACH
    transform.take(best_state)
    return Adaptation(curve[0][1], best[1], best[0], reason, tuple(curve))


class _Judge:
    """Bits and entropy of the harmonized pictures as the transform is now."""

    def __init__(
        self,
        transform: CurveTransform | NetworkTransform,
        flow: nn.Module,
        stack: SiteStack,
        settings: AdaptationSettings,
        segmenter: Segmenter | None,
    ):
        self.transform, self.flow, self.stack = transform, flow, stack
        self.settings, self.segmenter = settings, segmenter
        self.device = next(flow.parameters()).device

    def pictures(self, chosen: np.ndarray) -> Tensor:
        levels, voxels, place = (
            torch.from_numpy(part[chosen].astype(np.float32)).to(self.device)
            for part in (self.stack.levels[:, None], self.stack.voxels, self.stack.place)
        )
        harmonized = self.transform.pictures(levels, voxels, place, self.stack.read[torch.from_numpy(chosen)])
        return torch.where(levels > 0, harmonized.clamp(1, 255), torch.zeros_like(harmonized))

    def bits(self, chosen: np.ndarray) -> Tensor:
        """(B,) bits per brain pixel. Harmonized levels are not rounded, or no gradient would pass."""
        levels = self.pictures(chosen)
        return bits_of_brain(self.flow, levels, fixed_noise(tuple(levels.shape)).to(self.device))

    @torch.no_grad()
    def look(self, step: int) -> tuple[int, float, float]:
        """(step, mean bits, mean entropy) over all pictures of the stack."""
        found, doubt = [], []
        for start in range(0, len(self.stack.levels), self.settings.batch_size):
            chosen = np.arange(start, min(start + self.settings.batch_size, len(self.stack.levels)))
            found.append(self.bits(chosen).cpu().numpy())
            if self.segmenter is not None:
                doubt.append(mean_entropy(self.segmenter(self.pictures(chosen) / 255), self.stack.levels[chosen]))
        return step, float(np.concatenate(found).mean()), float(np.mean(doubt)) if doubt else float("nan")


def mean_entropy(logits: Tensor, levels: np.ndarray) -> float:
    """Shannon entropy in nats of a segmenter's (B, C, H, W) logits, mean over the brain (levels > 0)."""
    log_share = logits.float().log_softmax(dim=1)
    entropy = -(log_share.exp() * log_share).sum(1).cpu().numpy()
    return float(entropy[np.asarray(levels) > 0].mean())


def spread_over_scans(counts: Sequence[int], total: int) -> list[np.ndarray]:
    """Which pictures of each scan to use: about `total` in all, at least four a scan, evenly spaced."""
    share = max(total // max(len(counts), 1), 4)
    return [middles(n, share) for n in counts]


def _measure(entry: tuple[int, float, float], settings: AdaptationSettings) -> float:
    return entry[2] if settings.stop == "entropy" else entry[1]


def _reached(curve: Sequence[tuple[int, float, float]], source_bits: float, settings: AdaptationSettings) -> str:
    """The reason to stop after the last entry of the curve, or ''."""
    if settings.stop == "bits" and curve[-1][1] <= source_bits:
        return SOURCE_BITS
    measures = [_measure(entry, settings) for entry in curve]
    if settings.stop != "cap" and len(measures) - 1 - int(np.argmin(measures)) >= settings.patience:
        return "entropy" if settings.stop == "entropy" else "no further gain"
    return "cap" if curve[-1][0] >= settings.most_steps else ""
