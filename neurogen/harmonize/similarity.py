"""How alike two pictures or volumes are inside the brain: SSIM, its structure part alone, Wasserstein distance."""

import numpy as np
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

WINDOW = 7
STABILIZERS = (0.01**2, 0.03**2)  # of a data range of 1 (Wang et al. 2004, which eq. 2.5 cites)


def ssim_of_pictures(a: Tensor, b: Tensor, brain: Tensor) -> Tensor:
    """Scalar: mean SSIM of (B, 1, H, W) pictures in [0, 1] over the brain, uniform 7 x 7 window, differentiable."""

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, WINDOW, stride=1, padding=WINDOW // 2)

    ma, mb = mean(a), mean(b)
    va, vb = (mean(a * a) - ma * ma).clamp(min=0), (mean(b * b) - mb * mb).clamp(min=0)
    both = mean(a * b) - ma * mb
    c1, c2 = STABILIZERS
    ssim = (2 * ma * mb + c1) * (2 * both + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    inside = brain.to(ssim.dtype)
    return (ssim * inside).sum() / inside.sum().clamp(min=1)


def ssim(a: np.ndarray, b: np.ndarray, brain: np.ndarray, *, data_range: float = 1.0) -> float:
    """Mean SSIM of two volumes over the brain, uniform 7 x 7 x 7 window."""
    luminance, structure = _ssim_parts(a / data_range, b / data_range)
    return float((luminance * structure)[brain].mean())


def structure_similarity(a: np.ndarray, b: np.ndarray, brain: np.ndarray) -> float:
    """Mean local correlation of two volumes over the brain: 1 where b is any rising straight line of a, whatever the
    contrast. Windows without structure (deviation below 1 % of the range) are left out."""
    mean = [ndimage.uniform_filter(x.astype(np.float32), WINDOW) for x in (a, b)]
    variance = [ndimage.uniform_filter(x.astype(np.float32) ** 2, WINDOW) - m**2 for x, m in zip((a, b), mean)]
    both = ndimage.uniform_filter(a.astype(np.float32) * b, WINDOW) - mean[0] * mean[1]
    seen = brain & (variance[0] > 1e-4) & (variance[1] > 1e-4)
    return float((both[seen] / np.sqrt(variance[0][seen] * variance[1][seen])).mean()) if seen.any() else 1.0


def wasserstein(a: np.ndarray, b: np.ndarray, *, points: int = 201) -> float:
    """Distance of two intensity distributions: mean |quantile of a - quantile of b|, in their unit (section 2.4.1)."""
    share = np.linspace(0.0, 1.0, points)
    return float(np.abs(np.quantile(a, share) - np.quantile(b, share)).mean())


def _ssim_parts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = a.astype(np.float32), b.astype(np.float32)
    ma, mb = ndimage.uniform_filter(a, WINDOW), ndimage.uniform_filter(b, WINDOW)
    va = np.maximum(ndimage.uniform_filter(a * a, WINDOW) - ma * ma, 0)
    vb = np.maximum(ndimage.uniform_filter(b * b, WINDOW) - mb * mb, 0)
    both = ndimage.uniform_filter(a * b, WINDOW) - ma * mb
    c1, c2 = STABILIZERS
    return (2 * ma * mb + c1) / (ma * ma + mb * mb + c1), (2 * both + c2) / (va + vb + c2)
