"""SimCLR + Gaussian as a detector: how unlike healthy brains are a scan's features at each place?

Feature Modeling for Anomaly Detection in Neuroimaging Data (D. Kovacevic). A prepared volume goes in as cells of 2 mm;
features of several layers are brought to one of them, reduced to principal channels and compared with the Gaussian of
healthy brains there. Ours, after the report's own list of faults: maps of two resolutions may be averaged, and a place
may be compared with its neighbors' Gaussians too, since registration is never perfect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from neurogen.anomaly.anomaly_map import smooth_within
from neurogen.anomaly.contrast_scale import ContrastScale
from neurogen.anomaly.detector import SLAB, to_slabs
from neurogen.anomaly.gaussian import PrincipalChannels, QuantileScale, VoxelGaussian
from neurogen.anomaly.shared_tensors import context_tensors
from neurogen.models import Model, ModelStore
from neurogen.networks.contrastive_cnn import Backbone
from neurogen.networks.factory import load_network
from neurogen.progress import Progress, silent

NORMAL_WIDTH = 3.29  # standard deviations of a normal distribution between its 5th and 95th percentile
SIGN_SIGMA_CELLS = 2.0


@dataclass(frozen=True, eq=False)
class Cells:
    """A prepared scan on cells of 2 mm (80, 96, 80): intensity in [0, 1], 0 outside, and where the brain is."""

    image: np.ndarray
    brain: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, brain: np.ndarray) -> "Cells":
        """From a prepared volume (160, 192, 160)."""
        slabs, inside = to_slabs(image, brain)
        n, h, w = slabs.shape
        shape = (n, h // SLAB, SLAB, w // SLAB, SLAB)
        coverage = inside.astype(np.float32).reshape(shape).mean((2, 4))
        mean = (slabs * inside).reshape(shape).mean((2, 4)) / np.maximum(coverage, 1e-6)
        return cls((mean * (coverage >= 0.5)).astype(np.float32), coverage >= 0.5)

    def tensor(self, device: torch.device | str = "cpu") -> Tensor:
        """(1, 1, 80, 96, 80)."""
        return torch.from_numpy(self.image)[None, None].to(device)


@dataclass(frozen=True, eq=False)
class Level:
    """Gaussians at one resolution. places : (D, H, W) bool, the V places of `gaussian` in order."""

    sources: tuple[int, ...]
    target: int
    places: Tensor
    channels: PrincipalChannels
    gaussian: VoxelGaussian
    scale: QuantileScale

    def distances(self, layers: Sequence[Tensor], *, shift: int = 0) -> Tensor:
        """(V,) Mahalanobis distances; with a shift, the least among the Gaussians up to so many places away."""
        features = self.channels.apply(stacked(layers, self.sources, self.target)[0][:, self.places].T)
        nearest = self.gaussian.distance(features)
        for other in _neighbors(self.places, shift):
            there = VoxelGaussian(self.gaussian.mean[other], self.gaussian.factor[other])
            nearest = torch.minimum(nearest, there.distance(features))
        return nearest

    def standardized(self, distances: Tensor, shape: tuple[int, ...]) -> np.ndarray:
        """Distances as a map of `shape`: enlarged, then log(1 + d) against healthy quantiles."""
        grid = torch.full(self.places.shape, float(np.expm1(self.scale.median)))
        grid[self.places] = distances.cpu()
        fine = functional.interpolate(grid[None, None], shape, mode="trilinear", align_corners=False)
        return self.scale.standardize(fine[0, 0].numpy())


def stacked(layers: Sequence[Tensor], sources: Sequence[int], target: int) -> Tensor:
    """(B, C_sum, D, H, W): layers resampled to the target's resolution (section 2.2); a finer one is averaged first, so
    that trilinear interpolation overlooks nothing."""
    shape = layers[target].shape[2:]
    resampled = []
    for k in sources:
        layer = layers[k]
        if layer.shape[2] > shape[0]:
            layer = functional.adaptive_avg_pool3d(layer, shape)
        elif layer.shape[2:] != shape:
            layer = functional.interpolate(layer, shape, mode="trilinear", align_corners=False)
        resampled.append(layer)
    return torch.cat(resampled, dim=1).float()


def _neighbors(places: Tensor, shift: int) -> list[Tensor]:
    """For every offset but none: (V,) which place lies there, or the place itself where none does."""
    if not shift:
        return []
    number = torch.full([n + 2 * shift for n in places.shape], -1)
    inner = tuple(slice(shift, n + shift) for n in places.shape)
    number[inner][places] = torch.arange(int(places.sum()))
    own, found = torch.arange(int(places.sum())), []
    for offset in product(range(-shift, shift + 1), repeat=3):
        if any(offset):
            moved = number[tuple(slice(shift + o, shift + o + n) for o, n in zip(offset, places.shape, strict=True))]
            there = moved[places]
            found.append(torch.where(there < 0, own, there))
    return found


class GaussianDetector:
    """Backbone and Gaussians of one model, ready to score prepared volumes. `expected`: (80, 96, 80) what healthy cells
    look like, standardized as by `scale`; it gives the score its sign."""

    def __init__(
        self,
        backbone: Backbone,
        levels: Sequence[Level],
        expected: np.ndarray,
        scale: ContrastScale,
        *,
        shift: int = 0,
        device: str | torch.device = "cpu",
    ):
        self.backbone, self.levels, self.expected, self.scale = backbone, tuple(levels), expected, scale
        self.shift, self.device = shift, torch.device(device)

    @torch.no_grad()
    def strangeness(self, cells: Cells, progress: Progress = silent) -> np.ndarray:
        """(80, 96, 80): the mean over levels of log(1 + d) in widths between healthy percentiles; 0 = the median."""
        progress("network", 0.0)
        layers = [layer.cpu() for layer in self.backbone(cells.tensor(self.device))]
        maps = []
        for k, level in enumerate(self.levels):
            progress("network", (k + 1) / (len(self.levels) + 1))
            maps.append(level.standardized(level.distances(layers, shift=self.shift), cells.image.shape))
        return np.mean(maps, axis=0, dtype=np.float32)

    def score(self, cells: Cells, progress: Progress = silent) -> np.ndarray:
        """(80, 96, 80) in healthy standard deviations: + where the scan is brighter than healthy brains at the place,
        - where darker, 0 outside the brain and where features are as usual."""
        above = np.maximum(self.strangeness(cells, progress), 0) * NORMAL_WIDTH
        standardized = self.scale.standardize(cells.image, cells.brain)
        difference = smooth_within(standardized - self.expected, cells.brain, (SIGN_SIGMA_CELLS,) * 3)
        progress("network", 1.0)
        return np.where(cells.brain, above * np.where(difference < 0, -1, 1), 0).astype(np.float32)


def load_gaussian_detector(model: Model, *, device: str = "cpu", store: ModelStore | None = None) -> GaussianDetector:
    """The detector that a model folder describes. Raises ModelUnavailable when a part is missing or corrupt."""
    chosen, tensors = model.manifest["gaussian"], model.tensors("gaussian")
    levels = [_level(tensors, f"level{k}", entry) for k, entry in enumerate(chosen["levels"])]
    context = context_tensors(model, store or ModelStore())["t1w"].float()
    scale = ContrastScale.from_manifest(model.manifest["contrast_scales"], "t1w")
    return GaussianDetector(
        load_network(model, device), levels, context[:, 0].numpy(), scale, shift=chosen["shift"], device=device
    )


def level_tensors(name: str, level: Level) -> dict[str, Tensor]:
    """What a model file holds of a level."""
    parts = {"places": level.places.to(torch.uint8), "center": level.channels.center, "axes": level.channels.axes}
    return {f"{name}_{part}": value for part, value in (parts | level.gaussian.tensors()).items()}


def level_entry(level: Level) -> dict:
    """What a manifest holds of a level."""
    return {
        "sources": list(level.sources),
        "target": level.target,
        "median": level.scale.median,
        "width": level.scale.width,
    }


def _level(tensors: dict[str, Tensor], name: str, entry: dict) -> Level:
    part = {p: tensors[f"{name}_{p}"] for p in ("places", "center", "axes", "mean", "triangle")}
    return Level(
        tuple(entry["sources"]),
        entry["target"],
        part["places"].bool(),
        PrincipalChannels(part["center"].float(), part["axes"].float()),
        VoxelGaussian.of_tensors(part["mean"], part["triangle"]),
        QuantileScale(entry["median"], entry["width"]),
    )
