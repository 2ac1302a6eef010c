"""What two markings of one scan have in common: the markings of two methods, beside each other."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Overlap:
    """Volumes in milliliters, and dice = 2 |A n B| / (|A| + |B|) in [0, 1]; None where neither marks anything."""

    first_ml: float
    second_ml: float
    shared_ml: float
    dice: float | None


def overlap_of(first: np.ndarray, second: np.ndarray, *, voxel_ml: float) -> Overlap:
    """Compare two markings on one grid; labels or masks, marked where not 0. voxel_ml: volume of a voxel.

    Neither is the truth: the result is the same when they change places, but for the order of their volumes. Raises
    ValueError when they lie on different grids.
    """
    if first.shape != second.shape:
        raise ValueError(
            f"The markings have {first.shape} and {second.shape} voxels, but one grid is needed to compare them. "
            "Bring one to the grid of the other first."
        )
    a, b = first != 0, second != 0
    counts = np.count_nonzero(a), np.count_nonzero(b)
    shared = np.count_nonzero(a & b)
    dice = 2 * shared / sum(counts) if any(counts) else None
    return Overlap(counts[0] * voxel_ml, counts[1] * voxel_ml, shared * voxel_ml, dice)
