"""The judges of the harmonization benchmark: two small tissue segmenters of the reference site, alike but for this:

"plain" was trained without any change of intensity (as in the paper, section 2.4.1), so that a change of scanner hurts;
"augmented" saw the contrast families, noise and blur (in the manner of BigAug): the honest rival of harmonization.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neurogen.evaluation.harmonize_truth import CLASSES
from neurogen.harmonize.contrast import FAMILIES, TO_UNDO, apply_curves, draw_curve, rescaled
from neurogen.harmonize.slices import pictures, worth_judging
from neurogen.preprocess.grid import from_slices
from neurogen.progress import Progress, silent

PLAIN, ROBUST = KINDS = ("plain", "augmented")
CLASS_COUNT = 1 + len(CLASSES)


@dataclass(frozen=True)
class SegmenterSettings:
    steps: int = 2000
    batch_size: int = 8
    learning_rate: float = 3e-3
    widths: tuple[int, ...] = (16, 32, 64)
    seed: int = 0


class TissueUNet(nn.Module):
    """Axial pictures (B, 1, 96, 80) in [0, 1] and their height (B,), 0 at the lowest slice of the grid, 1 at the
    highest -> logits (B, 5, 96, 80). Where a pixel lies is an input, too."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.first = _block(4, widths[0])
        self.down = nn.ModuleList(_block(a, b) for a, b in pairs)
        self.up = nn.ModuleList(_block(a + b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(widths[0], CLASS_COUNT, 1)

    def forward(self, x: Tensor, height: Tensor) -> Tensor:
        rows = torch.linspace(-1, 1, x.shape[2], device=x.device)[None, None, :, None].expand_as(x)
        columns = torch.linspace(-1, 1, x.shape[3], device=x.device).abs()[None, None, None].expand_as(x)
        heights = height.to(x)[:, None, None, None].expand_as(x)
        hidden, skips = self.first(torch.cat([x, rows, columns, heights], dim=1)), []
        for block in self.down:
            skips.append(hidden)
            hidden = block(functional.max_pool2d(hidden, 2))
        for block in self.up:
            hidden = block(torch.cat([functional.interpolate(hidden, scale_factor=2.0), skips.pop()], dim=1))
        return self.last(hidden)


def train_segmenter(
    kind: str,
    scans: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
    settings: SegmenterSettings = SegmenterSettings(),
    progress: Progress = silent,
) -> TissueUNet:
    """Scans (levels) and their classes, both (80, 96, 80) by subject, to a trained network."""
    from monai.losses import DiceCELoss

    stacks = {name: pictures(levels, "axial") for name, levels in scans.items()}
    kept = {name: worth_judging(stack) for name, stack in stacks.items()}
    images = np.concatenate([stacks[name][kept[name]] for name in scans])
    heights = np.concatenate([kept[name] / (len(stacks[name]) - 1) for name in scans])
    targets = np.concatenate([pictures(truth[name], "axial")[kept[name]] for name in scans])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = TissueUNet(settings.widths)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    # Dice over the batch: deep gray, a fiftieth of the brain, counts as much as the other classes.
    measure = DiceCELoss(to_onehot_y=True, softmax=True, batch=True)
    rng = np.random.default_rng(settings.seed)
    for step in range(settings.steps):
        chosen = rng.integers(0, len(images), settings.batch_size)
        picture = torch.from_numpy(images[chosen].astype(np.float32))[:, None]
        if kind == ROBUST:
            picture = _varied(picture, rng)
        logits = network(picture / 255, torch.from_numpy(heights[chosen]))
        loss = measure(logits, torch.from_numpy(targets[chosen].astype(np.int64))[:, None])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(f"training the {kind} segmenter", step / settings.steps)
    return network.eval().requires_grad_(False)


def load_or_train(
    kind: str,
    scans: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
    cache: Path,
    settings: SegmenterSettings = SegmenterSettings(),
    progress: Progress = silent,
) -> TissueUNet:
    """The segmenter kept in the cache folder for these settings and this number of scans, or a new one, kept there."""
    from safetensors.torch import load_file, save_file

    name = f"segmenter-{kind}-{len(scans)}-{settings.steps}-{settings.seed}.safetensors"
    path = Path(cache) / name
    if path.exists():
        network = TissueUNet(settings.widths)
        network.load_state_dict(load_file(path))
        return network.eval().requires_grad_(False)
    network = train_segmenter(kind, scans, truth, settings, progress)
    save_file(network.state_dict(), path)
    return network


@torch.no_grad()
def segment(network: TissueUNet, levels: np.ndarray, *, batch_size: int = 40) -> np.ndarray:
    """Levels (80, 96, 80) -> classes (80, 96, 80) uint8, background outside the brain."""
    stack = pictures(levels, "axial")
    parts = []
    for start in range(0, len(stack), batch_size):
        picture = torch.from_numpy(stack[start : start + batch_size].astype(np.float32))[:, None]
        height = torch.arange(start, start + len(picture)) / (len(stack) - 1)
        logits = network(picture / 255, height)
        parts.append((logits[:, 1:].argmax(1) + 1).numpy().astype(np.uint8))
    return from_slices(np.concatenate(parts)) * (levels > 0)


def _varied(levels: Tensor, rng: np.random.Generator) -> Tensor:
    """Contrast of the training families, noise up to 4 % of the range, and blur, each at random."""
    curves = []
    for picture in levels:
        names = rng.choice(list(FAMILIES), size=rng.integers(0, 4), replace=False)
        curves.append(rescaled(draw_curve(names, float(picture[picture > 0].mean()), TO_UNDO, rng)))
    varied = apply_curves(levels, np.stack(curves))
    noise = torch.from_numpy(rng.normal(size=varied.shape).astype(np.float32))
    sigma = torch.from_numpy(rng.uniform(0, 10, size=(len(levels), 1, 1, 1)).astype(np.float32))
    varied = (varied + sigma * noise).clamp(1, 255)
    if rng.random() < 0.3:
        varied = functional.avg_pool2d(varied, 3, stride=1, padding=1)
    return torch.where(levels > 0, varied, torch.zeros_like(varied))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers = []
    for a in (inputs, outputs):
        layers += [nn.Conv2d(a, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers)
