"""Where in the brain a point of the template lies, in words: a small map of regions on the ICBM152 template.

Made by `Testing/data/build_region_atlas.py`: a majority vote of whole-head label maps laid on the template (2 mm). The
lobes of the cortex are cut by planes at template coordinates: good for naming a place, not for measuring a volume.
"""

import csv
from functools import cache

import numpy as np

from neurogen.resources import resource_path
from neurogen.volumes import Volume, load_volume

OUTSIDE = "outside the atlas"


@cache
def region_atlas() -> Volume:
    """Integer labels (I, J, K) in template RAS mm; 0 is outside, the names are `region_names()`."""
    return load_volume(resource_path("Atlas", "regions.nii.gz"), as_labels=True)


@cache
def region_names() -> dict[int, str]:
    """Label -> name, such as 'left temporal cortex'."""
    with resource_path("Atlas", "regions.tsv").open(encoding="utf-8", newline="") as table:
        return {int(row["label"]): row["name"] for row in csv.DictReader(table, delimiter="\t")}


def region_at(ras_mm: tuple[float, float, float]) -> str:
    """Name of the region at a template point (RAS mm), or `OUTSIDE`."""
    atlas = region_atlas()
    index = np.rint(np.linalg.solve(atlas.affine, [*ras_mm, 1.0])[:3]).astype(int)
    if (index < 0).any() or (index >= atlas.shape).any():
        return OUTSIDE
    return region_names().get(int(atlas.array[tuple(index)]), OUTSIDE)
