"""The truth of the harmonization benchmark: tissue classes on cells of 2 mm.

Reference site: a Gaussian mixture of three classes on the undistorted scan, posteriors smoothed over about a cell, deep
gray where the template's atlas has it. Other scanner: its given DLMUSE labels, grouped.
"""

from functools import cache

import numpy as np

from neurogen.harmonize.anatomy import atlas_cells
from neurogen.harmonize.slices import FOLD
from neurogen.harmonize.tissue import tissue_classes, tissue_shares

BACKGROUND, CSF, GRAY, WHITE, DEEP = range(5)
CLASSES = {"csf": CSF, "gray": GRAY, "white": WHITE, "deep gray": DEEP}
IGNORED = 255
DEEP_REGIONS = tuple(
    f"{side} {name}"
    for side in ("left", "right")
    for name in ("thalamus", "caudate", "putamen", "pallidum", "accumbens")
)

# MUSE region numbers.
_VENTRICLES = (4, 11, 49, 50, 51, 52)
_DEEP = (23, 30, 36, 37, 55, 56, 57, 58, 59, 60)
_WHITE = (40, 41, *range(81, 96))
_GRAY = (31, 32, 38, 39, 47, 48, 71, 72, 73, *range(100, 208))


def mixture_truth(levels: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Levels (80, 96, 80) -> classes (80, 96, 80) uint8, and tissue shares (3, 80, 96, 80): CSF, gray, white."""
    brain = levels > 0
    shares = tissue_shares(levels, seed=seed)
    classes = (tissue_classes(shares, brain) + 1).astype(np.uint8)
    classes[deep_region() & (classes != CSF) & brain] = DEEP
    return classes, shares


@cache
def deep_region() -> np.ndarray:
    """(80, 96, 80) bool: deep gray nuclei of the atlas."""
    return atlas_cells(DEEP_REGIONS)


def grouped_labels(labels: np.ndarray) -> np.ndarray:
    """DLMUSE labels on any grid -> classes, IGNORED where a label is of none (brainstem, unlabeled)."""
    table = np.full(256, IGNORED, np.uint8)
    for numbers, name in ((_VENTRICLES, CSF), (_DEEP, DEEP), (_WHITE, WHITE), (_GRAY, GRAY)):
        table[list(numbers)] = name
    return table[np.clip(labels, 0, 255)]


def to_cells(classes: np.ndarray) -> np.ndarray:
    """(160, 192, 160) classes -> (80, 96, 80): the most frequent class of each cell, IGNORED among them."""
    i, j, k = (n // FOLD for n in classes.shape)
    voxels = classes.reshape(i, FOLD, j, FOLD, k, FOLD).transpose(0, 2, 4, 1, 3, 5).reshape(i, j, k, FOLD**3)
    values = (BACKGROUND, CSF, GRAY, WHITE, DEEP, IGNORED)
    counts = np.stack([(voxels == value).sum(-1) for value in values])
    return np.array(values, np.uint8)[counts.argmax(0)]


def repeated(shares: np.ndarray) -> np.ndarray:
    """(3, 80, 96, 80) -> (3, 160, 192, 160)."""
    return shares.repeat(FOLD, 1).repeat(FOLD, 2).repeat(FOLD, 3)
