"""Lesions cut again from the anomaly map at another threshold, by the same function that the command line uses.

Numpy and scipy alone: the network is not run again, and a saved scene needs neither torch nor the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.anomaly.lesions import DIRECTIONS, LesionCut, cut_lesions
from NeuroGenLib.i18n import tr as _


@dataclass(frozen=True)
class CutSettings:
    """Where to cut: healthy standard deviations, which deviations, and the smallest lesion in milliliters."""

    threshold: float
    direction: str = "both"
    minimumMl: float = 0.1

    def __post_init__(self) -> None:
        if not self.threshold > 0 or not self.minimumMl >= 0 or self.direction not in DIRECTIONS:
            raise ValueError(f"Lesions cannot be cut by {self}: a positive threshold and a known direction are needed.")


class Recutter:
    """Holds one anomaly map (I, J, K) and cuts it as often as the slider moves."""

    def __init__(
        self,
        score: np.ndarray,
        affine: np.ndarray,
        templateFromScan: np.ndarray | None,
        regionAt: Callable[[np.ndarray], str] | None = None,
    ) -> None:
        """affine: (4, 4) voxel -> RAS mm; templateFromScan: (4, 4) RAS mm, for side and region (None: not known);
        regionAt: template RAS mm (3,) -> name."""
        self._score = np.ascontiguousarray(score)
        self._affine = affine
        self._templateFromScan = templateFromScan
        self._regionAt = regionAt if templateFromScan is not None else None

    def cut(self, settings: CutSettings) -> LesionCut:
        """The lesions at these settings; labels (I, J, K)."""
        return cut_lesions(
            self._score,
            self._affine,
            settings.threshold,
            direction=settings.direction,
            minimum_ml=settings.minimumMl,
            template_from_scan=self._templateFromScan,
            region_at=self._regionAt,
        )


def summaryOf(volumesMl: Sequence[float]) -> str:
    """How much is marked, in words."""
    if not volumesMl:
        return _("No region exceeds the threshold. This does not mean that the brain is healthy.")
    if len(volumesMl) == 1:
        return _("1 region is marked, {volume:.1f} ml.").format(volume=volumesMl[0])
    return _("{count} regions are marked, {volume:.1f} ml in all.").format(count=len(volumesMl), volume=sum(volumesMl))


def inWords(settings: CutSettings, default: CutSettings, sentence: str) -> str:
    """What the slider's place means: the model's operating point, or how far from it."""
    if settings == default:
        return sentence
    shares = {"both": _("deviates"), "bright": _("is brighter"), "dark": _("is darker")}
    text = _(
        "Marked is what {deviates} by more than {threshold:.2f} standard deviations of healthy brains, in regions of "
        "at least {minimum:g} ml. Chosen by you: the operating point of the result is {default:.2f}."
    )
    return text.format(
        deviates=shares[settings.direction],
        threshold=settings.threshold,
        minimum=settings.minimumMl,
        default=default.threshold,
    )
