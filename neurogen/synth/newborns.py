"""Newborn brains of any contrast with known regions, drawn from label maps and the scans that belong to them.

The idea is that of SynthSeg (doi:10.1016/j.media.2023.102789), as in `heads.py`. A drawn brain is extracted, as the
scans will be: nothing outside its regions but a rim. Averages of many brains have wide fluid around them; a random
depth of it is taken away. Tissues differ more than the regions of one tissue do, so intensities are drawn so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from neurogen.synth.acquisition import AcquisitionSettings, acquire, bias_field, gamma_curve
from neurogen.synth.deform import DeformSettings, random_map, warp

DEEPEST = 80  # deepest fluid, in tenths of a millimeter, that is told apart; more counts as this
_QUANTILE = 98


@dataclass(frozen=True)
class NewbornSettings:
    """What a drawn brain may look like. All shares are of the brains. Ours."""

    shape: tuple[int, int, int] = (48, 48, 48)  # of the patch, voxels
    real_share: float = 0.45  # show the scan that belongs to the label map
    like_scan_share: float = 0.45  # drawn around the mean intensities of that scan; the rest are lawless
    blend_share: float = 0.4  # of the first: mixed with a drawn one
    trim_share: float = 0.7  # lose outer fluid
    rim_share: float = 0.3  # keep a rim of unlabeled voxels
    deform: DeformSettings = field(
        default_factory=lambda: DeformSettings(
            rotation_deg=15.0, scale=0.15, shear=0.08, shift_voxels=0.0, elastic_voxels=4.0, flip=False
        )
    )
    acquisition: AcquisitionSettings = field(
        default_factory=lambda: AcquisitionSettings(
            bias=0.3, blur_voxels=0.7, thick_voxels=2.5, thick_share=0.1, noise=0.05, cut_share=0.0
        )
    )


@dataclass(frozen=True, eq=False)
class NewbornMap:
    """One label map, cut to its brain, ready for drawing. Arrays (I, J, K) in RAS order."""

    labels: np.ndarray  # uint8, 0 background
    image: np.ndarray | None  # float32, 1 = its 98th percentile
    depth: np.ndarray  # uint8, how far a fluid voxel lies from tissue: tenths of a millimeter, at most DEEPEST
    means: np.ndarray  # (L,) float32 mean intensity of each label in the image; NaN where there is none
    places: np.ndarray  # (N, 3) voxels that a patch may be centered on
    outline: np.ndarray  # (M, 3) voxels whose extent is that of the brain


@dataclass(frozen=True, eq=False)
class DrawnBrain:
    """scan (4, I, J, K) float32: image and three coordinates, as the network takes it; labels (I, J, K) uint8."""

    scan: np.ndarray
    labels: np.ndarray


def newborn_map(
    labels: np.ndarray, image: np.ndarray | None, *, fluid: tuple[int, ...], spacing_mm: float, count: int
) -> NewbornMap:
    """Prepare a label map once. fluid: labels that may be trimmed; count: of labels, 0 included."""
    box = ndimage.find_objects((labels > 0).astype(np.uint8))[0]
    box = tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in box)
    labels = np.ascontiguousarray(labels[box])
    inner = (labels > 0) & ~np.isin(labels, fluid)
    depth = np.minimum(10 * spacing_mm * ndimage.distance_transform_edt(~inner), DEEPEST).astype(np.uint8)
    means = np.full(count, np.nan, np.float32)
    if image is not None:
        image = scaled(image[box])
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=count))
        means[present] = ndimage.mean(image, labels, present)
    outline = np.argwhere((depth > 0) & (depth < 15) & (labels > 0))
    return NewbornMap(labels, image, depth, means, np.argwhere(inner)[::20], outline[::50])


def mirrored_map(one: NewbornMap, mirrored: np.ndarray) -> NewbornMap:
    """The other hand of a brain: left becomes right, and labels change with it. mirrored: (L,) label -> label."""
    last = np.array([one.labels.shape[0] - 1, 0, 0])
    flipped = [np.ascontiguousarray(a[::-1]) if a is not None else None for a in (one.labels, one.image, one.depth)]
    places = [np.abs(last - points * [1, -1, -1]) for points in (one.places, one.outline)]
    return NewbornMap(mirrored[flipped[0]].astype(np.uint8), *flipped[1:], one.means[mirrored], *places)


def prior_of(maps: Sequence[NewbornMap], shape: tuple[int, int, int], reach: float, count: int) -> np.ndarray:
    """(count, *shape) float32 in [0, 1]: how often each label lies at a place of the brain's bounding box.

    Cells lie evenly from -reach to reach of the box, -1 to 1; smoothed by about one cell.
    """
    found = np.zeros((count, *shape), np.float32)
    lines = [np.linspace(-reach, reach, n) for n in shape]
    cells = np.indices(shape)
    for one in maps:
        low, high = one.outline.min(axis=0), one.outline.max(axis=0)
        axes = [(line * (b - a) + a + b) / 2 for line, a, b in zip(lines, low, high, strict=True)]
        index = np.rint(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)).astype(np.int32)
        found[_read(one.labels, index), cells[0], cells[1], cells[2]] += 1 / len(maps)
    return ndimage.gaussian_filter(found, (0, 0.7, 0.7, 0.7), mode="nearest")


def scaled(image: np.ndarray) -> np.ndarray:
    """Float32, 1 = the 98th percentile of what is not 0; all 0 stays."""
    image = np.maximum(np.asarray(image, np.float32), 0)
    inside = image[image > 0]
    return image / max(float(np.percentile(inside, _QUANTILE)), 1e-6) if inside.size else image


def coordinates(shape: tuple[int, ...], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(3, I, J, K) float32: voxel indices on a scale that is -1 at `low` and 1 at `high`, clipped at 1.5."""
    out = np.empty((3, *shape), np.float32)
    for axis, n in enumerate(shape):
        line = (2 * np.arange(n, dtype=np.float32) - low[axis] - high[axis]) / max(high[axis] - low[axis], 1)
        out[axis] = np.clip(line, -1.5, 1.5).reshape([-1 if a == axis else 1 for a in range(3)])
    return out


def draw_newborn(
    one: NewbornMap, tissue_of: np.ndarray, rng: np.random.Generator, settings: NewbornSettings | None = None
) -> DrawnBrain:
    """A patch of a brain of random contrast, pose, shape and quality. tissue_of: (L,) label -> tissue."""
    settings = settings or NewbornSettings()
    center = one.places[rng.integers(len(one.places))]
    offsets = random_map(settings.shape, rng, settings.deform)
    index = np.rint(offsets + center.astype(np.float32)).astype(np.int32)
    labels, depth = _read(one.labels, index), _read(one.depth, index)
    if rng.random() < settings.trim_share:
        kept = rng.uniform(3, DEEPEST) * bias_field(settings.shape, rng, strength=0.3)
        labels = np.where(depth > kept, 0, labels)
    support = labels > 0
    if rng.random() < settings.rim_share:
        support = ndimage.binary_dilation(support)
    image = acquire(gamma_curve(_image(one, labels, offsets, center, tissue_of, rng, settings), rng), rng,
                    settings.acquisition)  # fmt: skip
    image = scaled(np.where(support, np.maximum(image, 1e-3), 0)) * np.float32(rng.uniform(0.7, 1.2))
    low, high = _extent(one, offsets, center, rng)
    return DrawnBrain(np.concatenate([image[None], coordinates(settings.shape, low, high)]), labels)


def _image(one, labels, offsets, center, tissue_of, rng, settings) -> np.ndarray:
    """Intensities before acquisition: the scan's, drawn ones, or a mixture."""
    kind = rng.random()
    if one.image is None or kind >= settings.real_share:
        like_scan = one.image is not None and kind < settings.real_share + settings.like_scan_share
        return _paint(labels, _means(one, tissue_of, rng, like_scan=like_scan), rng)
    real = warp(one.image[None], center, offsets)[0]
    if rng.random() < settings.blend_share:
        drawn = _paint(labels, _means(one, tissue_of, rng, like_scan=True), rng)
        real = real + np.float32(rng.random()) * (drawn - real)
    return real


def _means(one: NewbornMap, tissue_of: np.ndarray, rng: np.random.Generator, *, like_scan: bool) -> np.ndarray:
    """(L,) float32 intensities of the labels, in [0, 1.2]; background 0.2."""
    own = rng.normal(0, rng.uniform(0.01, 0.06), len(one.means))
    if like_scan:
        shift = rng.normal(0, 0.06, tissue_of.max() + 1)[tissue_of]
        means = np.where(np.isnan(one.means), 0.5, one.means) + shift
    else:
        means = rng.random(tissue_of.max() + 1)[tissue_of]
    means = np.clip(means + own, 0.02, 1.2)
    means[0] = 0.2
    return means.astype(np.float32)


def _paint(labels: np.ndarray, means: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every voxel its label's mean, uneven by region and by place, with partial volume at the borders."""
    spread = rng.uniform(0, 0.08, len(means)).astype(np.float32)
    image = rng.standard_normal(labels.shape, dtype=np.float32)
    image *= spread[labels]
    image += means[labels]
    uneven = ndimage.zoom(rng.standard_normal([n // 8 for n in labels.shape]).astype(np.float32), 8, order=1)
    image += np.float32(rng.uniform(0, 0.06)) * uneven
    return ndimage.gaussian_filter(np.maximum(image, 0), rng.uniform(0.35, 0.7), truncate=3)


def _read(array: np.ndarray, index: np.ndarray) -> np.ndarray:
    """array at integer voxels (I, J, K, 3), 0 outside."""
    inside = np.ones(index.shape[:3], bool)
    flat = np.zeros(index.shape[:3], np.int64)
    for axis, n in enumerate(array.shape):
        line = index[..., axis]
        inside &= (line >= 0) & (line < n)
        flat *= n
        flat += np.clip(line, 0, n - 1)
    return np.where(inside, array.ravel()[flat], 0)


def _extent(
    one: NewbornMap, offsets: np.ndarray, center: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(3,), (3,): the patch voxels where the moved brain's bounding box begins and ends, a little off.

    The map is taken as the affine y -> A y + t that fits it best, and the brain's outline is led back through it.
    """
    size = np.array(offsets.shape[:3])
    corners = np.stack(np.meshgrid(*[np.arange(4, n, 12) for n in size], indexing="ij"), axis=-1).reshape(-1, 3)
    moved = offsets[tuple(corners.T)]
    design = np.concatenate([corners, np.ones((len(corners), 1))], axis=1)
    fitted = np.linalg.lstsq(design, moved, rcond=None)[0]
    back = (one.outline - center - fitted[3]) @ np.linalg.inv(fitted[:3])
    low, high = back.min(axis=0), back.max(axis=0)
    off = (high - low) * rng.normal(0, 0.03, (2, 3))
    return low + off[0], high + off[1]
