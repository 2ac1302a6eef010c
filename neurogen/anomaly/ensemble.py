"""Several methods as one: the mean of their calibrated scores, and how far they disagree.

Each model's manifest holds quantiles of its score in healthy calibration brains. Through them every score is brought to
one scale, on which a healthy brain shows the same with every method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.anomaly.calibration import OperatingPoint
from neurogen.errors import ModelUnavailable
from neurogen.models import Model


@dataclass(frozen=True, eq=False)
class JointScore:
    """score : signed mean over methods; uncertainty : standard deviation between them, >= 0. Both in healthy normal
    deviations: 1 % of healthy brain voxels are beyond 2.58 with each method."""

    score: np.ndarray
    uncertainty: np.ndarray


def calibrated(score: np.ndarray, quantiles: Mapping[str, float]) -> np.ndarray:
    """A signed score in healthy normal deviations.

    The magnitude that a share q of healthy voxels stays below becomes the normal deviate with the same share inside,
    Phi^-1((1 + q) / 2): linear between the quantiles and through 0, and on with the last slope. The order stays.
    """
    knots, deviates = _knots(quantiles)
    magnitude = np.abs(score)
    inside = np.interp(magnitude, knots, deviates)
    slope = (deviates[-1] - deviates[-2]) / (knots[-1] - knots[-2])
    beyond = deviates[-1] + slope * (magnitude - knots[-1])
    return (np.sign(score) * np.where(magnitude > knots[-1], beyond, inside)).astype(np.float32)


def joined(scores: Sequence[np.ndarray], models: Sequence[Model], *, contrast: str = "t1w") -> JointScore:
    """The joint score of several models' signed scores on one grid. Raises ModelUnavailable without quantiles."""
    common = np.stack([calibrated(s, healthy_quantiles(m, contrast)) for s, m in zip(scores, models, strict=True)])
    return JointScore(common.mean(0), common.std(0))


def joint_point(models: Sequence[Model], *, contrast: str = "t1w") -> OperatingPoint:
    """The mean of the members' operating points on the common scale."""
    thresholds = [
        float(calibrated(np.array(m.manifest["calibration"][contrast]["threshold"]), healthy_quantiles(m, contrast)))
        for m in models
    ]
    threshold = float(np.mean(thresholds))
    return OperatingPoint(
        threshold,
        f"Marked is where the mean of {len(models)} methods ({', '.join(m.id for m in models)}) exceeds "
        f"{threshold:.2f} healthy normal deviations, the mean of their own operating points. At its own, each method "
        "shows at most 3 ml in at least 19 of 20 healthy calibration scans.",
    )


def healthy_quantiles(model: Model, contrast: str) -> Mapping[str, float]:
    """Quantiles of |score| in healthy brains. Raises ModelUnavailable when the model holds none for this contrast."""
    quantiles = model.manifest["calibration"].get(contrast, {}).get("healthy_quantiles")
    if not quantiles or len(_knots(quantiles)[0]) < 3:
        raise ModelUnavailable(
            f"The model {model.id!r} holds no healthy quantiles for {contrast}, without which its score cannot be "
            "averaged with others. Use it alone, or train it again."
        )
    return quantiles


def _knots(quantiles: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Rising magnitudes and their deviates, from 0 on. Quantiles that do not rise (a score that is 0 in most of a
    healthy brain) are left out."""
    from scipy.stats import norm

    pairs = [(0.0, 0.0)]
    for share in sorted(quantiles, key=float):
        if quantiles[share] > pairs[-1][0] + 1e-6:
            pairs.append((quantiles[share], float(norm.ppf((1 + float(share)) / 2))))
    magnitudes, deviates = zip(*pairs, strict=True)
    return np.array(magnitudes), np.array(deviates)
