"""From a trained MAD-AD or DeCo-Diff network to a model folder: healthy statistics, operating points, manifest.

As for REFLECT, everything is measured on healthy scans. Statistics of volumes are kept for brain cells only, and the
healthy context stays with the model that training started from when both have the same.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from neurogen.anomaly.shared_tensors import packed_statistics
from neurogen.models import write_model
from neurogen.networks.small_weights import reduced, restored
from neurogen.training.export_reflect import calibrate, manifest_of

if TYPE_CHECKING:
    from neurogen.training.masked_task import MaskedTask


def export_masked(task: "MaskedTask", folder: Path, record: dict) -> None:
    """Calibrate the network of `task` and write it as a model."""
    weights = reduced(task.network.state_dict())
    task.network.load_state_dict(restored(weights))  # as users will have it
    detector, statistics, calibration = calibrate(task)
    extra = {"healthy": packed_statistics(statistics, task.contexts)}
    own = {"method": task.method, "correction": asdict(task.correction), "notes": _notes(task)}
    lender = _lender(task)
    if lender is None:
        extra["context"] = dict(task.contexts)
    else:
        own["context"] = lender
    write_model(folder, manifest_of(task, detector, calibration, record) | own, weights, extra=extra)


def _lender(task: "MaskedTask") -> dict[str, str] | None:
    """The model that training started from, when it holds the very same contexts."""
    if task.settings.start_from is None:
        return None
    model = task.store.get(task.settings.start_from)
    if "context.safetensors" not in model.manifest["files"]:
        return None
    theirs = model.tensors("context")
    if set(theirs) != set(task.contexts) or any(
        not torch.equal(theirs[name], context.half()) for name, context in task.contexts.items()
    ):
        return None
    return {"model": model.id, "sha256": model.manifest["files"]["context.safetensors"]["sha256"]}


def _notes(task: "MaskedTask") -> list[str]:
    """What a reader who knows the paper should know of this model."""
    start = task.settings.start_from
    return [
        *task.notes,
        "Works in pixels of 2 mm." if task.in_pixels else "Works in latents.",
        "Beside the slice, the network sees mean and deviation of healthy slices at the same place (ours).",
        *([f"Training started from the trunk of {start}, which was trained on the same scans."] if start else []),
        "The score mixes two terms in healthy standard deviations: how far the method moved the scan, and how far the "
        "scan is from healthy brains at the same place (place weight 0 is the method's own map, 1 a plain z-score).",
        "Healthy statistics are those of training scans. Smoothing, floors and weight of the place term were chosen on "
        "lesions planted in the calibration scans, operating points on these scans as such. Weights have 8 bits.",
    ]
