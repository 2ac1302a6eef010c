"""Lesions: connected components of the anomaly map above a threshold, measured in the patient's space."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from neurogen.affines import voxel_volume_ml

DIRECTIONS = ("both", "bright", "dark")
MIDLINE_MM = 3.0


@dataclass(frozen=True)
class Lesion:
    """One component; scores are in healthy standard deviations, always positive."""

    label: int
    volume_ml: float
    centroid_ras_mm: tuple[float, float, float]
    peak_score: float
    mean_score: float
    polarity: str  # "bright" | "dark", against the pseudo-healthy brain
    side: str  # "left" | "right" | "midline" of the patient
    region: str  # of the template, "" where unknown


@dataclass(frozen=True, eq=False)
class LesionCut:
    """labels : (I, J, K) int16, 0 = background, 1 = the largest lesion; lesions in that order."""

    labels: np.ndarray
    lesions: tuple[Lesion, ...]


def cut_lesions(
    score: np.ndarray,
    affine: np.ndarray,
    threshold: float,
    *,
    direction: str = "both",
    minimum_ml: float = 0.1,
    template_from_scan: np.ndarray | None = None,
    region_at=None,
) -> LesionCut:
    """Components (26-connected) of one polarity where |score| > threshold, at least `minimum_ml` large.

    score : (I, J, K) signed anomaly map, 0 outside the brain
    template_from_scan : (4, 4) RAS mm -> template RAS mm, for side and region; None reads the side off the scan's x
    region_at : template RAS mm (3,) -> name
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}; choose one of {', '.join(DIRECTIONS)}.")
    home = np.eye(4) if template_from_scan is None else template_from_scan
    found = []
    for polarity, signed in (("bright", score), ("dark", -score)):
        if direction in ("both", polarity):
            found += _components(signed, threshold, minimum_ml / voxel_volume_ml(affine), polarity)
    found.sort(key=lambda component: -len(component[0]))
    labels = np.zeros(score.shape, np.int16)
    lesions = []
    for label, (index, values, polarity) in enumerate(found, start=1):
        labels[tuple(index.T)] = label
        lesions.append(_measure(label, index, values, polarity, affine, home, region_at))
    return LesionCut(labels, tuple(lesions))


def component_volume_ml(score: np.ndarray, threshold: float, voxel_ml: float, minimum_ml: float) -> float:
    """Volume of all components of either polarity that count as lesions: what is a false positive in a healthy scan."""
    total = sum(
        len(index)
        for signed in (score, -score)
        for index, _, _ in _components(signed, threshold, minimum_ml / voxel_ml, "")
    )
    return total * voxel_ml


def _components(
    signed: np.ndarray, threshold: float, minimum_voxels: float, polarity: str
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """(voxel indices (n, 3), scores (n,), polarity) of each component that is large enough."""
    above = signed > threshold
    if not above.any():
        return []
    frame = _bounding_box(above)
    labeled, count = ndimage.label(above[frame], np.ones((3, 3, 3)))
    sizes = np.bincount(labeled.ravel(), minlength=count + 1)
    boxes = ndimage.find_objects(labeled)
    corner = [part.start for part in frame]
    found = []
    for k in np.flatnonzero(sizes[1:] >= max(minimum_voxels, 1)) + 1:
        box = boxes[k - 1]
        index = np.argwhere(labeled[box] == k) + [s.start for s in box] + corner
        found.append((index, signed[tuple(index.T)], polarity))
    return found


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around what is set: labeling takes a small part of the time there."""
    others = [tuple(other for other in range(mask.ndim) if other != axis) for axis in range(mask.ndim)]
    filled = [np.flatnonzero(mask.any(axes)) for axes in others]
    return tuple(slice(int(where[0]), int(where[-1]) + 1) for where in filled)


def _measure(label, index, values, polarity, affine, home, region_at) -> Lesion:
    centroid = affine[:3, :3] @ index.mean(0) + affine[:3, 3]
    in_template = home[:3, :3] @ centroid + home[:3, 3]
    x = in_template[0]
    side = "midline" if abs(x) < MIDLINE_MM else ("right" if x > 0 else "left")
    return Lesion(
        label=label,
        volume_ml=len(index) * voxel_volume_ml(affine),
        centroid_ras_mm=tuple(round(float(c), 2) for c in centroid),
        peak_score=float(values.max()),
        mean_score=float(values.mean()),
        polarity=polarity,
        side=side,
        region=region_at(in_template) if region_at else "",
    )
