"""Has harmonization changed anatomy? Structure, ventricles and steps between slices, before against after.

Volumes are compared at the reference's histogram. Tissue of the whole brain has no other volume there by definition;
what can be told is where fluid is, and it is told where there is most of it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from neurogen.harmonize.similarity import structure_similarity
from neurogen.harmonize.slices import FOLD
from neurogen.harmonize.tissue import tissue_levels
from neurogen.preprocess.atlas import region_atlas, region_names
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.volumes import Volume, resample_to

LEAST_STRUCTURE = 0.90
MOST_VOLUME_CHANGE = 0.2
"""Levels are means over cells, and the mean of a curve is not the curve of the mean: partial volumes move by up to 0.04
under the rising changes of the benchmark."""
LEAST_VENTRICLES_ML = 5.0  # below which a change counts as if there were so much
CELL_ML = FOLD**3 / 1000
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


def check_anatomy(before: np.ndarray, after: np.ndarray, quantiles: np.ndarray) -> AnatomyCheck:
    """Levels (80, 96, 80) of the prepared scan without its shading, and of the harmonized one.

    quantiles : (n,) intensities in [0, 1] of the reference's brains, evenly spaced from the least to the largest
    """
    structure = structure_similarity(before / np.float32(255), after / np.float32(255), before > 0)
    alike = [with_histogram(levels, quantiles) for levels in (before, after)]
    fluid, gray, _ = tissue_levels(alike[0]) * 255
    ventricles = [ventricles_ml(levels, fluid, gray) for levels in alike]
    return AnatomyCheck(structure, *ventricles, slice_jump(before, after))


def with_histogram(levels: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Levels (80, 96, 80), not rounded, with the brain's `quantiles` (n,): whatever rising curve a scanner applied is
    gone, and only what was darker than what is left."""
    brain = levels > 0
    own = np.quantile(levels[brain], np.linspace(0, 1, len(quantiles)))
    moved = np.zeros(levels.shape)
    moved[brain] = np.clip(np.interp(levels[brain], own, quantiles) * 255, 1, 255)
    return moved


def ventricles_ml(levels: np.ndarray, fluid: float, gray: float) -> float:
    """Fluid around the template's ventricles: a cell's share of it falls linearly from 1 at the level of fluid to 0 at
    that of gray matter. The levels must be those of one scan before and after, or their scatter would be change."""
    share = np.clip((gray - levels) / (gray - fluid), 0, 1)
    return float(share[ventricle_region() & (levels > 0)].sum() * CELL_ML)


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
