"""Random smooth deformations: flip, affine and elastic in one map, applied to images and masks alike."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

CONTROL_POINTS = 7  # a side: the elastic part bends over about a seventh of the field of view


@dataclass(frozen=True)
class DeformSettings:
    """How far a head is moved. Ours: wider than poses in a scanner, so that any pose in a scanner is inside."""

    rotation_deg: float = 20.0
    scale: float = 0.10  # sizes from 1 - scale to 1 + scale, per axis half as much again
    shear: float = 0.08
    shift_voxels: float = 5.0
    elastic_voxels: float = 2.5  # largest displacement of a control point
    flip: bool = True  # left and right, half the time


def random_map(shape: tuple[int, int, int], rng: np.random.Generator, settings: DeformSettings) -> np.ndarray:
    """Where each voxel of a (I, J, K) output comes from: (I, J, K, 3) float32 offsets from the source's center, voxels.

    p(x) = A (x - c) + t + e(x), c: center of the output, A: affine, t: shift, e: smooth displacement
    """
    matrix = _random_affine(rng, settings).astype(np.float32)
    axes = [np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in shape]
    shift = rng.uniform(-1, 1, 3).astype(np.float32) * settings.shift_voxels
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ matrix.T + shift
    amplitude = rng.uniform(0, settings.elastic_voxels)
    control = rng.uniform(-1, 1, (1, 3) + (CONTROL_POINTS,) * 3).astype(np.float32) * amplitude
    bent = functional.interpolate(torch.from_numpy(control), size=shape, mode="trilinear", align_corners=True)
    return offsets + bent[0].permute(1, 2, 3, 0).numpy()


def warp(arrays: np.ndarray, center: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Each of `arrays` (C, I, J, K) read at voxel `center` + `offsets`, 0 outside: float32 (C, I', J', K')."""
    size = np.array(arrays.shape[1:])
    scale = (2 / (size - 1)).astype(np.float32)
    shift = ((2 * center - (size - 1)) / (size - 1)).astype(np.float32)
    grid = np.empty_like(offsets)
    np.multiply(offsets[..., ::-1], scale[::-1], out=grid)  # torch wants the fastest axis first
    grid += shift[::-1]
    source = torch.from_numpy(np.ascontiguousarray(arrays, np.float32))[None]
    read = functional.grid_sample(source, torch.from_numpy(grid)[None], padding_mode="zeros", align_corners=True)
    return read[0].numpy()


def _random_affine(rng: np.random.Generator, settings: DeformSettings) -> np.ndarray:
    """A 3x3 matrix: rotation about each axis, sizes, shears, and a mirror of left and right half the time."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rng.uniform(-1, 1, 3) * settings.rotation_deg)):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    shears = np.eye(3) + rng.uniform(-1, 1, (3, 3)) * settings.shear * (1 - np.eye(3))
    sizes = (1 + rng.uniform(-1, 1) * settings.scale) * (1 + rng.uniform(-0.5, 0.5, 3) * settings.scale)
    matrix = matrix @ shears @ np.diag(sizes)
    if settings.flip and rng.random() < 0.5:
        matrix[:, 0] *= -1
    return matrix
