"""Prepared scans as flow and harmonizer see them: pictures of 2 mm in whole levels, across any of three axes.

2 mm, because what a flow charges for a picture depends first on how sharp it is: a scan resampled from 2 mm would look
likelier than any scan of the reference site. A picture holds a whole brain: 96 x 80 pixels axially.
"""

from collections.abc import Iterator

import numpy as np

from neurogen.preprocess.grid import GRID_SHAPE, to_slices
from neurogen.training.cache import SliceCache

FOLD = 2  # voxels of 1 mm along the side of one pixel
PIXEL_MM = 2.0
PLANES = ("axial", "coronal", "sagittal")
LEAST_SHARE = 0.08  # of the picture that must be brain to be worth judging


def to_levels(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """`exact_levels`, rounded: uint8."""
    return np.round(exact_levels(image, brain)).astype(np.uint8)


def exact_levels(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(160, 192, 160) intensities in [0, 1] -> (80, 96, 80) float32 levels of the cells: 1..255, 0 outside the brain.

    A cell is brain when half its voxels are; its level is the mean of these.
    """
    inside = sum_of_cells(brain.astype(np.float32))
    mean = sum_of_cells(np.where(brain, image, 0).astype(np.float32)) / np.maximum(inside, 1)
    return np.where(inside >= FOLD**3 / 2, np.clip(mean * 255, 1, 255), 0)


def pictures(levels: np.ndarray, plane: str) -> np.ndarray:
    """(80, 96, 80) -> slices (N, rows, columns): axial (80, 96, 80), coronal (96, 80, 80), sagittal (80, 80, 96)."""
    if plane == "axial":
        return to_slices(levels)
    axis = {"coronal": 1, "sagittal": 0}[plane]
    return np.ascontiguousarray(np.moveaxis(levels, axis, 0).transpose(0, 2, 1)[:, ::-1])


def voxels_of_pictures(image: np.ndarray, plane: str) -> np.ndarray:
    """(160, 192, 160) -> (N, 8, rows, columns): the voxels that make each pixel of `pictures`."""
    corners = np.ndindex(FOLD, FOLD, FOLD)
    return np.stack([pictures(image[a::FOLD, b::FOLD, c::FOLD], plane) for a, b, c in corners], axis=1)


def worth_judging(stack: np.ndarray) -> np.ndarray:
    """Indices of the pictures (N, rows, columns) with enough brain."""
    return np.flatnonzero((stack > 0).mean((1, 2)) >= LEAST_SHARE)


def spread(stack: np.ndarray, count: int) -> np.ndarray:
    """`count` pictures with enough brain, evenly spread over the stack (all where there are fewer)."""
    chosen = worth_judging(stack)
    return stack[chosen[middles(len(chosen), count)]]


def middles(number: int, count: int) -> np.ndarray:
    """(min(count, number),) indices: the middles of as many equal parts, so that few stand for many without favoring
    the ends, whose pictures cost most bits."""
    count = min(count, number)
    return ((np.arange(count) + 0.5) * number / max(count, 1)).astype(int)


def site_scans(cache: SliceCache, contrast: str, split: str) -> dict[str, np.ndarray]:
    """Levels (80, 96, 80) of every volume of a contrast and a split, by subject."""
    return {subject: to_levels(image, image > 0) for subject, image in site_images(cache, contrast, split)}


def site_images(cache: SliceCache, contrast: str, split: str) -> Iterator[tuple[str, np.ndarray]]:
    """(subject, image (160, 192, 160) float32 in [0, 1]) of every volume of a contrast and a split."""
    for subject in np.unique(cache.subject[cache.where(split=split, contrast=contrast)]):
        index = np.flatnonzero(cache.subject == subject)
        volume = np.zeros((GRID_SHAPE[2], GRID_SHAPE[1], GRID_SHAPE[0]), np.uint8)
        volume[cache.level[index]] = cache.images[index]
        image = np.ascontiguousarray(volume.transpose(2, 1, 0)[:, ::-1])
        yield str(subject), image / np.float32(255)


def sum_of_cells(array: np.ndarray) -> np.ndarray:
    """(I, J, K) -> (I / 2, J / 2, K / 2): sums over blocks of FOLD along each axis."""
    i, j, k = (n // FOLD for n in array.shape)
    return array.reshape(i, FOLD, j, FOLD, k, FOLD).sum((1, 3, 5))
