"""What bias correction leaves of the receive field, seen against the healthy mean at the same place, and taken out.

N4 knows one scan only and stops short of the ends of the head: crown and cerebellum of some scans stay 10 % too bright
or too dark over several centimeters, which a score against healthy brains takes for disease. Ours.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from neurogen.anomaly.contrast_scale import ContrastScale

if TYPE_CHECKING:
    from torch import Tensor

DARKEST = 0.1  # of the intensity scale: fluid darker than this says nothing of a field
NOISE = 0.03  # of the logarithm, added to what healthy brains vary by
LARGEST = 0.3  # of the logarithm: cells further from the field are no evidence of it, so that a lesion does not bend it
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Leveling:
    """Healthy log intensities per cell of 2 mm, and how smooth the field is held.

    With L(x) = log I(x) - log_mean(x) at cells x, the field F is the fixed point of

        F = G * (w L) / G * w,   w(x) = [1 - ((L - F) / 0.3)^2]+^2 / (log_deviation(x)^2 + 0.03^2)

    G: Gaussian of `sigma_cells`; w: Tukey's biweight times the certainty of each cell. A change of 1.5 in intensity is
    outside the biweight: what differs much and abruptly is left as it is.
    """

    log_mean: np.ndarray  # (K, h, w) float32
    log_deviation: np.ndarray
    sigma_cells: float

    @classmethod
    def from_context(cls, context: "Tensor", scale: ContrastScale, sigma_cells: float) -> "Leveling":
        """From mean and standard deviation of healthy codes (K, 2, h, w) of a codec in pixels of 2 mm."""
        mean, deviation = (context[:, k].float().cpu().numpy() for k in (0, 1))
        intensity = np.maximum(mean * scale.deviation + scale.mean, DARKEST)
        return cls(np.log(intensity), deviation * scale.deviation / intensity, sigma_cells)

    def field(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """How many times too bright each cell is, (K, h, w) float32, 1 = as in healthy brains.

        image : (K, h, w) on the prepared scale [0, 1]; brain : (K, h, w) bool
        """
        if not brain.any():
            return np.ones(image.shape, np.float32)
        ratio = np.where(brain, np.log(np.maximum(image, DARKEST)) - self.log_mean, 0)
        certainty = np.where(brain, 1 / (self.log_deviation**2 + NOISE**2), 0)
        field = np.full(image.shape, np.average(ratio, weights=certainty), np.float32)
        for _ in range(ROUNDS):
            weight = certainty * np.clip(1 - ((ratio - field) / LARGEST) ** 2, 0, None) ** 2
            total = self._smooth(weight)
            field = self._smooth(weight * ratio) / np.maximum(total, 1e-6 * weight.max())
        return np.exp(field).astype(np.float32)

    def field_of_slabs(self, slabs: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """The field of slabs (K, 2 h, 2 w) of a scan with their brain, on cells (K, h, w)."""
        share = cells_of(inside.astype(np.float32))
        return self.field(cells_of(slabs * inside) / np.maximum(share, 1e-3), share >= 0.5)

    def _smooth(self, values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values.astype(np.float32), self.sigma_cells, truncate=3)


def refined(field: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A field of cells on a finer grid that covers the same space, linear."""
    return zoom(field, np.array(shape) / field.shape, order=1, grid_mode=True, mode="nearest")


def cells_of(pixels: np.ndarray) -> np.ndarray:
    """(K, 2 h, 2 w) -> (K, h, w): means of 2 x 2 pixels."""
    count, rows, columns = pixels.shape
    return pixels.reshape(count, rows // 2, 2, columns // 2, 2).mean((2, 4))
