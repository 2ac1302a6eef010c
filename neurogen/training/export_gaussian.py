"""From features to a model folder: Gaussians, operating point, manifest."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from neurogen.anomaly.calibration import healthy_quantiles, operating_threshold, volume_sentence
from neurogen.anomaly.gaussian_detector import GaussianDetector, level_entry, level_tensors
from neurogen.models import ModelStore, write_model
from neurogen.networks.contrastive_cnn import WIDTHS, Backbone
from neurogen.networks.factory import build
from neurogen.training.export_reflect import CELL_ML, halve
from neurogen.training.fit_gaussian import GaussianSettings, choose
from neurogen.training.healthy_volumes import CONTRAST, HealthyVolumes

NOTES = (
    "One view altered by TorchIO, one not; volumes of 2 mm, so that one place of layer 2 is 8 mm wide.",
    "Features are reduced to principal channels: 240 channels at every voxel would be a gigabyte of covariances, whose "
    "rank the number of scans bounds. Covariances are shrunk toward a multiple of the identity.",
    "The score is unsigned by nature; it takes the sign of the scan's difference from the healthy mean at the place. "
    "There is no pseudo-healthy image: the scan itself is returned.",
    "log(1 + d) is compared with percentiles of healthy calibration scans, not of the scan itself as in the report, so "
    "that a large lesion does not hide itself.",
    "Resolution and tolerance to shifts were chosen on lesions planted in the calibration scans.",
)


def export_gaussian(
    backbone: Backbone,
    description: Mapping,
    volumes: HealthyVolumes,
    settings: GaussianSettings,
    folder: Path,
    *,
    facts: dict,
    record: dict,
    context_from: str | None,
) -> dict[str, float]:
    """Fit, calibrate and write the model; what each choice of resolution and tolerance scored on planted lesions."""
    backbone, description = _used_blocks(backbone, description, settings)
    weights = halve(backbone)
    detector, tried = choose(
        backbone,
        volumes.training,
        volumes.calibration,
        volumes.planted,
        volumes.truth,
        volumes.expected,
        volumes.scale,
        settings,
    )
    tensors = {k: v for i, level in enumerate(detector.levels) for k, v in level_tensors(f"level{i}", level).items()}
    extra = {"gaussian": tensors}
    lender = _lender(volumes.context, context_from)
    if lender is None:
        extra["context"] = {CONTRAST: volumes.context}
    manifest = {
        **_manifest(folder.name, description, detector, record),
        "calibration": {CONTRAST: _calibration(detector, volumes, tried)},
        **({} if lender is None else {"context": lender}),
        **facts,
    }
    write_model(folder, manifest, weights, extra=extra)
    return tried


def _used_blocks(backbone: Backbone, description: Mapping, settings: GaussianSettings) -> tuple[Backbone, dict]:
    """The blocks up to the last layer that is read; the others served training alone."""
    depth = min(1 + max(settings.sources), len(backbone.blocks), len(WIDTHS))
    short = {"factory": description["factory"], "arguments": {**description["arguments"], "depth": depth}}
    network = build(short)
    kept = {name: value for name, value in backbone.state_dict().items() if name in network.state_dict()}
    network.load_state_dict(kept)
    return network.eval().requires_grad_(False), short


def _calibration(detector: GaussianDetector, volumes: HealthyVolumes, tried: dict[str, float]) -> dict:
    scores = [detector.score(scan) for scan in volumes.calibration]
    threshold = operating_threshold(scores, CELL_ML)
    return {
        "threshold": round(threshold, 3),
        "sentence": volume_sentence(threshold, len(scores)),
        "healthy_quantiles": healthy_quantiles(scores, [scan.brain for scan in volumes.calibration]),
        "scans": len(scores),
        "ids": list(volumes.calibration_ids),
        "average_precision_of_planted_lesions": tried,
    }


def _lender(context: Tensor, name: str | None) -> dict[str, str] | None:
    """The model `name`, when it holds the very same context."""
    if name is None:
        return None
    model = ModelStore().get(name)
    if not torch.equal(model.tensors("context")[CONTRAST], context.half()):
        return None
    return {"model": model.id, "sha256": model.manifest["files"]["context.safetensors"]["sha256"]}


def _manifest(model_id: str, description: Mapping, detector: GaussianDetector, record: dict) -> dict:
    return {
        "id": model_id,
        "version": "1.0.0",
        "task": "anomaly",
        "method": "gaussian",
        "contrasts": [CONTRAST],
        "spacing_mm": 2.0,
        "network": dict(description),
        "gaussian": {"levels": [level_entry(level) for level in detector.levels], "shift": detector.shift},
        "contrast_scales": {CONTRAST: detector.scale.to_manifest()},
        "training": record,
        "measured": [],
        "seconds": {},
        "notes": list(NOTES),
    }
