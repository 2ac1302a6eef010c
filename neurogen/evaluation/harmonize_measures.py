"""What the harmonization benchmark measures of one scan's segmentation and image."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from neurogen.evaluation.harmonize_truth import CLASSES, CSF, DEEP, GRAY, IGNORED, WHITE
from neurogen.evaluation.metrics import dice
from neurogen.harmonize.anatomy import CELL_ML, ventricle_region
from neurogen.harmonize.slices import PIXEL_MM


def overlap(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Dice by class where the truth is known."""
    known = truth != IGNORED
    return {name: dice((found == value) & known, truth == value) for name, value in CLASSES.items()}


def surface_distance_95(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean over classes of the larger 95th percentile, either way, of distances between the surfaces, in mm.

    A class that was not found counts with the size of the brain's diagonal in the truth.
    """
    known = truth != IGNORED
    box = ndimage.find_objects((known & (truth > 0)).astype(np.uint8))[0]
    distances = []
    for value in CLASSES.values():
        a, b = ((labels == value)[box] & known[box] for labels in (found, truth))
        if not b.any():
            continue
        if not a.any():
            distances.append(PIXEL_MM * float(np.linalg.norm(a.shape)))
            continue
        surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (a, b)]
        to_b, to_a = (ndimage.distance_transform_edt(~s, sampling=PIXEL_MM) for s in reversed(surfaces))
        both = np.percentile(to_b[surfaces[0]], 95), np.percentile(to_a[surfaces[1]], 95)
        distances.append(float(max(both)))
    return float(np.mean(distances))


def segmented_volumes(found: np.ndarray) -> tuple[float, float]:
    """(ventricles, brain tissue) in ml of classes (80, 96, 80): fluid around the template's ventricles; gray, white and
    deep gray matter of the whole brain."""
    fluid = (found == CSF) & ventricle_region()
    tissue = np.isin(found, (GRAY, WHITE, DEEP))
    return fluid.sum() * CELL_ML, tissue.sum() * CELL_ML


def changes(name: str, before: float, after: float) -> dict[str, float]:
    """Columns of a volume's change in ml and in percent (absolute)."""
    return {f"{name} change ml": after - before, f"{name} change %": 100 * abs(after - before) / max(before, 1e-6)}


def mean_of(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Column means over scans, NaN left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.nanmean([row.get(name, np.nan) for row in rows])) for name in names}
