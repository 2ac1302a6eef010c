"""From a scan as it comes to the working grid, and every result back onto the scan's own grid."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import binary_dilation

from neurogen.errors import InputRefused
from neurogen.preprocess.bias_field import BiasFieldSettings, correct_bias_field
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.preprocess.intensity import IntensityScale, percentile_scale
from neurogen.preprocess.registration import Registration, RegistrationSettings, register_to_template
from neurogen.preprocess.template import template_on_grid
from neurogen.progress import Progress, portion, silent
from neurogen.volumes import Volume, check_mask, resample_to

BRAIN_MARGIN_MM = 6
"""How far beyond the template brain a voxel may still be brain: drops eyes and neck that a mask took along."""

CROPPED_SHARE = 0.10
"""Share of the template brain outside the field of view above which a warning is due."""


@dataclass(frozen=True)
class PreparationSettings:
    bias_correction: bool = True
    registered: bool = False  # the scan's world already is the template's (MNI152)
    bias_field: BiasFieldSettings = field(default_factory=BiasFieldSettings)
    registration: RegistrationSettings = field(default_factory=RegistrationSettings)


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A scan on the working grid (`grid.py`), and what is needed to bring results home.

    image : (160, 192, 160) float32, brain scaled by its 98th percentile, clipped to [0, 1], 0 outside the brain
    brain : (160, 192, 160) bool
    scan_from_grid : (4, 4) RAS mm of the template to RAS mm of the scan
    """

    image: np.ndarray
    brain: np.ndarray
    scan_from_grid: np.ndarray
    native: Volume  # the input itself
    native_brain: np.ndarray  # bool on the input's grid
    corrected: np.ndarray  # the input after bias correction, on its own grid
    scale: IntensityScale  # between `corrected` and `image`
    facts: dict
    warnings: tuple[str, ...] = ()


def prepare(
    volume: Volume,
    settings: PreparationSettings = PreparationSettings(),
    *,
    mask: Volume | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> PreparedScan:
    """Brain mask, bias field, registration, 1 mm grid, intensity scale. Raises InputRefused where a step fails.

    mask : the brain on the volume's grid; without it the mask network is used
    """
    progress("brain mask", 0.0)
    brain = find_brain(volume, mask, device=device).array
    progress("bias field", 0.15)
    corrected = correct_bias_field(volume, brain, settings.bias_field) if settings.bias_correction else volume
    progress("registration", 0.4)
    registration = _registration(corrected, brain, settings, portion(progress, 0.4, 0.9))
    prepared = to_grid(volume, corrected, brain, registration, settings)
    progress("resampling", 1.0)
    return prepared


def find_brain(volume: Volume, mask: Volume | None = None, *, device: str = "cpu") -> Volume:
    """The given mask, checked, or the brain-mask network's: boolean, on the scan's grid. Raises InputRefused."""
    if mask is not None:
        return Volume(check_mask(mask, volume), volume.affine)
    from neurogen.preprocess.brain_mask import predict_brain_mask

    return Volume(predict_brain_mask(volume, device=device), volume.affine)


def to_grid(
    volume: Volume,
    corrected: Volume,
    brain: np.ndarray,
    registration: Registration | None,
    settings: PreparationSettings,
) -> PreparedScan:
    """Resample and scale a scan whose mask and registration are known (None: it already lies in template space)."""
    pose = np.eye(4) if registration is None else registration.scan_from_template
    masked = Volume(np.where(brain, corrected.array, 0).astype(np.float32), volume.affine)
    raw = resample_to(masked, GRID_SHAPE, GRID_AFFINE, transform=pose).array
    inside = resample_to(Volume(brain.astype(np.float32), volume.affine), GRID_SHAPE, GRID_AFFINE, transform=pose)
    on_grid = (inside.array > 0.5) & _near_template_brain()
    if on_grid.sum() < 1000:
        raise InputRefused(
            "Less than 1 ml of the brain lies where the ICBM152 template has its brain. Check the orientation of the "
            "scan, or leave --registered away if it is not in MNI152 space."
        )
    scale = percentile_scale(raw, on_grid)
    image = np.where(on_grid, np.clip(scale.apply(raw), 0, 1), 0).astype(np.float32)
    facts = {"bias_correction": settings.bias_correction, "registered": registration is None}
    if registration is not None:
        facts |= {
            "registration_overlap": round(registration.overlap, 3),
            "registration_correlation_ratio": round(registration.correlation_ratio, 3),
        }
    return PreparedScan(
        image,
        on_grid,
        pose,
        volume,
        brain,
        corrected.array,
        scale,
        facts,
        _warnings(volume, pose, registration, settings),
    )


def to_native(array: np.ndarray, prepared: PreparedScan, *, order: int = 1) -> Volume:
    """An array of the working grid on the input's own grid: trilinear (order 1) or nearest (order 0)."""
    on_grid = Volume(array, GRID_AFFINE)
    home = np.linalg.inv(prepared.scan_from_grid)
    return resample_to(on_grid, prepared.native.shape, prepared.native.affine, order=order, transform=home)


def _registration(
    corrected: Volume, brain: np.ndarray, settings: PreparationSettings, progress: Progress
) -> Registration | None:
    if settings.registered:
        return None
    return register_to_template(corrected, brain, settings.registration, progress=progress)


def _near_template_brain() -> np.ndarray:
    return binary_dilation(template_on_grid().array > 0, iterations=BRAIN_MARGIN_MM)


def _warnings(
    volume: Volume, pose: np.ndarray, registration: Registration | None, settings: PreparationSettings
) -> tuple[str, ...]:
    found = []
    if registration is not None and registration.overlap < settings.registration.warn_overlap:
        found.append(
            f"The brain overlaps the template by {registration.overlap:.2f} only (0.93 is usual): look at the "
            "registration before trusting the map."
        )
    everywhere = Volume(np.ones(volume.shape, np.float32), volume.affine)
    seen = resample_to(everywhere, GRID_SHAPE, GRID_AFFINE, transform=pose).array > 0.5
    missing = 1 - seen[template_on_grid().array > 0].mean()
    if missing > CROPPED_SHARE:
        found.append(f"{missing:.0%} of the brain lies outside the field of view; nothing can be said about it.")
    return tuple(found)
