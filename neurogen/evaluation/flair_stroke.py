"""`neurogen benchmark flair-stroke SLICES.npz`: acute stroke on one axial FLAIR slice a patient.

Only brain pixels (> 0) are scored, on the slices with >= 100 mm2 of lesion. Columns:

auprc, prevalence      average precision of all pixels pooled (every fifth), and what random scores would get
auprc_rim              the same within 8 mm of the brain's surface
aupro                  area under lesion overlap against false positives up to 0.3, every lesion counting the same
auroc_, auprc_image    slices with and without stroke told apart by their highest score
dice_*_oracle          the published protocol (one slice a patient, maximum Dice): best of 60 thresholds chosen on these
                       very masks, mean per slice or pooled: an upper bound
dice_mean_calibrated   mean Dice at the threshold that 1 % of healthy calibration pixels exceed; what a user would get
recall_*               share of lesions (connected, small < 100 mm2, large > 1000 mm2) of which >= 10 % is marked there
f1_*                   of lesions found, missed, and marked components of >= 10 mm2 without any lesion, by size
fp_ml                  false positives there, components of >= 0.1 ml, 1 mm thick: on stroke-free slices where there are
                       some, otherwise outside the lesions of the evaluated slices (a note says which)
seconds                scoring time per slice
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurogen.evaluation import metrics
from neurogen.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    BestOfCurve,
    Ratio,
    Statistic,
    interval,
    mean_over_images,
    patient_weights,
    precision_statistic,
)
from neurogen.evaluation.detection_columns import (
    class_counts,
    false_components,
    image_columns,
    region_overlap,
    size_f1,
)
from neurogen.evaluation.flair_slices import PIXEL_ML, SliceSet, SliceSplit, evaluated_share, load_slices, split
from neurogen.evaluation.methods import SliceMethod, resolve, slice_method, timed
from neurogen.evaluation.provenance import provenance
from neurogen.evaluation.references import HealthyStatistics
from neurogen.evaluation.score_cache import ScoreCache
from neurogen.evaluation.tables import Table
from neurogen.models import ModelStore
from neurogen.progress import Progress, portion, silent

COLUMNS = (
    "auprc", "prevalence", "dice_mean_oracle", "dice_pooled_oracle", "dice_mean_calibrated",
    "recall_small", "recall_medium", "recall_large", "f1_small", "f1_medium", "f1_large", "fp_ml",
    "aupro", "auprc_rim", "auroc_image", "auprc_image", "seconds",
)  # fmt: skip
HEALTHY_SHARE_MARKED = 0.01
POOLED_STRIDE = 5
FALSE_MM2 = 10  # smaller marked components are not counted as false lesions
BATCH = 16


@dataclass(frozen=True)
class _Scored:
    """Scores (N, H, W) of some slices, their truth and brain, and the seconds each took (N,)."""

    scores: np.ndarray
    lesion: np.ndarray
    brain: np.ndarray
    seconds: np.ndarray


def run(
    slices_path: Path | str,
    *,
    methods: Sequence[str | SliceMethod] | None = None,
    json_path: Path | str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    store: ModelStore | None = None,
    scores: Path | str | None = None,
    share: float = 1.0,
) -> Table:
    """Score the slices with every method and tabulate, with 95 % intervals over patients.

    methods : names of `neurogen.evaluation.methods.METHODS` or objects; None = all whose models are present
    scores : a folder where the models' scores are kept, and taken from the next time
    share : evaluate only this share of the slices with lesions, drawn once and for all
    Raises InputRefused for a file that is no such set, UsageError for an unknown method, ModelUnavailable.
    """
    slices = load_slices(Path(slices_path))
    parts = evaluated_share(split(slices.area_mm2), share)
    healthy = _healthy_statistics(slices, parts)
    store, cache = store or ModelStore(), ScoreCache(scores)
    chosen, notes = resolve(
        methods, lambda name: slice_method(name, store, healthy, device=device, cache=cache), door="score_slices"
    )
    weights = _weights(slices, parts, seed)
    rows, intervals, thresholds = {}, {}, {}
    for k, method in enumerate(chosen):
        part = portion(progress, k / len(chosen), (k + 1) / len(chosen))
        statistics, thresholds[method.name] = _evaluate(method, slices, parts, part)
        rows[method.name] = {name: statistic.value for name, statistic in statistics.items()}
        intervals[method.name] = {name: interval(s, weights[name]) for name, s in statistics.items()}
    facts = _facts(slices_path, slices, parts, thresholds, seed=seed, share=share) | provenance(chosen)
    table = Table(rows, COLUMNS, intervals, (*_notes(parts, thresholds), *notes), facts)
    if json_path is not None:
        table.write_json(Path(json_path))
    return table


def _healthy_statistics(slices: SliceSet, parts: SliceSplit) -> HealthyStatistics | None:
    """Those of the file's own training slices; None where it has too few (then the shipped ones are used)."""
    if not len(parts.training):
        return None
    return HealthyStatistics.of(slices.flair[parts.training], slices.brain[parts.training])


def _weights(slices: SliceSet, parts: SliceSplit, seed: int) -> dict[str, np.ndarray]:
    """Resampling weights for every column: the same draws for every method, so that rows compare."""
    evaluated = patient_weights(slices.patients[parts.evaluated], resamples=RESAMPLES, rng=np.random.default_rng(seed))
    weights = dict.fromkeys(COLUMNS, evaluated)
    if len(parts.stroke_free):
        healthy = patient_weights(
            slices.patients[parts.stroke_free], resamples=RESAMPLES, rng=np.random.default_rng(seed)
        )
        weights["fp_ml"] = healthy
        weights["auroc_image"] = weights["auprc_image"] = np.concatenate([evaluated, healthy], axis=1)
    return weights


def _evaluate(
    method: SliceMethod, slices: SliceSet, parts: SliceSplit, progress: Progress
) -> tuple[dict[str, Statistic], float | None]:
    """The statistics of one row, and the threshold at which the calibrated columns were taken (None = unknown)."""
    wanted = np.concatenate([parts.evaluated, parts.calibration, parts.stroke_free])
    scored = _score(method, slices, wanted, progress)
    ends = np.cumsum([len(parts.evaluated), len(parts.calibration)])
    evaluated, calibration, free = (_part(scored, chosen) for chosen in np.split(np.arange(len(wanted)), ends))
    threshold = method.threshold
    if len(parts.calibration):
        threshold = _calibrated_threshold(calibration)
    statistics = {**_threshold_free(evaluated), "seconds": mean_over_images(evaluated.seconds)}
    if len(parts.stroke_free):
        statistics |= image_columns(*([s[b].max() for s, b in zip(p.scores, p.brain)] for p in (evaluated, free)))
    if threshold is not None:
        statistics |= _at_threshold(evaluated, threshold)
        judged = free if len(parts.stroke_free) else evaluated
        statistics["fp_ml"] = mean_over_images(_false_positives(judged, threshold))
    return statistics, threshold


def _score(method: SliceMethod, slices: SliceSet, chosen: np.ndarray, progress: Progress) -> _Scored:
    """Score slices in batches; the time of a batch is shared by its slices."""
    brain = slices.brain[chosen]
    scores = np.zeros(brain.shape, np.float32)
    seconds = np.zeros(len(chosen))
    for first in range(0, len(chosen), BATCH):
        batch = np.s_[first : first + BATCH]
        progress(method.name, first / len(chosen))
        found = timed(method, "score_slices", slices.flair[chosen[batch]], brain[batch])
        scores[batch], seconds[batch] = found.scores, found.seconds / len(chosen[batch])
    return _Scored(scores, slices.lesion[chosen] & brain, brain, seconds)


def _part(scored: _Scored, index: np.ndarray) -> _Scored:
    return _Scored(scored.scores[index], scored.lesion[index], scored.brain[index], scored.seconds[index])


def _calibrated_threshold(scored: _Scored) -> float:
    """The score that 1 % of the brain pixels of healthy slices exceed."""
    return float(np.quantile(scored.scores[scored.brain], 1 - HEALTHY_SHARE_MARKED))


def _threshold_free(scored: _Scored) -> dict[str, Statistic]:
    """Average precision, prevalence and the oracle Dice curves."""
    scores = [s[b] for s, b in zip(scored.scores, scored.brain, strict=True)]
    truths = [t[b] for t, b in zip(scored.lesion, scored.brain, strict=True)]
    pooled, truth = np.concatenate(scores), np.concatenate(truths)
    thresholds = metrics.curve_thresholds(pooled)
    counts = [metrics.counts_above(s, t, thresholds) for s, t in zip(scores, truths, strict=True)]
    hits, marked = (np.stack(part) for part in zip(*counts, strict=True))
    lesion_pixels = np.array([t.sum() for t in truths])[:, None]
    curves = np.nan_to_num(metrics.dice_from_counts(hits, marked, lesion_pixels))
    exact = metrics.average_precision(pooled[::POOLED_STRIDE], truth[::POOLED_STRIDE])
    return {
        "auprc": precision_statistic(
            [s[::POOLED_STRIDE] for s in scores], [t[::POOLED_STRIDE] for t in truths], value=exact
        ),
        "prevalence": Ratio(lesion_pixels[:, 0], np.array([len(t) for t in truths])),
        "dice_mean_oracle": BestOfCurve(curves, np.ones_like(curves)),
        "dice_pooled_oracle": BestOfCurve(2 * hits, marked + lesion_pixels),
        "auprc_rim": _rim_precision(scored),
        "aupro": region_overlap(
            [_lesion_scores(s, t) for s, t in zip(scored.scores, scored.lesion, strict=True)],
            [s[~t] for s, t in zip(scores, truths, strict=True)],
        ),
    }


def _rim_precision(scored: _Scored) -> Statistic:
    rims = [metrics.rim(brain) for brain in scored.brain]
    scores = [s[r] for s, r in zip(scored.scores, rims, strict=True)]
    truths = [t[r] for t, r in zip(scored.lesion, rims, strict=True)]
    exact = metrics.average_precision(np.concatenate(scores), np.concatenate(truths))
    return precision_statistic(scores, truths, value=exact)


def _lesion_scores(scores: np.ndarray, lesion: np.ndarray) -> list[np.ndarray]:
    """The scores of each connected lesion of a slice."""
    labels, sizes = metrics.components(lesion)
    return [scores[labels == k + 1] for k in range(len(sizes))]


def _at_threshold(scored: _Scored, threshold: float) -> dict[str, Statistic]:
    """Dice and lesion recall of the marked pixels."""
    marked = (scored.scores > threshold) & scored.brain
    dices = np.array([metrics.dice(m, t) for m, t in zip(marked, scored.lesion, strict=True)])
    found, lesions, false = (np.zeros((len(marked), 3)) for _ in range(3))
    for k, (m, t) in enumerate(zip(marked, scored.lesion, strict=True)):
        sizes, hit = metrics.lesions_found(m, t)
        lesions[k], found[k] = class_counts(sizes, "mm2"), class_counts(sizes, "mm2", hit)
        stray = false_components(m, t)
        false[k] = class_counts(stray[stray >= FALSE_MM2], "mm2")
    recalls = {f"recall_{size}": Ratio(found[:, c], lesions[:, c]) for c, size in enumerate(metrics.SIZES)}
    return {"dice_mean_calibrated": mean_over_images(dices), **recalls, **size_f1(found, lesions, false)}


def _false_positives(scored: _Scored, threshold: float) -> np.ndarray:
    """(N,) ml of visible components outside the lesions."""
    marked = (scored.scores > threshold) & scored.brain
    return np.array([metrics.false_positive_ml(m, t, PIXEL_ML) for m, t in zip(marked, scored.lesion, strict=True)])


def _notes(parts: SliceSplit, thresholds: dict[str, float | None]) -> list[str]:
    calibration, free = len(parts.calibration), len(parts.stroke_free)
    notes = [
        f"{len(parts.evaluated)} slices with lesions of 100 mm2 or more, one a patient. Brackets: 95 % bootstrap "
        f"interval over patients, {RESAMPLES} resamples, thresholds held. Oracle columns chose their threshold on "
        "the test masks: upper bounds, not results.",
        f"Calibrated columns: at the threshold that 1 % of the brain pixels of {calibration} stroke-free slices exceed."
        if calibration
        else "Calibrated columns: at the operating point that travels with the shipped model.",
        f"fp_ml: on {free} stroke-free slices." if free else "fp_ml: outside the lesions of the evaluated slices.",
        "seconds: scoring time per slice.",
    ]
    lacking = [name for name, threshold in thresholds.items() if threshold is None]
    if lacking:
        notes.append(f"No threshold is known for {', '.join(lacking)}: the calibrated columns are empty.")
    return notes


def _facts(
    path: Path | str, slices: SliceSet, parts: SliceSplit, thresholds: dict, *, seed: int, share: float
) -> dict[str, object]:
    return {
        "benchmark": "flair-stroke",
        "data": {"file": Path(path).name, "sha256": slices.sha256, "slices": len(slices.flair)},
        "split": {name: len(getattr(parts, name)) for name in ("evaluated", "training", "calibration", "stroke_free")},
        "evaluated_share": share,
        "thresholds": thresholds,
        "bootstrap": {"resamples": RESAMPLES, "level": LEVEL, "over": "patients", "seed": seed},
    }
