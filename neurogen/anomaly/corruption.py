"""How a healthy brain is made abnormal for training: filled random walks replaced by noise or texture.

REFLECT: Rectified Flows for Efficient Brain Anomaly Correction Transport (thesis chapter 5, arXiv:2508.02889), section
5.3.1: y0 = (sqrt(1 - a) y1 + sqrt(a) r) m + y1 (1 - m) (eq. 5.6), r a crop of a texture or sqrt(b) q + sqrt(1 - b) p
(eq. 5.7) with q a number and p a field, all standard normal. Each object has its own severity a.

As the authors' implementation does, the walk's points bound a *filled* polygon, the number of objects n falls as 1/n,
steps beyond the brain are refused and one pair in ten stays clean. Ours: the walk's step and the grain of p are drawn
in millimetres, because a cell is 2 mm in pixel space and 4 or 8 mm in a latent one; the rim of an object may be soft.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_fill_holes, gaussian_filter, map_coordinates, zoom

from neurogen.anomaly.textures import random_crop


@dataclass(frozen=True)
class CorruptionSettings:
    most_objects: int = 4  # published implementation
    clean_share: float = 0.10  # published implementation
    texture_share: float = 0.5  # published implementation
    severity: tuple[float, float] = (0.2, 1.0)  # published implementation; 0..1 in the thesis
    most_steps: tuple[int, ...] = (200, 120, 100, 80)  # for 1, 2, 3, 4 objects; published implementation
    step_mm: tuple[float, float] = (2.0, 9.0)  # ours; 8 there (one latent cell)
    grain_mm: tuple[float, float] = (2.0, 16.0)  # ours; correlation length of p
    rim_mm: tuple[float, float] = (0.5, 3.0)  # ours; Gaussian softening of the mask's rim


@dataclass(frozen=True)
class Corruption:
    """What turns y1 into y0: `severity` = a m of eq. 5.6 as one map in [0, 1]; `replacement` = r."""

    severity: np.ndarray  # (H, W)
    replacement: np.ndarray  # (C, H, W)

    def apply(self, healthy: np.ndarray) -> np.ndarray:
        """(C, H, W) -> (C, H, W), eq. 5.6 with the mask folded into the severity."""
        return np.sqrt(1 - self.severity) * healthy + np.sqrt(self.severity) * self.replacement


def draw_corruption(
    brain: np.ndarray,
    channels: int,
    cell_mm: float,
    textures: np.ndarray,
    settings: CorruptionSettings,
    rng: np.random.Generator,
) -> Corruption:
    """A random corruption of one slice. brain: (H, W) bool on cells of `cell_mm`; textures: (N, h, w)."""
    severity, replacement = np.zeros(brain.shape), np.zeros((channels, *brain.shape))
    if rng.random() < settings.clean_share or not brain.any():
        return Corruption(severity, replacement)
    likelihood = 1 / np.arange(1, settings.most_objects + 1)
    objects = 1 + rng.choice(settings.most_objects, p=likelihood / likelihood.sum())
    for _ in range(objects):
        mask = _object_mask(brain, cell_mm, settings.most_steps[objects - 1], settings, rng)
        here = mask * rng.uniform(*settings.severity)
        fresh = here > severity  # the stronger of two overlapping objects shows
        replacement[:, fresh] = _replacement(channels, brain.shape, cell_mm, textures, settings, rng)[:, fresh]
        severity = np.maximum(severity, here)
    return Corruption(severity * brain, replacement)


def random_walk(brain: np.ndarray, start: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
    """(steps + 1, 2) lattice points. Each step goes to one of the nine neighbors, itself included, but none leaves."""
    rows, columns = brain.shape
    path = [(int(start[0]), int(start[1]))]
    for down, right in rng.integers(-1, 2, (steps, 2)).tolist():
        row, column = path[-1][0] + down, path[-1][1] + right
        stays = not (0 <= row < rows and 0 <= column < columns and brain[row, column])
        path.append(path[-1] if stays else (row, column))
    return np.array(path)


def _object_mask(
    brain: np.ndarray, cell_mm: float, most_steps: int, settings: CorruptionSettings, rng: np.random.Generator
) -> np.ndarray:
    """(H, W) in [0, 1]: the filled walk, its rim softened. Short walks are likelier, as in the implementation.

    The walk and its filling live on a lattice as coarse as the step. Filled on a finer grid, the tangled path would
    fall into slivers that look like nothing a brain ever shows.
    """
    weight = 10 - 9 * np.arange(1, most_steps + 1) / most_steps
    steps = 1 + rng.choice(most_steps, p=weight / weight.sum())
    stride = max(rng.uniform(*settings.step_mm) / cell_mm, 1.0)
    at = [(np.arange(n) + rng.uniform(0, stride)) / stride for n in brain.shape]
    lattice = np.zeros([int(a[-1]) + 2 for a in at], bool)
    rows, columns = (a.astype(int) for a in at)
    lattice[np.ix_(rows, columns)] = brain
    inside = np.argwhere(lattice)
    path = random_walk(lattice, inside[rng.integers(len(inside))], steps, rng)
    canvas = Image.new("L", lattice.shape[::-1])
    ImageDraw.Draw(canvas).polygon([(x, y) for y, x in path.tolist()], fill=1, outline=1)
    filled = binary_fill_holes(np.asarray(canvas, bool)).astype(float)
    fine = map_coordinates(filled, np.meshgrid(at[0] - 0.5, at[1] - 0.5, indexing="ij"), order=1) >= 0.5
    return gaussian_filter(fine.astype(float), rng.uniform(*settings.rim_mm) / cell_mm)


def _replacement(
    channels: int,
    shape: tuple[int, int],
    cell_mm: float,
    textures: np.ndarray,
    settings: CorruptionSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    """r of eq. 5.7, (C, H, W); p is a texture crop or a random field of random grain, the same b for all channels."""
    if rng.random() < settings.texture_share:
        texture = random_crop(textures[rng.integers(len(textures))], shape, rng)
        field = np.stack([rng.choice([-1, 1]) * texture for _ in range(channels)])
    else:
        grain = np.exp(rng.uniform(*np.log(settings.grain_mm))) / cell_mm
        field = np.stack([coarse_noise(shape, grain, rng) for _ in range(channels)])
    b = rng.random()
    return np.sqrt(b) * rng.standard_normal((channels, 1, 1)) + np.sqrt(1 - b) * field


def coarse_noise(shape: tuple[int, int], grain: float, rng: np.random.Generator) -> np.ndarray:
    """Standard normal noise drawn every `grain` cells and interpolated between; variance 1 again afterwards."""
    if grain <= 1.0:
        return rng.standard_normal(shape)
    coarse = rng.standard_normal([int(np.ceil(n / grain)) + 3 for n in shape])
    fine = zoom(coarse, grain, order=1)
    offset = [rng.integers(0, f - n + 1) for f, n in zip(fine.shape, shape)]
    crop = fine[offset[0] : offset[0] + shape[0], offset[1] : offset[1] + shape[1]]
    return crop / (fine.std() + 1e-6)
