"""A trained detector that corrects slices: standardized slices in, pseudo-healthy slices and a signed score out.

Slices of 1 mm go through the codec, the correction of the method (REFLECT, MAD-AD or DeCo-Diff) and back. A volume is
treated as slabs of 2 mm (the mean of two axial slices); a single slice (the FLAIR benchmark) as it is. Left-right flips
are averaged: a healthy brain is nearly symmetric, the network's noise is not.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from neurogen.anomaly.anomaly_map import AROUND_CELLS, CellMaps, HealthyError, HealthyStandard, ScanSpread, roughness
from neurogen.anomaly.codec import AutoencoderCodec, Codec, PixelCodec
from neurogen.anomaly.contrast_scale import ContrastScale
from neurogen.anomaly.correction import Conditions, Corrected, Correction, ReflectCorrection, correction_of
from neurogen.anomaly.leveling import Leveling, cells_of, refined
from neurogen.anomaly.shared_tensors import context_tensors, unpacked
from neurogen.models import Model, ModelStore
from neurogen.networks.autoencoder import LatentCodec
from neurogen.networks.factory import load_network
from neurogen.preprocess.grid import to_slices
from neurogen.progress import Progress, silent

SLAB = 2  # slices of 1 mm averaged into one, and pixels along the side of one score cell


@dataclass(frozen=True)
class ScoreSettings:
    steps: int | None = None  # of the correction; None = as the model was calibrated
    flips: bool = True  # average over left-right flips
    batch_size: int = 16
    sigma_cells: float | None = None  # smoothing of the deviation, in cells of 2 mm; None = as the model was calibrated
    seed: int = 0  # for methods that draw


@dataclass(frozen=True, eq=False)
class SliceCorrection:
    """What the method made of N slices, in standardized units of the contrast."""

    restored: np.ndarray  # (N, H, W) pseudo-healthy slices
    code_change: np.ndarray  # (N, C, h, w) code minus corrected code
    factor: int  # pixels along the side of one code cell
    evidence: np.ndarray | None = None  # (N, C, h, w) signed, scored instead of the difference


class Detector:
    """Network, codec and healthy statistics of one model, ready to score slices and prepared volumes.

    contexts : per contrast (K, context channels, h, w), what healthy codes look like at each level: K = 80 slabs of a
    volume, or 1 for the slices of a single level
    """

    def __init__(
        self,
        velocity: nn.Module,
        codec: Codec,
        contrasts: dict[str, ContrastScale],
        contexts: dict[str, Tensor],
        healthy: dict[str, HealthyStandard],
        *,
        correction: Correction = ReflectCorrection(),
        levelings: dict[str, Leveling] | None = None,
        device: str | torch.device = "cpu",
    ):
        self.velocity, self.codec, self.contrasts, self.healthy = velocity, codec, contrasts, healthy
        self.levelings = levelings or {}
        self.correction = correction
        self.device = torch.device(device)
        self.contexts = {name: context.to(self.device) for name, context in contexts.items()}

    def correct_slices(
        self,
        standardized: np.ndarray,
        contrast: str,
        settings: ScoreSettings,
        *,
        slabs: np.ndarray | None = None,
        progress: Progress = silent,
    ) -> SliceCorrection:
        """(N, 192, 160) standardized slices -> the correction of each. slabs: (N,) their levels, see `to_slabs`;
        None where the contrast has one level only."""
        slabs = np.zeros(len(standardized), int) if slabs is None else slabs
        restored, change, evidence = [], [], []
        for start in range(0, len(standardized), settings.batch_size):
            part = slice(start, start + settings.batch_size)
            batch = torch.from_numpy(standardized[part])[:, None].to(self.device)
            code, healed = self._correct(batch, contrast, torch.from_numpy(slabs[part]), settings)
            restored.append(self.codec.restore(batch, code, healed.code, self.contrasts[contrast])[:, 0].cpu().numpy())
            change.append((code - healed.code).cpu().numpy())
            if healed.evidence is not None:
                evidence.append(healed.evidence.cpu().numpy())
            progress("network", min(1.0, (start + settings.batch_size) / len(standardized)))
        return SliceCorrection(
            np.concatenate(restored),
            np.concatenate(change),
            self.codec.factor,
            np.concatenate(evidence) if evidence else None,
        )

    @torch.no_grad()
    def _correct(
        self, batch: Tensor, contrast: str, slabs: Tensor, settings: ScoreSettings
    ) -> tuple[Tensor, Corrected]:
        """Code and corrected code of a batch. The flipped slices are encoded anew, since a latent does not flip; the
        context serves both, since it was averaged over both sides."""
        scale, context = self.contrasts[contrast], self.contexts[contrast][slabs]
        index = torch.full((len(batch),), scale.index, dtype=torch.long, device=self.device)
        conditions = Conditions(index, context, slabs)
        steps = settings.steps or self.correction.steps

        def heal(code: Tensor) -> Corrected:
            return self.correction(self.velocity, code, conditions, steps=steps, seed=settings.seed)

        code = self.codec.encode(batch, scale)
        healed = heal(code)
        if settings.flips:
            mirrored = self.codec.encode(batch.flip(-1), scale)
            healed = healed.averaged(heal(mirrored), code, mirrored)
        return code, healed

    def deviation(self, standardized: np.ndarray, correction: SliceCorrection) -> np.ndarray:
        """(N, h, w) signed: how much brighter than pseudo-healthy each cell of 2 mm is (eq. 5.10, pixel and latent).

        In pixel space both terms of eq. 5.10 are the same. In a latent space the latent term has no sign of its own
        and takes the pixel term's; `combine` of the method says how the two make one (eq. 4.15, table 4.4). Evidence of
        the method replaces the difference when `combine` is "evidence"; else the geometric mean of the two counts.
        """
        if correction.evidence is None:
            return self._difference(standardized, correction)
        evidence = _repeated(correction.evidence.mean(1), correction.factor // SLAB)
        if self.correction.combine == "evidence":
            return evidence
        difference = self._difference(standardized, correction)
        return np.sign(difference) * np.sqrt(np.abs(difference * evidence))

    def _difference(self, standardized: np.ndarray, correction: SliceCorrection) -> np.ndarray:
        pixel = cells_of(standardized - correction.restored)
        if isinstance(self.codec, PixelCodec) or self.correction.combine == "pixel":
            return pixel
        latent = _repeated(np.abs(correction.code_change).mean(1), correction.factor // SLAB)
        if self.correction.combine == "latent":
            return np.sign(pixel) * latent
        if self.correction.combine == "geometric":
            return np.sign(pixel) * np.sqrt(np.abs(pixel) * latent)
        return 0.5 * pixel + 0.5 * np.sign(pixel) * latent

    def slice_maps(
        self,
        slices: np.ndarray,
        brain: np.ndarray,
        contrast: str,
        settings: ScoreSettings,
        *,
        slabs: np.ndarray | None = None,
    ) -> CellMaps:
        """Smoothed cell maps (N, h, w) of single slices (N, 192, 160) of levels `slabs`."""
        standardized = self.contrasts[contrast].standardize(slices, brain)
        correction = self.correct_slices(standardized, contrast, settings, slabs=slabs)
        maps = CellMaps(
            self.deviation(standardized, correction), cells_of(standardized), cells_of(brain.astype(np.float32)) >= 0.5
        )
        sigma = self._sigma(contrast, settings)
        return maps.smoothed((0, sigma, sigma))

    def volume_maps(
        self,
        image: np.ndarray,
        brain: np.ndarray,
        contrast: str,
        settings: ScoreSettings,
        progress: Progress = silent,
    ) -> tuple[CellMaps, np.ndarray]:
        """Of a prepared volume: smoothed cell maps (80, 96, 80), and what the flow changes of the image (80, 192, 160),
        pseudo-healthy minus input on the scale of the input."""
        slabs, inside = to_slabs(image, brain)
        field = self._field(slabs, inside, contrast)
        slabs = np.clip(slabs / field, 0, 1)
        standardized = self.contrasts[contrast].standardize(slabs, inside)
        change = np.zeros_like(standardized)
        flow = np.zeros((len(slabs), *[n // SLAB for n in slabs.shape[1:]]), np.float32)
        filled = np.flatnonzero(inside.any((1, 2)))
        correction = self.correct_slices(standardized[filled], contrast, settings, slabs=filled, progress=progress)
        change[filled] = correction.restored - standardized[filled]
        flow[filled] = self.deviation(standardized[filled], correction)
        image, cells = cells_of(standardized), cells_of(inside.astype(np.float32)) >= 0.5
        maps = CellMaps(flow, image, cells, roughness(image, cells))
        change *= self.contrasts[contrast].deviation * field
        return maps.smoothed((self._sigma(contrast, settings),) * 3), change

    def _field(self, slabs: np.ndarray, inside: np.ndarray, contrast: str) -> np.ndarray:
        """What is left of the receive field in slabs (K, H, W); 1 where the model does not level."""
        if contrast not in self.levelings:
            return np.ones((1, 1, 1), np.float32)
        return refined(self.levelings[contrast].field_of_slabs(slabs, inside), slabs.shape)

    def _sigma(self, contrast: str, settings: ScoreSettings) -> float:
        if settings.sigma_cells is not None:
            return settings.sigma_cells
        return self.healthy[contrast].sigma_cells if contrast in self.healthy else 1.0


def to_slabs(image: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(160, 192, 160) volume and brain -> (80, 192, 160) means of two axial slices over their brain, and its mask."""
    slices, inside = to_slices(image), to_slices(brain)
    count = inside.reshape(-1, SLAB, *inside.shape[1:]).sum(1)
    total = (slices * inside).reshape(-1, SLAB, *slices.shape[1:]).sum(1)
    return (total / np.maximum(count, 1)).astype(np.float32), count > 0


def _repeated(cells: np.ndarray, times: int) -> np.ndarray:
    """(N, h, w) -> (N, times h, times w)."""
    return cells.repeat(times, 1).repeat(times, 2)


def load_detector(model: Model, *, device: str = "cpu", store: ModelStore | None = None) -> Detector:
    """The detector that a model folder describes. Raises ModelUnavailable when a part is missing or corrupt."""
    store = store or ModelStore()
    correction = correction_of(
        str(model.manifest.get("method")), model.manifest.get("correction", {}), model_id=model.id
    )
    tensors = model.tensors("healthy")
    contrasts = {
        name: ContrastScale.from_manifest(model.manifest["contrast_scales"], name)
        for name in model.manifest["contrast_scales"]
    }
    contexts = {name: context.float() for name, context in context_tensors(model, store).items() if name in contrasts}
    healthy = {
        name: _standard(unpacked(tensors, contexts[name]), name, model.manifest["healthy_standard"][name])
        for name in contrasts
    }
    levelings = {
        name: Leveling.from_context(contexts[name], contrasts[name], chosen["leveling_cells"])
        for name, chosen in model.manifest["healthy_standard"].items()
        if chosen.get("leveling_cells")
    }
    return Detector(
        load_network(model, device),
        _codec(model, device, store),
        contrasts,
        contexts,
        healthy,
        correction=correction,
        levelings=levelings,
        device=device,
    )


def _standard(tensors: dict[str, Tensor], name: str, chosen: dict) -> HealthyStandard:
    """The healthy statistics of one contrast, from the model's tensors and manifest."""

    def error(term: str, sigma_cells: float) -> HealthyError:
        mean, deviation = (tensors[f"{name}_{term}_{part}"].float().numpy() for part in ("mean", "deviation"))
        return HealthyError(mean, deviation, chosen[f"{term}_floor"], sigma_cells)

    spread = ScanSpread(**chosen["spread"]) if "spread" in chosen else None
    return HealthyStandard(
        error("flow", chosen["sigma_cells"]),
        error("place", chosen["sigma_cells"]),
        chosen["place_weight"],
        chosen.get("sides_share", 0.0),
        sides_bounded=chosen.get("sides_bounded", False),  # models calibrated before there were bounds
        spread=spread,
        texture=error("texture", AROUND_CELLS) if "texture_weight" in chosen else None,
        texture_weight=chosen.get("texture_weight", 0.0),
    )


def _codec(model: Model, device: str, store: ModelStore) -> Codec:
    description = model.manifest["codec"]
    if description["kind"] == "pixel":
        return PixelCodec(factor=description["factor"])
    return autoencoder_codec(store.get(description["model"]), device)


def autoencoder_codec(model: Model, device: str = "cpu") -> AutoencoderCodec:
    """The codec of an autoencoder model; its manifest holds the latents' mean and deviation per channel."""
    return AutoencoderCodec(LatentCodec.of(model, device), channels=len(model.manifest["latent_scale"]["mean"]))
