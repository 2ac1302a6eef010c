"""How far to smooth a detector's deviations and how to floor their healthy spread: decided on planted lesions."""

from dataclasses import dataclass

import numpy as np

from neurogen.anomaly.anomaly_map import HealthyError, smooth_within

SIGMAS_CELLS = (0.7, 1.0, 1.5, 2.0, 3.0)
FLOORS = (0.02, 0.05, 0.1)


@dataclass(frozen=True, eq=False)
class Deviations:
    """Unsmoothed deviations of N scans (N, K, h, w) or slices (N, h, w), and their brain cells."""

    raw: np.ndarray
    brain: np.ndarray

    def smoothed(self, sigma: float) -> np.ndarray:
        return np.stack([smooth_within(d, b, (sigma,) * d.ndim) for d, b in zip(self.raw, self.brain, strict=True)])


def choose_error(
    healthy: Deviations, planted: Deviations, truth: np.ndarray, *, bright_only: bool = False
) -> tuple[HealthyError, dict]:
    """The smoothing and floor with the best average precision of planted lesions, and what each choice scored.

    truth : bool, shaped like `planted.raw`; bright_only: the signed score counts, not its magnitude
    """
    from sklearn.metrics import average_precision_score

    best, tried = None, {}
    for sigma in SIGMAS_CELLS:
        smooth, marked = healthy.smoothed(sigma), planted.smoothed(sigma)
        for floor in FLOORS:
            error = HealthyError.fit(smooth, healthy.brain, floor=floor, sigma_cells=sigma)
            score = error.standardize(marked)[planted.brain]
            precision = average_precision_score(truth[planted.brain], score if bright_only else np.abs(score))
            tried[f"sigma {sigma:g} cells, floor {floor:g}"] = round(float(precision), 4)
            if best is None or precision > best[0]:
                best = (precision, error)
    return best[1], {"average_precision": tried}
