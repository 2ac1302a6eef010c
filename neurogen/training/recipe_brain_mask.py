"""Train the brain-mask network: heads drawn from label maps, and real heads with masks, under every contrast.

The data folder, searched with its subfolders, holds whole heads in NIfTI:

NAME_labels.nii.gz                              FreeSurfer-like labels with skull, skin and so on (>= 500)
NAME_T1w.nii.gz + NAME_dlmuse.nii.gz            a scan and its automatic labels, every label > 0 is brain
NAME_T1w.nii.gz + NAME_brainmask.nii.gz         a scan and its mask

Drawn and real heads are mixed by `real_share`. Ten real heads and the last two label maps are kept apart; half of them
choose the checkpoint (mean Dice), the others are for `Measured` in the model card.
"""

import glob
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceCELoss
from torch import Tensor

from neurogen.errors import InputRefused
from neurogen.networks.factory import build
from neurogen.preprocess.brain_mask import FIELD_MM, FIELD_SHAPE, MODEL_ID, cut_field, head_center, unit_intensities
from neurogen.progress import Progress, silent
from neurogen.synth.acquisition import random_curve
from neurogen.synth.deform import random_map, warp
from neurogen.synth.heads import (
    HeadLabels,
    HeadSettings,
    add_blobs,
    close_and_fill,
    draw_head,
    finish_head,
    head_labels,
)
from neurogen.training.loop import FitResult, LoopSettings, fit
from neurogen.training.splits import kept_apart
from neurogen.volumes import load_volume, reorient_to_ras, resample_to

MASK_SUFFIXES = ("_dlmuse.nii.gz", "_brainmask.nii.gz")
LABEL_SUFFIX = "_labels.nii.gz"
VALIDATION_DRAWS = 4  # heads drawn from each kept-apart label map, one of them stripped


@dataclass(frozen=True)
class BrainMaskSettings:
    """What is trained and how long."""

    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=5000, batch_size=1, learning_rate=1.2e-3, warmup_steps=50, ema_decay=0.995, patience_gain=0.0
        )
    )
    features: tuple[int, ...] = (32, 32, 48, 64, 96, 32)
    details: int = 16  # local filters at full resolution
    real_share: float = 0.25  # of the heads in a batch
    curve_share: float = 0.3  # of the real heads get another contrast
    kept_apart_heads: int = 10
    kept_apart_maps: int = 2
    heads: HeadSettings = field(default_factory=HeadSettings)


@dataclass(frozen=True)
class RealHead:
    """A scan at 2 mm: image (I, J, K) uint8 (255 = 1.0), brain bool, and the voxel the field is laid around."""

    name: str
    image: np.ndarray
    brain: np.ndarray
    center: np.ndarray


@dataclass(frozen=True)
class HeadData:
    """Everything in memory. `validate` heads are (name, image, brain) on the field, ready for the network."""

    real: tuple[RealHead, ...]
    maps: tuple[HeadLabels, ...]
    validate: tuple[tuple[str, np.ndarray, np.ndarray], ...]


def run(
    data: Path,
    out: Path,
    settings: BrainMaskSettings | None = None,
    *,
    resume: bool = False,
    progress: Progress = silent,
) -> FitResult:
    """Train on the folder `data`; checkpoint, curve and the model folder `brain-mask` come into `out`."""
    settings = settings or BrainMaskSettings()
    task = BrainMaskTask(load_data(Path(data), settings, progress), settings)
    return fit(task, settings.loop, Path(out), resume=resume, progress=progress)


class BrainMaskTask:
    """Dice plus cross-entropy on heads of random contrast; the score is the mean Dice on kept-apart heads."""

    def __init__(self, data: HeadData, settings: BrainMaskSettings):
        self.data, self.settings = data, settings
        arguments = {"features": list(settings.features), "details": settings.details}
        self.description = {"factory": "brain_mask_unet", "arguments": arguments}
        with torch.random.fork_rng():
            torch.manual_seed(settings.loop.seed)
            self.network = build(self.description)
        self._loss = DiceCELoss(sigmoid=True)

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        device = next(self.network.parameters()).device
        seeds = torch.randint(2**31, (self.settings.loop.batch_size,), generator=generator)
        heads = [draw_example(self.data, np.random.default_rng(int(seed)), self.settings) for seed in seeds]
        images = torch.from_numpy(np.stack([image for image, _ in heads]))[:, None].to(device)
        brains = torch.from_numpy(np.stack([brain for _, brain in heads]))[:, None].to(device)
        return self._loss(self.network(images).float(), brains)

    def validate(self) -> dict[str, float]:
        """Dice of each kind of kept-apart head; `score` is their mean."""
        kinds: dict[str, list[float]] = {}
        for name, image, brain in self.data.validate:
            kinds.setdefault(f"dice_{name}", []).append(dice(self._mask(image), brain))
        measures = {name: float(np.mean(values)) for name, values in kinds.items()}
        return measures | {"score": float(np.mean(list(measures.values())))}

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        from neurogen.models import write_model

        write_model(Path(out) / MODEL_ID, manifest(self.data, self.settings, self.description, record), network_state)

    def _mask(self, image: np.ndarray) -> np.ndarray:
        parameter = next(self.network.parameters())
        training = self.network.training
        self.network.eval()
        logits = self.network(torch.from_numpy(image)[None, None].to(parameter))[0, 0]
        self.network.train(training)
        return (logits > 0).cpu().numpy()


def draw_example(
    data: HeadData, rng: np.random.Generator, settings: BrainMaskSettings
) -> tuple[np.ndarray, np.ndarray]:
    """One training pair: image float32 in [0, 1] and brain float32, both `FIELD_SHAPE`."""
    if data.real and (not data.maps or rng.random() < settings.real_share):
        drawn = _vary(data.real[rng.integers(len(data.real))], rng, settings)
    else:
        drawn = draw_head(data.maps[rng.integers(len(data.maps))], rng, settings.heads)
    return unit_intensities(drawn.image), drawn.brain.astype(np.float32)


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|); 1 when both are empty."""
    total = int(mask.sum()) + int(truth.sum())
    return 2 * int((mask & truth).sum()) / total if total else 1.0


def load_data(data: Path, settings: BrainMaskSettings, progress: Progress = silent) -> HeadData:
    """Read the data folder, split it, and draw the validation heads. Raises InputRefused when there is nothing."""
    pairs, maps = find_pairs(data), _files(data, LABEL_SUFFIX)
    if not pairs and len(maps) <= settings.kept_apart_maps:
        raise InputRefused(
            f"{data} holds {len(pairs)} scans with masks and {len(maps)} label maps. Needed are scans NAME_T1w.nii.gz "
            f"with {' or '.join('NAME' + s for s in MASK_SUFFIXES)}, or at least {settings.kept_apart_maps + 1} whole-"
            f"head label maps NAME{LABEL_SUFFIX}. Add them and start again."
        )
    count = settings.kept_apart_heads if len(pairs) > settings.kept_apart_heads else 0
    split = kept_apart(pairs, n=count) if count else None
    trained = split.train if split else tuple(sorted(pairs))
    progress("reading heads", 0.0)
    real = tuple(_load_head(name, *pairs[name]) for name in trained)
    ready = tuple(_load_map(path) for path in maps)
    kept = ready[len(ready) - settings.kept_apart_maps :] if settings.kept_apart_maps < len(ready) else ()
    chosen = [_load_head(name, *pairs[name]) for name in (split.calibrate if split else ())]
    validate = [("real", *_on_field(head)) for head in chosen] + _drawn_validation(kept[:1], settings)
    return HeadData(real, ready[: len(ready) - len(kept)], tuple(validate))


def find_pairs(data: Path) -> dict[str, tuple[Path, Path]]:
    """Scans with masks under a folder: subject -> (image, mask)."""
    masks = {path: suffix for suffix in MASK_SUFFIXES for path in _files(data, suffix)}
    pairs = {p.name.removesuffix(s): (p.with_name(p.name.replace(s, "_T1w.nii.gz")), p) for p, s in masks.items()}
    return {name: pair for name, pair in sorted(pairs.items()) if pair[0].exists()}


def _files(data: Path, suffix: str) -> list[Path]:
    """Files below a folder by the end of their name; linked folders are followed."""
    return sorted(Path(name) for name in glob.glob(f"{glob.escape(str(data))}/**/*{suffix}", recursive=True))


def manifest(data: HeadData, settings: BrainMaskSettings, network: dict, record: dict) -> dict:
    """What the model says about itself; `measured` holds the last validation until a benchmark replaces it."""
    best = next(row for row in record["history"] if row["step"] == record["best_step"])
    return {
        "id": MODEL_ID,
        "version": "1.0.0",
        "task": "brain-mask",
        "method": "3D UNet at 2 mm on heads of random contrast (drawn from label maps) and real T1w heads",
        "contrasts": ["any"],
        "age_range": [20, 82],
        "spacing_mm": FIELD_MM,
        "network": network,
        "training_data": [
            {"name": "whole-head T1w scans with masks", "terms": "as their source states", "scans": len(data.real)},
            {"name": "whole-head label maps", "terms": "as their source states", "scans": len(data.maps)},
        ],
        "training": record,
        "calibration": {},
        "measured": [{"protocol": "kept-apart heads that chose the checkpoint"} | best],
        "seconds": {},
        "licence": "the terms of the training data",
        "field_shape": list(FIELD_SHAPE),
        "definition": "the brain with the fluid in and over its sulci, closed by 3 mm, holes filled",
    }


def _vary(head: RealHead, rng: np.random.Generator, settings: BrainMaskSettings):
    """A real head in another pose, shape, contrast and quality."""
    offsets = random_map(FIELD_SHAPE, rng, settings.heads.deform)
    image, brain = warp(np.stack([head.image, head.brain]), head.center, offsets)
    image, brain = image / 255, brain > 0.5
    if rng.random() < settings.curve_share:
        image = random_curve(image, rng)
    if rng.random() < settings.heads.lesion_share:
        image = add_blobs(image, brain, rng)
    return finish_head(image, brain, rng, settings.heads)


def _load_head(name: str, image_path: Path, mask_path: Path) -> RealHead:
    scan, labels = reorient_to_ras(load_volume(image_path)), reorient_to_ras(load_volume(mask_path, as_labels=True))
    shape = tuple(int(np.ceil(n * s / FIELD_MM)) for n, s in zip(scan.shape, scan.spacing_mm, strict=True))
    affine = scan.affine.copy()
    affine[:3, :3] *= FIELD_MM / np.array(scan.spacing_mm)
    image = unit_intensities(resample_to(scan, shape, affine).array)
    brain = resample_to(labels, shape, affine, order=0).array > 0
    brain = close_and_fill(brain, (FIELD_MM,) * 3)
    return RealHead(name, np.rint(255 * image).astype(np.uint8), brain, head_center(image))


def _load_map(path: Path) -> HeadLabels:
    labels = reorient_to_ras(load_volume(path, as_labels=True))
    return head_labels(labels.array, labels.spacing_mm)


def _on_field(head: RealHead) -> tuple[np.ndarray, np.ndarray]:
    return unit_intensities(cut_field(head.image / np.float32(255), head.center)), cut_field(head.brain, head.center)


def _drawn_validation(maps: tuple[HeadLabels, ...], settings: BrainMaskSettings) -> list:
    """The same drawn heads at every validation: `VALIDATION_DRAWS` of each map, the last of them stripped."""
    drawn = []
    for number, labels in enumerate(maps):
        for draw in range(VALIDATION_DRAWS):
            stripped = draw == VALIDATION_DRAWS - 1
            rng = np.random.default_rng([20260101, number, draw])
            head = draw_head(labels, rng, replace(settings.heads, stripped_share=float(stripped)))
            drawn.append(("stripped" if stripped else "drawn", unit_intensities(head.image), head.brain))
    return drawn
