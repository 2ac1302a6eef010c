"""What an affine says about its voxels. Needs numpy alone, so that Slicer can measure before anything is installed."""

import numpy as np


def spacing_mm(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel size along I, J, K."""
    return tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))


def voxel_volume_ml(affine: np.ndarray) -> float:
    """|det| of the voxel axes, in milliliters (1 ml = 1000 mm^3)."""
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000.0
