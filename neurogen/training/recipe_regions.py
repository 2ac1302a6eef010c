"""Train the network that finds the Draw-EM regions in a newborn's brain-extracted scan of any contrast.

The data folder, searched with its subfolders, holds label maps NAME_regions.nii.gz (87 regions, the outer fluid
included) and, where there are any, the brain-extracted T2w scans NAME_T2w.nii.gz on the same grid.

Every fourth map by name, from the third on, is kept apart: never drawn from and not asked which checkpoint is best;
that is decided by fixed drawn brains. `Measured` in the model card says what the kept-apart scans gave.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from neurogen.brain_age.label_maps import LABEL_SUFFIX, SCAN_SUFFIX, dice_of, find_maps, split_names
from neurogen.brain_age.region_choice import best_of_each_tissue
from neurogen.brain_age.regions import EXTRA_CRANIAL, LABELS, LAST_LABEL
from neurogen.brain_age.segmentation import GRID_MM, MODEL_ID, TASK
from neurogen.brain_age.tissues import MIRRORED, TISSUE_OF, TISSUES
from neurogen.errors import InputRefused
from neurogen.networks.factory import build
from neurogen.networks.region_unet import PRIOR_REACH, PRIOR_SHAPE
from neurogen.progress import Progress, silent
from neurogen.synth.newborns import (
    DrawnBrain,
    NewbornMap,
    NewbornSettings,
    draw_newborn,
    mirrored_map,
    newborn_map,
    prior_of,
)
from neurogen.training.loop import FitResult, LoopSettings, fit
from neurogen.volumes import Volume, load_volume, reorient_to_ras, resample_to, same_grid

FLUID = (83, 85)
VALIDATION_DRAWS = 8


@dataclass(frozen=True)
class RegionsSettings:
    """What is trained and how long."""

    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=4000, batch_size=1, learning_rate=2e-3, warmup_steps=50, ema_decay=0.995, patience_gain=0.0
        )
    )
    filters: tuple[int, ...] = (24, 48, 72, 96)
    details: int = 16  # filters of the tissue head at full resolution
    head_steps: int = 400  # train that head alone first: faster, and the UNet starts from what it knows
    dice_weight: float = 1.0
    drawing: NewbornSettings = field(default_factory=NewbornSettings)


@dataclass(frozen=True, eq=False)
class RegionData:
    """Maps to draw from, both hands of each, and the fixed brains that choose the checkpoint."""

    names: tuple[str, ...]
    kept_apart: tuple[str, ...]
    maps: tuple[NewbornMap, ...]
    validate: tuple[DrawnBrain, ...]


def run(
    data: Path,
    out: Path,
    settings: RegionsSettings | None = None,
    *,
    resume: bool = False,
    progress: Progress = silent,
) -> FitResult:
    """Train on the folder `data`; checkpoint, curve and the model folder `neonatal-regions` come into `out`."""
    settings = settings or RegionsSettings()
    task = RegionsTask(load_data(Path(data), settings, progress), settings)
    return fit(task, settings.loop, Path(out), resume=resume, progress=progress)


class RegionsTask:
    """Cross-entropy and Dice of tissues, cross-entropy of regions given their tissue; the score is the mean Dice of
    regions on fixed drawn brains."""

    def __init__(self, data: RegionData, settings: RegionsSettings):
        self.data, self.settings = data, settings
        arguments = {"filters": list(settings.filters), "tissues": len(TISSUES), "regions": LAST_LABEL + 1,
                     "details": settings.details}  # fmt: skip
        self.description = {"factory": "region_unet", "arguments": arguments}
        with torch.random.fork_rng():
            torch.manual_seed(settings.loop.seed)
            self.network = build(self.description)
        prior = prior_of(data.maps, PRIOR_SHAPE, PRIOR_REACH, LAST_LABEL + 1)
        self.network.set_prior(torch.from_numpy(prior), torch.from_numpy(TISSUE_OF))

    def training_loss(self, step: int, generator: torch.Generator) -> Tensor:
        device = next(self.network.parameters()).device
        seeds = torch.randint(2**31, (self.settings.loop.batch_size,), generator=generator)
        drawn = [self._draw(np.random.default_rng(int(seed))) for seed in seeds]
        scans = torch.from_numpy(np.stack([one.scan for one in drawn])).to(device)
        labels = torch.from_numpy(np.stack([one.labels for one in drawn])).to(device).long()
        corner = torch.randint(2, (3,), generator=generator).tolist()
        tissues, regions = self.network(scans, whole=step >= self.settings.head_steps)
        loss = tissue_loss(tissues.float(), labels, self.settings.dice_weight)
        return loss if regions is None else loss + region_loss(regions, labels, corner)

    def validate(self) -> dict[str, float]:
        """Dice of tissues and of regions over all fixed brains together; `score` is that of the regions."""
        given = [one.labels for one in self.data.validate]
        found = [self._segment(one.scan) for one in self.data.validate]
        tissues = dice_of(TISSUE_OF[np.stack(found)], TISSUE_OF[np.stack(given)], range(1, len(TISSUES)))
        regions = dice_of(np.stack(found), np.stack(given), LABELS)
        return {"dice_tissues": float(np.nanmean(tissues)), "score": float(np.nanmean(regions))}

    def export(self, out: Path, network_state: dict[str, Tensor], record: dict) -> None:
        from neurogen.models import write_model

        write_model(Path(out) / MODEL_ID, manifest(self.data, self.description, record), network_state)

    def _draw(self, rng: np.random.Generator) -> DrawnBrain:
        one = self.data.maps[rng.integers(len(self.data.maps))]
        return draw_newborn(one, TISSUE_OF, rng, self.settings.drawing)

    def _segment(self, scan: np.ndarray) -> np.ndarray:
        parameter = next(self.network.parameters())
        tissues, regions = self.network(torch.from_numpy(scan)[None].to(parameter))
        blocks = best_of_each_tissue(regions[0].float().cpu().numpy())
        fine = blocks.repeat(2, 1).repeat(2, 2).repeat(2, 3)
        return np.take_along_axis(fine, tissues.argmax(1).cpu().numpy(), axis=0)[0]


def tissue_loss(logits: Tensor, labels: Tensor, dice_weight: float) -> Tensor:
    """Cross-entropy and 1 - soft Dice of the tissues present. logits: (B, T, I, J, K); labels: (B, I, J, K)."""
    wanted = torch.from_numpy(TISSUE_OF).to(labels.device)[labels]
    share = logits.softmax(1)
    hot = functional.one_hot(wanted, logits.shape[1]).movedim(-1, 1).to(share.dtype)
    axes = (0, 2, 3, 4)
    size = hot.sum(axes)
    overlap = (2 * (share * hot).sum(axes) + 1) / (share.sum(axes) + size + 1)
    return functional.cross_entropy(logits, wanted) + dice_weight * (1 - overlap[size > 0].mean())


def region_loss(logits: Tensor, labels: Tensor, corner: list[int]) -> Tensor:
    """-log p(region | its tissue) at one voxel of each block, where the tissue has several regions.

    logits: (B, L, I/2, J/2, K/2); labels: (B, I, J, K); corner: which voxel of each 2 x 2 x 2 block.
    """
    picked = labels[:, corner[0] :: 2, corner[1] :: 2, corner[2] :: 2]
    several = torch.from_numpy(np.bincount(TISSUE_OF[LABELS])[TISSUE_OF] > 1).to(labels.device)
    places = several[picked] & (picked > 0)
    if not places.any():
        return logits.sum() * 0
    chosen = logits.movedim(1, -1)[places].float()
    wanted = picked[places]
    return functional.cross_entropy(chosen + _siblings(labels.device)[wanted], wanted)


def load_data(data: Path, settings: RegionsSettings, progress: Progress = silent) -> RegionData:
    """Read the maps that are not kept apart and draw the fixed brains. Raises InputRefused when there are too few."""
    names, kept = split_names(find_maps(data))
    maps = []
    for k, path in enumerate(names.values()):
        progress("reading label maps", k / len(names))
        one = load_map(path)
        maps += [one, mirrored_map(one, MIRRORED)]
    drawn = [draw_newborn(maps[k % len(maps)], TISSUE_OF, np.random.default_rng([20260101, k]), settings.drawing)
             for k in np.linspace(0, len(maps) - 1, VALIDATION_DRAWS).astype(int)]  # fmt: skip
    return RegionData(tuple(names), tuple(kept), tuple(maps), tuple(drawn))


def load_map(path: Path) -> NewbornMap:
    """A label map with its scan, if it has one, at the network's voxel size."""
    labels = reorient_to_ras(load_volume(path, as_labels=True))
    if labels.array.min() < 0 or labels.array.max() > LAST_LABEL:
        raise InputRefused(
            f"{path.name} holds labels outside 0 to {LAST_LABEL}. Give Draw-EM label maps of 87 regions."
        )
    array = np.where(labels.array == EXTRA_CRANIAL, 0, labels.array).astype(np.uint8)
    labels = _on_grid(replace(labels, array=array), order=0)
    scan = path.with_name(path.name.replace(LABEL_SUFFIX, SCAN_SUFFIX))
    image = None
    if scan.exists():
        image = _on_grid(reorient_to_ras(load_volume(scan)), order=1)
        if not same_grid(image, labels):
            raise InputRefused(f"{scan.name} and {path.name} lie on different grids. Resample one to the other.")
    return newborn_map(labels.array, image.array if image else None, fluid=FLUID, spacing_mm=GRID_MM,
                       count=LAST_LABEL + 1)  # fmt: skip


def manifest(data: RegionData, network: dict, record: dict) -> dict:
    """What the model says about itself; `measured` holds the drawn brains until kept-apart scans replace them."""
    best = next(row for row in record["history"] if row["step"] == record["best_step"])
    return {
        "id": MODEL_ID,
        "version": "1.0.0",
        "task": TASK,
        "method": "3D DynUNet on brains of random contrast drawn from label maps: tissue, then region",
        "contrasts": ["T2w, brain-extracted"],
        "age_range": [23, 38],
        "age_unit": "postmenstrual weeks",
        "spacing_mm": GRID_MM,
        "network": network,
        "training_data": [
            {
                "name": "label maps of newborn or fetal brains",
                "terms": "as their source states",
                "scans": len(data.names),
            }
        ],
        "training": record | {"maps": list(data.names), "kept_apart": list(data.kept_apart)},
        "calibration": {},
        "measured": [{"protocol": "fixed drawn brains that chose the checkpoint"} | best],
        "seconds": {},
        "licence": "the terms of the training data",
    }


def _on_grid(volume: Volume, *, order: int) -> Volume:
    """At GRID_MM along the same axes, from the same outer corner."""
    ratio = GRID_MM / np.array(volume.spacing_mm)
    if np.allclose(ratio, 1, atol=0.01):
        return volume
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3] * ratio
    affine[:3, 3] = volume.affine[:3, :3] @ (0.5 * ratio - 0.5) + volume.affine[:3, 3]
    shape = np.maximum(np.rint(np.array(volume.shape) / ratio), 1).astype(int)
    return resample_to(volume, shape, affine, order=order)


def _siblings(device: torch.device) -> Tensor:
    """(L, L) 0 where two labels belong to one tissue, else -inf."""
    alike = torch.from_numpy((TISSUE_OF[:, None] == TISSUE_OF[None]) & np.isin(np.arange(LAST_LABEL + 1), LABELS)[None])
    return torch.where(alike, 0.0, -torch.inf).to(device)
