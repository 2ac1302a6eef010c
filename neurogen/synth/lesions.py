"""Lesions planted in a healthy scan, with their exact ground truth.

Five kinds, none of which looks like the filled random walks the detectors are trained with:

bright, dark   a soft-edged blob, brighter or darker than the tissue it replaces
textured       a blob of fine mixed bright and dark spots that leaves the mean as it was
mass-effect    a bright or dark core that pushes the tissue around it outward; the truth is the core
atrophy        tissue beside sulci, ventricles or the brain's edge turned dark: focal loss; the truth is the lost tissue

The contrast of a lesion is the change it makes, averaged over its mask (root mean square for the textured kind), in
standard deviations of the brain within 10 mm around it. Intensities stay in [0, 1]: where that leaves no room for the
contrast asked, the lesion moves elsewhere, and `PlantedLesion.contrast` always states what was reached.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from neurogen.synth.shapes import Box, blob_field, box_around, connected_blob, highest, smooth_noise

KINDS = ("bright", "dark", "textured", "mass-effect", "atrophy")
NEIGHBORHOOD_MM = 10.0  # around the lesion: where the local standard deviation is measured
LEAST_DEVIATION = 0.02  # of the [0, 1] scale: a lesion in perfectly flat tissue is still visible
PLACES = 4  # places tried for a lesion whose contrast does not fit
PUSH = 0.5  # mass effect: displacement at the core's surface, in core radii


@dataclass(frozen=True)
class PlantedLesion:
    """A scan with one lesion in it, and the truth about that lesion."""

    image: np.ndarray  # (I, J, K) float32 in [0, 1]
    mask: np.ndarray  # (I, J, K) bool: the lesion
    kind: str
    volume_ml: float  # of the mask; on a slice: of the sphere with this cross-section
    contrast: float  # reached, in local standard deviations
    centroid_voxel: tuple[float, float, float]  # center of mass of the mask, voxel indices
    support: np.ndarray  # (I, J, K) bool: every other voxel is bit-identical to the input


@dataclass(frozen=True)
class _Site:
    """One candidate place: the box with its part of scan and brain (float32, bool), the lesion's mask and radius."""

    box: Box
    image: np.ndarray
    brain: np.ndarray
    mask: np.ndarray
    radius_mm: float
    deviation: float


def plant_lesion(
    image: np.ndarray,
    brain: np.ndarray,
    spacing_mm: tuple[float, float, float],
    kind: str,
    volume_ml: float,
    contrast: float,
    rng: np.random.Generator,
) -> PlantedLesion:
    """Plant one lesion at a random place inside the brain.

    image : (I, J, K) in [0, 1]; K = 1 is a slice, on which the lesion gets the great circle of a sphere of `volume_ml`
    brain : (I, J, K) bool
    spacing_mm : voxel size; volume_ml : 0.05-60; contrast : 1-3 local standard deviations
    Raises ValueError for an unknown kind, shapes that differ, or a brain too small to hold the lesion.
    """
    spacing = np.asarray(spacing_mm, float)
    image = np.asarray(image, np.float32)
    brain = np.asarray(brain, bool)
    _check(image, brain, kind)
    count, radius = _size(volume_ml, image.shape, spacing)
    if count > brain.sum() // 2:
        raise ValueError(
            f"A lesion of {volume_ml:g} ml needs {count} voxels, and the brain given has {int(brain.sum())}. "
            "Plant a smaller lesion or give more of the brain (it may fill at most half of it)."
        )
    best = None
    for _ in range(PLACES):
        site = _site(image, brain, spacing, kind, count, radius, rng)
        candidate = _alter(site, spacing, kind, contrast, rng)
        if best is None or candidate[1] > best[1][1] + 1e-3:
            best = (site, candidate)
        if best[1][1] >= contrast * 0.999:
            break
    return _planted(image, best[0], *best[1], kind=kind, spacing=spacing)


def _check(image: np.ndarray, brain: np.ndarray, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"Lesion kind {kind!r} is unknown. Choose one of {', '.join(KINDS)}.")
    if image.ndim != 3 or image.shape != brain.shape:
        raise ValueError(
            f"Image {image.shape} and brain {brain.shape} must be (I, J, K) arrays of the same shape. "
            "Give a slice as (I, J, 1)."
        )


def _size(volume_ml: float, shape: tuple[int, int, int], spacing: np.ndarray) -> tuple[int, float]:
    """Voxels of the lesion and the radius (mm) of the sphere of this volume; on a slice, of its great circle."""
    radius = (3 * volume_ml * 1000 / (4 * np.pi)) ** (1 / 3)
    if shape[2] == 1:
        return max(round(np.pi * radius**2 / np.prod(spacing[:2])), 1), radius
    return max(round(volume_ml * 1000 / np.prod(spacing)), 1), radius


def _site(image, brain, spacing, kind, count, radius, rng) -> _Site:
    """Draw a center and the lesion's mask; the box grows until the brain within it holds the lesion."""
    center = _draw_center(brain, spacing, kind, radius, rng)
    reach = 2.2 * radius + NEIGHBORHOOD_MM
    while True:
        box = box_around(center, reach, image.shape, spacing)
        part, inside = image[box.slices], brain[box.slices]
        field = blob_field(box, radius, spacing, rng)
        if kind == "atrophy":
            mask = _lost_tissue(field, part, inside, spacing, count)
        else:
            mask = connected_blob(field, inside, count)
        if mask.sum() == count or box.shape == image.shape:
            return _Site(box, part, inside, mask, radius, _local_deviation(part, inside, mask, spacing))
        reach *= 1.5


def _draw_center(brain, spacing, kind, radius, rng) -> np.ndarray:
    """A brain voxel deep enough for the lesion; for atrophy one near the edge. Depth on a grid of about 3 mm."""
    step = np.minimum(np.maximum(np.round(3 / spacing).astype(int), 1), brain.shape)
    coarse = brain[:: step[0], :: step[1], :: step[2]]
    if not coarse.any():
        step, coarse = np.ones(3, int), brain
    flat = coarse.shape[2] == 1
    padded = np.pad(coarse, [(1, 1), (1, 1), (0, 0) if flat else (1, 1)])
    depth = ndimage.distance_transform_edt(padded, spacing * step)[1:-1, 1:-1]
    depth = depth if flat else depth[:, :, 1:-1]
    wanted = min(0.7 * radius, 0.7 * depth.max())
    near_edge = coarse & (depth <= max(8.0, depth[coarse].min()))
    candidates = np.argwhere(near_edge if kind == "atrophy" else coarse & (depth >= wanted))
    return candidates[rng.integers(len(candidates))] * step


def _lost_tissue(field, image, brain, spacing, count) -> np.ndarray:
    """The tissue within the blob that lies nearest to what is dark already or outside: a sulcus that widens."""
    tissue_level = 0.5 * np.median(image[brain])
    tissue = brain & (image > tissue_level)
    if tissue.sum() < count:
        tissue = brain
    gap_mm = ndimage.distance_transform_edt(tissue, spacing) if not tissue.all() else np.zeros(tissue.shape)
    return highest(field - (gap_mm / 4.0).astype(np.float32), tissue, count)


def _local_deviation(image, brain, mask, spacing) -> float:
    """Standard deviation of the brain within `NEIGHBORHOOD_MM` of the lesion, lesion excluded."""
    around = brain & ~mask & (ndimage.distance_transform_edt(~mask, spacing) <= NEIGHBORHOOD_MM)
    values = image[around] if around.sum() >= 8 else image[brain]
    return max(float(values.std()), LEAST_DEVIATION)


def _alter(site: _Site, spacing, kind, contrast, rng) -> tuple[np.ndarray, float, np.ndarray]:
    """The altered box, the contrast reached and the support within the box."""
    before, support = site.image, site.mask
    if kind == "mass-effect":
        before, support = _pushed_outward(site, spacing)
    weight = _soft_weight(site.mask, spacing)
    values = before[site.mask]
    sign = {"bright": 1, "dark": -1, "atrophy": -1}.get(kind) or int(rng.choice([-1, 1]))
    if kind == "textured":
        pattern = _spots(site, spacing, rng)
        change = weight * pattern[site.mask]
        fade = np.zeros_like(values)
    else:
        change = sign * weight
        fade = 0.5 * weight * (values.mean() - values)
    after = _reach_contrast(values, change, fade, contrast * site.deviation, squared=kind == "textured")
    altered = before.copy()
    altered[site.mask] = after
    return altered, _mean_change(after - values, kind == "textured") / site.deviation, support


def _mean_change(difference: np.ndarray, squared: bool) -> float:
    return float(np.sqrt(np.mean(difference**2)) if squared else abs(difference.mean()))


def _reach_contrast(values, change, fade, wanted, *, squared) -> np.ndarray:
    """Clip(values + fade + s * change) to [0, 1] with the s whose mean change is `wanted`, or the nearest reachable."""
    low, high = 0.0, 4 * wanted + 2.0
    for _ in range(30):
        scale = (low + high) / 2
        after = np.clip(values + fade + scale * change, 0, 1)
        signed = after - values if squared else (after - values) * np.sign(change)
        reached = _mean_change(signed, squared) if squared else float(signed.mean())
        low, high = (scale, high) if reached < wanted else (low, scale)
    return after.astype(np.float32)


def _soft_weight(mask, spacing) -> np.ndarray:
    """(n,) weights of the mask's voxels: 1 in the middle, about a half at the edge, over a millimeter or so."""
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), 1.2 / spacing, mode="constant")[mask]
    return np.clip(1.2 * smooth, 0.3, 1.0)


def _spots(site: _Site, spacing, rng) -> np.ndarray:
    """Band-passed noise with spots of 2-4 mm, saturated to two levels softly; zero mean and unit RMS in the mask."""
    width = rng.uniform(0.8, 1.6)
    noise = smooth_noise(site.box.shape, width / spacing, rng) - smooth_noise(site.box.shape, 2 * width / spacing, rng)
    spots = np.tanh(2 * noise)
    inside = spots[site.mask]
    return (spots - inside.mean()) / max(float(inside.std()), 1e-3)


def _pushed_outward(site: _Site, spacing) -> tuple[np.ndarray, np.ndarray]:
    """Tissue around the core moved away from its center, and where it moved.

    A voxel x takes the intensity of x - PUSH r h(d / L) e(x): d is the distance to the core, e points away from its
    center, h falls smoothly from 1 to 0 over L mm, and the shift fades toward the brain's edge, which stays in place.
    """
    reach = float(np.clip(1.5 * site.radius_mm, 5.0, 20.0))
    distance = ndimage.distance_transform_edt(~site.mask, spacing)
    fraction = np.clip(distance / reach, 0, 1)
    shift = PUSH * min(site.radius_mm, reach) * (1 - fraction) ** 2 * (1 + 2 * fraction)
    shift *= _fades_at_edge(site.brain, spacing)
    center = [float(index.mean()) for index in np.nonzero(site.mask)]
    away = [(np.arange(n) - c) * s for n, c, s in zip(site.image.shape, center, spacing, strict=True)]
    away = np.meshgrid(*away, indexing="ij")
    length = np.maximum(np.sqrt(sum(a**2 for a in away)), 1e-3)
    shift = np.minimum(shift, 0.9 * length)
    grid = np.meshgrid(*[np.arange(n) for n in site.image.shape], indexing="ij")
    source = [g - shift * a / length / s for g, a, s in zip(grid, away, spacing, strict=True)]
    moved = shift > 0.05
    pushed = site.image.copy()
    pushed[moved] = ndimage.map_coordinates(site.image, [s[moved] for s in source], order=1, mode="nearest")
    return pushed, moved | site.mask


def _fades_at_edge(brain, spacing) -> np.ndarray:
    """1 deep inside the brain, 0 at its edge and outside, float32."""
    smooth = ndimage.gaussian_filter(brain.astype(np.float32), 3.0 / spacing, mode="nearest")
    return np.clip(2.5 * smooth - 1.25, 0, 1) * brain


def _planted(image, site: _Site, altered, contrast, support, *, kind, spacing) -> PlantedLesion:
    """Paste the altered box back and describe the lesion."""
    planted, mask, touched = image.copy(), np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    planted[site.box.slices] = np.where(support, altered, site.image)
    mask[site.box.slices], touched[site.box.slices] = site.mask, support
    centroid = tuple(float(index.mean()) for index in np.nonzero(mask))
    return PlantedLesion(planted, mask, kind, _volume_ml(mask, spacing), contrast, centroid, touched)


def _volume_ml(mask: np.ndarray, spacing: np.ndarray) -> float:
    if mask.shape[2] == 1:
        return 4 / 3 * np.pi * (mask.sum() * np.prod(spacing[:2]) / np.pi) ** 1.5 / 1000
    return float(mask.sum() * np.prod(spacing) / 1000)
