"""Training slices leveled as detection levels volumes: by the field of the scan that they belong to."""

import numpy as np

from neurogen.anomaly.detector import SLAB, to_slabs
from neurogen.anomaly.leveling import Leveling, refined
from neurogen.training.cache import SliceCache
from neurogen.training.healthy_context import volume_of


class SliceLeveling:
    """The receive fields left in the scans of one contrast of a cache, each found when it is first needed."""

    def __init__(self, cache: SliceCache, leveling: Leveling):
        self.cache, self.leveling = cache, leveling
        self._fields: dict[str, np.ndarray] = {}

    def __call__(self, slices: np.ndarray, index: np.ndarray) -> np.ndarray:
        """(N, 192, 160) slices in [0, 1], which are slices `index` (N,) of the cache -> the same without the field."""
        scans = self.cache.subject[index], self.cache.level[index]
        fields = [self.field_of(str(scan))[level // SLAB] for scan, level in zip(*scans, strict=True)]
        fine = [refined(field.astype(np.float32), slices.shape[1:]) for field in fields]
        return np.clip(slices / np.stack(fine), 0, 1)

    def field_of(self, scan: str) -> np.ndarray:
        """(80, 96, 80) on cells of 2 mm, in half precision: a megabyte a scan."""
        if scan not in self._fields:
            self._fields[scan] = self.leveling.field_of_slabs(*to_slabs(*volume_of(self.cache, scan))).astype(
                np.float16
            )
        return self._fields[scan]
