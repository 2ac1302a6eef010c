"""`neurogen benchmark flair-stroke SLICES.npz`: acute stroke on one axial FLAIR slice a patient.

Only brain pixels (> 0) are scored, on the slices with >= 100 mm2 of lesion. Columns:

auprc, prevalence      average precision of all pixels pooled (every fifth), and what random scores would get
dice_*_oracle          best of 60 thresholds chosen on these very masks, mean per slice or pooled: an upper bound
dice_mean_calibrated   mean Dice at the threshold that 1 % of healthy calibration pixels exceed; what a user would get
recall_*               share of lesions (connected, small < 100 mm2, large > 1000 mm2) of which >= 10 % is marked there
fp_ml                  false positives there, components of >= 0.1 ml, 1 mm thick: on stroke-free slices where there are
                       some, otherwise outside the lesions of the evaluated slices (a note says which)
seconds                scoring time per slice
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import neurogen
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
from neurogen.evaluation.flair_slices import PIXEL_ML, SliceSet, SliceSplit, load_slices, split
from neurogen.evaluation.methods import SliceMethod, resolve, slice_method
from neurogen.evaluation.references import HealthyStatistics
from neurogen.evaluation.tables import Table
from neurogen.models import ModelStore
from neurogen.progress import Progress, portion, silent

COLUMNS = (
    "auprc", "prevalence", "dice_mean_oracle", "dice_pooled_oracle", "dice_mean_calibrated",
    "recall_small", "recall_medium", "recall_large", "fp_ml", "seconds",
)  # fmt: skip
HEALTHY_SHARE_MARKED = 0.01
POOLED_STRIDE = 5
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
) -> Table:
    """Score the slices with every method and tabulate, with 95 % intervals over patients.

    methods : names of `neurogen.evaluation.methods.METHODS` or objects; None = all whose models are present
    Raises InputRefused for a file that is no such set, UsageError for an unknown method, ModelUnavailable.
    """
    slices = load_slices(Path(slices_path))
    parts = split(slices.area_mm2)
    healthy = _healthy_statistics(slices, parts)
    store = store or ModelStore()
    chosen, notes = resolve(
        methods, lambda name: slice_method(name, store, healthy, device=device), door="score_slices"
    )
    weights = _weights(slices, parts, seed)
    rows, intervals, thresholds = {}, {}, {}
    for k, method in enumerate(chosen):
        share = portion(progress, k / len(chosen), (k + 1) / len(chosen))
        statistics, thresholds[method.name] = _evaluate(method, slices, parts, share)
        rows[method.name] = {name: statistic.value for name, statistic in statistics.items()}
        intervals[method.name] = {name: interval(s, weights[name]) for name, s in statistics.items()}
    facts = _facts(slices_path, slices, parts, thresholds, seed=seed)
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
        weights["fp_ml"] = patient_weights(
            slices.patients[parts.stroke_free], resamples=RESAMPLES, rng=np.random.default_rng(seed)
        )
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
        start = time.perf_counter()
        scores[batch] = method.score_slices(slices.flair[chosen[batch]], brain[batch])
        seconds[batch] = (time.perf_counter() - start) / len(chosen[batch])
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
    }


def _at_threshold(scored: _Scored, threshold: float) -> dict[str, Statistic]:
    """Dice and lesion recall of the marked pixels."""
    marked = (scored.scores > threshold) & scored.brain
    dices = np.array([metrics.dice(m, t) for m, t in zip(marked, scored.lesion, strict=True)])
    found, lesions = np.zeros((len(marked), 3)), np.zeros((len(marked), 3))
    for k, (m, t) in enumerate(zip(marked, scored.lesion, strict=True)):
        sizes, hit = metrics.lesions_found(m, t)
        classes = metrics.size_classes(sizes, "mm2")
        lesions[k] = np.bincount(classes, minlength=3)
        found[k] = np.bincount(classes, weights=hit, minlength=3)
    recalls = {f"recall_{size}": Ratio(found[:, c], lesions[:, c]) for c, size in enumerate(metrics.SIZES)}
    return {"dice_mean_calibrated": mean_over_images(dices), **recalls}


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


def _facts(path: Path | str, slices: SliceSet, parts: SliceSplit, thresholds: dict, *, seed: int) -> dict[str, object]:
    return {
        "benchmark": "flair-stroke",
        "data": {"file": Path(path).name, "sha256": slices.sha256, "slices": len(slices.flair)},
        "split": {name: len(getattr(parts, name)) for name in ("evaluated", "training", "calibration", "stroke_free")},
        "thresholds": thresholds,
        "bootstrap": {"resamples": RESAMPLES, "level": LEVEL, "over": "patients", "seed": seed},
        "version": neurogen.__version__,
    }
