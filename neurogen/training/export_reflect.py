"""From a trained flow to a model folder: healthy error per voxel, operating points, references, manifest.

Everything here is measured on healthy scans: the per-voxel error on training scans, the thresholds on the calibration
scans that trained nothing. No lesion takes part.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.anomaly_map import HealthyError, smooth_within
from neurogen.anomaly.calibration import (
    healthy_quantiles,
    slice_threshold,
    volume_sentence,
    volume_threshold,
)
from neurogen.anomaly.codec import PixelCodec
from neurogen.anomaly.detector import Detector, ScoreSettings
from neurogen.anomaly.score import enlarge
from neurogen.evaluation.methods import crop_from_grid
from neurogen.evaluation.references import HealthyStatistics, ReferenceIntensity, ReferenceZscore
from neurogen.models import write_model
from neurogen.training.cache import SliceCache
from neurogen.training.choose_error import Deviations, choose_error
from neurogen.training.healthy_context import volume_of
from neurogen.training.planted_validation import plant_in_slices, plant_in_volumes

if TYPE_CHECKING:
    from neurogen.training.recipe_reflect import ReflectTask

HEALTHY_SCANS = 40  # training scans that the per-voxel error is measured on, spread over all
PLANTED_SLICES = 60
BRIGHT_KINDS = ("bright", "mass-effect", "textured")  # what a stroke may look like on FLAIR
CELL_ML = 0.008  # a cell of 2 mm
SLICE_SHAPE = (189, 157)  # of the FLAIR benchmark


def export_reflect(task: "ReflectTask", folder: Path, record: dict) -> None:
    """Calibrate the network of `task` and write it as a model."""
    weights = {name: value.half() for name, value in task.network.state_dict().items()}
    task.network.load_state_dict({name: value.float() for name, value in weights.items()})  # as users will have it
    detector = task.detector()
    extra, calibration = {}, {}
    for name, scale in task.scales.items():
        fit = fit_slices if scale.benchmark_only else fit_volumes
        detector.healthy[name], calibration[name] = fit(task.cache, detector, name)
        extra |= {
            f"{name}_mean": torch.from_numpy(detector.healthy[name].mean),
            f"{name}_deviation": torch.from_numpy(detector.healthy[name].deviation),
        }
        if scale.benchmark_only:
            tensors, calibration[name]["reference_thresholds"] = fit_references(task.cache, name)
            extra |= tensors
    write_model(
        folder,
        _manifest(task, detector, calibration, record),
        weights,
        extra={"healthy": extra, "context": dict(task.contexts)},
    )


def fit_volumes(cache: SliceCache, detector: Detector, contrast: str) -> tuple[HealthyError, dict]:
    """Healthy error of training scans and the operating point of the calibration scans."""
    train = np.unique(cache.subject[cache.where(split="train", contrast=contrast)])
    spread = train[np.unique(np.linspace(0, len(train) - 1, HEALTHY_SCANS).round().astype(int))]
    healthy = _deviations(detector, contrast, [volume_of(cache, s) for s in spread])
    scans = np.unique(cache.subject[cache.where(split="calibrate", contrast=contrast)])
    calibration = [volume_of(cache, s) for s in scans]
    planted, truth = plant_in_volumes(calibration)
    error, choice = choose_error(healthy, _deviations(detector, contrast, planted), truth)
    found = _deviations(detector, contrast, calibration)
    scores = [_score(error, d, b) for d, b in zip(found.raw, found.brain, strict=True)]
    threshold = volume_threshold(scores, CELL_ML)
    return error, {
        "threshold": round(threshold, 3),
        "sentence": volume_sentence(threshold, len(scans)),
        "healthy_quantiles": healthy_quantiles(scores, list(found.brain)),
        "scans": len(scans),
        "ids": [str(s) for s in scans],
        "chosen_by_planted_lesions": choice,
    }


def fit_slices(cache: SliceCache, detector: Detector, contrast: str) -> tuple[HealthyError, dict]:
    """The same for single slices of one level: the bright score that 1 % of healthy brain pixels exceed."""
    raw = ScoreSettings(sigma_cells=0.0)
    healthy = Deviations(*detector.slice_deviation(*pictures_of(cache, contrast, "train"), contrast, raw))
    planted = plant_in_slices(cache, contrast, PLANTED_SLICES, kinds=BRIGHT_KINDS)
    marked = Deviations(*detector.slice_deviation(planted.images, planted.brain, contrast, raw, slabs=planted.slabs))
    error, choice = choose_error(healthy, marked, planted.lesion_cells, bright_only=True)
    images, brain = pictures_of(cache, contrast, "calibrate")
    deviation, cells = detector.slice_deviation(images, brain, contrast, raw)
    score = np.stack([_score(error, d, b) for d, b in zip(deviation, cells, strict=True)])
    threshold = slice_threshold(np.stack([enlarge(s) for s in score]), brain)
    return error, {
        "threshold": round(threshold, 3),
        "sentence": f"Marked is what exceeds {threshold:.2f} healthy standard deviations: 1 % of the brain pixels of "
        f"{len(images)} stroke-free slices do (bright direction).",
        "healthy_quantiles": healthy_quantiles(list(score), list(cells)),
        "scans": len(images),
        "chosen_by_planted_lesions": choice,
    }


def fit_references(cache: SliceCache, contrast: str) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The plain references' statistics over the training slices, and their thresholds, to travel with the model."""
    images, brain = (crop_from_grid(part, SLICE_SHAPE) for part in pictures_of(cache, contrast, "train"))
    healthy = HealthyStatistics.of(images, brain)
    images, brain = (crop_from_grid(part, SLICE_SHAPE) for part in pictures_of(cache, contrast, "calibrate"))
    thresholds = {
        method.name: round(slice_threshold(method.score_slices(images, brain), brain), 4)
        for method in (ReferenceIntensity(), ReferenceZscore(healthy))
    }
    tensors = {
        f"{contrast}_reference_mean": torch.from_numpy(healthy.mean),
        f"{contrast}_reference_sd": torch.from_numpy(healthy.deviation),
    }
    return tensors, thresholds


def pictures_of(cache: SliceCache, contrast: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1] and brains (N, 192, 160) of the single slices of a split."""
    images = cache.images[cache.where(split=split, contrast=contrast)].astype(np.float32) / 255
    return images, images > 0


def _deviations(detector: Detector, contrast: str, scans: Sequence[tuple[np.ndarray, np.ndarray]]) -> Deviations:
    """Unsmoothed deviations of prepared scans (image, brain)."""
    raw = ScoreSettings(sigma_cells=0.0)
    found = [detector.volume_deviation(image, brain, contrast, raw)[:2] for image, brain in scans]
    return Deviations(*(np.stack(part) for part in zip(*found, strict=True)))


def _score(error: HealthyError, deviation: np.ndarray, brain: np.ndarray) -> np.ndarray:
    smooth = smooth_within(deviation, brain, (error.sigma_cells,) * deviation.ndim)
    return np.where(brain, error.standardize(smooth), 0)


def _manifest(task: "ReflectTask", detector: Detector, calibration: dict, record: dict) -> dict:
    settings = task.settings
    codec = (
        {"kind": "pixel", "factor": task.codec.factor}
        if isinstance(task.codec, PixelCodec)
        else ({"kind": "autoencoder", "model": settings.autoencoder})
    )
    keys = ("step", "minutes", "loss", "score")
    return {
        "id": settings.model_id,
        "version": "1.0.0",
        "task": "anomaly",
        "method": "reflect" if settings.teacher is None else "reflect-2",
        "contrasts": [name for name, scale in task.scales.items() if not scale.benchmark_only],
        "benchmark_only_contrasts": [name for name, scale in task.scales.items() if scale.benchmark_only],
        "spacing_mm": 1.0,
        "network": task.network_description(),
        "codec": codec,
        "contrast_scales": {name: scale.to_manifest() for name, scale in task.scales.items()},
        "healthy_error": {
            name: {"floor": error.floor, "sigma_cells": error.sigma_cells} for name, error in detector.healthy.items()
        },
        "training": record,
        "calibration": calibration,
        "measured": [
            {
                "protocol": "planted lesions in kept-apart calibration slices, average precision",
                **{k: v for k, v in row.items() if k in keys or k.startswith("ap")},
            }
            for row in (record["history"][0], record["history"][-1])
        ],
        "seconds": {},
        "notes": _notes(task),
        **task.facts,
    }


def _notes(task: "ReflectTask") -> list[str]:
    """What a reader who knows the paper should know of this model."""
    return [
        "Textures pasted in training are procedural; they stand in for the photographs of textures (DTD) of the paper.",
        "Beside the slice, the network sees mean and deviation of healthy slices at the same place (ours).",
        "The flow works in pixels of 2 mm." if isinstance(task.codec, PixelCodec) else "The flow works in latents.",
        f"The healthy error is that of {HEALTHY_SCANS} training scans; smoothing and floor were chosen on lesions "
        "planted in the calibration scans, the operating points on the calibration scans themselves.",
    ]
