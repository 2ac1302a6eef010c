"""Stand-ins that let the command line, the files and the report be tested without a trained model."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from neurogen.anomaly import Detection, DetectionSettings
from neurogen.anomaly.calibration import OperatingPoint
from neurogen.anomaly.lesions import cut_lesions
from neurogen.models import write_model
from neurogen.progress import Progress, silent
from neurogen.volumes import Volume

MANIFEST = {
    "id": "adult-reflect",
    "version": "1",
    "task": "anomaly",
    "method": "reflect",
    "contrasts": ["t1w"],
    "age_range": [20, 80],
    "spacing_mm": 1.0,
    "network": {"factory": "velocity_unet", "arguments": {}},
    "training_data": [{"name": "heads", "terms": "CC0", "scans": 3}],
    "training": {"seed": 0, "steps": 10},
    "calibration": {},
    "measured": [{"protocol": "planted", "recall": 0.8}],
    "seconds": {"cpu": 10.0},
    "licence": "CC BY-SA 4.0",
}
THRESHOLD = 3.0


def install_fake_model(folder: Path, **changes) -> None:
    """A model folder that verifies; its weights are no network's."""
    import torch

    manifest = {**MANIFEST, **changes}
    write_model(folder / manifest["id"], manifest, {"w": torch.ones(3)})


def fake_detect(
    volume: Volume, settings: DetectionSettings, progress: Progress = silent, *, mask: Volume | None = None
) -> Detection:
    """A detection that marks the voxels within 9 mm of the brain's brightest and darkest smooth spots."""
    progress("network", 0.5)
    brain = mask.array > 0 if mask else volume.array > 0.1 * volume.array.max()
    smooth = ndimage.gaussian_filter(volume.array, 2 / np.array(volume.spacing_mm))
    score = np.zeros(volume.shape, np.float32)
    for sign, place in ((1, np.where(brain, smooth, -1).argmax()), (-1, np.where(brain, smooth, 1e9).argmin())):
        offset = (np.indices(volume.shape).T - np.unravel_index(place, volume.shape)) @ volume.affine[:3, :3].T
        score += sign * 6 * (np.linalg.norm(offset, axis=-1).T < 9) * brain
    cut = cut_lesions(score, volume.affine, settings.threshold or THRESHOLD, direction=settings.direction)
    return Detection(
        pseudo_healthy=Volume((volume.array - 5 * score).astype(np.float32), volume.affine),
        anomaly_map=Volume(score, volume.affine),
        lesions=Volume(cut.labels, volume.affine),
        table=cut.lesions,
        operating_point=OperatingPoint(THRESHOLD, "At this threshold 19 of 20 healthy scans show at most 3 ml."),
        brain=Volume(brain.astype(np.uint8), volume.affine),
        facts={**volume.facts, "registration": 0.9},
        warnings=("The slices are thick <5 mm>.",),
        seconds={"network": 1.0},
    )
