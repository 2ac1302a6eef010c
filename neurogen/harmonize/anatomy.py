"""Has harmonization changed anatomy? Structure, regional volumes and steps between slices, before against after."""

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
"""Rounding to levels moves partial volumes by up to 0.03 under the rising changes of the benchmark."""
CELL_ML = FOLD**3 / 1000
VENTRICLES = ("left lateral ventricle", "right lateral ventricle", "third ventricle")
MARGIN_CELLS = 2  # around the template's ventricles, where larger ones may reach


@dataclass(frozen=True)
class AnatomyCheck:
    """structure: mean local correlation of input and output; volumes in ml; jump: see `slice_jump`."""

    structure: float
    ventricles_before_ml: float
    ventricles_after_ml: float
    tissue_before_ml: float
    tissue_after_ml: float
    jump: float

    def problem(self) -> str:
        """Why the result must not be given out, or ''."""
        if self.structure < LEAST_STRUCTURE:
            return f"edges changed (structure similarity {self.structure:.3f}, at least {LEAST_STRUCTURE} is needed)"
        for name, before, after in (
            ("the ventricles", self.ventricles_before_ml, self.ventricles_after_ml),
            ("brain tissue", self.tissue_before_ml, self.tissue_after_ml),
        ):
            if abs(after - before) > MOST_VOLUME_CHANGE * max(before, 5.0):
                return f"{name} changed from {before:.0f} to {after:.0f} ml"
        return ""


def check_anatomy(before: np.ndarray, after: np.ndarray, quantiles: np.ndarray) -> AnatomyCheck:
    """Levels (80, 96, 80) of the prepared scan without its shading, and of the harmonized one.

    quantiles : see `regional_volumes`
    """
    ventricles, tissue = zip(*(regional_volumes(levels, quantiles) for levels in (before, after)))
    structure = structure_similarity(before / np.float32(255), after / np.float32(255), before > 0)
    return AnatomyCheck(structure, *ventricles, *tissue, slice_jump(before, after))


def regional_volumes(levels: np.ndarray, quantiles: np.ndarray) -> tuple[float, float]:
    """(ventricles, brain tissue) in ml of levels (80, 96, 80), by partial volume, whatever the contrast.

    quantiles : (n,) intensities in [0, 1] of the reference's brains, evenly spaced from the least to the largest. The
    scan is first given these: two scans that differ by a rising curve have the same volumes. A cell's share of fluid
    falls linearly from 1 at the fluid level to 0 at the gray level of what results (tissue.py). Counted are fluid
    around the template's ventricles, and what is no fluid in the whole brain.
    """
    brain = levels > 0
    own = np.quantile(levels[brain], np.linspace(0, 1, len(quantiles)))
    moved = np.zeros(levels.shape)
    moved[brain] = np.clip(np.interp(levels[brain], own, quantiles) * 255, 1, 255)
    fluid, gray, _ = tissue_levels(moved) * 255
    share = np.clip((gray - moved) / (gray - fluid), 0, 1)
    return float(share[ventricle_region() & brain].sum() * CELL_ML), float((1 - share)[brain].sum() * CELL_ML)


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
