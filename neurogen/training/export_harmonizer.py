"""From a trained pair to a site model: calibration on kept-apart scans, reference histogram, manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from neurogen.harmonize.contrast import FAMILIES
from neurogen.harmonize.flow import SCAN_SLICES, bits, scan_bits
from neurogen.harmonize.harmonization import level_shares, mean_change
from neurogen.harmonize.site import QUANTILES
from neurogen.harmonize.slices import pictures, spread, to_levels
from neurogen.harmonize.transform import CurveTransform
from neurogen.models import ModelStore, write_model
from neurogen.networks.factory import load_network
from neurogen.training.recipe_flow import scan_separation, separation

if TYPE_CHECKING:
    from neurogen.training.recipe_harmonizer import HarmonizerTask

CURVE_NOTE = (
    "The shading that the scans of a site have in common is taken off and the landmarks of every scan are moved to the "
    "reference's, the dark ones mostly as those of its site. Both act on every voxel of the scan's own grid: edges "
    "cannot move."
)
OWN_CURVE_NOTE = (
    "With own_curve (not the default) one monotone curve a scan, read by the network, follows; it corrects what "
    "landmarks take for contrast but is anatomy."
)
DEVIATIONS = 2.33
"""Of the reference's scans, up to which a scan passes for one of them: one in a hundred of a normal distribution lies
beyond."""


def export_site(task: "HarmonizerTask", folder: Path, record: dict) -> None:
    """Write harmonizer and flow as one model."""
    flow = ModelStore().get(str(task.flow.resolve()))
    network = load_network(flow)
    weights = {name: value.half() for name, value in task.network.state_dict().items()}
    task.network.load_state_dict({name: value.float() for name, value in weights.items()})  # as users will have it
    manifest = _manifest(task, flow.manifest, record)
    manifest["calibration"] |= calibrate(task, network, flow.manifest["calibration"]["source_bits"])
    manifest["measured"] = measure(task, network)
    write_model(folder, manifest, weights, extra={"flow": flow.weights(), "reference": reference_of(task)})


def calibrate(task: "HarmonizerTask", flow: nn.Module, source_bits: Mapping) -> dict:
    """Source bits, and the limits within which a scan passes for one of the reference site."""
    plane = next(iter(source_bits))
    groups = [[scan_bits(flow, scan, plane) for scan in scans.values()] for scans in (task.kept, task.train)]
    found = {
        "source_bits": source_bits,
        # The flow has seen the training scans: their mean is too low, but not their spread.
        "most_bits": round(float(np.mean(groups[0]) + DEVIATIONS * _spread(groups)), 4),
        "reference_unit": task.settings.reference_unit,
        "scans": len(task.kept),
        "ids": list(task.kept),
        "scans_of_limits": len(task.kept) + len(task.train),
    }
    if task.settings.head == "curve":
        changes = [_change(task, image) for split in ("calibrate", "train") for _, image in task.images(split)]
        found["most_change"] = round(float(np.mean(changes) + DEVIATIONS * np.std(changes)), 4)
    return found


def _spread(groups: Sequence[Sequence[float]]) -> float:
    """Standard deviation around the mean of one's own group."""
    return float(np.std(np.concatenate([np.subtract(group, np.mean(group)) for group in groups])))


def _change(task: "HarmonizerTask", image: np.ndarray) -> float:
    """What the harmonizer would change of a scan that came alone, see `mean_change`."""
    transform = CurveTransform(task.network, task.landmarks, task.tissues, own_curve=False)
    brain = image > 0
    levels = to_levels(image, brain)
    transform.begin([levels])
    return mean_change(levels, transform, transform.read(image, brain, ("axial",)))


def measure(task: "HarmonizerTask", flow: nn.Module) -> list[dict]:
    """The numbers of kept-apart scans, for the manifest."""
    restored = {name: round(value, 4) for name, value in task.validate().items() if name != "score"}
    stack = np.concatenate([spread(pictures(v, "axial"), 16) for v in task.kept.values()])
    source = bits(flow, stack)
    areas = {f"auroc_{name}": round(separation(flow, stack, source.brain, name), 4) for name in FAMILIES}
    whole = {f"auroc_{name}": round(scan_separation(flow, task.kept, "axial", name), 4) for name in FAMILIES}
    told = {"bits_brain": round(float(source.brain.mean()), 4), "bits_frame": round(float(source.frame.mean()), 4)}
    return [
        {"protocol": "flow: axial slices of kept-apart scans against the same under each change", **told, **areas},
        {"protocol": f"flow: the same for whole scans, by the mean bits of {SCAN_SLICES} slices", **whole},
        {"protocol": "harmonizer alone: changes undone on axial slices of kept-apart scans", **restored},
    ]


def reference_of(task: "HarmonizerTask") -> dict[str, torch.Tensor]:
    """Histogram of levels, quantiles, landmarks and tissues of the training brains, each brain counted alike."""
    histogram = np.mean([level_shares(levels) for levels in task.train.values()], axis=0)
    values = np.repeat(np.arange(256) / 255, np.round(histogram * 1e6).astype(int))
    quantiles = np.quantile(values, np.linspace(0, 1, QUANTILES))
    tissues = task.tissues
    return {
        "histogram": torch.from_numpy(histogram),
        "quantiles": torch.from_numpy(quantiles),
        "landmarks": torch.from_numpy(task.landmarks),
        "tissue_shares": torch.from_numpy(tissues.shares).half(),
        "tissue_landmarks": torch.from_numpy(tissues.landmarks),
        "tissue_levels": torch.from_numpy(tissues.levels),
        "tissue_spreads": torch.from_numpy(tissues.spreads),
        "tissue_shading": torch.from_numpy(tissues.shading),
        "tissue_natural": torch.tensor(tissues.natural, dtype=torch.float64),
    }


def _manifest(task: "HarmonizerTask", flow: Mapping, record: dict) -> dict:
    settings = task.settings
    return {
        "id": settings.model_id,
        "version": "1.0.0",
        "task": "harmonize",
        "method": f"harmonizing-flows-{settings.head}",
        "contrasts": [settings.contrast],
        "spacing_mm": 1.0,
        "maximum_slice_mm": 3.0,
        "network": task.network_description(),
        "flow_network": flow["network"],
        "training": record,
        "flow_training": flow["training"],
        "calibration": {},
        "measured": [],
        "seconds": {},
        "notes": [
            "Flow and harmonizer look at pixels of 2 mm: the sharpness of a scan then hardly decides its likelihood.",
            "The flow is guided by negatives, margin in bits per brain pixel above the source slices of the batch.",
            *([CURVE_NOTE, OWN_CURVE_NOTE] if settings.head == "curve" else []),
        ],
        **task.facts,
    }  # fmt: skip
