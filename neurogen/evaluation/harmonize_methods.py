"""The rows of the harmonization benchmark: what is done to the scans of a site before they are segmented."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neurogen.harmonize.harmonization import harmonize_prepared
from neurogen.harmonize.landmarks import NYUL, landmarks_of, match_histogram, match_landmarks
from neurogen.harmonize.scan import grid_scan
from neurogen.harmonize.settings import HarmonizationSettings
from neurogen.harmonize.site import SiteModel


@dataclass(frozen=True, eq=False)
class Done:
    """images: (160, 192, 160) in [0, 1], one a scan; given_back: how many of them are the input."""

    images: tuple[np.ndarray, ...]
    given_back: int = 0
    note: str = ""


Method = Callable[[Sequence[np.ndarray]], Done]
"""Prepared images of one site (0 outside the brain) -> the same, harmonized."""

NAMES = ("none", "histogram matching", "nyul", "harmonizer", "harmonizer, site", "harmonizer + flow")
"""The harmonizer reads bright landmarks of every scan by itself, or ("site") all scans of a site as one; with the flow,
the first is adapted to the site."""


def methods_of(site: SiteModel, settings: HarmonizationSettings, reference: np.ndarray) -> dict[str, Method]:
    """All methods by name. reference: (n,) brain intensities of the reference site's training scans, pooled."""
    standard = landmarks_of(reference, NYUL)
    return {
        "none": lambda images: Done(tuple(images)),
        "histogram matching": lambda images: Done(
            tuple(_clipped(match_histogram(x, x > 0, reference)) for x in images)
        ),
        "nyul": lambda images: Done(tuple(_clipped(match_landmarks(x, x > 0, standard)) for x in images)),
        "harmonizer": lambda images: _harmonized(images, site, replace(settings, adapt="none", together=False)),
        "harmonizer, site": lambda images: _harmonized(images, site, replace(settings, adapt="none", together=True)),
        "harmonizer + flow": lambda images: _harmonized(images, site, replace(settings, adapt="site")),
    }


def _harmonized(images: Sequence[np.ndarray], site: SiteModel, settings: HarmonizationSettings) -> Done:
    result = harmonize_prepared([grid_scan(image, image > 0, site) for image in images], site, settings)
    back = sum(bool(scan.problem) for scan in result.scans)
    done = tuple(
        image if scan.problem else _clipped(scan.harmonized.array / site.unit)
        for image, scan in zip(images, result.scans, strict=True)
    )
    reasons = sorted({f"{scan.stop_reason} ({scan.steps} steps)" for scan in result.scans})
    return Done(done, back, ", ".join(reasons))


def _clipped(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0, 1).astype(np.float32)
