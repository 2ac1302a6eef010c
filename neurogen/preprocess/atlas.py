"""Where in the brain a point of the template lies, in words: a small map of regions on the ICBM152 template.

Made by `Testing/data/build_region_atlas.py`: a majority vote of whole-head label maps laid on the template (2 mm). The
lobes of the cortex are cut by planes at template coordinates: good for naming a place, not for measuring a volume.
"""

import csv
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from neurogen.resources import resource_path

if TYPE_CHECKING:
    from neurogen.volumes import Volume

OUTSIDE = "outside the atlas"


@cache
def region_atlas() -> "Volume":
    """Integer labels (I, J, K) in template RAS mm; 0 is outside, the names are `region_names()`."""
    from neurogen.volumes import load_volume

    return load_volume(resource_path("Atlas", "regions.nii.gz"), as_labels=True)


@cache
def region_names() -> dict[int, str]:
    """Label -> name, such as 'left temporal cortex'."""
    with resource_path("Atlas", "regions.tsv").open(encoding="utf-8", newline="") as table:
        return {int(row["label"]): row["name"] for row in csv.DictReader(table, delimiter="\t")}


def region_at(ras_mm: tuple[float, float, float]) -> str:
    """Name of the region at a template point (RAS mm), or `OUTSIDE`."""
    atlas = region_atlas()
    return name_at(ras_mm, atlas.array, atlas.affine, region_names())


def name_at(ras_mm: tuple[float, float, float], labels: np.ndarray, affine: np.ndarray, names: dict[int, str]) -> str:
    """The name of the label (I, J, K) at a point, or `OUTSIDE`."""
    index = np.rint(np.linalg.solve(affine, [*ras_mm, 1.0])[:3]).astype(int)
    if (index < 0).any() or (index >= labels.shape).any():
        return OUTSIDE
    return names.get(int(labels[tuple(index)]), OUTSIDE)
