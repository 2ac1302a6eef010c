"""The working grid: 1 mm template space, cropped around the template brain; and its axial slices as pictures."""

import numpy as np

GRID_SHAPE = (160, 192, 160)
"""Voxels along right, anterior, superior. The ICBM152 brain spans 145 x 181 x 155 mm."""

GRID_AFFINE = np.array([[1.0, 0.0, 0.0, -79.5], [0.0, 1.0, 0.0, -112.5], [0.0, 0.0, 1.0, -75.0], [0.0, 0.0, 0.0, 1.0]])
"""Voxel index to RAS mm of the template. x is symmetric about 0, so flipping axis 0 mirrors left and right exactly."""


def to_slices(array: np.ndarray) -> np.ndarray:
    """(I, J, K) -> (K, J, I) pictures: rows run anterior to posterior, columns left to right as RAS x grows."""
    return np.ascontiguousarray(array[:, ::-1].transpose(2, 1, 0))


def from_slices(slices: np.ndarray) -> np.ndarray:
    """The exact inverse of `to_slices`."""
    return np.ascontiguousarray(slices.transpose(2, 1, 0)[:, ::-1])
