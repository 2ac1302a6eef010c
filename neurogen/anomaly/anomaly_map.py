"""From what the flow changed to a map of anomaly: signed deviation, published map, healthy error normalized away."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

CLIP, GAIN = 0.4, 2.5  # published implementation: differences above 0.4 count as 1
PIXEL_SIGMA, LATENT_SIGMA = 3.0, 1.0  # published implementation: pixels of 1 mm, latent cells
SPREAD_SLACK = 1.5  # ours
FINE_CELLS, AROUND_CELLS = 1.0, 2.0  # ours: what is smoother is no texture; where its strength is measured
LEAST_ROUGHNESS = 0.05  # ours, standardized units: less is nothing


def published_map(pixel_difference: np.ndarray, latent_difference: np.ndarray, factor: int) -> np.ndarray:
    """Eq. 5.10 with the clipping and smoothing of the published evaluation: the baseline, in [0, 1].

    pixel_difference : (N, H, W), image scale [-1, 1]; latent_difference : (N, C, H / factor, W / factor)
    """
    pixel = gaussian_filter(_clipped(np.abs(pixel_difference)), (0, PIXEL_SIGMA, PIXEL_SIGMA))
    latent = gaussian_filter(_clipped(np.abs(latent_difference).mean(1)), (0, LATENT_SIGMA, LATENT_SIGMA))
    return 0.5 * pixel + 0.5 * _repeat(latent, factor, pixel.shape)


def _clipped(difference: np.ndarray) -> np.ndarray:
    return np.minimum(difference, CLIP) * GAIN


def _repeat(maps: np.ndarray, factor: int, shape: tuple[int, ...]) -> np.ndarray:
    return maps.repeat(factor, 1).repeat(factor, 2)[:, : shape[1], : shape[2]]


def smooth_within(deviation: np.ndarray, brain: np.ndarray, sigma: tuple[float, ...]) -> np.ndarray:
    """Gaussian mean over brain cells only, 0 outside: the rim is not diluted by the background."""
    weight = gaussian_filter(brain.astype(np.float32), sigma)
    blurred = gaussian_filter(np.where(brain, deviation, 0).astype(np.float32), sigma)
    return np.where(brain, blurred / np.maximum(weight, 1e-3), 0)


def roughness(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """How restless a scan is at each place: r = log sqrt(G_2 * (I - G_1 * I)^2 + 0.05^2), minus its median over the
    brain, since a noisy scan is rough all over. G: Gaussian mean over brain cells, sigma in cells of 2 mm. Ours.

    image, brain : (K, h, w), standardized -> (K / 2, h / 2, w / 2), means over the brain, 0 where there is none
    """
    fine = image - smooth_within(image, brain, (FINE_CELLS,) * 3)
    local = 0.5 * np.log(smooth_within(fine**2, brain, (AROUND_CELLS,) * 3) + LEAST_ROUGHNESS**2)
    share = _halved(brain.astype(np.float32))
    coarse = _halved(np.where(brain, local, 0)) / np.maximum(share, 1e-6)
    inside = share > 0
    level = np.median(coarse[inside]) if inside.any() else 0.0
    return np.where(inside, coarse - level, 0).astype(np.float32)


def rough_brain(brain: np.ndarray) -> np.ndarray:
    """The cells of `roughness` that hold brain: (..., K, h, w) bool -> (..., K / 2, h / 2, w / 2)."""
    return _halved(brain.astype(np.float32)) > 0


def _halved(cells: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 x 2 cells over the last three axes."""
    *many, k, h, w = cells.shape
    return cells.reshape(*many, k // 2, 2, h // 2, 2, w // 2, 2).mean((-5, -3, -1))


@dataclass(frozen=True, eq=False)
class HealthyError:
    """What a detector finds in healthy brains, per cell: the mean and the standard deviation of its deviation."""

    mean: np.ndarray
    deviation: np.ndarray
    floor: float  # added to the deviation, so that a cell that never varied does not shout
    sigma_cells: float  # how far deviations are smoothed before they are compared

    @classmethod
    def fit(
        cls, deviations: np.ndarray, brains: np.ndarray, *, floor: float, sigma_cells: float, blur: float = 1.0
    ) -> "HealthyError":
        """From smoothed deviations and brains (N, ...) of N healthy scans on one grid; cells that few scans cover are
        shrunk toward the mean over the brain."""
        count = brains.sum(0)
        mean = (deviations * brains).sum(0) / np.maximum(count, 1)
        variance = (((deviations - mean) ** 2) * brains).sum(0) / np.maximum(count, 1)
        typical = variance[count > len(brains) / 2].mean()
        prior = max(2.0, 0.05 * len(brains))
        shrunk = (variance * count + typical * prior) / (count + prior)
        mean = mean * count / (count + prior)
        spread = np.sqrt(gaussian_filter(shrunk, blur))
        return cls(mean.astype(np.float32), spread.astype(np.float32), floor, sigma_cells)

    def standardize(self, deviation: np.ndarray) -> np.ndarray:
        """Signed score in healthy standard deviations; 0 is what a healthy brain shows there."""
        return (deviation - self.mean) / (self.deviation + self.floor)


@dataclass(frozen=True, eq=False)
class CellMaps:
    """What is measured on the 2 mm cells of scans (N, K, h, w) or slices (N, h, w), or of one of them.

    flow : how much brighter than its pseudo-healthy reconstruction the scan is (eq. 5.10, signed)
    image : the standardized scan itself
    brain : bool
    rough : `roughness` of each scan; None for slices
    """

    flow: np.ndarray
    image: np.ndarray
    brain: np.ndarray
    rough: np.ndarray | None = None

    def smoothed(self, sigma: tuple[float, ...]) -> "CellMaps":
        """Flow and image smoothed within the brain; one sigma an axis."""
        flow, image = (smooth_within(values, self.brain, sigma) for values in (self.flow, self.image))
        return CellMaps(flow, image, self.brain, self.rough)


@dataclass(frozen=True)
class ScanSpread:
    """How much the whole brain of one scan deviates, so that a noisy scan or an odd scanner does not shout.

    The quantile of |score| over the brain is brought to what is typical of healthy scans. It is held near the range
    that healthy scans span: a brain that is largely abnormal stays so.
    """

    quantile: float
    typical: float
    lowest: float
    highest: float

    @classmethod
    def fit(cls, scores: np.ndarray, brains: np.ndarray, *, quantile: float) -> "ScanSpread":
        """From scores and brains (N, ...) of healthy scans that trained nothing; ten of them do not span what
        scanners do, so the range is widened by half."""
        own = [_spread(score, brain, quantile) for score, brain in zip(scores, brains, strict=True)]
        return cls(quantile, float(np.median(own)), float(min(own)) / SPREAD_SLACK, float(max(own)) * SPREAD_SLACK)

    def equalize(self, score: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """The score of one scan, divided by its own spread in units of the typical one."""
        if not brain.any():
            return score
        own = np.clip(_spread(score, brain, self.quantile), self.lowest, self.highest)
        return score * (self.typical / max(own, 1e-6))


def _spread(score: np.ndarray, brain: np.ndarray, quantile: float) -> float:
    return float(np.quantile(np.abs(score[brain]), quantile))


@dataclass(frozen=True, eq=False)
class HealthyStandard:
    """Turns cell maps into the score: healthy standard deviations of two terms, mixed.

    score = (1 - w) z_flow + w z_place, z_place = (1 - s) z + s z_sides. z_flow asks how far the flow moved the scan, z
    how far the scan is from healthy brains at the same place of the template, and z_sides = sign(z) sqrt(|z (z - z')|)
    counts only what the mirrored place z' does not show as well (0 where the two sides disagree on the sign), and with
    `sides_bounded` never more than |z|: else a strong lesion draws a ghost of the other sign in its mirror. The flow
    sees texture and context, the place term what a small network still overlooks. w = 0 is REFLECT's own map; w and s
    are chosen on planted lesions.

    Both compare means over some millimeters, in which fine bright and dark spots cancel. So where a volume is rougher
    than healthy brains are there (z_texture > 0, of `roughness`, mixed with its mirror in the same way), the score is
    further from 0, in the direction it has: sign(score) sqrt(score^2 + (u z_texture)^2), u chosen like w and s.
    """

    flow: HealthyError
    place: HealthyError
    place_weight: float
    sides_share: float = 0.0
    sides_bounded: bool = True
    spread: ScanSpread | None = None  # None: scores stay as they are, as for single slices with few cells
    texture: HealthyError | None = None  # on the cells of `roughness`
    texture_weight: float = 0.0

    @property
    def sigma_cells(self) -> float:
        return self.flow.sigma_cells

    def score(self, maps: CellMaps) -> np.ndarray:
        """Signed score of the smoothed maps of a scan or of several (N, ...); 0 outside the brain."""
        mixed = (1 - self.place_weight) * self.flow.standardize(maps.flow)
        if self.place_weight:
            mixed = mixed + self.place_weight * self._place_term(maps)
        if self.texture_weight:
            mixed = np.copysign(np.hypot(mixed, self.texture_weight * self._texture_term(maps)), mixed)
        mixed = np.where(maps.brain, mixed, 0).astype(np.float32)
        if self.spread is None:
            return mixed
        if mixed.ndim == 3:
            return self.spread.equalize(mixed, maps.brain)
        return np.stack([self.spread.equalize(*scan) for scan in zip(mixed, maps.brain, strict=True)])

    def _place_term(self, maps: CellMaps) -> np.ndarray:
        """z_place; the last axis runs from side to side."""
        return self._beyond_the_sides(self.place.standardize(maps.image), maps.brain)

    def _texture_term(self, maps: CellMaps) -> np.ndarray:
        """z_texture where it is above 0, on cells of 2 mm."""
        inside = rough_brain(maps.brain)
        z = self._beyond_the_sides(np.where(inside, self.texture.standardize(maps.rough), 0), inside)
        finer = (1,) * (z.ndim - 3) + (2, 2, 2)
        return zoom(np.maximum(z, 0), finer, order=1, grid_mode=True, mode="nearest")

    def _beyond_the_sides(self, z: np.ndarray, brain: np.ndarray) -> np.ndarray:
        if not self.sides_share:
            return z
        paired = brain & brain[..., ::-1]
        sides = beyond_the_mirror(z, np.where(paired, z[..., ::-1], 0), bounded=self.sides_bounded)
        return (1 - self.sides_share) * z + self.sides_share * sides


def beyond_the_mirror(z: np.ndarray, mirrored: np.ndarray, *, bounded: bool = True) -> np.ndarray:
    """sign(z) sqrt(|z (z - z')|) where z exceeds the other side's z' in its own direction, else 0; at most |z|."""
    beyond = np.sqrt(np.maximum(z * (z - mirrored), 0))
    return np.sign(z) * (np.minimum(beyond, np.abs(z)) if bounded else beyond)
