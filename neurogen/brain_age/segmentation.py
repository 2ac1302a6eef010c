"""The Draw-EM regions of a newborn's brain-extracted scan, found by a network and returned on the scan's own grid.

The scan is read at 0.8 mm along the patient's axes and seen through a sliding window. Every voxel gets the probability
of each tissue, every block of 2 x 2 x 2 voxels the likeliest region of each tissue. Both are led to the scan's grid by
linear interpolation, where the largest tissue wins, and within it the largest region: surfaces stay smooth, as the
surface-to-volume ratio needs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from neurogen.affines import voxel_volume_ml
from neurogen.brain_age.label_check import PLAUSIBLE_ML, PUBLISHED_SPACING_MM, needs_resampling
from neurogen.brain_age.region_choice import fair_regions
from neurogen.brain_age.tissues import MIRRORED, TISSUE_OF, TISSUES
from neurogen.errors import InputRefused, ModelUnavailable
from neurogen.progress import Progress, portion, silent
from neurogen.synth.newborns import coordinates, scaled
from neurogen.volumes import Volume, resample_to

if TYPE_CHECKING:
    from torch import nn

    from neurogen.models import Model

MODEL_ID = "neonatal-regions"
TASK = "regions"
GRID_MM = 0.8
WINDOW = (64, 64, 64)
MARGIN_MM = 4.0
LARGEST_SUPPORT = 0.85
"""Share of voxels above 0 from which a scan counts as not brain-extracted."""
LARGEST_SCAN_MM = 1.05
_FLUID = (1, 2)  # tissues that lie outside the box that places the brain
_FAINT = 0.02  # a tissue less probable than this wins nowhere


@dataclass(frozen=True)
class SegmentationSettings:
    """overlap: of neighboring windows. mirror: look at the scan in a mirror, too, and take the mean."""

    overlap: float = 0.25
    mirror: bool = True
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class TissueProbabilities:
    """On the 0.8 mm grid of `affine`. tissue: (T, I, J, K) float32; region: (T, I, J, K) uint8, likeliest of each."""

    tissue: np.ndarray
    region: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True, eq=False)
class Segmented:
    """Draw-EM labels, uint8, 0 outside the brain: on the scan's own grid, and at about 0.5 mm, to be measured."""

    labels: Volume
    measured: Volume


def segment_regions(
    volume: Volume,
    network: "nn.Module",
    settings: SegmentationSettings = SegmentationSettings(),
    progress: Progress = silent,
) -> Segmented:
    """The regions of a brain-extracted T2w scan. Raises InputRefused."""
    support = brain_support(volume)
    found = probabilities(volume, support, network, settings, portion(progress, 0.0, 0.7))
    progress("regions on the scan's grid", 0.7)
    labels = volume.with_array(np.where(support, labels_on(found, volume.shape, volume.affine), 0))
    if not needs_resampling(volume):
        return Segmented(labels, labels)
    progress("regions at 0.5 mm", 0.85)
    shape, affine = _grid_of(volume, support, PUBLISHED_SPACING_MM)
    inside = resample_to(volume.with_array(support), shape, affine, order=0).array
    return Segmented(labels, Volume(np.where(inside, labels_on(found, shape, affine), 0), affine, volume.facts))


def load_segmenter(model: "Model", device: str = "cpu") -> "nn.Module":
    """The network of a model for this task. Raises ModelUnavailable for another's."""
    from neurogen.networks.factory import load_network

    if model.manifest["task"] != TASK:
        raise ModelUnavailable(
            f"The model {model.id!r} is for {model.manifest['task']}, but one for {TASK} is needed, as {MODEL_ID}."
        )
    return load_network(model, device)


def brain_support(volume: Volume) -> np.ndarray:
    """(I, J, K) bool, what is above 0. Raises InputRefused unless that can be a newborn's brain without its skull."""
    if max(volume.spacing_mm) > LARGEST_SCAN_MM:
        words = " x ".join(f"{size:.3g}" for size in volume.spacing_mm)
        raise InputRefused(
            f"The scan has voxels of {words} mm, but at most 1 mm are needed to find a newborn's regions. "
            "Give a finer scan, or one reconstructed from several stacks."
        )
    support = volume.array > 0
    size_ml, share = support.sum() * voxel_volume_ml(volume.affine), float(support.mean())
    low, high = PLAUSIBLE_ML
    if share > LARGEST_SUPPORT or not low <= size_ml <= high:
        raise InputRefused(
            f"This image has {size_ml:.0f} ml above 0 ({100 * share:.0f} % of its voxels), but a newborn's brain "
            f"without skull has {low:.0f} to {high:.0f} ml, on a background of 0. Give a brain-extracted T2w scan of a "
            "newborn, or a Draw-EM label map."
        )
    return support


def probabilities(
    volume: Volume, support: np.ndarray, network: "nn.Module", settings: SegmentationSettings, progress: Progress
) -> TissueProbabilities:
    """What the network says of a scan. A first look, at tissues alone, finds the box of the brain within its fluid."""
    image, box = _at_network_grid(volume, support)
    tissue, _ = _look(image.array, box, network, settings, portion(progress, 0.0, 0.2), whole=False)
    found = _box_of(~np.isin(tissue.argmax(0), (0, *_FLUID)))
    box = box if found is None else found
    half = 0.6 if settings.mirror else 1.0
    tissue, logits = _look(image.array, box, network, settings, portion(progress, 0.2, half), whole=True)
    if settings.mirror:
        seen = _in_a_mirror(image.array, box, network, settings, portion(progress, half, 1.0))
        tissue, logits = ((one + other) / 2 for one, other in zip((tissue, logits), seen, strict=True))
    return TissueProbabilities(tissue, fair_regions(_doubled(logits), tissue.argmax(0)), image.affine)


def labels_on(found: TissueProbabilities, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """(I, J, K) uint8 labels on another grid: the largest tissue, then its largest region."""
    matrix = np.linalg.solve(found.affine, affine)
    tissue, best = np.zeros(shape, np.uint8), _sample_box(found.tissue[0], matrix, shape, 1.0)
    for number in range(1, len(TISSUES)):
        _win(found.tissue[number], matrix, tissue, best, number, None)
    labels, best = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    for number in range(1, len(TISSUES)):
        near = found.tissue[number] > _FAINT
        for label in np.flatnonzero(TISSUE_OF == number):
            _win(near * (found.region[number] == label), matrix, labels, best, label, tissue == number)
    return labels


def _at_network_grid(volume: Volume, support: np.ndarray) -> tuple[Volume, np.ndarray]:
    """The scan around its support at 0.8 mm along RAS axes, averaged where its voxels are smaller, and the box (2, 3)
    of the support in those voxels. Sides are even and no smaller than a window, the scan in the middle."""
    shape, affine = _grid_of(volume, support, GRID_MM)
    more = np.maximum(np.array(WINDOW) - shape, np.array(shape) % 2)
    shape, affine[:3, 3] = tuple(shape + more), affine[:3, 3] - GRID_MM * (more // 2)
    sigma = 0.4 * np.sqrt(np.maximum((GRID_MM / np.array(volume.spacing_mm)) ** 2 - 1, 0))
    clean = np.where(support, volume.array, 0).astype(np.float32)
    smooth = ndimage.gaussian_filter(clean, sigma, truncate=3)
    image = resample_to(Volume(smooth, volume.affine), shape, affine)
    inside = resample_to(Volume(support, volume.affine), shape, affine, order=0).array
    return Volume(np.where(inside, scaled(image.array), 0), affine), _box_of(inside)


def _grid_of(volume: Volume, support: np.ndarray, spacing_mm: float) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine of an isotropic grid along RAS axes around the support."""
    ends = [(part.start, part.stop - 1) for part in ndimage.find_objects(support.astype(np.uint8))[0]]
    corners = np.array(np.meshgrid(*ends, [1], indexing="ij")).reshape(4, -1)
    world = (volume.affine @ corners)[:3]
    low, high = world.min(1) - MARGIN_MM, world.max(1) + MARGIN_MM
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low
    return tuple(int(n) for n in np.ceil((high - low) / spacing_mm - 1e-6).astype(int) + 1), affine


def _look(
    image: np.ndarray,
    box: np.ndarray,
    network: "nn.Module",
    settings: SegmentationSettings,
    progress: Progress,
    *,
    whole: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Tissue probabilities (T, I, J, K) and, of the whole network, region logits (L, I/2, J/2, K/2)."""
    import torch
    from monai.inferers import sliding_window_inference

    scan = torch.from_numpy(np.concatenate([image[None], coordinates(image.shape, *box)]))[None]
    total = _windows(image.shape, settings.overlap)
    done = 0

    def predict(window: "torch.Tensor") -> tuple["torch.Tensor", ...]:
        nonlocal done
        progress("finding regions", min(done / total, 1.0))
        done += 1
        tissues, regions = network(window, whole=whole)
        return tuple(one.float() for one in (tissues.softmax(1), regions) if one is not None)

    with torch.no_grad():
        seen = sliding_window_inference(
            scan, WINDOW, 1, predict, overlap=settings.overlap, mode="gaussian",
            sw_device=settings.device, device="cpu",
        )  # fmt: skip
    if not whole:
        return (seen[0] if isinstance(seen, tuple) else seen)[0].numpy(), None
    return seen[0][0].numpy(), seen[1][0].numpy()


def _in_a_mirror(
    image: np.ndarray, box: np.ndarray, network: "nn.Module", settings: SegmentationSettings, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """`_look` at the scan with left and right exchanged, and what it says exchanged back. image: along RAS axes."""
    last = len(image) - 1
    box = np.stack([[last - box[1, 0], *box[0, 1:]], [last - box[0, 0], *box[1, 1:]]])
    tissue, logits = _look(np.ascontiguousarray(image[::-1]), box, network, settings, progress, whole=True)
    return tissue[:, ::-1], logits[MIRRORED][:, ::-1]


def _windows(shape: tuple[int, ...], overlap: float) -> int:
    """About how many windows cover a volume."""
    return int(np.prod([1 + np.ceil(max(n - w, 0) / (w * (1 - overlap))) for n, w in zip(shape, WINDOW, strict=True)]))


def _doubled(logits: np.ndarray) -> np.ndarray:
    """Twice the resolution, trilinear between block centers."""
    import torch
    from torch.nn import functional

    return functional.interpolate(torch.from_numpy(logits)[None], scale_factor=2, mode="trilinear")[0].numpy()


def _box_of(mask: np.ndarray) -> np.ndarray | None:
    """(2, 3) first and last voxel of a mask; None when it is empty."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    return np.array([[p.start for p in found[0]], [p.stop - 1 for p in found[0]]], float) if found else None


def _sample_box(share: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...], outside: float) -> np.ndarray:
    """share at matrix @ (i, j, k, 1), linear."""
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    if np.allclose(linear, np.diag(np.diag(linear)), rtol=0, atol=1e-9):
        linear = np.diag(linear)
    return ndimage.affine_transform(share, linear, offset, output_shape=shape, output=np.float32, order=1,
                                    mode="grid-constant", cval=outside)  # fmt: skip


def _win(
    share: np.ndarray, matrix: np.ndarray, out: np.ndarray, best: np.ndarray, value: int, allowed: np.ndarray | None
) -> None:
    """Write `value` where the interpolated share is the largest so far, and allowed; only its own box is looked at."""
    box = _box_of(share > _FAINT)
    if box is None:
        return
    corners = np.array(np.meshgrid(*zip(box[0] - 1, box[1] + 1, strict=True), [1], indexing="ij")).reshape(4, -1)
    there = (np.linalg.inv(matrix) @ corners)[:3]
    low = np.clip(np.floor(there.min(1)).astype(int), 0, out.shape)
    high = np.clip(np.ceil(there.max(1)).astype(int) + 1, 0, out.shape)
    if (high <= low).any():
        return
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    moved = matrix.copy()
    moved[:3, 3] += matrix[:3, :3] @ low
    source = tuple(slice(max(int(a) - 1, 0), int(b) + 2) for a, b in zip(*box, strict=True))
    moved[:3, 3] -= [s.start for s in source]
    there = _sample_box(share[source].astype(np.float32), moved, tuple(high - low), 0.0)
    wins = there > best[part] if allowed is None else (there > best[part]) & allowed[part]
    out[part][wins] = value
    best[part][wins] = there[wins]
