"""Validation of a detector: lesions planted in kept-apart healthy slices, found or not.

The lesions are of kinds the training corruption never draws (synth/lesions.py), and their seeds are not those of the
evaluation set. No real lesion takes part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from neurogen.anomaly.detector import SLAB, Detector, ScoreSettings
from neurogen.anomaly.leveling import cells_of
from neurogen.preprocess.grid import to_slices
from neurogen.synth.lesions import KINDS, plant_lesion
from neurogen.training.cache import SliceCache
from neurogen.training.level_slices import SliceLeveling

SEED = 4711
VOLUME_ML = (0.2, 40.0)
CONTRAST = (1.0, 3.0)
PLACES = 10  # tried for a lesion that must not touch another


@dataclass(frozen=True, eq=False)
class PlantedSlices:
    """Kept-apart slices of one contrast, each with one lesion, and the same slices untouched."""

    contrast: str
    images: np.ndarray  # (N, 192, 160) in [0, 1]
    healthy: np.ndarray  # (N, 192, 160)
    brain: np.ndarray  # (N, 192, 160) bool
    lesion: np.ndarray  # (N, 192, 160) bool
    slabs: np.ndarray  # (N,) level of each in the context

    @property
    def lesion_cells(self) -> np.ndarray:
        """(N, 96, 80) bool: cells that are at least half lesion."""
        return cells_of(self.lesion) >= 0.5

    def measure(self, detector: Detector, settings: ScoreSettings = ScoreSettings()) -> dict[str, float]:
        """ap: average precision of |deviation| over brain cells; ap_bright: of the signed deviation, bright kinds only;
        error: root mean square deviation of the healthy slices, in standardized units."""
        from sklearn.metrics import average_precision_score

        marked = detector.slice_maps(self.images, self.brain, self.contrast, settings, slabs=self.slabs)
        deviation, cells = marked.flow, marked.brain
        healthy = detector.slice_maps(self.healthy, self.brain, self.contrast, settings, slabs=self.slabs).flow
        spread = np.sqrt(gaussian_filter((healthy**2).mean(0), 3.0)) + 0.05  # of the method itself, by place
        truth = self.lesion_cells
        score = deviation / spread
        bright = np.arange(len(truth)) % len(KINDS) == KINDS.index("bright")
        return {
            "ap": float(average_precision_score(truth[cells], np.abs(score)[cells])),
            "ap_bright": float(average_precision_score(truth[bright][cells[bright]], score[bright][cells[bright]])),
            "error": float(np.sqrt((healthy[cells] ** 2).mean())),
        }


def plant_in_slices(
    cache: SliceCache,
    contrast: str,
    count: int,
    *,
    split: str = "calibrate",
    kinds: Sequence[str] = KINDS,
    level: SliceLeveling | None = None,
) -> PlantedSlices:
    """One lesion in each of `count` slices of a split, spread over its scans and levels; kinds in turn. `level` takes
    the scan's field out first."""
    available = cache.where(split=split, contrast=contrast)
    available = available[cache.coverage[available] > 0.15]  # room for every size
    chosen = available[np.linspace(0, len(available) - 1, count).round().astype(int)]
    healthy = cache.images[chosen].astype(np.float32) / 255
    brain = healthy > 0
    healthy = healthy if level is None else level(healthy, chosen)
    rng = np.random.default_rng(SEED)
    planted = [
        _plant(image, inside, kinds[k % len(kinds)], rng)
        for k, (image, inside) in enumerate(zip(healthy, brain, strict=True))
    ]
    return PlantedSlices(
        contrast,
        np.stack([p.image[..., 0] for p in planted]),
        healthy,
        brain,
        np.stack([p.mask[..., 0] for p in planted]),
        _slabs(cache, contrast, chosen),
    )


def _slabs(cache: SliceCache, contrast: str, chosen: np.ndarray) -> np.ndarray:
    """Level of the context for each slice; a contrast with one level only has one context."""
    single = len(np.unique(cache.level[cache.where(contrast=contrast)])) == 1
    return np.zeros(len(chosen), int) if single else cache.level[chosen].astype(int) // SLAB


def plant_in_volumes(
    scans: Sequence[tuple[np.ndarray, np.ndarray]], *, seed: int = SEED
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """One lesion of every kind in each prepared scan (image, brain), none touching another; with the lesions' cells
    (N, 80, 96, 80)."""
    rng = np.random.default_rng(seed)
    planted, truth = [], []
    for image, brain in scans:
        taken, lesions = np.zeros(brain.shape, bool), np.zeros(brain.shape, bool)
        for kind in KINDS:
            for _ in range(PLACES):
                volume = float(np.exp(rng.uniform(*np.log(VOLUME_ML))))
                lesion = plant_lesion(image, brain, (1.0, 1.0, 1.0), kind, volume, rng.uniform(*CONTRAST), rng)
                if not (taken & lesion.support).any():
                    image, taken, lesions = lesion.image, taken | lesion.support, lesions | lesion.mask
                    break
        planted.append((image, brain))
        slices = to_slices(lesions)
        truth.append(slices.reshape(80, 2, 96, 2, 80, 2).mean((1, 3, 5)) >= 0.5)
    return planted, np.stack(truth)


def _plant(image: np.ndarray, brain: np.ndarray, kind: str, rng: np.random.Generator):
    volume = float(np.exp(rng.uniform(*np.log(VOLUME_ML))))
    return plant_lesion(image[..., None], brain[..., None], (1.0, 1.0, 1.0), kind, volume, rng.uniform(*CONTRAST), rng)
