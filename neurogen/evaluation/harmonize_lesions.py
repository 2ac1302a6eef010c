"""Does a lesion outlive harmonization? One bright and one dark lesion planted in scans of another scanner.

Contrast: |mean of the lesion - median of its surroundings| in deviations of the surroundings (brain within 8 mm).
Segmentation: lesion or surroundings by a threshold, the best one on either image (`best_dice`), and the one half way
between the lesion's mean and the median of its surroundings, which any other contrast moves.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from neurogen.evaluation.harmonize_methods import Method
from neurogen.evaluation.harmonize_scanners import Scanner, apply_scanner
from neurogen.evaluation.metrics import counts_above, dice, dice_from_counts
from neurogen.synth.lesions import plant_lesion

KINDS = ("bright", "dark")
VOLUME_ML, CONTRAST = 4.0, 2.5
NEAR_MM = 8


def lesion_keeping(
    image: np.ndarray, shares: np.ndarray, scanners: Sequence[Scanner], method: Method, *, seed: int
) -> list[dict[str, float | str]]:
    """One row a scanner and kind: contrast and Dice of the segmentations before and after, share of the contrast kept.

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
    best, middle = (
        max(abs(float(row[f"{dice} after"]) - float(row[f"{dice} before"])) for row in rows)
        for dice in ("dice", "dice half way")
    )
    return (
        f"Planted lesions ({VOLUME_ML:g} ml, bright and dark) keep at least {100 * contrast:.0f} % of their contrast. "
        f"The Dice of their segmentation changes by at most {best:.3f} at the best threshold on either image, by "
        f"{middle:.3f} half way between lesion and surroundings ({len(rows)} lesions)."
    )


def best_dice(values: np.ndarray, lesion: np.ndarray, *, bright: bool) -> float:
    """The largest Dice with `lesion` (n,) bool of what a threshold marks among `values` (n,).

    A reader finds that threshold by windowing; here it is found by the lesion itself (an oracle). It is the same before
    and after any rising change of contrast, so that what it loses is lost lesion, not another contrast.
    """
    scores = values if bright else -values
    hits, marked = counts_above(scores, lesion, np.r_[-np.inf, np.unique(scores)])
    return float(dice_from_counts(hits, marked, np.count_nonzero(lesion)).max())


def _kept(before: np.ndarray, after: np.ndarray, mask: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    sides = [np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(max(s[0] - NEAR_MM, 0), s[-1] + NEAR_MM + 1) for s in sides)
    near = brain[box] & (ndimage.distance_transform_edt(~mask[box]) <= NEAR_MM)
    lesion = mask[box][near]
    row = {}
    for name, image in (("before", before), ("after", after)):
        values = image[box][near]
        own, around = values[lesion].mean(), values[~lesion]
        bright = own > np.median(around)
        row[f"contrast {name}"] = float(abs(own - np.median(around)) / max(around.std(), 1e-3))
        row[f"dice {name}"] = best_dice(values, lesion, bright=bright)
        row[f"dice half way {name}"] = dice((values > (own + np.median(around)) / 2) == bright, lesion)
    return {"contrast kept": row["contrast after"] / max(row["contrast before"], 1e-6), **row}
