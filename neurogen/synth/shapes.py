"""Irregular smooth blobs of an exact size: where a planted lesion is and what it looks like from outside.

A blob is the set of the n brain voxels with the highest value of

    f(x) = -|A (x - c)| / r + a * n(x)

an ellipsoid (A: random rotation and axes, det A = 1; c: center; r: radius of the sphere of the same volume) whose
surface is dented by smooth unit noise n. Choosing n voxels instead of a level makes the volume exact.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

DENT = 0.3  # a: how far the noise moves the surface, in radii
AXIS_RATIO = 1.6  # the longest axis is at most this many mean radii, before normalization


@dataclass(frozen=True)
class Box:
    """A part of a volume: `slices` cut it out, `offset_mm` holds each voxel's offset from the blob's center (mm)."""

    slices: tuple[slice, slice, slice]
    offset_mm: tuple[np.ndarray, np.ndarray, np.ndarray]

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(part.stop - part.start for part in self.slices)


def box_around(center: np.ndarray, reach_mm: float, shape: tuple[int, int, int], spacing_mm: np.ndarray) -> Box:
    """The voxels of a grid within `reach_mm` of voxel `center` along every axis, clipped to the grid."""
    reach = np.ceil(reach_mm / spacing_mm).astype(int)
    start, stop = np.maximum(center - reach, 0), np.minimum(center + reach + 1, shape)
    slices = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    steps = [(np.arange(a, b) - c) * s for a, b, c, s in zip(start, stop, center, spacing_mm, strict=True)]
    return Box(slices, tuple(np.meshgrid(*steps, indexing="ij", sparse=True)))


def smooth_noise(shape: tuple[int, int, int], sigma_voxels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian-smoothed white noise of zero mean and unit standard deviation, float32.

    Drawn on a coarser grid where the smoothing is wide, then interpolated: the same look for a fraction of the time.
    """
    step = np.maximum(np.floor(sigma_voxels / 2), 1)
    coarse = np.maximum(np.ceil(np.array(shape) / step), 1).astype(int)
    noise = rng.standard_normal(coarse, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma_voxels / step, mode="nearest")
    if (step > 1).any():
        noise = ndimage.zoom(noise, np.array(shape) / coarse, order=1, mode="nearest", grid_mode=True)
    return (noise - noise.mean()) / max(float(noise.std()), 1e-6)


def random_axes(rng: np.random.Generator) -> np.ndarray:
    """A 3x3 matrix of determinant 1 that turns an ellipsoid of random axes and pose into the unit sphere."""
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    scale = rng.uniform(1 / AXIS_RATIO, AXIS_RATIO, 3)
    return (scale / np.prod(scale) ** (1 / 3))[:, None] * rotation


def blob_field(box: Box, radius_mm: float, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """f of the module's equation on a box, float32; highest near the center."""
    axes = random_axes(rng)
    x, y, z = box.offset_mm
    squared = sum((row[0] * x + row[1] * y + row[2] * z) ** 2 for row in axes)
    noise = smooth_noise(box.shape, np.maximum(0.4 * radius_mm, 1.0) / spacing_mm, rng)
    return (-np.sqrt(squared) / radius_mm + DENT * noise).astype(np.float32)


def highest(field: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    """Mask of the `count` allowed voxels with the highest field (all of them where fewer are allowed)."""
    mask = np.zeros(field.shape, bool)
    candidates = np.flatnonzero(allowed)
    count = min(count, len(candidates))
    order = np.argpartition(-field.ravel()[candidates], count - 1)[:count] if count else []
    mask.ravel()[candidates[order]] = True
    return mask


def connected_blob(field: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    """The same, taken from the one piece that grows from the highest voxel; fewer voxels where the piece is smaller."""
    neighbors = np.ones((3, 3, 3), bool)
    peak = np.argmax(np.where(allowed, field, -np.inf))
    asked = count
    for _ in range(8):
        pieces, _ = ndimage.label(highest(field, allowed, asked), neighbors)
        piece = pieces == pieces.ravel()[peak]
        missing = count - int(piece.sum())
        if missing <= 0 or asked >= allowed.sum():
            break
        asked += 2 * missing
    return highest(field, piece, count)
