"""Scores as the rest of the project uses them: signed, in healthy standard deviations, on 1 mm slices or volumes."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import zoom

from neurogen.anomaly.detector import Detector, ScoreSettings, load_detector
from neurogen.models import Model
from neurogen.preprocess.grid import from_slices
from neurogen.progress import Progress, silent

if TYPE_CHECKING:
    from neurogen.anomaly.gaussian_detector import GaussianDetector


@lru_cache(maxsize=4)
def _cached_detector(model: Model, device: str) -> Detector:
    return load_detector(model, device=device)


@lru_cache(maxsize=1)
def _cached_gaussian(model: Model, device: str) -> "GaussianDetector":
    from neurogen.anomaly.gaussian_detector import load_gaussian_detector

    return load_gaussian_detector(model, device=device)


def score_slices(
    model: Model,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    contrast: str,
    settings: ScoreSettings = ScoreSettings(),
    device: str = "cpu",
) -> np.ndarray:
    """Signed score (N, 192, 160) of single slices of the level that the model's healthy statistics describe."""
    detector = _cached_detector(model, device)
    maps = detector.slice_maps(slices, brain, contrast, settings)
    return np.stack([enlarge(s) for s in detector.healthy[contrast].score(maps)]) * brain


def score_volume(
    model: Model,
    image: np.ndarray,
    brain: np.ndarray,
    *,
    contrast: str = "t1w",
    settings: ScoreSettings = ScoreSettings(),
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """Of a prepared scan (160, 192, 160): signed score, and the pseudo-healthy image on the same grid.

    The Gaussian of features makes no pseudo-healthy image; with it, the scan comes back as it is.
    """
    if model.manifest["method"] == "gaussian":
        return _score_by_features(model, image, brain, device, progress)
    detector = _cached_detector(model, device)
    maps, change = detector.volume_maps(image, brain, contrast, settings, progress)
    score = detector.healthy[contrast].score(maps)
    change = zoom(change, (2, 1, 1), order=1, grid_mode=True, mode="nearest")
    pseudo_healthy = np.clip(image + from_slices(change), 0, 1) * brain
    return from_slices(enlarge(score)) * brain, pseudo_healthy.astype(np.float32)


def _score_by_features(
    model: Model, image: np.ndarray, brain: np.ndarray, device: str, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    from neurogen.anomaly.gaussian_detector import Cells

    score = _cached_gaussian(model, device).score(Cells.of(image, brain), progress)
    return from_slices(enlarge(score)) * brain, (image * brain).astype(np.float32)


def enlarge(cells: np.ndarray) -> np.ndarray:
    """Twice as fine along every axis, linear, cell areas lined up."""
    return zoom(cells, 2, order=1, grid_mode=True, mode="nearest").astype(np.float32)
