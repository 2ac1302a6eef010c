"""From a trained flow to a model folder: healthy error per voxel, operating points, references, manifest.

Everything here is measured on healthy scans: the per-voxel error on training scans, the thresholds on the calibration
scans that trained nothing. No lesion takes part.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.anomaly_map import CellMaps, HealthyStandard
from neurogen.anomaly.calibration import (
    healthy_quantiles,
    operating_threshold,
    slice_threshold,
    volume_sentence,
    with_margin,
)
from neurogen.anomaly.codec import PixelCodec
from neurogen.anomaly.detector import Detector, ScoreSettings
from neurogen.anomaly.score import enlarge
from neurogen.anomaly.shared_tensors import packed_statistics
from neurogen.evaluation.methods import crop_from_grid
from neurogen.evaluation.references import HealthyStatistics, ReferenceIntensity, ReferenceZscore
from neurogen.models import write_model
from neurogen.training.cache import SliceCache
from neurogen.training.choose_standard import (
    SMALLEST_ML,
    choose_slice_standard,
    choose_volume_standard,
    found_up_to,
)
from neurogen.training.healthy_context import volume_of
from neurogen.training.planted_validation import plant_in_slices, plant_in_volumes

if TYPE_CHECKING:
    from neurogen.training.recipe_reflect import ReflectTask
    from neurogen.training.slice_task import SliceTask

HEALTHY_SCANS = 40  # training scans that the per-voxel error is measured on, spread over all
PLANTED_SLICES = 90
PLANTINGS = (4711, 1, 2)  # seeds: so often lesions are planted in each calibration scan, to choose the standard by
BRIGHT_KINDS = ("bright",)  # the only kind that is brighter than its surroundings for sure
CELL_ML = 0.008  # a cell of 2 mm
SLICE_SHAPE = (189, 157)  # of the FLAIR benchmark


def export_reflect(task: "ReflectTask", folder: Path, record: dict) -> None:
    """Calibrate the network of `task` and write it as a model."""
    weights = halve(task.network)
    detector, statistics, calibration = calibrate(task)
    method = "reflect" if task.settings.teacher is None else "reflect-2"
    manifest = manifest_of(task, detector, calibration, record) | {"method": method, "notes": _notes(task)}
    healthy = packed_statistics(statistics, task.contexts)
    write_model(folder, manifest, weights, extra={"healthy": healthy, "context": dict(task.contexts)})


def halve(network: torch.nn.Module) -> dict[str, Tensor]:
    """The weights in half precision; the network goes on with them, as users will have it."""
    weights = {name: value.half() for name, value in network.state_dict().items()}
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return weights


def calibrate(task: "SliceTask") -> tuple[Detector, dict[str, Tensor], dict[str, dict]]:
    """The detector with its healthy statistics, these as tensors, and the calibration of each contrast."""
    detector = task.detector()
    statistics, calibration = {}, {}
    for name, scale in task.scales.items():
        fit = fit_slices if scale.benchmark_only else fit_volumes
        detector.healthy[name], calibration[name] = fit(task.cache, detector, name)
        statistics |= _tensors(name, detector.healthy[name])
        if scale.benchmark_only:
            tensors, calibration[name]["reference_thresholds"] = fit_references(task.cache, name)
            statistics |= tensors
    return detector, statistics, calibration


def fit_volumes(cache: SliceCache, detector: Detector, contrast: str) -> tuple[HealthyStandard, dict]:
    """Healthy statistics of training scans and the operating point of the calibration scans."""
    train = np.unique(cache.subject[cache.where(split="train", contrast=contrast)])
    spread = train[np.unique(np.linspace(0, len(train) - 1, HEALTHY_SCANS).round().astype(int))]
    healthy = _volume_maps(detector, contrast, [volume_of(cache, s) for s in spread])
    scans = np.unique(cache.subject[cache.where(split="calibrate", contrast=contrast)])
    calibration = [volume_of(cache, s) for s in scans]
    plantings = [plant_in_volumes(calibration, seed=seed) for seed in PLANTINGS]
    quiet = _volume_maps(detector, contrast, calibration)
    marked = _volume_maps(detector, contrast, [scan for scans, _ in plantings for scan in scans])
    truth = np.concatenate([lesions for _, lesions in plantings])
    standard, tried = choose_volume_standard(healthy, marked, truth, quiet, cell_ml=CELL_ML)
    found = quiet.smoothed((0,) + (standard.sigma_cells,) * 3)
    scores = standard.score(found)
    lowest = operating_threshold(list(scores), CELL_ML)
    planted = standard.score(marked.smoothed((0,) + (standard.sigma_cells,) * 3))
    threshold = with_margin(lowest, found_up_to(planted, truth, SMALLEST_ML / CELL_ML))
    return standard, {
        "threshold": round(threshold, 3),
        "lowest_threshold": round(lowest, 3),
        "sentence": volume_sentence(threshold, len(scans)),
        "healthy_quantiles": healthy_quantiles(list(scores), list(found.brain)),
        "scans": len(scans),
        "ids": [str(s) for s in scans],
        "recall_of_planted_lesions_at_operating_point": tried,
    }


def fit_slices(cache: SliceCache, detector: Detector, contrast: str) -> tuple[HealthyStandard, dict]:
    """The same for single slices of one level: the bright score that 1 % of healthy brain pixels exceed."""
    raw = ScoreSettings(sigma_cells=0.0)
    healthy = detector.slice_maps(*pictures_of(cache, contrast, "train"), contrast, raw)
    planted = plant_in_slices(cache, contrast, PLANTED_SLICES, kinds=BRIGHT_KINDS)
    marked = detector.slice_maps(planted.images, planted.brain, contrast, raw, slabs=planted.slabs)
    standard, tried = choose_slice_standard(healthy, marked, planted.lesion_cells)
    images, brain = pictures_of(cache, contrast, "calibrate")
    sigma = standard.sigma_cells
    found = detector.slice_maps(images, brain, contrast, raw).smoothed((0, sigma, sigma))
    score = standard.score(found)
    threshold = slice_threshold(np.stack([enlarge(s) for s in score]), brain)
    return standard, {
        "threshold": round(threshold, 3),
        "sentence": f"Marked is what exceeds {threshold:.2f} healthy standard deviations: 1 % of the brain pixels of "
        f"{len(images)} stroke-free slices do (bright direction).",
        "healthy_quantiles": healthy_quantiles(list(score), list(found.brain)),
        "scans": len(images),
        "average_precision_of_planted_lesions": tried,
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


def _volume_maps(detector: Detector, contrast: str, scans: Sequence[tuple[np.ndarray, np.ndarray]]) -> CellMaps:
    """Unsmoothed maps (N, 80, 96, 80) of prepared scans (image, brain)."""
    raw = ScoreSettings(sigma_cells=0.0)
    found = [detector.volume_maps(image, brain, contrast, raw)[0] for image, brain in scans]
    parts = ("flow", "image", "brain", "rough")
    return CellMaps(*(np.stack([getattr(maps, name) for maps in found]) for name in parts))


def _tensors(name: str, standard: HealthyStandard) -> dict[str, Tensor]:
    terms = ("flow", "place", "texture") if standard.texture_weight else ("flow", "place")
    return {
        f"{name}_{term}_{part}": torch.from_numpy(getattr(getattr(standard, term), part))
        for term in terms
        for part in ("mean", "deviation")
    }


def manifest_of(task: "SliceTask", detector: Detector, calibration: dict, record: dict) -> dict:
    """What the manifests of all slice detectors say; `method` and `notes` are the recipe's own."""
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
        "contrasts": [name for name, scale in task.scales.items() if not scale.benchmark_only],
        "benchmark_only_contrasts": [name for name, scale in task.scales.items() if scale.benchmark_only],
        "spacing_mm": 1.0,
        "network": task.network_description(),
        "codec": codec,
        "contrast_scales": {name: scale.to_manifest() for name, scale in task.scales.items()},
        "healthy_standard": {
            name: {
                "sigma_cells": standard.sigma_cells,
                **({"leveling_cells": detector.levelings[name].sigma_cells} if name in detector.levelings else {}),
                "flow_floor": standard.flow.floor,
                "place_floor": standard.place.floor,
                "place_weight": standard.place_weight,
                "sides_share": standard.sides_share,
                "sides_bounded": standard.sides_bounded,
                **({} if standard.spread is None else {"spread": asdict(standard.spread)}),
                **(
                    {"texture_floor": standard.texture.floor, "texture_weight": standard.texture_weight}
                    if standard.texture_weight
                    else {}
                ),
            }
            for name, standard in detector.healthy.items()
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
        **task.facts,
    }


def _notes(task: "ReflectTask") -> list[str]:
    """What a reader who knows the paper should know of this model."""
    return [
        "Textures pasted in training are procedural; they stand in for the photographs of textures (DTD) of the paper.",
        "Beside the slice, the network sees mean and deviation of healthy slices at the same place (ours).",
        "The flow works in pixels of 2 mm." if isinstance(task.codec, PixelCodec) else "The flow works in latents.",
        "The score mixes two terms in healthy standard deviations: how far the flow moved the scan, and how far the "
        "scan is from healthy brains at the same place (place weight 0 is REFLECT's own map, 1 a plain z-score); "
        "with a sides share above 0, what the other side shows as well counts less. In volumes the spread of the whole "
        "brain is equalized between scans; with a texture weight above 0, places that are rougher than in healthy "
        "brains score further from 0: fine bright and dark spots cancel in the two other terms.",
        f"Healthy statistics are those of {HEALTHY_SCANS} training scans. Smoothing, floors and the mix of the terms "
        "were chosen on lesions planted in the calibration scans (volumes: recall at the operating point; slices: "
        "average precision), operating points on these scans as such, with as much margin as costs one in fifty of the "
        "planted lesions.",
        "In volumes, what N4 left of the receive field is taken out against the healthy mean before anything else.",
    ]
