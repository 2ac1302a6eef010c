"""Has harmonization changed anatomy? Structure, ventricles and steps between slices, before against after.

Volumes are compared at the reference's histogram. Tissue of the whole brain has no other volume there by definition;
what can be told is where fluid is, and it is told where there is most of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from neurogen.harmonize.similarity import structure_similarity
from neurogen.harmonize.slices import FOLD, exact_levels
from neurogen.harmonize.tissue import tissue_levels
from neurogen.preprocess.atlas import region_atlas, region_names
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.volumes import Volume, resample_to

LEAST_STRUCTURE = 0.90
MOST_VOLUME_CHANGE = 0.2
"""Rounding to 256 levels moves partial volumes by up to 0.006 under the rising changes of the benchmark."""
LEAST_VENTRICLES_ML = 5.0  # below which a change counts as if there were so much
VOXEL_ML = 1 / 1000  # of the working grid
CELL_ML = FOLD**3 * VOXEL_ML
VENTRICLES = ("left lateral ventricle", "right lateral ventricle", "third ventricle")
MARGIN_CELLS = 2  # around the template's ventricles, where larger ones may reach


@dataclass(frozen=True)
class AnatomyCheck:
    """structure: mean local correlation of input and output; jump: see `slice_jump`."""

    structure: float
    ventricles_before_ml: float
    ventricles_after_ml: float
    jump: float

    def problem(self) -> str:
        """Why the result must not be given out, or ''."""
        if self.structure < LEAST_STRUCTURE:
            return f"edges changed (structure similarity {self.structure:.3f}, at least {LEAST_STRUCTURE} is needed)"
        before, after = self.ventricles_before_ml, self.ventricles_after_ml
        if abs(after - before) > MOST_VOLUME_CHANGE * max(before, LEAST_VENTRICLES_ML):
            return f"the ventricles changed from {before:.0f} to {after:.0f} ml"
        return ""


def check_anatomy(before: np.ndarray, after: np.ndarray, brain: np.ndarray, quantiles: np.ndarray) -> AnatomyCheck:
    """Images (160, 192, 160) in [0, 1]: the prepared scan without its shading, and the harmonized one.

    quantiles : (n,) intensities in [0, 1] of the reference's brains, evenly spaced from the least to the largest
    """
    cells = [exact_levels(image, brain) for image in (before, after)]
    structure = structure_similarity(*(levels / np.float32(255) for levels in cells), cells[0] > 0)
    ventricles = ventricles_ml((before, after), brain, quantiles)
    return AnatomyCheck(structure, *ventricles, slice_jump(*cells))


def ventricles_ml(images: Sequence[np.ndarray], brain: np.ndarray, quantiles: np.ndarray) -> list[float]:
    """Fluid around the template's ventricles in images (160, 192, 160) of one brain, in ml.

    All are given the histogram `quantiles` (n,), so that what a rising curve did to them does not count. A voxel's
    share of fluid falls linearly from 1 at the level of fluid to 0 at that of gray matter, both of the first image:
    found anew in each, their scatter would pass for change.
    """
    alike = [with_histogram(image, brain, quantiles) for image in images]
    fluid, gray, _ = tissue_levels(exact_levels(alike[0], brain))
    around = brain & ventricle_region().repeat(FOLD, 0).repeat(FOLD, 1).repeat(FOLD, 2)
    return [float(np.clip((gray - image[around]) / (gray - fluid), 0, 1).sum() * VOXEL_ML) for image in alike]


def with_histogram(image: np.ndarray, brain: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """The image whose brain has intensities `quantiles` (n,) at evenly spaced quantiles: whatever rising curve a
    scanner applied is gone, and what is left is which voxel is darker than which."""
    own = np.quantile(image[brain], np.linspace(0, 1, len(quantiles)))
    moved = np.zeros(image.shape, np.float32)
    moved[brain] = np.interp(image[brain], own, quantiles)
    return moved


def slice_jump(before: np.ndarray, after: np.ndarray) -> float:
    """Mean bend of the mean change (after - before) over three neighboring axial slices, share of the range.

    Levels (80, 96, 80). About 0 where every slice is treated alike: it is what a harmonizer adds across slices.
    """
    brain = before > 0
    count = brain.sum((0, 1))
    used = count > 60
    mean = ((after.astype(float) - before) * brain).sum((0, 1))[used] / count[used] / 255
    return float(np.abs(np.diff(mean, n=2)).mean()) if used.sum() > 2 else 0.0


@cache
def ventricle_region() -> np.ndarray:
    """(80, 96, 80) bool: the template's ventricles with a margin."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(atlas_cells(VENTRICLES), iterations=MARGIN_CELLS)


@cache
def atlas_cells(names: tuple[str, ...]) -> np.ndarray:
    """(80, 96, 80) bool: where the atlas has one of the named regions, on the cells of 2 mm."""
    labels = [label for label, name in region_names().items() if name in names]
    affine = GRID_AFFINE @ np.diag([FOLD, FOLD, FOLD, 1.0])
    affine[:3, 3] = GRID_AFFINE[:3, 3] + (FOLD - 1) / 2
    shape = tuple(n // FOLD for n in GRID_SHAPE)
    on_cells = resample_to(Volume(np.isin(region_atlas().array, labels), region_atlas().affine), shape, affine, order=0)
    return on_cells.array > 0
