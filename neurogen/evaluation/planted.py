"""`neurogen benchmark planted DATA`: planted lesions in kept-apart healthy T1w scans, and how quiet those stay without.

Every test scan gets one lesion of each kind from the fixed list (`neurogen.synth.evaluation_set`). Marked is what
`detect` would mark: score above the operating point, in components of at least 0.1 ml. The columns are described in
`planted_columns.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from neurogen.affines import voxel_volume_ml
from neurogen.errors import ModelUnavailable
from neurogen.evaluation import metrics
from neurogen.evaluation.bootstrap import LEVEL, RESAMPLES, interval, patient_weights
from neurogen.evaluation.composites import Composite, Lesion, composites
from neurogen.evaluation.detection_columns import false_components
from neurogen.evaluation.methods import VolumeMethod, resolve, timed, volume_method
from neurogen.evaluation.planted_columns import (
    Column,
    LesionResult,
    PlantedResult,
    healthy_columns,
    image_level,
    planted_columns,
)
from neurogen.evaluation.planted_scans import (
    SOURCES,
    GridScan,
    ScanFile,
    default_cache,
    list_ms_patients,
    list_scans,
    ms_lesions,
    prepared,
)
from neurogen.evaluation.provenance import provenance
from neurogen.evaluation.references import HealthyStatistics
from neurogen.evaluation.score_cache import ScoreCache
from neurogen.evaluation.tables import Table
from neurogen.models import ModelStore
from neurogen.preprocess.grid import GRID_AFFINE
from neurogen.progress import Progress, portion, silent
from neurogen.synth.evaluation_set import EVALUATION_SEED, planted_set
from neurogen.synth.lesions import KINDS

POOLED_STRIDE = 5
VOXEL_ML = voxel_volume_ml(GRID_AFFINE)
MINIMUM_VOXELS = metrics.MINIMUM_COMPONENT_ML / VOXEL_ML - 1e-6


@dataclass(frozen=True, eq=False)
class _Judge:
    """A method with its operating point: scores a scan, and what of it a user would see marked."""

    method: VolumeMethod
    threshold: float

    def score(self, image: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Scores, marked voxels and seconds."""
        found = timed(self.method, "score_volume", image, brain)
        marked = metrics.keep_large((found.scores > self.threshold) & brain, MINIMUM_VOXELS)
        return found.scores, marked, found.seconds


def run(
    data_folder: Path | str,
    *,
    methods: Sequence[str | VolumeMethod] | None = None,
    json_path: Path | str | None = None,
    cache: Path | str | None = None,
    scans: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
    store: ModelStore | None = None,
    scores: Path | str | None = None,
) -> Table:
    """Tabulate every method on the kept-apart scans of a data folder, with 95 % intervals over scans.

    cache : folder of prepared scans, made when absent, in the format of `neurogen.training.cache`; None = one in the
        user's cache folder for this data folder
    scans : plant in the first so many test scans (None = all); the healthy scans are always all of them
    scores : a folder where the models' scores are kept, and taken from the next time
    Raises InputRefused, UsageError, ModelUnavailable.
    """
    data_folder = Path(data_folder)
    cache = Path(cache) if cache is not None else default_cache(data_folder)
    files = list_scans(data_folder)
    store, kept = store or ModelStore(), ScoreCache(scores)
    healthy = partial(_training_statistics, files, cache, portion(progress, 0.0, 0.2))
    chosen, notes = resolve(
        methods, lambda name: volume_method(name, store, healthy, device=device, cache=kept), door="score_volume"
    )
    judges, false_ml, highest = _calibrated(chosen, files, cache, portion(progress, 0.2, 0.5))
    test = [f for f in files if f.role == "test"]
    seen = _plant_and_score(judges, test, cache, portion(progress, 0.5, 0.95), limit=scans)
    patients = [(f, prepared(f, cache)) for f in list_ms_patients(data_folder)]
    rows, intervals = {}, {}
    for judge in judges:
        name = judge.method.name
        columns = planted_columns(seen[name]) | healthy_columns(false_ml[name], files)
        columns |= image_level(seen[name], {f.id: highest[name][f.id] for f in test})
        rows[name] = {key: statistic.value for key, (statistic, _) in columns.items()}
        rows[name] |= {k: v for file, scan in patients for k, v in _ms_columns(judge, file, scan).items()}
        intervals[name] = _intervals(columns, seed)
    order = tuple(dict.fromkeys(column for row in rows.values() for column in row))
    notes = (*_notes(files, false_ml, min(len(test), scans or len(test))), *notes)
    facts = _facts(judges, seen, files, seed) | provenance(chosen)
    table = Table(rows, order, intervals, notes, facts)
    if json_path is not None:
        table.write_json(Path(json_path))
    progress("planted", 1.0)
    return table


def _training_statistics(files: Sequence[ScanFile], cache: Path, progress: Progress) -> HealthyStatistics:
    """Mean and deviation over all scans that are not kept apart."""
    training = [f for f in files if f.role == "train"]
    if not training:
        raise ModelUnavailable(
            "The data folder has no scans beside those kept apart, but mean and deviation are measured on such scans. "
            "Give a folder with more than ten scans of a source."
        )

    def images() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for k, file in enumerate(training):
            progress(f"preparing {file.id}", k / len(training))
            scan = prepared(file, cache)
            yield scan.image, scan.brain

    return HealthyStatistics.of_pairs(images())


def _calibrated(
    methods: Sequence[VolumeMethod], files: Sequence[ScanFile], cache: Path, progress: Progress
) -> tuple[list[_Judge], dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Each method with its operating point, and its false-positive ml and its highest score in every kept-apart healthy
    scan by id."""
    kept = [f for f in files if f.role in ("calibrate", "test")]
    judges, false_ml, highest = [], {}, {}
    for m, method in enumerate(methods):
        scores, brains = {}, {}
        for k, file in enumerate(kept):
            progress(f"{method.name} on healthy scans", (m + k / len(kept)) / len(methods))
            scan = prepared(file, cache)
            scores[file.id], brains[file.id] = method.score_volume(scan.image, scan.brain), scan.brain
        calibrating = [f.id for f in kept if f.role == "calibrate"]
        threshold = method.threshold
        if threshold is None:
            threshold = metrics.threshold_for_false_positives(
                [scores[i] for i in calibrating], [brains[i] for i in calibrating], voxel_ml=VOXEL_ML
            )
        judges.append(_Judge(method, threshold))
        false_ml[method.name] = {
            f.id: metrics.false_positive_ml((scores[f.id] > threshold) & brains[f.id], None, VOXEL_ML) for f in kept
        }
        highest[method.name] = {f.id: float(scores[f.id][brains[f.id]].max()) for f in kept}
    return judges, false_ml, highest


def _plant_and_score(
    judges: Sequence[_Judge], test: Sequence[ScanFile], cache: Path, progress: Progress, *, limit: int | None
) -> dict[str, list[PlantedResult]]:
    """Scans outside, methods inside: each lesion is planted once."""
    specs = planted_set(len(test))
    seen: dict[str, list[PlantedResult]] = {judge.method.name: [] for judge in judges}
    chosen = test[:limit]
    for k, file in enumerate(chosen):
        progress(f"planted lesions in {file.id}", k / len(chosen))
        scan = prepared(file, cache)
        rim = metrics.rim(scan.brain)
        for composite in composites(scan.image, scan.brain, [s for s in specs if s.scan == k]):
            for judge in judges:
                seen[judge.method.name].append(_judged(judge, file.id, composite, scan.brain, rim))
    return seen


def _judged(judge: _Judge, scan_id: str, composite: Composite, brain: np.ndarray, rim: np.ndarray) -> PlantedResult:
    scores, marked, seconds = judge.score(composite.image, brain)
    labels, _ = metrics.components(marked)
    sampled = np.s_[::POOLED_STRIDE]
    level = int(composite.truth.sum((0, 1)).argmax())
    plane = brain[..., level]
    return PlantedResult(
        scan=scan_id,
        scores=scores[brain][sampled],
        truth=composite.truth[brain][sampled],
        rim=rim[brain][sampled],
        lesions=tuple(_lesion_result(scan_id, lesion, marked, labels) for lesion in composite.lesions),
        lesion_scores=tuple(scores[lesion.box][lesion.mask] for lesion in composite.lesions),
        slice_scores=scores[..., level][plane],
        slice_truth=composite.truth[..., level][plane],
        highest=float(scores[brain].max()),
        false_components_ml=false_components(marked, composite.truth) * VOXEL_ML,
        seconds=seconds,
    )


def _lesion_result(scan_id: str, lesion: Lesion, marked: np.ndarray, labels: np.ndarray) -> LesionResult:
    share = lesion.marked_voxels(marked) / np.count_nonzero(lesion.mask)
    error = float("nan")
    if share >= metrics.FOUND_SHARE:
        overlap = np.bincount(labels[lesion.box][lesion.mask])
        component = labels == 1 + int(np.argmax(overlap[1:]))
        centroid = [index.mean() for index in np.nonzero(component)]
        moved = GRID_AFFINE[:3, :3] @ (np.array(centroid) - lesion.centroid_voxel)
        error = float(np.linalg.norm(moved))
    spec = lesion.spec
    return LesionResult(
        scan_id, spec.kind, lesion.volume_ml, lesion.contrast, share, share >= metrics.FOUND_SHARE, error
    )


def _intervals(columns: dict[str, Column], seed: int) -> dict[str, tuple[float, float]]:
    result = {}
    for name, (statistic, owners) in columns.items():
        weights = patient_weights(np.array(owners), resamples=RESAMPLES, rng=np.random.default_rng(seed))
        result[name] = interval(statistic, weights)
    return result


def _ms_columns(judge: _Judge, file: ScanFile, scan: GridScan) -> dict[str, float]:
    """Figures of one patient, without intervals: two patients support no claim."""
    truth = ms_lesions(file, scan)
    scores, marked, _ = judge.score(scan.image, scan.brain)
    _, found = metrics.lesions_found(marked, truth)
    return {
        f"ms_{file.id}_auprc": metrics.average_precision(scores[scan.brain], truth[scan.brain]),
        f"ms_{file.id}_prevalence": float(truth[scan.brain].mean()),
        f"ms_{file.id}_dice": metrics.dice(marked, truth),
        f"ms_{file.id}_recall": float(found.mean()) if len(found) else float("nan"),
    }


def _notes(files: Sequence[ScanFile], false_ml: dict[str, dict[str, float]], planted_in: int) -> list[str]:
    roles = {f.id: f.role for f in files}
    notes = [
        f"One lesion of each of {len(KINDS)} kinds planted in each of {planted_in} test scans. "
        f"Brackets: 95 % bootstrap interval over scans, {RESAMPLES} resamples, thresholds held.",
        "Operating point: the lowest threshold at which 19 of 20 healthy calibration scans show at most 3 ml, from the "
        "model's manifest where it has one, otherwise from the calibration scans here.",
    ]
    for name, by_scan in false_ml.items():
        quiet = {i for i, ml in by_scan.items() if ml <= metrics.ALLOWED_ML}
        tested = [i for i in by_scan if roles[i] == "test"]
        notes.append(
            f"{name}: {len(quiet & set(tested))} of {len(tested)} healthy test scans show at most 3 ml, and "
            f"{len(quiet)} of all {len(by_scan)} kept apart."
        )
    ageless = sorted({f.source for f in files if f.role != "train" and not np.isfinite(f.age_years)})
    if ageless:
        notes.append(
            f"No ages are known for {', '.join(ageless)} scans (no age_years in a participants.csv beside them): they "
            "are in no column of an age decade."
        )
    return notes


def _facts(
    judges: Sequence[_Judge], seen: dict[str, list[PlantedResult]], files: Sequence[ScanFile], seed: int
) -> dict[str, object]:
    return {
        "benchmark": "planted",
        "data": {"folder": " and ".join(sorted({SOURCES[f.source] for f in files})), "scans": len(files)},
        "split": {role: [f.id for f in files if f.role == role] for role in ("calibrate", "test")},
        "thresholds": {judge.method.name: judge.threshold for judge in judges},
        "lesions": {
            name: [vars(lesion) for planted in results for lesion in planted.lesions] for name, results in seen.items()
        },
        "planted_seed": EVALUATION_SEED,
        "bootstrap": {"resamples": RESAMPLES, "level": LEVEL, "over": "scans", "seed": seed},
    }
