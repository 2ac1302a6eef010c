"""Relational volume and surface-to-volume ratio of the 86 regions, in one pass over the label map.

RV_r = n_r / sum_q n_q and SVR_r = (n_r - i_r) / n_r, where n_r counts the voxels of region r and i_r those whose whole
26-neighborhood carries the same label (doi:10.1038/s41598-023-40244-z, and what its code computes: the sum over q runs
over all labels but 0 and 84, so cerebrospinal fluid and the intracranial background count; voxels on the border of the
volume are surface). SVR depends on the voxel size: it is defined here at 0.5 mm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.brain_age.regions import BACKGROUND, EXTRA_CRANIAL, LABELS, LAST_LABEL


@dataclass(frozen=True, eq=False)
class RegionFeatures:
    """What is measured of R regions, in the order of `region`."""

    region: np.ndarray  # (R,) int, Draw-EM labels
    volume_ml: np.ndarray  # (R,) milliliters
    relational_volume: np.ndarray  # (R,) in (0, 1]; sums to 1 when all regions are measured
    surface_to_volume_ratio: np.ndarray  # (R,) in (0, 1]

    def vector(self) -> np.ndarray:
        """(2R,) relational volumes, then surface-to-volume ratios: the order of `regions.FEATURE_NAMES`."""
        return np.concatenate([self.relational_volume, self.surface_to_volume_ratio])


def region_features(labels: np.ndarray, *, voxel_ml: float, regions: Sequence[int] = LABELS) -> RegionFeatures:
    """RV, SVR and volume of `regions`.

    labels : (I, J, K) integers 0..87 at 0.5 mm isotropic. voxel_ml : volume of a voxel in milliliters.
    Raises ValueError for labels outside 0..87 or an absent region.
    """
    regions = np.asarray(regions)
    labels = _compact(labels)
    size = _histogram(labels)
    absent = [int(region) for region in regions if size[region] == 0]
    if absent:
        raise ValueError(f"Regions {absent} are absent from the label map. Check its label scheme.")
    interior = _histogram(labels[1:-1, 1:-1, 1:-1], _is_interior(labels))
    n = size[regions].astype(float)
    return RegionFeatures(regions, n * voxel_ml, n / size[1:].sum(), (n - interior[regions]) / n)


def _compact(labels: np.ndarray) -> np.ndarray:
    """uint8, without label 84, cropped to what is labeled and one voxel around it where there is one."""
    if labels.size == 0 or labels.min() < 0 or labels.max() > LAST_LABEL:
        raise ValueError(f"Labels from 0 to {LAST_LABEL} are needed. Check the label scheme.")
    small = labels.astype(np.uint8)
    small[small == EXTRA_CRANIAL] = BACKGROUND
    box = []
    for axis in range(3):
        used = np.flatnonzero(small.any(axis=tuple({0, 1, 2} - {axis})))
        box.append(slice(max(used[0] - 1, 0), used[-1] + 2) if len(used) else slice(0, 1))
    return np.ascontiguousarray(small[tuple(box)])


def _is_interior(labels: np.ndarray) -> np.ndarray:
    """Whether minimum and maximum over 3x3x3 agree, (I-2, J-2, K-2) bool: both are separable, one axis at a time."""
    low = high = labels
    for axis in range(3):
        low, high = _over_three(low, axis, np.minimum), _over_three(high, axis, np.maximum)
    return low == high


def _over_three(array: np.ndarray, axis: int, smaller_or_larger: np.ufunc) -> np.ndarray:
    moved = np.moveaxis(array, axis, 0)
    out = smaller_or_larger(moved[:-2], moved[1:-1])
    return np.moveaxis(smaller_or_larger(out, moved[2:], out=out), 0, axis)


def _histogram(labels: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """(88,) voxels of each label, counted plane by plane: bincount makes 64-bit copies."""
    counts = np.zeros(LAST_LABEL + 1, dtype=np.int64)
    for i in range(len(labels)):
        plane = labels[i].ravel() if where is None else labels[i][where[i]]
        counts += np.bincount(plane, minlength=LAST_LABEL + 1)
    return counts
