"""What the harmonization benchmark measures of one scan's segmentation and image."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from neurogen.evaluation.harmonize_truth import CLASSES, IGNORED
from neurogen.evaluation.metrics import dice
from neurogen.harmonize.anatomy import regional_volumes
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


def volume_changes(levels: np.ndarray, undistorted: tuple[float, float], quantiles: np.ndarray) -> dict[str, float]:
    """Change of fluid around the template's ventricles and of brain tissue by partial volume in ml and in percent
    (absolute), of levels (80, 96, 80) against the `regional_volumes` of the undistorted scan."""
    columns: dict[str, float] = {}
    pairs = zip(("ventricles", "brain"), undistorted, regional_volumes(levels, quantiles), strict=True)
    for name, before, after in pairs:
        columns[f"{name} change ml"] = after - before
        columns[f"{name} change %"] = 100 * abs(after - before) / max(before, 1e-6)
    return columns


def mean_of(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Column means over scans, NaN left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.nanmean([row.get(name, np.nan) for row in rows])) for name in names}
