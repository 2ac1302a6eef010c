"""A reference site of phantoms and a site model in miniature, for the tests of harmonization."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from builders import phantom

from neurogen.models import Model, ModelStore
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.training.cache import to_uint8, write_index, write_scan
from neurogen.training.loop import LoopSettings
from neurogen.training.recipe_flow import FlowSettings
from neurogen.training.recipe_flow import run as train_flow
from neurogen.training.recipe_harmonizer import HarmonizerSettings
from neurogen.training.recipe_harmonizer import run as train_harmonizer

LOOP = LoopSettings(steps=1, batch_size=4, warmup_steps=1, validate_every=1, seed=5, device="cpu", threads=1)
FLOW = FlowSettings(model_id="tiny-flow", widths=(4, 6), dequantization_widths=(4, 6), loop=LOOP)


def phantom_image(*, gamma: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Prepared phantom (160, 192, 160) in [0, 1] and its brain, under a gamma curve."""
    volume, brain = phantom(GRID_SHAPE, GRID_AFFINE, noise=0.02, rng=np.random.default_rng(seed))
    inside = brain.array > 0
    image = np.clip(volume.array / np.percentile(volume.array[inside], 98), 0, 1) ** gamma
    return np.where(inside, np.maximum(image, 1 / 255), 0).astype(np.float32), inside


def write_site_cache(folder: Path) -> Path:
    """Three phantoms, one of them kept apart."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for k, split in enumerate(["train", "train", "calibrate"]):
        image, brain = phantom_image(seed=k)
        write_scan(folder, f"s{k}", to_uint8(image, brain), GRID_AFFINE)
        rows.append({"id": f"s{k}", "source": "phantom", "split": split, "contrast": "t1w"})
    write_index(folder, "t1", rows)
    return folder


def build_site(cache: Path, out: Path, **changes) -> Model:
    """A site model after one step of training; its curve is all but the identity."""
    train_flow(cache, out / "flow", FLOW)
    settings = HarmonizerSettings(
        model_id="tiny-site", flow=str(out / "flow" / "tiny-flow"), widths=(4, 6, 8), nodes=8, loop=LOOP
    )
    train_harmonizer(cache, out, replace(settings, **changes))
    return ModelStore().get(str(out / "tiny-site"))


class NearTruth(torch.nn.Module):
    """Stands in for a flow: the likelihood falls with the squared distance of the levels from the mean `wanted`."""

    def __init__(self, wanted: float):
        super().__init__()
        self.wanted = torch.nn.Parameter(torch.tensor(wanted), requires_grad=False)

    def forward(self, levels: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        inside = (levels.detach() > 0).flatten(1).float()
        mean = (levels.flatten(1) * inside).sum(1) / inside.sum(1).clamp(min=1)
        return -inside.sum(1) * (mean - self.wanted).square() / 100
