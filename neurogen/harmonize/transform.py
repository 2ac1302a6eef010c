"""What is done to a scan, and what adaptation may change of it.

`CurveTransform` for the head "curve": the site's smooth shading taken off, each scan's landmarks moved to the
reference's, then its own curve as the harmonizer reads it, plus what adaptation adds for the whole site: more shading
and a shift of the curve.
`NetworkTransform` for the published heads: the network itself, all of whose weights adapt. Both take pictures in levels
0..255 and give levels, 0 outside the brain.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from neurogen.harmonize.landmarks import LANDMARKS, follow_landmarks, landmarks_of
from neurogen.harmonize.shading import TERMS, log_shading, places_of_voxels
from neurogen.harmonize.slices import exact_levels, pictures
from neurogen.harmonize.tissue_shading import TissueReference, read_shading
from neurogen.networks.harmonizer_unet import HarmonizerUNet, follow_curve
from neurogen.preprocess.grid import GRID_AFFINE, from_slices, to_slices
from neurogen.preprocess.prepare import PreparedScan, to_native

TOP = 255.0
BATCH = 16
LEAST = 1e-3  # intensity of the darkest brain
OWN_SHARE = np.interp(LANDMARKS, (0.1, 0.5), (0.3, 1.0))
"""(41,) of a scan in its landmarks, the rest is its site's. How many of a brain's voxels are dark says above all how
much fluid it holds, and its site's scans together tell a scanner from that; gray and white differ from scan to scan."""


class CurveTransform(nn.Module):
    """y = f_read+shift(landmarks(x exp(-shading))), of every voxel on the scan's own grid.

    standard : (41,) landmarks of the reference site's brains, of voxels of 1 mm
    tissues : what a shading is read against; None reads none
    own_curve : whether the network reads a curve of each scan; else there is none but what adaptation moves
    """

    learning_rate = 0.01  # ours; few parameters, of which each acts on all pixels

    def __init__(
        self,
        network: HarmonizerUNet,
        standard: np.ndarray,
        tissues: TissueReference | None = None,
        *,
        shading: bool = True,
        curve: bool = True,
        own_curve: bool = True,
    ):
        super().__init__()
        self.own_curve = own_curve
        self.network = network.requires_grad_(False)
        self.tissues = tissues
        self.register_buffer("standard", torch.from_numpy(np.asarray(standard, np.float32))[None])
        self.shift = nn.Parameter(torch.zeros(1, network.nodes + 1), requires_grad=curve)
        self.shading = nn.Parameter(torch.zeros(len(TERMS)), requires_grad=shading)
        self.register_buffer("start", torch.zeros(len(TERMS)))
        self.register_buffer("site", torch.zeros(1, len(LANDMARKS) + network.nodes + 1))
        self.register_buffer("own_share", torch.ones_like(self.site))

    @torch.no_grad()
    def begin(self, scans: Sequence[np.ndarray]) -> None:
        """Take off the shading that the scans of a site, levels (80, 96, 80), have in common."""
        if self.tissues is None or not self.shading.requires_grad:
            return
        found = read_shading(scans, self.tissues)
        self.start.copy_(torch.from_numpy(found.astype(np.float32)))
        self.shading.copy_(self.start)

    def pool(self, owns: Sequence[Tensor], *, together: bool) -> None:
        """Let the scans of a site, of which `owns` were read, share what anatomy blurs; `together`: all of it."""
        self.site.copy_(torch.stack(list(owns)).mean(0))
        self.own_share.fill_(0.0 if together else 1.0)
        if not together:
            self.own_share[0, : len(LANDMARKS)] = torch.from_numpy(OWN_SHARE.astype(np.float32))

    def pooled(self, own: Tensor) -> Tensor:
        """What is applied to a scan of which `own` was read."""
        return self.own_share * own + (1 - self.own_share) * self.site

    @torch.no_grad()
    def unshaded(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """(160, 192, 160) float32 image on the working grid without the shading, 0 outside the brain."""
        out = np.where(brain, image, 0).astype(np.float32)
        if self.shading.any():
            place = torch.from_numpy(places_of_voxels(brain.shape, GRID_AFFINE)[:, brain])[None]
            out[brain] *= torch.exp(-log_shading(place, self.shading.cpu()))[0, 0].numpy()
        return out

    @torch.no_grad()
    def read(self, image: np.ndarray, brain: np.ndarray, planes: Sequence[str]) -> Tensor:
        """(1, 41 + nodes + 1): a scan's landmarks, and its curve: the mean over its pictures, weighted by brain.

        image : (160, 192, 160) in [0, 1]; planes : of the pictures that the network sees. Landmarks are those of
        voxels, on which the curve acts: the mean of a curve over a cell is not the curve of the mean.
        """
        device = self.shift.device
        unshaded = self.unshaded(image, brain)
        own = torch.from_numpy(landmarks_of(unshaded[brain]).astype(np.float32))[None].to(device)
        if not self.own_curve:
            return torch.cat([own, torch.zeros_like(self.shift)], dim=1)
        levels = exact_levels(unshaded, brain)
        total, weight = 0.0, 0.0
        for stack in (pictures(levels, plane) for plane in planes):
            for start in range(0, len(stack), BATCH):
                x = torch.from_numpy(stack[start : start + BATCH])[:, None].to(device) / TOP
                inside = (x > 0).flatten(1).sum(1, keepdim=True).float()
                raw = self.network.curve_of(self.matched(x, own))
                total, weight = total + (raw * inside).sum(0, keepdim=True), weight + float(inside.sum())
        return torch.cat([own, total / max(weight, 1.0)], dim=1)

    def matched(self, x: Tensor, own: Tensor) -> Tensor:
        """(B, ...) intensities with landmarks moved to the reference's, above 0 in the brain, 0 outside it."""
        mapped = follow_landmarks(x.flatten(1), own, self.standard).clamp(min=LEAST).reshape(x.shape)
        return torch.where(x > 0, mapped, torch.zeros_like(mapped))

    def forward(self, levels: Tensor, place: Tensor, read: Tensor) -> Tensor:
        """(B, 1, ...) levels at `place` (B, 3, ...), with what was `read` (B or 1, 41 + nodes + 1) of their scans."""
        unshaded = levels / TOP * torch.exp(-log_shading(place, self.shading))
        own, raw = read[:, : len(LANDMARKS)], read[:, len(LANDMARKS) :]
        return follow_curve(self.matched(unshaded, own), raw + self.shift) * TOP

    def pictures(self, levels: Tensor, voxels: Tensor, place: Tensor, read: Tensor) -> Tensor:
        """(B, 1, H, W) harmonized pictures: the curve acts on the `voxels` (B, 8, H, W) of every pixel; those in the
        brain are averaged. levels (B, 1, H, W), place (B, 3, H, W), read (B or 1, 41 + nodes + 1)"""
        inside = (voxels > 0).sum(1, keepdim=True).clamp(min=1)
        return self(voxels[:, None], place[:, :, None], read).clamp(max=TOP).sum(2) / inside

    def adapted(self) -> dict[str, Tensor]:
        """What was found for the site, to be kept for its later scans."""
        return {name: getattr(self, name).detach().clone() for name in ("shift", "shading", "site", "own_share")}

    @torch.no_grad()
    def take(self, adapted: dict[str, Tensor]) -> None:
        """Raises KeyError or RuntimeError for what does not fit."""
        for name in ("shift", "shading", "site", "own_share"):
            getattr(self, name).copy_(adapted[name])

    def cpu_copy(self) -> "CurveTransform":
        """Itself on the processor: whole volumes would fill a graphics card."""
        return self if self.shift.device.type == "cpu" else copy.deepcopy(self).cpu()

    def penalty(self) -> Tensor:
        """Squared distance from the harmonizer as it began, which keeps the flow from being pleased at any price."""
        return self.shift.square().sum() + (self.shading - self.start).square().sum()

    @torch.no_grad()
    def on_grid(self, prepared: PreparedScan, read: Tensor) -> np.ndarray:
        """(160, 192, 160) harmonized image in [0, 1] on the working grid."""
        return np.clip(self._applied(prepared.image, prepared.brain, GRID_AFFINE, read), 0, 1)

    @torch.no_grad()
    def on_scan(self, prepared: PreparedScan, read: Tensor) -> np.ndarray:
        """The harmonized scan on its own grid, 1.0 = 98th percentile of the reference; nothing is resampled."""
        scaled = prepared.scale.apply(prepared.corrected)
        template_from_voxel = np.linalg.inv(prepared.scan_from_grid) @ prepared.native.affine
        return self._applied(scaled, prepared.native_brain, template_from_voxel, read)

    def _applied(
        self, image: np.ndarray, brain: np.ndarray, template_from_voxel: np.ndarray, read: Tensor
    ) -> np.ndarray:
        out = np.zeros(image.shape, np.float32)
        box = tuple(slice(ends.min(), ends.max() + 1) for ends in np.nonzero(brain))
        start = np.eye(4)
        start[:3, 3] = [part.start for part in box]
        place = places_of_voxels(brain[box].shape, template_from_voxel @ start)[:, brain[box]]
        values = torch.from_numpy(np.maximum(image[brain], LEAST).astype(np.float32))[None, None] * TOP
        mapped = self.cpu_copy()(values, torch.from_numpy(place)[None], read.cpu()) / TOP
        out[brain] = np.maximum(mapped[0, 0].numpy(), 0)
        return out


class NetworkTransform(nn.Module):
    """y = h(x), slice by slice on the working grid; what changed is brought home and added to the scan."""

    learning_rate = 5e-7  # thesis section 2.4.1; the published code: 4e-6

    def __init__(self, network: HarmonizerUNet):
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(True)
        self._start = {name: p.detach().clone() for name, p in self.network.named_parameters()}

    def begin(self, scans: Sequence[np.ndarray]) -> None:
        """Nothing is read from scans beforehand."""

    def pool(self, owns: Sequence[Tensor], *, together: bool) -> None:
        """All scans have the network in common."""

    def read(self, image: np.ndarray, brain: np.ndarray, planes: Sequence[str]) -> Tensor:
        """Nothing."""
        return torch.zeros(1, 1)

    def pooled(self, own: Tensor) -> Tensor:
        """Nothing."""
        return own

    def unshaded(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """The image: no shading is told apart."""
        return image

    def forward(self, levels: Tensor, place: Tensor, read: Tensor) -> Tensor:
        return self.network(levels / TOP) * TOP

    def pictures(self, levels: Tensor, voxels: Tensor, place: Tensor, read: Tensor) -> Tensor:
        """(B, 1, H, W) harmonized pictures of `levels` (B, 1, H, W)."""
        return self(levels, place, read)

    def adapted(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def take(self, adapted: dict[str, Tensor]) -> None:
        self.network.load_state_dict(adapted)

    def penalty(self) -> Tensor:
        return sum((p - self._start[n].to(p.device)).square().sum() for n, p in self.network.named_parameters())

    @torch.no_grad()
    def on_grid(self, prepared: PreparedScan, read: Tensor) -> np.ndarray:
        """(160, 192, 160); 1 mm slices as they are: the network saw pixels of 2 mm, edges of which look alike."""
        slices = to_slices(prepared.image)
        device = next(self.network.parameters()).device
        parts = [
            self.network(torch.from_numpy(slices[k : k + BATCH])[:, None].to(device))[:, 0].cpu().numpy()
            for k in range(0, len(slices), BATCH)
        ]
        return np.clip(from_slices(np.concatenate(parts)), 0, 1) * prepared.brain

    def on_scan(self, prepared: PreparedScan, read: Tensor) -> np.ndarray:
        change = to_native(self.on_grid(prepared, read) - prepared.image, prepared).array
        scaled = prepared.scale.apply(prepared.corrected)
        return np.where(prepared.native_brain, np.maximum(scaled + change, 0), 0).astype(np.float32)
