"""Eight simulated scanners: prepared scans of the reference site as another site might have taken them.

Five use families that training draws from, with fixed values; three are of families that no training draws from: a
receive coil, a k-space truncation with its ringing, and another T1/T2/PD weighting by tissue. Each is followed by the
preparation's intensity scale (98th percentile = 1), but not by its bias correction, so that the coil profile stays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurogen.preprocess.intensity import percentile_scale

CSF, GRAY, WHITE = 0, 1, 2


@dataclass(frozen=True)
class Scanner:
    """change: (image (I, J, K) in [0, 1], tissue shares (3, I, J, K)) -> image, before rescaling.

    trained : whether training draws from this family
    """

    name: str
    description: str
    change: Callable[[np.ndarray, np.ndarray], np.ndarray]
    trained: bool = True


def apply_scanner(scanner: Scanner, image: np.ndarray, brain: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The prepared scan under another scanner: in [0, 1], whole levels of 1 / 255, 0 outside the brain."""
    changed = np.where(brain, np.maximum(scanner.change(image, shares), 0), 0).astype(np.float32)
    scaled = np.clip(percentile_scale(changed, brain).apply(changed), 0, 1)
    return np.where(brain, np.maximum(np.round(scaled * 255), 1) / 255, 0).astype(np.float32)


def coil_profile(shape: tuple[int, int, int]) -> np.ndarray:
    """Sensitivity of a coil at the back of the head: 1 near it, falling as a loop's field does to about a half."""
    i, j, k = (np.arange(n, dtype=np.float32) for n in shape)
    center = (0.62 * shape[0], -0.25 * shape[1], 0.55 * shape[2])
    squared = (
        (i - center[0])[:, None, None] ** 2 + (j - center[1])[None, :, None] ** 2 + (k - center[2])[None, None] ** 2
    )
    radius = 0.9 * shape[1]
    return (1 + squared / radius**2) ** -0.75


def truncated(image: np.ndarray, share: float) -> np.ndarray:
    """The image from the inner `share` of k-space along the first two axes: blur, and ringing at edges."""
    spectrum = np.fft.fft2(image, axes=(0, 1))
    for axis in (0, 1):
        frequency = np.abs(np.fft.fftfreq(image.shape[axis]))
        kept = (frequency <= 0.5 * share).astype(np.float32)
        spectrum *= kept.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.fft.ifft2(spectrum, axes=(0, 1)).real.astype(np.float32)


# Proton density, T1 and T2* in ms at 3 T, of CSF, gray and white matter (usual textbook values).
_TISSUE = {"pd": (1.0, 0.85, 0.70), "t1": (4000.0, 1400.0, 850.0), "t2": (500.0, 66.0, 53.0)}


def spoiled_echo(flip_deg: float, tr_ms: float, te_ms: float) -> np.ndarray:
    """(3,) signals of CSF, gray and white matter in a spoiled gradient echo:

    S = PD sin(a) (1 - E1) / (1 - cos(a) E1) exp(-TE / T2*), E1 = exp(-TR / T1)
    """
    pd, t1, t2 = (np.array(_TISSUE[name]) for name in ("pd", "t1", "t2"))
    a, e1 = np.deg2rad(flip_deg), np.exp(-tr_ms / t1)
    return pd * np.sin(a) * (1 - e1) / (1 - np.cos(a) * e1) * np.exp(-te_ms / t2)


def reweighted(image: np.ndarray, shares: np.ndarray, *, flip_deg: float, tr_ms: float, te_ms: float) -> np.ndarray:
    """Every voxel times the ratio of its tissues' new signals to those they have in this scan, by tissue shares."""
    own = np.array([np.average(image, weights=share) for share in shares])
    ratio = spoiled_echo(flip_deg, tr_ms, te_ms) / own
    return (image * np.tensordot(ratio / ratio[WHITE], shares, axes=1)).astype(np.float32)


def _knee(image: np.ndarray) -> np.ndarray:
    return np.interp(image, (0.0, 0.3, 0.6, 0.8, 1.0), (0.0, 0.12, 0.62, 0.88, 1.0)).astype(np.float32)


SCANNERS = (
    Scanner("gamma 1.1", "the mildest: x^1.1", lambda x, s: x**1.1),
    Scanner("offset", "brightness added: x + 0.2", lambda x, s: x + 0.2),
    Scanner("contrast", "contrast halved around the mean: 0.7 + 0.5 (x - 0.7)", lambda x, s: 0.7 + 0.5 * (x - 0.7)),
    Scanner("gamma 1.8", "x^1.8", lambda x, s: x**1.8),
    Scanner("gamma 0.5 + knee", "x^0.5, then a fixed monotone map with a knee", lambda x, s: _knee(x**0.5)),
    Scanner(
        "coil", "receive coil at the back of the head, gamma 1.2",
        lambda x, s: x**1.2 * coil_profile(x.shape), trained=False,
    ),
    Scanner(
        "k-space", "inner 55 % of k-space along two axes (blur and ringing), gamma 0.7",
        lambda x, s: truncated(x**0.7, 0.55), trained=False,
    ),
    Scanner(
        "weighting", "spoiled gradient echo of 20 degrees, TR 20 ms, TE 5 ms, by tissue (T1, T2*, PD)",
        lambda x, s: reweighted(x, s, flip_deg=20, tr_ms=20, te_ms=5), trained=False,
    ),
)  # fmt: skip
