"""Several planted lesions of the fixed list in one scan, far enough apart not to touch: one scoring serves them all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.affines import spacing_mm
from neurogen.preprocess.grid import GRID_AFFINE
from neurogen.synth.evaluation_set import PlantedSpec, plant

GAP_MM = 12  # between the boxes around what two lesions change
_GAP_VOXELS = int(GAP_MM / min(spacing_mm(GRID_AFFINE)))

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion in a composite. mask and support lie in `box`; centroid_voxel counts from the grid's corner."""

    spec: PlantedSpec
    box: Box
    mask: np.ndarray
    volume_ml: float
    contrast: float
    centroid_voxel: tuple[float, float, float]

    def marked_voxels(self, marked: np.ndarray) -> int:
        return int(np.count_nonzero(marked[self.box] & self.mask))


@dataclass(frozen=True, eq=False)
class Composite:
    """A healthy scan with some lesions in it: image and truth (I, J, K)."""

    image: np.ndarray
    truth: np.ndarray
    lesions: tuple[Lesion, ...]


def composites(image: np.ndarray, brain: np.ndarray, specs: Sequence[PlantedSpec]) -> list[Composite]:
    """Plant each lesion as if alone, then gather those far apart: every lesion is in exactly one composite."""
    groups: list[list[tuple[Box, np.ndarray, Lesion]]] = []
    for spec in specs:
        changed, support, lesion = _planted(spec, image, brain)
        free = [g for g in groups if not any(_near(support, other) for other, _, _ in g)]
        if not free:
            groups.append([])
            free = groups[-1:]
        free[0].append((support, changed, lesion))
    return [_composite(image, group) for group in groups]


def _planted(spec: PlantedSpec, image: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, Box, Lesion]:
    """The changed part of the image, the box it fills, and the lesion."""
    planted = plant(spec, image, brain, spacing_mm(GRID_AFFINE))
    box = _box(planted.support | planted.mask)
    mask = planted.mask[box].copy()
    lesion = Lesion(spec, box, mask, planted.volume_ml, planted.contrast, planted.centroid_voxel)
    return planted.image[box].copy(), box, lesion


def _composite(image: np.ndarray, group: list[tuple[Box, np.ndarray, Lesion]]) -> Composite:
    together, truth = image.copy(), np.zeros(image.shape, bool)
    for box, changed, lesion in group:
        together[box] = changed
        truth[box] |= lesion.mask
    return Composite(together, truth, tuple(lesion for _, _, lesion in group))


def _box(mask: np.ndarray) -> Box:
    sides = [np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(slice(int(side[0]), int(side[-1]) + 1) for side in sides)


def _near(one: Box, other: Box) -> bool:
    gaps = (max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True))
    return max(gaps) < _GAP_VOXELS
