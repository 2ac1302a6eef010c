"""A label map at another voxel size, without the steps that nearest neighbor leaves on every surface.

To smaller voxels, each label's indicator is interpolated linearly and the largest wins,
L(x) = argmax_r [labels = r](x): one label at a time on its own bounding box, so memory stays at a few volumes. To
larger voxels, labels are read at the new centers: averaging would smooth the surfaces, which SVR measures. What a
coarser map has lost for good, the finest roughness, is given back on average by `restore_surfaces`.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from neurogen.brain_age.features import RegionFeatures
from neurogen.brain_age.regions import BACKGROUND, EXTRA_CRANIAL
from neurogen.volumes import Volume, resample_to

SURFACE_LOSS = 0.01
"""Share of SVR that going to 0.6-0.8 mm and back takes away: 0.7-1 % of smooth maps, 1.5-2.5 % of rough ones; half of
the largest loss, so that neither kind moves the age by 0.3 week (Docs/brain_age.md has the measurements)."""


def resample_labels(volume: Volume, spacing_mm: float) -> Volume:
    """The label map on an isotropic grid of `spacing_mm` with the same axes and outer corner.

    Label 84 becomes background. volume : labels 0..255.
    """
    if spacing_mm >= max(volume.spacing_mm):
        return _picked(volume, spacing_mm)
    labels = np.where(volume.array == EXTRA_CRANIAL, BACKGROUND, volume.array).astype(np.uint8)
    ratio = spacing_mm / np.array(volume.spacing_mm)
    shape = tuple(int(n) for n in np.maximum(np.rint(np.array(labels.shape) / ratio), 1))
    out, best = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    for label, box in enumerate(_boxes(labels)):
        if box is not None:
            _compete(label, labels, _grown(box, labels.shape), ratio, out, best)
    return Volume(out, _new_affine(volume.affine, ratio), volume.facts)


def _picked(volume: Volume, spacing_mm: float) -> Volume:
    """Nearest neighbor, on the same grid as the interpolated map would have."""
    ratio = spacing_mm / np.array(volume.spacing_mm)
    shape = np.maximum(np.rint(np.array(volume.shape) / ratio), 1).astype(int)
    labels = np.where(volume.array == EXTRA_CRANIAL, BACKGROUND, volume.array).astype(np.uint8)
    return resample_to(replace(volume, array=labels), shape, _new_affine(volume.affine, ratio), order=0)


def _boxes(labels: np.ndarray) -> list[tuple[slice, ...] | None]:
    whole = tuple(slice(0, n) for n in labels.shape)
    return [whole, *ndimage.find_objects(labels)]


def restore_surfaces(features: RegionFeatures) -> RegionFeatures:
    """The features of a resampled map with the mean loss of SVR undone; SVR stays at most 1."""
    restored = np.minimum(features.surface_to_volume_ratio / (1 - SURFACE_LOSS), 1.0)
    return replace(features, surface_to_volume_ratio=restored)


def _grown(box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(box, shape))


def _compete(
    label: int,
    labels: np.ndarray,
    box: tuple[slice, ...],
    ratio: np.ndarray,
    out: np.ndarray,
    best: np.ndarray,
) -> None:
    """Give `label` every voxel of `out` where its interpolated indicator is the largest so far."""
    share = (labels[box] == label).astype(np.float32)
    # Voxel centers: new index j lies at (j + 1/2) ratio - 1/2 in old indices.
    start = [int(np.ceil((s.start + 0.5) / r - 0.5)) for s, r in zip(box, ratio)]
    stop = [min(int(np.floor((s.stop - 0.5) / r - 0.5)) + 1, n) for s, r, n in zip(box, ratio, out.shape)]
    new = tuple(slice(max(a, 0) if s.start else 0, b if s.stop < n else m) for a, b, s, n, m in zip(
        start, stop, box, labels.shape, out.shape))  # fmt: skip
    offset = [(n.start + 0.5) * r - 0.5 - s.start for n, r, s in zip(new, ratio, box)]
    size = tuple(n.stop - n.start for n in new)
    share = ndimage.affine_transform(share, ratio, offset, output_shape=size, order=1, mode="nearest")
    wins = share > best[new]
    out[new][wins] = label
    best[new][wins] = share[wins]


def _new_affine(affine: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """The outer corner (index -1/2) stays where it is."""
    new = affine.copy()
    new[:3, :3] = affine[:3, :3] * ratio
    new[:3, 3] = affine[:3, :3] @ (0.5 * ratio - 0.5) + affine[:3, 3]
    return new
