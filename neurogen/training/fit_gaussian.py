"""From a backbone to Gaussians of healthy features, and the choice of resolutions and tolerance on planted lesions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from neurogen.anomaly.contrast_scale import ContrastScale
from neurogen.anomaly.gaussian import PrincipalChannels, QuantileScale, VoxelGaussian, Welford
from neurogen.anomaly.gaussian_detector import Cells, GaussianDetector, Level, stacked
from neurogen.networks.contrastive_cnn import Backbone

COVERAGE = 0.5  # share of the training scans that must have brain at a place
AXES_SCANS = 16  # principal axes are fitted on so many scans


@dataclass(frozen=True)
class GaussianSettings:
    """How features become Gaussians."""

    sources: tuple[int, ...] = (0, 1, 2, 3)  # section 2.2
    target: int = 2  # section 2.2
    channels: int = 16  # ours; principal channels of the 240
    fine_target: int = 1  # ours: the second resolution, with layers up to the one after it
    fine_channels: int = 6
    covariance: str = "full"  # A.7; "diagonal" and "shared" did worse in the report
    shrinkage: float = 0.1  # ours
    resolutions: str = "auto"  # "target", "fine", "both"; auto = what finds planted lesions best
    shift: int | None = None  # places of tolerance; None = what finds planted lesions best


@torch.no_grad()
def fit_level(backbone: Backbone, scans: Sequence[Cells], settings: GaussianSettings, *, fine: bool = False) -> Level:
    """Places, principal channels and Gaussians of healthy scans at one of the two resolutions."""
    target = settings.fine_target if fine else settings.target
    sources = tuple(k for k in settings.sources if not fine or k <= target + 1)
    places = _places(backbone, scans, target)

    def features(scan: Cells) -> Tensor:
        device = next(backbone.parameters()).device
        return stacked(backbone(scan.tensor(device)), sources, target)[0].cpu()[:, places].T

    axes_scans = scans[:: max(1, len(scans) // AXES_SCANS)]
    count = settings.fine_channels if fine else settings.channels
    channels = PrincipalChannels.fit(torch.cat([features(scan) for scan in axes_scans]), count)
    seen = Welford.empty(int(places.sum()), channels.axes.shape[1])
    for scan in scans:
        seen.update(channels.apply(features(scan))[None])
    gaussian = VoxelGaussian.fit(seen, kind=settings.covariance, shrinkage=settings.shrinkage)
    return Level(sources, target, places, channels, gaussian, QuantileScale(0.0, 1.0))


@torch.no_grad()
def rescaled(backbone: Backbone, level: Level, scans: Sequence[Cells], *, shift: int) -> Level:
    """The level with the quantiles of its distances in healthy scans that did not fit it."""
    device = next(backbone.parameters()).device
    found = [level.distances([x.cpu() for x in backbone(s.tensor(device))], shift=shift).numpy() for s in scans]
    scale = QuantileScale.fit(np.concatenate(found))
    return Level(level.sources, level.target, level.places, level.channels, level.gaussian, scale)


def choose(
    backbone: Backbone,
    training: Sequence[Cells],
    calibration: Sequence[Cells],
    planted: Sequence[Cells],
    truth: np.ndarray,
    expected: np.ndarray,
    scale: ContrastScale,
    settings: GaussianSettings,
) -> tuple[GaussianDetector, dict[str, float]]:
    """The detector with the best average precision of planted lesions, and what each choice scored.

    truth : (N, 80, 96, 80) lesion cells of the planted scans; expected : see GaussianDetector
    """
    levels = [fit_level(backbone, training, settings)]
    if settings.resolutions != "target":
        levels.append(fit_level(backbone, training, settings, fine=True))
    picks = {"target": levels[:1], "fine": levels[1:], "both": levels}
    if settings.resolutions != "auto":
        picks = {settings.resolutions: picks[settings.resolutions]}
    shifts = (0, 1) if settings.shift is None else (settings.shift,)
    best, tried = None, {}
    for (name, chosen), shift in product(picks.items(), shifts):
        ready = [rescaled(backbone, level, calibration, shift=shift) for level in chosen]
        detector = GaussianDetector(backbone, ready, expected, scale, shift=shift)
        precision = planted_precision(detector, planted, truth)
        tried[f"{name}, shift {shift}"] = round(precision, 4)
        if best is None or precision > best[0]:
            best = (precision, detector)
    return best[1], tried


def planted_precision(detector: GaussianDetector, planted: Sequence[Cells], truth: np.ndarray) -> float:
    """Average precision over the brain cells of scans with planted lesions."""
    from sklearn.metrics import average_precision_score

    scores = [detector.strangeness(scan)[scan.brain] for scan in planted]
    lesions = [lesion[scan.brain] for lesion, scan in zip(truth, planted, strict=True)]
    return float(average_precision_score(np.concatenate(lesions), np.concatenate(scores)))


def _places(backbone: Backbone, scans: Sequence[Cells], target: int) -> Tensor:
    """(D, H, W) bool: where at least half of the scans have brain, on the target's grid."""
    device = next(backbone.parameters()).device
    shape = backbone(scans[0].tensor(device))[target].shape[2:]
    share = torch.from_numpy(np.mean([scan.brain for scan in scans], axis=0, dtype=np.float32))
    return torch.nn.functional.adaptive_avg_pool3d(share[None, None], shape)[0, 0] >= COVERAGE
