"""Has harmonization changed anatomy? Structure, regional volumes and steps between slices, before against after."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from neurogen.harmonize.similarity import structure_similarity
from neurogen.harmonize.slices import FOLD
from neurogen.preprocess.atlas import region_atlas, region_names
from neurogen.preprocess.grid import GRID_AFFINE, GRID_SHAPE
from neurogen.volumes import Volume, resample_to

LEAST_STRUCTURE = 0.90
MOST_VOLUME_CHANGE = 0.25
"""A two-class threshold moves within partial volume as contrast does: a scan whose edges stayed showed 0.19."""
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


def check_anatomy(before: np.ndarray, after: np.ndarray) -> AnatomyCheck:
    """Levels (80, 96, 80) of the prepared and of the harmonized scan."""
    ventricles, tissue = zip(*(regional_volumes(levels) for levels in (before, after)))
    structure = structure_similarity(before / np.float32(255), after / np.float32(255), before > 0)
    return AnatomyCheck(structure, *ventricles, *tissue, slice_jump(before, after))


def regional_volumes(levels: np.ndarray) -> tuple[float, float]:
    """(ventricles, brain tissue) in ml of levels (80, 96, 80): below and above the two-class threshold of the tissue
    and fluid around the ventricles, which follows any rising change of contrast."""
    around = ventricle_region() & (levels > 0)
    if around.sum() < 100:
        return 0.0, float(np.count_nonzero(levels) * CELL_ML)
    threshold = two_class_threshold(levels[around])
    return float((levels[around] < threshold).sum() * CELL_ML), float((levels >= threshold).sum() * CELL_ML)


def two_class_threshold(levels: np.ndarray) -> float:
    """The level that parts a histogram of 0..255 into two classes of least variance (Otsu), lower edge of the upper."""
    counts = np.bincount(levels.astype(int), minlength=256).astype(float)
    below, total = counts.cumsum(), counts.sum()
    mass = (counts * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mass[-1] * below / total - mass) ** 2 / (below * (total - below))
    return float(np.nanargmax(between[:-1]) + 1)


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
