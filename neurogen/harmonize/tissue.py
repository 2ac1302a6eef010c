"""Where fluid, gray and white matter lie on a scan's intensity scale: a Gaussian mixture of three classes.

Unlike quantiles, the intensities of tissues do not depend on how much of each tissue a brain has.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from neurogen.harmonize.landmarks import rising

TISSUES = ("fluid", "gray", "white")
SMOOTHING_CELLS = 0.6
LEAST_GAP = 0.004  # between two tissues: a level of 256
START = (0.06, 0.4, 0.8)  # quantiles of the brain at which the three classes begin
MOST_VALUES = 40_000


def tissue_shares(levels: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Levels (80, 96, 80) -> posteriors (3, 80, 96, 80) of the three classes in rising order, 0 outside the brain."""
    from sklearn.mixture import GaussianMixture

    brain = levels > 0
    values = levels[brain].astype(float)[:, None] / 255
    start = np.quantile(values, START)[:, None]
    mixture = GaussianMixture(len(START), means_init=start, random_state=seed)
    mixture.fit(values[:: max(len(values) // MOST_VALUES, 1)])
    order = np.argsort(mixture.means_[:, 0])
    # Beyond its mean a class does not lose to a wider one.
    clipped = np.clip(values, mixture.means_.min(), mixture.means_.max())
    shares = np.zeros((len(START), *levels.shape), np.float32)
    shares[:, brain] = mixture.predict_proba(clipped)[:, order].T
    return shares


def tissue_classes(shares: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(80, 96, 80) int: the class of each cell from 0 up, posteriors smoothed over about a cell; -1 outside."""
    weight = np.maximum(gaussian_filter(brain.astype(np.float32), SMOOTHING_CELLS), 1e-3)
    smooth = np.stack([gaussian_filter(share, SMOOTHING_CELLS) / weight for share in shares])
    return np.where(brain, smooth.argmax(0), -1)


def tissue_levels(levels: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(3,) intensities in [0, 1]: the medians of fluid, gray and white matter, rising by at least a level."""
    classes = tissue_classes(tissue_shares(levels, seed=seed), levels > 0)
    medians = [np.median(levels[classes == k]) / 255 if (classes == k).any() else 0.0 for k in range(len(TISSUES))]
    return rising(np.array(medians), LEAST_GAP)
