"""What healthy codes look like at every level of the template: the context that a flow sees beside the scan."""

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.codec import Codec
from neurogen.anomaly.contrast_scale import ContrastScale
from neurogen.anomaly.detector import SLAB, to_slabs
from neurogen.preprocess.grid import GRID_SHAPE, from_slices
from neurogen.training.cache import SliceCache


def healthy_context(cache: SliceCache, contrast: str, scale: ContrastScale, codec: Codec) -> Tensor:
    """Mean and standard deviation of the training scans' codes, over both sides: (K, 2 C, h, w).

    K = 80 slabs for volumes; 1 for a contrast of which the cache holds single slices.
    """
    chosen = cache.where(split="train", contrast=contrast)
    if scale.benchmark_only:
        images = cache.images[chosen].astype(np.float32) / 255
        parts = [(images[k : k + 1], images[k : k + 1] > 0) for k in range(len(images))]
    else:
        parts = (to_slabs(*volume_of(cache, subject)) for subject in np.unique(cache.subject[chosen]))
    return _mean_and_deviation(parts, scale, codec)


def volume_of(cache: SliceCache, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Image in [0, 1] and brain (160, 192, 160) of one scan of the cache."""
    index = np.flatnonzero(cache.subject == subject)
    slices = np.zeros((GRID_SHAPE[2], GRID_SHAPE[1], GRID_SHAPE[0]), np.float32)
    slices[cache.level[index]] = cache.images[index] / np.float32(255)
    image = from_slices(slices)
    return image, image > 0


def slab_of(cache: SliceCache, index: np.ndarray, scale: ContrastScale) -> np.ndarray:
    """Level of the context for slices of the cache."""
    return np.zeros(len(index), int) if scale.benchmark_only else cache.level[index].astype(int) // SLAB


def _mean_and_deviation(parts, scale: ContrastScale, codec: Codec) -> Tensor:
    count, total, square = 0, 0.0, 0.0
    for slices, brain in parts:
        standardized = torch.from_numpy(scale.standardize(slices, brain))[:, None]
        for side in (standardized, standardized.flip(-1)):
            code = codec.encode(side, scale).double()
            count, total, square = count + 1, total + code, square + code.square()
    mean = total / count
    return torch.cat([mean, (square / count - mean.square()).clamp(min=0).sqrt()], dim=1).float()
