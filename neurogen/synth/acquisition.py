"""What a scanner and its pipeline do to an image: contrast curves, bias field, blur, thick slices, noise, cut field.

Each function takes and returns a float32 (I, J, K) array around [0, 1] and draws from `rng` alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional


@dataclass(frozen=True)
class AcquisitionSettings:
    """How bad a scan may be at most. Ours: clean research scans are common, thick noisy clinical ones included."""

    bias: float = 0.5  # standard deviation of the log field's control points, at most
    blur_voxels: float = 1.0
    thick_voxels: float = 4.0  # slices up to this many voxels
    thick_share: float = 0.25  # of the scans
    noise: float = 0.08  # of the brightest tissue
    cut_share: float = 0.3  # of the scans lose a part of the field of view
    cut_voxels: int = 24


def acquire(image: np.ndarray, rng: np.random.Generator, settings: AcquisitionSettings) -> np.ndarray:
    """Bias field, blur, thick slices and noise, in the order a scanner adds them."""
    image = image * bias_field(image.shape, rng, strength=settings.bias * rng.random())
    blur = settings.blur_voxels * rng.random() ** 2
    if blur > 0.3:
        image = ndimage.gaussian_filter(image, blur, truncate=3)
    if rng.random() < settings.thick_share:
        image = thick_slices(image, axis=int(rng.integers(3)), thickness=rng.uniform(1.5, settings.thick_voxels))
    return rician_noise(image, rng, sigma=settings.noise * rng.random() ** 2)


def random_curve(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Intensities through a random monotone curve, rising or falling: T1-like becomes T2-like. 0 background moves too.

    The curve has six equal steps in the input and steps drawn from a Dirichlet law in the output.
    """
    levels = np.concatenate([[0], np.cumsum(rng.dirichlet(np.full(6, 1.2)))])
    if rng.random() < 0.5:
        levels = levels[::-1]
    return np.interp(image, np.linspace(0, 1, 7), levels).astype(np.float32)


def gamma_curve(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """image ** g with log g normal: contrast between dark or between bright tissues stretched."""
    return np.clip(image, 0, None) ** np.float32(np.exp(rng.normal(0, 0.3)))


def bias_field(shape: tuple[int, int, int], rng: np.random.Generator, *, strength: float) -> np.ndarray:
    """exp of a smooth field with 4 x 4 x 4 normal control points of this standard deviation."""
    control = torch.from_numpy(rng.normal(0, strength, (1, 1, 4, 4, 4)).astype(np.float32))
    return functional.interpolate(control, size=shape, mode="trilinear", align_corners=True)[0, 0].exp().numpy()


def thick_slices(image: np.ndarray, *, axis: int, thickness: float) -> np.ndarray:
    """Averaged over `thickness` voxels along `axis`, sampled that far apart, and interpolated back."""
    smooth = ndimage.uniform_filter1d(image, max(round(thickness), 1), axis=axis, mode="nearest")
    count = image.shape[axis]
    centers = np.arange(0, count - 1 + thickness, thickness)
    kept = np.take(smooth, np.clip(np.rint(centers), 0, count - 1).astype(int), axis=axis)
    position = np.arange(count) / thickness
    low = np.minimum(position.astype(int), len(centers) - 2)
    share = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return np.take(kept, low, axis=axis) * (1 - share) + np.take(kept, low + 1, axis=axis) * share


def rician_noise(image: np.ndarray, rng: np.random.Generator, *, sigma: float) -> np.ndarray:
    """sqrt((s + a)^2 + b^2), a and b normal with standard deviation `sigma`: noise of a magnitude image."""
    if sigma < 1e-3:
        return image
    noise = rng.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(sigma)
    return np.sqrt((image + noise[0]) ** 2 + noise[1] ** 2)


def cut_field_of_view(
    image: np.ndarray, brain: np.ndarray, rng: np.random.Generator, settings: AcquisitionSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Image and brain with up to three random sides blacked out, as where the field of view ended."""
    if rng.random() >= settings.cut_share:
        return image, brain
    image, brain = image.copy(), brain.copy()
    for _ in range(int(rng.integers(1, 4))):
        depth = int(rng.integers(4, settings.cut_voxels + 1))
        side = [slice(None)] * 3
        axis = int(rng.choice(3, p=[0.2, 0.2, 0.6]))
        side[axis] = slice(0, depth) if rng.random() < 0.6 else slice(image.shape[axis] - depth, None)
        image[tuple(side)], brain[tuple(side)] = 0, 0
    return image, brain
