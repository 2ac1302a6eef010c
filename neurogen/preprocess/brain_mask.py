"""The brain in a whole head of any contrast, or in an already stripped one: our own small 3D network at 2 mm.

The scan is read on a 2 mm grid along the patient's axes, a field of 192 x 224 x 192 mm is laid around the upper part
of the head, and the network's probabilities are interpolated back, smoothly, to the scan's own voxels.
"Brain" is what the network was taught: tissue, ventricles and the fluid in and over the sulci, closed by 3 mm, holes
filled.
A scan whose background is one constant value and whose remainder agrees with the brain found is taken as stripped, and
its own support is the mask.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from neurogen.affines import voxel_volume_ml
from neurogen.errors import InputRefused
from neurogen.volumes import Volume, resample_to

if TYPE_CHECKING:
    import torch
    from torch import nn

MODEL_ID = "brain-mask"
FIELD_SHAPE = (96, 112, 96)
FIELD_MM = 2.0
SMALLEST_BRAIN_ML = 50.0  # below, nothing that could be examined was found
RECENTER_MM = 10.0  # a brain found further than this from the field's center is looked at again
STRIPPED_AGREEMENT = 0.85  # Dice of network and support from which a scan counts as already stripped
STRIPPED_BACKGROUND = 0.2  # least share of constant background in such a scan
FOREGROUND = 0.15  # of the robust maximum: head, not air


def predict_brain_mask(volume: Volume, network: "nn.Module | None" = None, *, device: str = "cpu") -> np.ndarray:
    """Boolean (I, J, K) brain mask on the volume's own grid: one piece without holes.

    network : a `brain_mask_unet`; None loads the shipped `brain-mask`. Raises InputRefused when no brain is found.
    """
    network = _shipped_network(device) if network is None else network
    low = _at_field_resolution(volume)
    image = unit_intensities(low.array)
    probability = _probability(image, head_center(image), network)
    brain = _largest_piece(probability > 0.5)
    if brain.any() and _off_center(brain, head_center(image)):
        probability = _probability(image, _middle(brain), network)
        brain = _largest_piece(probability > 0.5)
    _refuse_without_brain(brain, low.affine)
    support = _stripped_support(volume, Volume(brain, low.affine))
    if support is not None:
        return support
    smooth = np.where(ndimage.binary_dilation(brain, iterations=2), probability, 0)
    smooth[ndimage.binary_fill_holes(brain) & ~brain] = 1
    native = resample_to(Volume(smooth.astype(np.float32), low.affine), volume.shape, volume.affine).array > 0.5
    return ndimage.binary_fill_holes(_largest_piece(native))


def unit_intensities(image: np.ndarray) -> np.ndarray:
    """Float32 in [0, 1]: 1 is 1.2 times the 99th percentile of the brighter half (above the mean).

    Negative values (a scan already standardized) shift up by the lowest first.
    """
    image = np.asarray(image, np.float32)
    lowest = float(image.min())
    shifted = image - lowest if lowest < 0 else image
    bright = shifted[shifted > shifted.mean()]
    top = float(np.percentile(bright, 99)) if bright.size else 1.0
    return np.clip(shifted / (1.2 * max(top, 1e-6)), 0, 1)


def head_center(image: np.ndarray) -> np.ndarray:
    """Voxel around which the field is laid: the middle of the upper 170 mm of the head. `image`: 2 mm, [0, 1]."""
    from neurogen.synth.heads import field_center

    smooth = ndimage.gaussian_filter(image, 1.5)
    head = _largest_piece(smooth > FOREGROUND * max(float(smooth.max()), 1e-6))
    return field_center(head, (FIELD_MM,) * 3)


def cut_field(image: np.ndarray, center: np.ndarray) -> np.ndarray:
    """The `FIELD_SHAPE` around a voxel, zeros where the image ends."""
    target, source = _field_slices(image.shape, center)
    field = np.zeros(FIELD_SHAPE, image.dtype)
    field[target] = image[source]
    return field


def _field_slices(shape: tuple[int, ...], center: np.ndarray) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the field and of the image that cover each other."""
    start = np.rint(center - (np.array(FIELD_SHAPE) - 1) / 2).astype(int)
    low, high = np.maximum(start, 0), np.minimum(start + FIELD_SHAPE, shape)
    high = np.maximum(high, low)
    field = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
    return field, tuple(slice(a, b) for a, b in zip(low, high, strict=True))


def _probability(image: np.ndarray, center: np.ndarray, network: "nn.Module") -> np.ndarray:
    """Brain probability of every voxel of a 2 mm image, the mean over both hands; 0 outside the field."""
    import torch

    parameter = next(network.parameters())
    field = torch.from_numpy(cut_field(image, center))[None, None].to(parameter)
    with torch.no_grad():
        logits = 0.5 * (network(field) + network(field.flip(2)).flip(2))
        inside = torch.sigmoid(logits)[0, 0].float().cpu().numpy()
    probability = np.zeros(image.shape, np.float32)
    target, source = _field_slices(image.shape, center)
    probability[source] = inside[target]
    return probability


def _at_field_resolution(volume: Volume) -> Volume:
    """The scan on a 2 mm grid along RAS axes that covers all of it, averaged where its voxels are smaller."""
    spacing = np.array(volume.spacing_mm)
    sigma = 0.4 * np.sqrt(np.maximum((FIELD_MM / spacing) ** 2 - 1, 0))
    smooth = ndimage.gaussian_filter(volume.array.astype(np.float32), sigma, mode="nearest", truncate=3)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape], [1], indexing="ij")).reshape(4, -1)
    world = (volume.affine @ corners)[:3]
    shape = np.ceil((world.max(1) - world.min(1)) / FIELD_MM).astype(int) + 1
    affine = np.diag([FIELD_MM, FIELD_MM, FIELD_MM, 1.0])
    affine[:3, 3] = world.min(1)
    return resample_to(Volume(smooth, volume.affine), tuple(int(n) for n in shape), affine)


def _stripped_support(volume: Volume, brain: Volume) -> np.ndarray | None:
    """What is not background, closed by 3 mm and filled, where that is the brain and not a head; else None."""
    from neurogen.synth.heads import close_and_fill

    foreground = volume.array != volume.array.flat[0]
    if foreground.mean() > 1 - STRIPPED_BACKGROUND:
        return None
    foreground = _largest_piece(foreground)
    low = resample_to(Volume(foreground, volume.affine), brain.shape, brain.affine, order=0).array
    closed = close_and_fill(low, (FIELD_MM,) * 3)
    if 2 * (closed & brain.array).sum() < STRIPPED_AGREEMENT * (closed.sum() + brain.array.sum()):
        return None
    added = resample_to(Volume(closed & ~low, brain.affine), volume.shape, volume.affine, order=0).array
    return ndimage.binary_fill_holes(foreground | added)


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    pieces, count = ndimage.label(mask)
    if count <= 1:
        return mask
    return pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])


def _middle(mask: np.ndarray) -> np.ndarray:
    return np.array([(part.start + part.stop - 1) / 2 for part in ndimage.find_objects(mask.astype(np.uint8))[0]])


def _off_center(brain: np.ndarray, center: np.ndarray) -> bool:
    return bool(np.abs(_middle(brain) - center).max() * FIELD_MM > RECENTER_MM)


def _refuse_without_brain(brain: np.ndarray, affine: np.ndarray) -> None:
    found_ml = brain.sum() * voxel_volume_ml(affine)
    if found_ml < SMALLEST_BRAIN_ML:
        raise InputRefused(
            f"No brain was found in this scan ({found_ml:.0f} ml of tissue look like one, at least "
            f"{SMALLEST_BRAIN_ML:.0f} ml are needed). Check that it is an MRI of a head with a correct orientation, or "
            "give a brain mask."
        )


def _shipped_network(device: "str | torch.device") -> "nn.Module":
    from neurogen.models import ModelStore
    from neurogen.networks.factory import load_network

    return load_network(ModelStore().get(MODEL_ID), device)
