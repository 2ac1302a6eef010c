"""The columns of the planted benchmark, as statistics over scans.

recall_1ml                    share of lesions of >= 1 ml of which >= 10 % is marked: the headline
recall_small, medium, large   the same below 1 ml, from 1 to 10 ml, above
recall_<kind>                 the same by kind, lesions of >= 1 ml
f1_small, medium, large       of lesions found, missed, and marked components without any lesion, by size
auprc, prevalence             average precision of all brain voxels of the planted scans pooled, and what chance gets
auprc_rim                     the same within 8 mm of the brain's surface
aupro                         area under lesion overlap against false positives up to 0.3, each lesion counting the same
auroc_image, auprc_image      planted and healthy test scans told apart by their highest score
published_dice_mean, _pooled  the published protocol, an upper bound: one slice a scan, that with the largest lesion, at
                              the best of 60 thresholds chosen on these very masks
published_auprc               average precision on these slices
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
from neurogen.evaluation.bootstrap import BestOfCurve, Ratio, Statistic, mean_over_images, precision_statistic
from neurogen.evaluation.detection_columns import class_counts, image_columns, region_overlap, size_f1
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
    """What one method did with one composite: sampled brain scores (V,), their truth and whether they lie at the rim
    (V,), its lesions and the scores in each, the scores and truth of all brain voxels of the axial slice with most
    lesion, the highest score, and the ml of each marked component without a lesion."""

    scan: str
    scores: np.ndarray
    truth: np.ndarray
    rim: np.ndarray
    lesions: tuple[LesionResult, ...]
    lesion_scores: tuple[np.ndarray, ...]
    slice_scores: np.ndarray
    slice_truth: np.ndarray
    highest: float
    false_components_ml: np.ndarray
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
    counts = [_counts(planted) for planted in seen]
    columns |= {name: (f1, scans) for name, f1 in size_f1(*map(np.stack, zip(*counts, strict=True))).items()}
    prevalence = Ratio(np.array([p.truth.sum() for p in seen]), np.array([p.truth.size for p in seen]))
    errors = np.array([lesion.centroid_error_mm for lesion in lesions])
    seconds = np.array([p.seconds for p in seen])
    overlap = region_overlap([p.lesion_scores for p in seen], [p.scores[~p.truth] for p in seen])
    return columns | {
        "auprc": (_precision([(p.scores, p.truth) for p in seen]), scans),
        "prevalence": (prevalence, scans),
        "auprc_rim": (_precision([(p.scores[p.rim], p.truth[p.rim]) for p in seen]), scans),
        "aupro": (overlap, scans),
        **published_columns(seen),
        "centroid_mm": (mean_over_images(errors), owners),
        "seconds": (mean_over_images(seconds), scans),
    }


def published_columns(seen: Sequence[PlantedResult]) -> dict[str, Column]:
    """Of each scan the slice with the largest lesion, at thresholds chosen on the lesions themselves."""
    largest: dict[str, PlantedResult] = {}
    for planted in seen:
        known = largest.get(planted.scan)
        if known is None or planted.slice_truth.sum() > known.slice_truth.sum():
            largest[planted.scan] = planted
    scans = list(largest)
    slices = [(planted.slice_scores, planted.slice_truth) for planted in largest.values()]
    thresholds = metrics.curve_thresholds(np.concatenate([scores for scores, _ in slices]))
    above = [metrics.counts_above(scores, truth, thresholds) for scores, truth in slices]
    hits, marked = (np.stack(part) for part in zip(*above, strict=True))
    lesion = np.array([truth.sum() for _, truth in slices])[:, None]
    curves = metrics.dice_from_counts(hits, marked, lesion)
    return {
        "published_dice_mean": (BestOfCurve(curves, np.ones_like(curves)), scans),
        "published_dice_pooled": (BestOfCurve(2 * hits, marked + lesion), scans),
        "published_auprc": (_precision(slices), scans),
    }


def image_level(seen: Sequence[PlantedResult], healthy: dict[str, float]) -> dict[str, Column]:
    """Planted scans against the same scans without; healthy: the highest score in each by id."""
    owners = [planted.scan for planted in seen] + list(healthy)
    found = image_columns([planted.highest for planted in seen], list(healthy.values()))
    return {name: (statistic, owners) for name, statistic in found.items()}


def _precision(images: Sequence[tuple[np.ndarray, np.ndarray]]) -> Statistic:
    scores, truths = (list(part) for part in zip(*images, strict=True))
    exact = metrics.average_precision(np.concatenate(scores), np.concatenate(truths))
    return precision_statistic(scores, truths, value=exact)


def _counts(planted: PlantedResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(3,) lesions found, lesions there, false components, by size class."""
    volumes = np.array([lesion.volume_ml for lesion in planted.lesions])
    found = np.array([lesion.found for lesion in planted.lesions], float)
    return (
        class_counts(volumes, "ml", found), class_counts(volumes, "ml"), class_counts(planted.false_components_ml, "ml")
    )  # fmt: skip


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
