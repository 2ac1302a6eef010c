"""The columns of the planted benchmark, as statistics over scans.

recall_1ml                    share of lesions of >= 1 ml of which >= 10 % is marked: the headline
recall_small, medium, large   the same below 1 ml, from 1 to 10 ml, above
recall_<kind>                 the same by kind, lesions of >= 1 ml
auprc, prevalence             average precision of all brain voxels of the planted scans pooled, and what chance gets
centroid_mm                   distance between a found lesion's centroid and that of the component marked there
fp_ml, healthy_within_3ml     ml marked in a healthy test scan, and the share of them with at most 3 ml
fp_ml_<source>, fp_ml_<age>s  ml marked in the kept-apart scans (calibrating ones included) by source and age decade
seconds                       scoring time per scan
ms_<patient>_*                a multiple-sclerosis patient's T1w, no claim: AUPRC, Dice and lesion recall as marked
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurogen.evaluation import metrics
from neurogen.evaluation.bootstrap import Ratio, Statistic, mean_over_images, precision_statistic
from neurogen.evaluation.planted_scans import ScanFile
from neurogen.synth.lesions import KINDS

HEADLINE_ML = 1.0

Column = tuple[Statistic, list[str]]
"""A statistic, and the scan that each of its entries belongs to."""


@dataclass(frozen=True)
class LesionResult:
    """One planted lesion as one method saw it. centroid_error_mm is NaN where it was not found."""

    scan: str
    kind: str
    volume_ml: float
    contrast: float
    marked_share: float
    found: bool
    centroid_error_mm: float


@dataclass(frozen=True, eq=False)
class PlantedResult:
    """What one method did with one composite: sampled brain scores (V,), their truth (V,), and its lesions."""

    scan: str
    scores: np.ndarray
    truth: np.ndarray
    lesions: tuple[LesionResult, ...]
    seconds: float


def planted_columns(seen: Sequence[PlantedResult]) -> dict[str, Column]:
    """Recall by size and kind, average precision, centroid error, time."""
    lesions = [lesion for planted in seen for lesion in planted.lesions]
    owners, scans = [lesion.scan for lesion in lesions], [planted.scan for planted in seen]
    found = np.array([lesion.found for lesion in lesions], float)
    volumes = np.array([lesion.volume_ml for lesion in lesions])
    classes = metrics.size_classes(volumes, "ml")
    visible = volumes >= HEADLINE_ML
    chosen = {"recall_1ml": visible}
    chosen |= {f"recall_{size}": classes == k for k, size in enumerate(metrics.SIZES)}
    kinds = np.array([lesion.kind for lesion in lesions])
    chosen |= {f"recall_{kind.replace('-', '_')}": visible & (kinds == kind) for kind in KINDS}
    columns = {name: (Ratio(found * mask, mask.astype(float)), owners) for name, mask in chosen.items()}
    pooled, truth = np.concatenate([p.scores for p in seen]), np.concatenate([p.truth for p in seen])
    exact = metrics.average_precision(pooled, truth)
    auprc = precision_statistic([p.scores for p in seen], [p.truth for p in seen], value=exact)
    prevalence = Ratio(np.array([p.truth.sum() for p in seen]), np.array([p.truth.size for p in seen]))
    errors = np.array([lesion.centroid_error_mm for lesion in lesions])
    seconds = np.array([p.seconds for p in seen])
    return columns | {
        "auprc": (auprc, scans),
        "prevalence": (prevalence, scans),
        "centroid_mm": (mean_over_images(errors), owners),
        "seconds": (mean_over_images(seconds), scans),
    }


def healthy_columns(false_ml: dict[str, float], files: Sequence[ScanFile]) -> dict[str, Column]:
    """False positives of the test scans, and by source and age decade of all kept-apart ones."""
    kept = [f for f in files if f.id in false_ml]
    ml = np.array([false_ml[f.id] for f in kept])
    ids = [f.id for f in kept]
    test = np.array([f.role == "test" for f in kept])
    groups = {"fp_ml": test}
    groups |= {f"fp_ml_{source}": np.array([f.source == source for f in kept]) for source in _in_order(kept)}
    decades = np.array([f.age_years // 10 * 10 for f in kept])
    groups |= {f"fp_ml_{decade:.0f}s": decades == decade for decade in np.unique(decades[np.isfinite(decades)])}
    columns = {name: (Ratio(ml * mask, mask.astype(float)), ids) for name, mask in groups.items()}
    quiet = (ml <= metrics.ALLOWED_ML) & test
    return columns | {"healthy_within_3ml": (Ratio(quiet.astype(float), test.astype(float)), ids)}


def _in_order(files: Sequence[ScanFile]) -> list[str]:
    return list(dict.fromkeys(f.source for f in files))
