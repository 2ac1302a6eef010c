"""The tissues that a segmentation tells apart first; a region is then one of its tissue's."""

import numpy as np

from neurogen.brain_age.regions import LAST_LABEL, REGIONS, Region

TISSUES = (
    "background",
    "cerebrospinal fluid",
    "intracranial background",
    "cortical gray matter",
    "white matter",
    "ventricles",
    "cerebellum",
    "brainstem",
    "hippocampi and amygdalae",
    "deep gray matter",
)
"""Background, then the nine tissues of Draw-EM."""

_OF_CHANNEL = {"GM": 3, "WM": 4, "white matter": 4, "background": 2, "cerebellum": 6, "brainstem": 7}
_OF_STRUCTURE = {"cerebrospinal fluid": 1, "lateral ventricle": 5, "hippocampus": 8, "amygdala": 8}


def _tissue_of(region: Region) -> int:
    return _OF_STRUCTURE.get(region.structure) or _OF_CHANNEL.get(region.tissue, 9)


def _lookup() -> np.ndarray:
    found = np.zeros(LAST_LABEL + 1, np.int64)
    for region in REGIONS:
        found[region.label] = _tissue_of(region)
    return found


def _mirrored() -> np.ndarray:
    pairs = {(region.structure, region.tissue, region.side): region.label for region in REGIONS}
    other = {"left": "right", "right": "left", "": ""}
    found = np.zeros(LAST_LABEL + 1, np.int64)
    for region in REGIONS:
        found[region.label] = pairs[region.structure, region.tissue, other[region.side]]
    return found


TISSUE_OF = _lookup()
"""(88,) index into TISSUES of each label; 0 for labels 0 and 84."""

MIRRORED = _mirrored()
"""(88,) the label of each region's other side; 0 for labels 0 and 84."""
