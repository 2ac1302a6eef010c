"""A label map at another voxel size, without the steps that nearest neighbor leaves on every surface.

Each label's indicator is smoothed by a Gaussian, interpolated linearly, and the largest wins:
L(x) = argmax_r (G * [labels = r])(x). One label at a time on its own bounding box, so memory stays at a few volumes.
"""

import numpy as np
from scipy import ndimage

from neurogen.brain_age.regions import BACKGROUND, EXTRA_CRANIAL
from neurogen.volumes import Volume

SMOOTHING_VOXELS = 0.4
"""Standard deviation of the Gaussian in source voxels; chosen on the fetal atlases, see Docs/brain_age.md."""


def resample_labels(volume: Volume, spacing_mm: float, *, smoothing_voxels: float = SMOOTHING_VOXELS) -> Volume:
    """The label map on an isotropic grid of `spacing_mm` with the same axes and outer corner.

    Label 84 becomes background. volume : labels 0..255. smoothing_voxels : 0 leaves linear interpolation alone.
    """
    labels = np.where(volume.array == EXTRA_CRANIAL, BACKGROUND, volume.array).astype(np.uint8)
    ratio = spacing_mm / np.array(volume.spacing_mm)
    shape = tuple(int(n) for n in np.maximum(np.rint(np.array(labels.shape) / ratio), 1))
    out, best = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    margin = int(np.ceil(3 * smoothing_voxels)) + 1
    for label, box in enumerate(_boxes(labels)):
        if box is not None:
            _compete(label, labels, _grown(box, margin, labels.shape), ratio, smoothing_voxels, out, best)
    return Volume(out, _new_affine(volume.affine, ratio), volume.facts)


def _boxes(labels: np.ndarray) -> list[tuple[slice, ...] | None]:
    whole = tuple(slice(0, n) for n in labels.shape)
    return [whole, *ndimage.find_objects(labels)]


def _grown(box: tuple[slice, ...], margin: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in zip(box, shape))


def _compete(label, labels, box, ratio, smoothing_voxels, out, best) -> None:
    """Give `label` every voxel of `out` where its smoothed indicator is the largest so far."""
    share = (labels[box] == label).astype(np.float32)
    if smoothing_voxels > 0:
        share = ndimage.gaussian_filter(share, smoothing_voxels, truncate=3.0, mode="nearest")
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
