"""The smooth shading of scans, read against the tissues of the reference site.

A mixture of fluid, gray and white matter, with the shares that the reference's brains have of them at each place as
prior and one shading for all tissues, is fitted to a scan (in the manner of Van Leemput et al. 1999, and of Ashburner
and Friston 2005) whose landmarks were moved to the reference's. Thus a change of contrast is not taken for shading.
What the same reading finds in the reference's own scans (deep gray is brighter than cortex) is taken off, and what is
left counts where it is beyond what the reference's scans vary by.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter

from neurogen.harmonize.landmarks import landmarks_of, move_landmarks
from neurogen.harmonize.shading import TERMS, monomials, places_of_cells
from neurogen.harmonize.slices import FOLD, sum_of_cells
from neurogen.harmonize.tissue import TISSUES, tissue_shares

LEAST = 0.02  # intensity below which a logarithm says nothing
ROUNDS = 3  # of landmarks and shading in turn
ITERATIONS = 12
FIRST_SHADED = 2  # iteration from which on the shading is fitted
SURE = 2.0  # times what the reference's scans vary by: a weaker shading may be one of theirs, and is left
RIDGE = 0.1  # of the coefficients, in mean weights of a cell
LEAST_SPREAD = 0.03
START = ((0.3, 0.65, 0.95), (0.12, 0.1, 0.08))  # levels and spreads from which the reference's own are fitted
EXPONENTS = (0.3, 3.0)
BRIGHT = 0.4  # from which intensity the exponent between scan and reference is measured
PRIOR_SMOOTHING, FLAT_WEIGHT = 1.0, 0.05
"""The flat prior weighs as much as 5 % of the reference's brains: all there is where none of them reaches."""


@dataclass(frozen=True, eq=False)
class TissueReference:
    """What the reference's training scans show.

    shares : (3, 40, 48, 40) mean share of fluid, gray and white matter on blocks of FOLD cells (4 mm)
    landmarks : (41,) of the cells, mean over the scans
    levels, spreads : (3,) of the tissues' intensities in [0, 1]
    shading : (19,) coefficients that the reading finds in the reference's own scans, mean
    natural : root mean square over these scans of the strength of what one scan's shading has beyond that
    """

    shares: np.ndarray
    landmarks: np.ndarray
    levels: np.ndarray
    spreads: np.ndarray
    shading: np.ndarray
    natural: float

    @cached_property
    def priors(self) -> np.ndarray:
        """(3, 80, 96, 80): the shares on the cells, smoothed."""
        cells = self.shares.astype(float).repeat(FOLD, 1).repeat(FOLD, 2).repeat(FOLD, 3)
        return np.stack([gaussian_filter(share, PRIOR_SMOOTHING) for share in cells])


@dataclass(frozen=True, eq=False)
class Tissues:
    """A fitted mixture: levels and spreads (3,), posteriors (3, n), shading coefficients (19,)."""

    levels: np.ndarray
    spreads: np.ndarray
    shares: np.ndarray
    shading: np.ndarray


def read_shading(scans: Sequence[np.ndarray], reference: TissueReference) -> np.ndarray:
    """(19,) coefficients (shading.py) of the log shading that the scans of one site have in common.

    scans : levels (80, 96, 80)
    """
    total, seen = np.zeros(len(TERMS)), np.zeros(len(TERMS))
    for _ in range(ROUNDS):
        found = [_remaining(levels, total, reference) for levels in scans]
        seen = seen + np.mean([shading for shading, _ in found], axis=0)
        total = total + np.mean([shading / exponent for shading, exponent in found], axis=0)
    beyond = np.mean([strength(seen, levels > 0) for levels in scans]) > SURE * reference.natural
    return total if beyond else np.zeros(len(TERMS))


def strength(coefficients: np.ndarray, brain: np.ndarray) -> float:
    """Standard deviation of the log shading over the brain (80, 96, 80)."""
    return float((coefficients @ _basis(brain)).std())


def tissue_reference(scans: Sequence[np.ndarray]) -> TissueReference:
    """From the levels (80, 96, 80) of the reference's training scans."""
    shares = _mean_shares(scans)
    landmarks = np.mean([landmarks_of(scan[scan > 0] / 255) for scan in scans], axis=0)
    blank = TissueReference(shares, landmarks, *map(np.array, START), np.zeros(len(TERMS)), 0.0)
    unshaded = [fit_tissues(scan[scan > 0] / 255, blank.priors[:, scan > 0], *map(np.array, START)) for scan in scans]
    levels, spreads = (np.mean([getattr(one, name) for one in unshaded], axis=0) for name in ("levels", "spreads"))
    known = replace(blank, levels=levels, spreads=spreads)
    shading = np.mean([_remaining(scan, np.zeros(len(TERMS)), known)[0] for scan in scans], axis=0)
    known = replace(known, shading=shading)
    own = [strength(read_shading([scan], known), scan > 0) for scan in scans]  # natural is 0
    return replace(known, natural=float(np.sqrt(np.mean(np.square(own)))))


def fit_tissues(
    values: np.ndarray,
    priors: np.ndarray,
    levels: np.ndarray,
    spreads: np.ndarray,
    basis: np.ndarray | None = None,
) -> Tissues:
    """Expectation and maximization of a mixture with priors (3, n) over values (n,), from `levels` and `spreads` on.

    basis : (19, n) monomials of the shading; None fits no shading. In the log domain gray and white matter tell the
    shading, each weighted by how sharp it is; fluid, of which little is pure, does not.
    """
    shading, unshaded = np.zeros(len(TERMS)), values
    for iteration in range(ITERATIONS):
        # Beyond its mean a class does not lose to a wider one.
        clipped = np.clip(unshaded, levels[0], levels[-1])
        shares = priors * np.exp(-0.5 * ((clipped - levels[:, None]) / spreads[:, None]) ** 2) / spreads[:, None]
        shares /= np.maximum(shares.sum(0), 1e-12)
        sums = np.maximum(shares.sum(1), 1e-9)
        levels = shares @ unshaded / sums
        variance = (shares * (unshaded - levels[:, None]) ** 2).sum(1) / sums
        spreads = np.maximum(np.sqrt(variance), LEAST_SPREAD)
        if basis is not None and iteration >= FIRST_SHADED:
            shading = _fit_shading(values, shares, levels, spreads, basis)
            unshaded = values * np.exp(-(shading @ basis))
    return Tissues(levels, spreads, shares, shading)


def _fit_shading(
    values: np.ndarray, shares: np.ndarray, levels: np.ndarray, spreads: np.ndarray, basis: np.ndarray
) -> np.ndarray:
    """(19,): weighted least squares of log(value / level of its tissue), a free constant beside it."""
    weights = shares * ((levels / spreads) ** 2)[:, None]
    weights[0] = 0
    total = np.maximum(weights.sum(0), 1e-9)
    ratio = np.log(np.maximum(values, LEAST)) - (weights * np.log(np.maximum(levels, LEAST))[:, None]).sum(0) / total
    design = np.concatenate([np.ones((1, len(values))), basis])
    normal = (design * total) @ design.T
    normal[1:, 1:] += np.eye(len(basis)) * RIDGE * total.mean()
    return np.linalg.solve(normal, (design * total) @ ratio)[1:]


def _remaining(levels: np.ndarray, removed: np.ndarray, reference: TissueReference) -> tuple[np.ndarray, float]:
    """(19,) shading beyond the reference's that is left in a scan after `removed`, as it is with the reference's
    landmarks, and the exponent by which it is stronger there than in the scan."""
    brain = levels > 0
    basis = _basis(brain)
    own = levels[brain] / 255 * np.exp(-(removed @ basis))
    moved = np.maximum(move_landmarks(own, reference.landmarks), 1e-3).astype(float)
    fitted = fit_tissues(moved, reference.priors[:, brain], reference.levels, reference.spreads, basis)
    used = moved > BRIGHT
    exponent = np.polyfit(np.log(np.maximum(own[used], LEAST)), np.log(moved[used]), 1)[0] if used.sum() > 1 else 1.0
    return fitted.shading - reference.shading, float(np.clip(exponent, *EXPONENTS))


def _mean_shares(scans: Sequence[np.ndarray]) -> np.ndarray:
    """(3, 40, 48, 40): mean shares over the scans and both sides, toward equal ones where few scans have brain."""
    total = np.sum([tissue_shares(levels) for levels in scans], axis=0)
    count = np.sum([levels > 0 for levels in scans], axis=0).astype(float)
    folded = np.stack([sum_of_cells(array + array[::-1]) for array in (*total, count)]) / FOLD**3
    flat = FLAT_WEIGHT * 2 * len(scans)
    return (folded[:-1] + flat / len(TISSUES)) / (folded[-1] + flat)


def _basis(brain: np.ndarray) -> np.ndarray:
    """(19, n) monomials at the brain's cells."""
    return monomials(places_of_cells()[:, brain])
