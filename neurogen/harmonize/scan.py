"""One scan on its way to harmonization: checked, prepared, and measured as it came."""

import time
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from neurogen.errors import InputRefused
from neurogen.harmonize.flow import scan_bits
from neurogen.harmonize.settings import HarmonizationSettings
from neurogen.harmonize.site import SiteModel
from neurogen.harmonize.slices import to_levels
from neurogen.preprocess.contrast import check_suitable
from neurogen.preprocess.grid import GRID_AFFINE
from neurogen.preprocess.intensity import IntensityScale
from neurogen.preprocess.prepare import PreparationSettings, PreparedScan, find_brain, prepare
from neurogen.progress import Progress, portion
from neurogen.volumes import Volume

MAXIMUM_SLICE_MM = 3.0


@dataclass(eq=False)
class SiteScan:
    """levels: (80, 96, 80) uint8; read: what the harmonizer applies to it, its own and its site's; change: mean change
    of its brain by the harmonizer before any adaptation, share of the range. Both are set when they are known."""

    prepared: PreparedScan
    levels: np.ndarray
    bits_before: float
    warnings: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    read: Tensor = field(default_factory=lambda: torch.zeros(1, 1))
    change: float = 0.0


def prepare_scan(
    volume: Volume, site: SiteModel, settings: HarmonizationSettings, *, mask: Volume | None, progress: Progress
) -> SiteScan:
    """Raises InputRefused for another contrast, thick slices, no brain, or intensities that are no picture."""
    start = time.perf_counter()
    volume, notes = usable_intensities(volume)
    device = str(next(site.flow.parameters()).device)
    progress("brain mask", 0.0)
    brain = find_brain(volume, mask, device=device)
    manifest = {"maximum_slice_mm": MAXIMUM_SLICE_MM, **site.model.manifest}
    notes += check_suitable(volume, brain.array, volume.facts, manifest)
    preparation = PreparationSettings(bias_correction=settings.bias_correction, registered=settings.registered)
    prepared = prepare(volume, preparation, mask=brain, progress=portion(progress, 0.1, 0.9))
    levels = to_levels(prepared.image, prepared.brain)
    scan = site_scan(prepared, levels, site, notes + prepared.warnings)
    scan.seconds["preparation"] = round(time.perf_counter() - start, 2)
    return scan


def site_scan(prepared: PreparedScan, levels: np.ndarray, site: SiteModel, warnings: tuple[str, ...] = ()) -> SiteScan:
    """A prepared scan with its bits per brain pixel in the flow's first plane."""
    before = scan_bits(site.flow, levels, site.planes[0])
    if np.isnan(before):
        raise InputRefused(
            "No slice of the scan holds enough brain to judge its contrast. Give a scan of the whole head."
        )
    return SiteScan(prepared, levels, before, warnings)


def grid_scan(image: np.ndarray, brain: np.ndarray, site: SiteModel) -> SiteScan:
    """A scan that already is an image (160, 192, 160) in [0, 1] on the working grid."""
    native = Volume(image, GRID_AFFINE)
    prepared = PreparedScan(image, brain, np.eye(4), native, brain, image, IntensityScale(0.0, 1.0), {})
    return site_scan(prepared, to_levels(image, brain), site)


def usable_intensities(volume: Volume) -> tuple[Volume, tuple[str, ...]]:
    """The volume with finite intensities from 0 up, and what had to be changed. Raises InputRefused for a flat one."""
    array = np.asarray(volume.array, np.float32)
    finite = np.isfinite(array)
    if not finite.any() or np.ptp(array[finite]) == 0:
        raise InputRefused("All voxels of the scan have the same value (or none is a number). Give the scan itself.")
    notes: tuple[str, ...] = ()
    if not finite.all():
        notes += (f"{np.count_nonzero(~finite)} voxels are no numbers and were set to 0.",)
    low = float(array[finite].min())
    if low < 0:
        notes += (f"The intensities begin at {low:.4g}: they were shifted to begin at 0, as in a magnitude image.",)
    shifted = np.where(finite, array - min(low, 0.0), 0).astype(np.float32)
    return replace(volume, array=shifted), notes
