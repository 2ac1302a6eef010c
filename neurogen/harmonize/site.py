"""A site model: harmonizer, flow and what is known of the reference site, loaded from a model folder."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from neurogen.errors import ModelUnavailable, UsageError
from neurogen.harmonize.tissue_shading import TissueReference
from neurogen.models import Model
from neurogen.networks.factory import build, load_network
from neurogen.networks.harmonizer_unet import HarmonizerUNet

QUANTILES = 201


@dataclass(frozen=True, eq=False)
class SiteModel:
    """Networks in evaluation mode, without gradients.

    histogram : (256,) shares of the reference brains' 2 mm cells by level 0..255; quantiles : (201,) of their
        intensities in [0, 1]; landmarks : (41,) of the voxels' of 1 mm
    tissues : against which a shading is read; None where the model was trained without
    source_bits : per plane of the flow, bits per pixel of kept-apart reference scans (recipe_flow.source_bits)
    unit : intensity of the 98th percentile of a harmonized brain
    """

    model: Model
    harmonizer: HarmonizerUNet
    flow: nn.Module
    histogram: np.ndarray
    quantiles: np.ndarray
    landmarks: np.ndarray
    tissues: TissueReference | None
    source_bits: dict[str, dict[str, float]]
    unit: float

    @property
    def planes(self) -> tuple[str, ...]:
        """Those in which the flow knows what is likely; scans are judged in the first."""
        return tuple(self.source_bits)

    def most_bits(self, plane: str) -> float:
        """What the costliest of the reference's own scans cost in a plane, in bits per brain pixel."""
        kept_apart = self.source_bits[plane]["brain_most"]
        return (
            max(kept_apart, self.model.manifest["calibration"]["most_bits"]) if plane == self.planes[0] else kept_apart
        )


def load_site(model: Model, *, device: str = "cpu") -> SiteModel:
    """Raises UsageError for a model of another task, ModelUnavailable when a part is missing or corrupt."""
    if model.manifest["task"] != "harmonize":
        raise UsageError(f"The model {model.id!r} is for {model.manifest['task']}; choose a harmonization model.")
    flow = build(model.manifest["flow_network"])
    try:
        flow.load_state_dict({name: value.float() for name, value in model.tensors("flow").items()})
    except RuntimeError as error:
        raise ModelUnavailable(f"The flow of the model {model.id!r} does not fit its manifest: {error}") from error
    reference = model.tensors("reference")
    calibration = model.manifest["calibration"]
    return SiteModel(
        model,
        load_network(model, device),
        flow.eval().requires_grad_(False).to(device),
        reference["histogram"].float().numpy(),
        reference["quantiles"].float().numpy(),
        reference["landmarks"].float().numpy(),
        _tissues(reference),
        calibration["source_bits"],
        float(calibration["reference_unit"]),
    )


def _tissues(reference: Mapping[str, Tensor]) -> TissueReference | None:
    if "tissue_shares" not in reference:
        return None
    parts = (
        reference[f"tissue_{name}"].double().numpy() for name in ("shares", "landmarks", "levels", "spreads", "shading")
    )
    return TissueReference(*parts, natural=float(reference["tissue_natural"]))
