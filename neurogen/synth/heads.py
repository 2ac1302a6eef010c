"""Whole heads of any contrast with a known brain, drawn from label maps.

The idea is that of "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without retraining"
(doi:10.1016/j.media.2023.102789): give every label a random intensity, then do to the image what scanners do. A network
trained on such heads cannot rely on what is bright and what is dark.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from neurogen.synth.acquisition import AcquisitionSettings, acquire, cut_field_of_view, gamma_curve
from neurogen.synth.deform import DeformSettings, random_map, warp

FIRST_OUTER_LABEL = 500  # skull, skin, eyes, muscle and so on
CLOSING_MM = 3.0
HEAD_MM = 220.0  # from the top of a head down to the chin or so
WHITE, GRAY, FLUID = (2, 7, 16, 28, 41, 46, 60, 85), (3, 8, 42, 47), (4, 5, 14, 15, 24, 43, 44)
# FreeSurfer's right-hand labels and, in the same order, their left-hand twins
RIGHT = (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60, 62, 137, 164)
LEFT = (2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 26, 28, 30, 136, 163)


@dataclass(frozen=True)
class HeadSettings:
    """What a drawn head may look like. All shares are of the heads. Ours."""

    shape: tuple[int, int, int] = (96, 112, 96)  # of the drawn head, voxels
    tissue_share: float = 0.5  # gray, white and fluid each share a mean, as in real scans; the rest are lawless
    same_sides_share: float = 0.9  # left and right structures alike
    dark_air_share: float = 0.8  # background exactly 0 before noise
    lesion_share: float = 0.4  # with one to three blobs of another intensity in the brain
    stripped_share: float = 0.2  # brain alone on a zero background: the target is then that support
    deform: DeformSettings = field(default_factory=DeformSettings)
    acquisition: AcquisitionSettings = field(default_factory=AcquisitionSettings)


@dataclass(frozen=True)
class HeadLabels:
    """A label map made ready for drawing; a drawn voxel is the mean of `step`^3 label voxels: 2 mm from 1 mm."""

    codes: np.ndarray  # (I, J, K) uint8, index into names
    names: np.ndarray  # (L,) FreeSurfer numbers
    brain: np.ndarray  # (I', J', K') float32, share of brain (`brain_of`) in each drawn voxel
    center: np.ndarray  # (3,) drawn voxel around which the field is laid
    step: int


@dataclass(frozen=True)
class SynthHead:
    """A drawn head: image (I, J, K) float32 from 0 to about 1, brain (I, J, K) bool."""

    image: np.ndarray
    brain: np.ndarray


def brain_of(labels: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Brain of a FreeSurfer-like label map: every brain label and the fluid around it, closed by 3 mm, holes filled.

    The fluid in and over the sulci belongs to it, as in the automatic labels of real heads: with it the border is the
    smooth inner face of the skull, which every contrast shows; without it the border would follow each sulcus.
    """
    return close_and_fill((labels > 0) & (labels < FIRST_OUTER_LABEL), spacing_mm)


def close_and_fill(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], closing_mm: float = CLOSING_MM
) -> np.ndarray:
    """Morphological closing with a ball of `closing_mm`, then holes filled. (I, J, K) bool in and out."""
    result = np.zeros(mask.shape, bool)
    if not mask.any():
        return result
    spacing = np.asarray(spacing_mm, float)
    margin = np.ceil(closing_mm / spacing).astype(int) + 1
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    padded = np.pad(mask[box], [(m, m) for m in margin])
    grown = ndimage.distance_transform_edt(~padded, spacing) <= closing_mm
    closed = ndimage.distance_transform_edt(grown, spacing) > closing_mm
    inner = tuple(slice(m, -m) for m in margin)
    result[box] = ndimage.binary_fill_holes((closed | padded)[inner])
    return result


def head_labels(labels: np.ndarray, spacing_mm: tuple[float, float, float] = (1, 1, 1), *, step: int = 2) -> HeadLabels:
    """Prepare a label map (I, J, K) in RAS order once; draw from it as often as wanted.

    Air around the head and whatever lies more than `HEAD_MM` below its top (neck, shoulders) are cut.
    """
    head = ndimage.find_objects((labels > 0).astype(np.uint8))
    if not head:
        raise ValueError("The label map is empty: labels above 0 are needed. Give a FreeSurfer-like label map.")
    labels = labels[head[0]][:, :, -round(HEAD_MM / spacing_mm[2]) :]
    names, codes = np.unique(labels, return_inverse=True)
    brain = _block_mean(brain_of(labels, spacing_mm), step)
    center = (field_center(labels > 0, spacing_mm) + 0.5) / step - 0.5
    return HeadLabels(codes.reshape(labels.shape).astype(np.uint8), names, brain, center, step)


def field_center(foreground: np.ndarray, spacing_mm: tuple[float, float, float], depth_mm: float = 170.0) -> np.ndarray:
    """Voxel in the middle of the upper `depth_mm` of a head in RAS order: about the middle of its brain."""
    filled = np.flatnonzero(foreground.any(axis=(0, 1)))
    top = filled[-1] + 1
    bottom = max(filled[0], top - round(depth_mm / spacing_mm[2]))
    upper = foreground[:, :, bottom:top]
    sides = [np.flatnonzero(upper.any(axis=other)) for other in ((1, 2), (0, 2))]
    return np.array([(side[0] + side[-1]) / 2 for side in sides] + [(bottom + top - 1) / 2])


def draw_head(labels: HeadLabels, rng: np.random.Generator, settings: HeadSettings | None = None) -> SynthHead:
    """A head of random contrast, pose, shape and quality, as `HeadSettings` says."""
    settings = settings or HeadSettings()
    painted = _block_mean(_paint(labels, rng, settings), labels.step)
    offsets = random_map(settings.shape, rng, settings.deform)
    image, brain = warp(np.stack([painted, labels.brain]), labels.center, offsets)
    brain = brain > 0.5
    if rng.random() < settings.lesion_share:
        image = add_blobs(image, brain, rng)
    return finish_head(image, brain, rng, settings)


def finish_head(image: np.ndarray, brain: np.ndarray, rng: np.random.Generator, settings: HeadSettings) -> SynthHead:
    """Acquisition, loss of field of view, and now and then a skull strip: the part real and drawn heads share."""
    image = acquire(gamma_curve(image, rng), rng, settings.acquisition)
    if rng.random() < settings.stripped_share:
        image, brain = strip(image, brain, rng)
    image, brain = cut_field_of_view(image, brain, rng, settings.acquisition)
    return SynthHead(image.astype(np.float32), brain)


def strip(image: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The image on a zero background outside a support a little larger or smaller than the brain, and that support."""
    grow = int(rng.integers(-1, 3))
    if grow < 0:
        support = ndimage.binary_erosion(brain)
    else:
        support = ndimage.binary_dilation(brain, iterations=grow) if grow else brain
    return np.where(support, np.maximum(image, 1e-3), 0), support


def add_blobs(image: np.ndarray, brain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three soft ellipsoids of other intensities in the brain, so that a mask network keeps lesions inside."""
    image = image.copy()
    places = np.argwhere(brain)
    for _ in range(int(rng.integers(1, 4)) if len(places) else 0):
        center, radii = places[rng.integers(len(places))], rng.uniform(1.5, 12, 3)
        low = np.maximum(center - np.ceil(1.5 * radii).astype(int), 0)
        box = tuple(slice(a, b + 1) for a, b in zip(low, center + np.ceil(1.5 * radii).astype(int), strict=True))
        axes = np.ogrid[tuple(slice(part.start, min(part.stop, n)) for part, n in zip(box, image.shape, strict=True))]
        distance = np.sqrt(sum(((a - c) / r) ** 2 for a, c, r in zip(axes, center, radii, strict=True)))
        weight = np.clip(3 * (1.2 - distance), 0, 1) * brain[box]
        image[box] += weight * (rng.uniform(0, 1.2) - image[box])
    return image


def _paint(labels: HeadLabels, rng: np.random.Generator, settings: HeadSettings) -> np.ndarray:
    """Every voxel its label's mean plus its label's noise, float32 at the label map's resolution.

    The tissues outside the brain are painted in two means each, mixed in smooth patches: one label there holds many.
    """
    means = _label_means(labels.names, rng, settings)
    others = np.where(labels.names >= FIRST_OUTER_LABEL, _label_means(labels.names, rng, settings), means)
    spreads = rng.uniform(0, 0.12, len(means)).astype(np.float32)
    if rng.random() < settings.dark_air_share:
        means[labels.names == 0] = others[labels.names == 0] = spreads[labels.names == 0] = 0
    patches = ndimage.gaussian_filter(rng.standard_normal([n // 6 + 2 for n in labels.codes.shape]), 1.2) > 0
    patches = patches.repeat(6, 0).repeat(6, 1).repeat(6, 2)[tuple(slice(n) for n in labels.codes.shape)]
    codes = labels.codes + np.uint8(len(means)) * patches
    image = rng.standard_normal(codes.shape, dtype=np.float32)
    image *= np.concatenate([spreads, spreads])[codes]
    image += np.concatenate([means, others])[codes]
    return np.maximum(image, 0, out=image)


def _label_means(names: np.ndarray, rng: np.random.Generator, settings: HeadSettings) -> np.ndarray:
    """(L,) float32 intensities in [0, 1]."""
    means = {int(name): rng.random() for name in names}
    if rng.random() < settings.tissue_share:
        deep = rng.random()
        brain_names = [name for name in means if 0 < name < FIRST_OUTER_LABEL]
        tissues = {name: mean for group, mean in ((g, rng.random()) for g in (WHITE, GRAY, FLUID)) for name in group}
        means |= {name: tissues.get(name, deep) + rng.normal(0, 0.03) for name in brain_names}
    if rng.random() < settings.same_sides_share:
        means |= {right: means[left] for right, left in zip(RIGHT, LEFT, strict=True) if {right, left} <= means.keys()}
    return np.clip([means[int(name)] for name in names], 0, 1).astype(np.float32)


def _block_mean(array: np.ndarray, step: int) -> np.ndarray:
    """Mean over blocks of step^3 voxels, float32; the last voxels that fill no block are padded with zeros."""
    if step == 1:
        return array.astype(np.float32)
    padded = torch.from_numpy(np.pad(array, [(0, -n % step) for n in array.shape]).astype(np.float32))
    return functional.avg_pool3d(padded[None, None], step)[0, 0].numpy()
