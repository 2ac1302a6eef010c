"""Procedural textures: they stand in for the photographs of textures (DTD) whose crops REFLECT pastes into brains.

Four families at random scale and orientation: layered noise, warped gratings, cells, and thresholded blobs. Each
texture has mean 0 and variance 1.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree


def texture_bank(count: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(count, H, W) float32 textures, the families in equal shares."""
    families = (layered_noise, warped_grating, cells, blobs)
    return np.stack([_standardized(families[k % len(families)](shape, rng)) for k in range(count)]).astype(np.float32)


def layered_noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Sum of smoothed white noise over four octaves with a random fall-off."""
    roughness = rng.uniform(0.4, 1.2)
    return sum(2.0 ** (roughness * k) * gaussian_filter(rng.standard_normal(shape), 2.0**k) * 2.0**k for k in range(4))


def warped_grating(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Stripes of 4 to 24 pixels period, bent by a smooth displacement."""
    angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(4), np.log(24)))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    along = rows * np.sin(angle) + columns * np.cos(angle)
    bend = _standardized(gaussian_filter(rng.standard_normal(shape), 8)) * rng.uniform(0, 0.5) * period
    return np.tanh(rng.uniform(0.5, 3) * np.sin(2 * np.pi * (along + bend) / period))


def cells(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Distance to the nearest of randomly strewn seeds: a cellular pattern."""
    spacing = np.exp(rng.uniform(np.log(4), np.log(16)))
    seeds = rng.uniform(0, 1, (max(4, int(shape[0] * shape[1] / spacing**2)), 2)) * shape
    pixels = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1).reshape(-1, 2)
    near, next_near = cKDTree(seeds).query(pixels, k=2)[0].T
    return (near if rng.random() < 0.5 else next_near - near).reshape(shape)


def blobs(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Two-valued islands with softened edges."""
    islands = _standardized(gaussian_filter(rng.standard_normal(shape), np.exp(rng.uniform(0.3, 1.8))))
    return gaussian_filter((islands > rng.uniform(-0.7, 0.7)).astype(float), rng.uniform(0.3, 1.0))


def random_crop(texture: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A crop of `shape`, turned by a random angle and enlarged up to twofold (mirrored at the border)."""
    angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.0)
    rows, columns = np.mgrid[: shape[0], : shape[1]] - (np.array(shape)[:, None, None] - 1) / 2
    centre = rng.uniform(0, 1, 2) * texture.shape
    turned = [
        zoom * (np.cos(angle) * rows - np.sin(angle) * columns) + centre[0],
        zoom * (np.sin(angle) * rows + np.cos(angle) * columns) + centre[1],
    ]
    return map_coordinates(texture, turned, order=1, mode="reflect")


def _standardized(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / (x.std() + 1e-6)
