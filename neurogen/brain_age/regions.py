"""The 87 labels of Draw-EM (Makropoulos et al. 2014, doi:10.1109/TMI.2014.2322280): names, sides, tissues, lobes."""

from dataclasses import dataclass

import numpy as np

BACKGROUND, EXTRA_CRANIAL = 0, 84
LAST_LABEL = 87


@dataclass(frozen=True)
class Region:
    """One label. side: "left", "right" or "" for midline regions; lobe: the group in which importance is summed."""

    label: int
    structure: str
    side: str
    tissue: str
    lobe: str

    @property
    def name(self) -> str:
        """For example "frontal lobe WM, right"."""
        tissue = f" {self.tissue}" if self.tissue in ("GM", "WM") else ""
        return f"{self.structure}{tissue}" + (f", {self.side}" if self.side else "")


# structure, lobe, then (left, right) labels of its gray and of its white matter.
_CORTEX = (
    ("anterior temporal lobe, medial", "temporal", (5, 6), (51, 52)),
    ("anterior temporal lobe, lateral", "temporal", (7, 8), (53, 54)),
    ("parahippocampal gyrus, anterior", "temporal", (9, 10), (55, 56)),
    ("superior temporal gyrus, middle", "temporal", (11, 12), (57, 58)),
    ("medial and inferior temporal gyri, anterior", "temporal", (13, 14), (59, 60)),
    ("fusiform gyrus, anterior", "temporal", (15, 16), (61, 62)),
    ("insula", "insula", (21, 20), (64, 63)),
    ("occipital lobe", "occipital", (23, 22), (66, 65)),
    ("parahippocampal gyrus, posterior", "temporal", (25, 24), (68, 67)),
    ("fusiform gyrus, posterior", "temporal", (27, 26), (70, 69)),
    ("medial and inferior temporal gyri, posterior", "temporal", (29, 28), (72, 71)),
    ("superior temporal gyrus, posterior", "temporal", (31, 30), (74, 73)),
    ("cingulate gyrus, anterior", "cingulate", (33, 32), (76, 75)),
    ("cingulate gyrus, posterior", "cingulate", (35, 34), (78, 77)),
    ("frontal lobe", "frontal", (37, 36), (80, 79)),
    ("parietal lobe", "parietal", (39, 38), (82, 81)),
)
_PAIRS = (
    ("hippocampus", "temporal", (1, 2), "deep gray matter"),
    ("amygdala", "temporal", (3, 4), "deep gray matter"),
    ("cerebellum", "cerebellum and brainstem", (17, 18), "cerebellum"),
    ("caudate nucleus", "deep gray matter", (41, 40), "deep gray matter"),
    ("thalamus, high T2 intensity", "deep gray matter", (43, 42), "deep gray matter"),
    ("thalamus, low T2 intensity", "deep gray matter", (87, 86), "deep gray matter"),
    ("subthalamic nucleus", "deep gray matter", (45, 44), "deep gray matter"),
    ("lentiform nucleus", "deep gray matter", (47, 46), "deep gray matter"),
    ("lateral ventricle", "fluid", (49, 50), "fluid"),
)
_MIDLINE = (
    (19, "brainstem", "cerebellum and brainstem", "brainstem"),
    (48, "corpus callosum", "corpus callosum", "white matter"),
    (83, "cerebrospinal fluid", "fluid", "fluid"),
    (85, "intracranial background", "fluid", "background"),
)


def _all_regions() -> tuple[Region, ...]:
    found = [Region(*row[:2], "", row[3], row[2]) for row in _MIDLINE]
    for structure, lobe, gray, white in _CORTEX:
        for tissue, labels in (("GM", gray), ("WM", white)):
            found += [Region(n, structure, side, tissue, lobe) for n, side in zip(labels, ("left", "right"))]
    for structure, lobe, labels, tissue in _PAIRS:
        found += [Region(n, structure, side, tissue, lobe) for n, side in zip(labels, ("left", "right"))]
    return tuple(sorted(found, key=lambda region: region.label))


REGIONS = _all_regions()
"""The 86 measured regions by ascending label: 1-83 and 85-87. Label 84, outside the skull, is none."""

LABELS = np.array([region.label for region in REGIONS])
FEATURE_NAMES = tuple(f"{kind}_{label:02d}" for kind in ("rv", "svr") for label in LABELS)
"""The 172 features in the order of every vector here: relational volumes, then surface-to-volume ratios."""


def name_of_feature(feature: str) -> str:
    """`svr_79` -> "SVR of frontal lobe WM, right"."""
    kind, label = feature.split("_")
    return f"{kind.upper()} of {region_of(int(label)).name}"


def region_of(label: int) -> Region:
    """The region of a label. Raises KeyError for 0, 84 and what is no Draw-EM label."""
    return _BY_LABEL[label]


_BY_LABEL = {region.label: region for region in REGIONS}
