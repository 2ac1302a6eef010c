"""Does a lesion outlive harmonization? One bright and one dark lesion planted in scans of another scanner.

Contrast: |mean of the lesion - median of its surroundings| in deviations of the surroundings (brain within 8 mm).
Segmentation: the voxels around the lesion nearer to its mean than to the median of its surroundings, on either image.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from neurogen.evaluation.harmonize_methods import Method
from neurogen.evaluation.harmonize_scanners import Scanner, apply_scanner
from neurogen.evaluation.metrics import dice
from neurogen.synth.lesions import plant_lesion

KINDS = ("bright", "dark")
VOLUME_ML, CONTRAST = 4.0, 2.5
NEAR_MM = 8


def lesion_keeping(
    image: np.ndarray, shares: np.ndarray, scanners: Sequence[Scanner], method: Method, *, seed: int
) -> list[dict[str, float | str]]:
    """One row a scanner and kind: share of the contrast kept, Dice of the segmentation before and after.

    image (160, 192, 160) in [0, 1] of the reference site, shares (3, 160, 192, 160) of its tissues
    """
    brain = image > 0
    rows = []
    for k, kind in enumerate(KINDS):
        rng = np.random.default_rng([seed, k])
        planted = plant_lesion(image, brain, (1.0, 1.0, 1.0), kind, VOLUME_ML, CONTRAST, rng)
        for scanner in scanners:
            before = apply_scanner(scanner, planted.image, brain, shares)
            after = method([before]).images[0]
            rows.append({"scanner": scanner.name, "kind": kind, **_kept(before, after, planted.mask, brain)})
    return rows


def worst_of(rows: Sequence[Mapping[str, float | str]]) -> str:
    """A sentence: the least contrast kept and the largest change of Dice."""
    contrast = min(float(row["contrast kept"]) for row in rows)
    change = max(abs(float(row["dice after"]) - float(row["dice before"])) for row in rows)
    return (
        f"Planted lesions ({VOLUME_ML:g} ml, bright and dark) keep at least {100 * contrast:.0f} % of their contrast, "
        f"and the Dice of their segmentation changes by at most {change:.3f} ({len(rows)} lesions)."
    )


def _kept(before: np.ndarray, after: np.ndarray, mask: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    sides = [np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(max(s[0] - NEAR_MM, 0), s[-1] + NEAR_MM + 1) for s in sides)
    lesion = mask[box]
    around = brain[box] & ~lesion & (ndimage.distance_transform_edt(~lesion) <= NEAR_MM)
    values = [(image[box][lesion], image[box][around]) for image in (before, after)]
    contrast = [abs(a.mean() - np.median(b)) / max(b.std(), 1e-3) for a, b in values]
    found = []
    for image, (a, b) in zip((before, after), values, strict=True):
        middle = (a.mean() + np.median(b)) / 2
        marked = (image[box] > middle) == (a.mean() > np.median(b))
        found.append(dice(marked & (lesion | around), lesion))
    return {
        "contrast kept": float(contrast[1] / max(contrast[0], 1e-6)),
        "dice before": found[0],
        "dice after": found[1],
    }
