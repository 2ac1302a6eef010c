"""Whole T1w scans in memory as cells of 2 mm: to train on, to calibrate on, and with planted lesions to validate on."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from neurogen.anomaly.codec import PixelCodec
from neurogen.anomaly.contrast_scale import T1W, ContrastScale
from neurogen.anomaly.gaussian_detector import Cells
from neurogen.errors import InputRefused
from neurogen.training.cache import SliceCache
from neurogen.training.healthy_context import healthy_context, volume_of
from neurogen.training.planted_validation import plant_in_volumes

CONTRAST = "t1w"


@dataclass(frozen=True, eq=False)
class HealthyVolumes:
    """The scans of a cache. `truth` (N, 80, 96, 80) are the lesions of the `planted` calibration scans; `context`
    (80, 2, 96, 80) is mean and deviation of standardized healthy cells."""

    training: list[Cells]
    calibration: list[Cells]
    calibration_ids: tuple[str, ...]
    planted: list[Cells]
    truth: np.ndarray
    context: Tensor
    scale: ContrastScale = T1W

    @property
    def expected(self) -> np.ndarray:
        """(80, 96, 80) standardized mean of healthy cells."""
        return self.context[:, 0].numpy()

    @classmethod
    def of(cls, cache: SliceCache) -> "HealthyVolumes":
        """Raises InputRefused without T1w scans to train and to calibrate on."""
        ids = {s: np.unique(cache.subject[cache.where(split=s, contrast=CONTRAST)]) for s in ("train", "calibrate")}
        if not (len(ids["train"]) and len(ids["calibrate"])):
            raise InputRefused("T1w volumes are needed to train and to calibrate on. Name them ..._T1w.nii.gz.")
        training = [Cells.of(*volume_of(cache, subject)) for subject in ids["train"]]
        kept = [volume_of(cache, subject) for subject in ids["calibrate"]]
        planted, truth = plant_in_volumes(kept)
        return cls(
            training,
            [Cells.of(*scan) for scan in kept],
            tuple(str(i) for i in ids["calibrate"]),
            [Cells.of(*scan) for scan in planted],
            truth,
            healthy_context(cache, CONTRAST, T1W, PixelCodec()),
        )
