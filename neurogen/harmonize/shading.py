"""A smooth shading over the head, as a receive coil leaves it: exp of a polynomial in template coordinates."""

from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import torch
from torch import Tensor

from neurogen.harmonize.slices import FOLD, pictures
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE

DEGREE = 3
TERMS = tuple(term for d in range(1, DEGREE + 1) for term in combinations_with_replacement(range(3), d))
"""19 monomials of x, y, z; the constant is left to the intensity curve."""

SCALE_MM = 100.0
STRONGEST = 0.7
"""The log shading stays within +-0.7, a factor of two."""


def log_shading(place: Tensor, coefficients: Tensor) -> Tensor:
    """(B, 3, ...) template RAS in units of 100 mm, (19,) -> (B, 1, ...) log shading, softly limited."""
    total = torch.zeros_like(place[:, :1])
    for coefficient, term in zip(coefficients, TERMS, strict=True):
        product = coefficient
        for axis in term:
            product = product * place[:, axis : axis + 1]
        total = total + product
    return STRONGEST * torch.tanh(total / STRONGEST)


def monomials(place: np.ndarray) -> np.ndarray:
    """(3, ...) template RAS in units of 100 mm -> (19, ...) values of `TERMS`."""
    return np.stack([np.prod([place[axis] for axis in term], axis=0) for term in TERMS])


@cache
def places_of_cells() -> np.ndarray:
    """(3, 80, 96, 80) float32: where the cells of 2 mm lie, in units of 100 mm."""
    shape = tuple(n // FOLD for n in GRID_SHAPE)
    middle = np.indices(shape) * FOLD + (FOLD - 1) / 2
    ras = np.einsum("ab,bijk->aijk", GRID_AFFINE[:3, :3], middle) + GRID_AFFINE[:3, 3][:, None, None, None]
    return (ras / SCALE_MM).astype(np.float32)


def places_of_pictures(plane: str) -> np.ndarray:
    """(N, 3, rows, columns) float32: where every pixel of `slices.pictures` lies, in units of 100 mm."""
    return np.stack([pictures(axis, plane) for axis in places_of_cells()], axis=1)


def places_of_voxels(shape: tuple[int, int, int], template_from_voxel: np.ndarray) -> np.ndarray:
    """(3, I, J, K) float32 template coordinates of a grid's voxels, in units of 100 mm."""
    i, j, k = (np.arange(n, dtype=np.float32) for n in shape)
    a = (template_from_voxel / SCALE_MM).astype(np.float32)
    rows = [
        a[r, 0] * i[:, None, None] + a[r, 1] * j[None, :, None] + a[r, 2] * k[None, None, :] + a[r, 3] for r in range(3)
    ]
    return np.stack([np.broadcast_to(row, shape) for row in rows])
