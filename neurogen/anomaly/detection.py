"""`detect`: one scan in, pseudo-healthy brain, anomaly map and lesions out, all on the scan's own grid."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from neurogen.anomaly.calibration import OperatingPoint
from neurogen.anomaly.ensemble import JointScore, joined, joint_point
from neurogen.anomaly.lesions import Lesion, cut_lesions
from neurogen.anomaly.settings import DetectionSettings
from neurogen.environment import choose_device
from neurogen.errors import OutOfMemory, UsageError
from neurogen.models import Model, ModelStore
from neurogen.preprocess.contrast import check_suitable
from neurogen.preprocess.prepare import PreparationSettings, PreparedScan, find_brain, prepare, to_native
from neurogen.progress import Progress, portion, silent
from neurogen.volumes import Volume

CONTRAST = "t1w"


@dataclass(frozen=True, eq=False)
class Detection:
    """The result of one scan. Every volume lies on the scan's own grid.

    pseudo_healthy : float32, in the scan's intensity units
    anomaly_map : float32, signed, healthy standard deviations: + brighter than healthy, - darker, 0 outside the brain
    lesions : int16, 0 background, 1 = the largest lesion; `table` has one row a lesion in that order
    brain : uint8
    uncertainty : float32, of several methods the standard deviation between their calibrated scores; None of one
    """

    pseudo_healthy: Volume
    anomaly_map: Volume
    lesions: Volume
    table: tuple[Lesion, ...]
    operating_point: OperatingPoint
    brain: Volume
    facts: dict
    warnings: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    uncertainty: Volume | None = None


def detect(
    volume: Volume,
    settings: DetectionSettings = DetectionSettings(),
    progress: Progress = silent,
    *,
    mask: Volume | None = None,
    store: ModelStore | None = None,
) -> Detection:
    """Find what is abnormal in a T1w head scan, by one method or by the mean of several.

    mask : the brain on the scan's grid; without it the brain-mask network is used.
    Raises InputRefused, ModelUnavailable, OutOfMemory, UsageError; Cancelled where `progress` raises it.
    """
    store = store or ModelStore()
    models = [store.get(name) for name in (settings.model, *settings.ensemble)]
    for model in models:
        refuse_unfit_model(model)
    device = choose_device(settings.device)
    clock = _Clock()
    with _MemoryErrorsNamed():
        progress("brain mask", 0.0)
        brain = find_brain(volume, mask, device=device)
        clock.lap("brain mask")
        warnings = check_suitable(volume, brain.array, volume.facts, models[0].manifest)
        preparation = PreparationSettings(bias_correction=settings.bias_correction, registered=settings.registered)
        prepared = prepare(volume, preparation, mask=brain, progress=portion(progress, 0.1, 0.6))
        warnings += prepared.warnings
        clock.lap("preparation")
        scored = [
            _score(prepared, model, settings, device, portion(progress, *_share(k, len(models))))
            for k, model in enumerate(models)
        ]
        clock.lap("network")
        detection = assemble(prepared, scored, models, settings, warnings, clock.seconds)
    progress("done", 1.0)
    return detection


def _share(k: int, n: int) -> tuple[float, float]:
    """The part of the progress that model k of n takes."""
    return 0.6 + 0.3 * k / n, 0.6 + 0.3 * (k + 1) / n


def refuse_unfit_model(model: Model) -> None:
    """Raise UsageError when a model is not one that detects anomalies in T1w volumes."""
    if model.manifest["task"] != "anomaly":
        raise UsageError(f"The model {model.id!r} is for {model.manifest['task']}; choose an anomaly model.")
    if CONTRAST not in model.manifest["calibration"]:
        raise UsageError(f"The model {model.id!r} has no operating point for T1w volumes. Choose another model.")


def _score(
    prepared: PreparedScan, model: Model, settings: DetectionSettings, device: str, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    from neurogen.anomaly.detector import ScoreSettings
    from neurogen.anomaly.score import score_volume

    chosen = ScoreSettings(steps=settings.steps or None, batch_size=settings.batch_size, seed=settings.seed)
    return score_volume(
        model, prepared.image, prepared.brain, contrast=CONTRAST, settings=chosen, device=device, progress=progress
    )


def assemble(
    prepared: PreparedScan,
    scored: Sequence[tuple[np.ndarray, np.ndarray]],
    models: Sequence[Model],
    settings: DetectionSettings,
    warnings: tuple[str, ...],
    seconds: Callable[[], dict[str, float]],
) -> Detection:
    """Bring score and pseudo-healthy image home and cut the lesions there.

    scored : score and pseudo-healthy image of each model. Several scores are averaged; the image is the first one's.
    """
    model, (score, pseudo_healthy) = models[0], scored[0]
    joint = joined([s for s, _ in scored], models) if len(models) > 1 else None
    score = score if joint is None else joint.score
    native = prepared.native
    brain = to_native(prepared.brain.astype(np.float32), prepared).array > 0.5
    anomaly = np.where(brain, to_native(score, prepared).array, 0).astype(np.float32)
    point = operating_point(models, settings)
    cut = cut_lesions(
        anomaly,
        native.affine,
        point.threshold,
        direction=settings.direction,
        minimum_ml=settings.minimum_lesion_ml,
        template_from_scan=np.linalg.inv(prepared.scan_from_grid),
        region_at=_region_names(),
    )
    return Detection(
        pseudo_healthy=Volume(_in_scan_units(pseudo_healthy, brain, prepared), native.affine),
        anomaly_map=Volume(anomaly, native.affine),
        lesions=Volume(cut.labels, native.affine),
        table=cut.lesions,
        operating_point=point,
        brain=Volume(brain.astype(np.uint8), native.affine),
        facts={
            **native.facts,
            **prepared.facts,
            "model": model.id,
            "model_version": model.manifest["version"],
            "model_sha256": model.sha256,
            "template_from_scan": np.linalg.inv(prepared.scan_from_grid).tolist(),  # RAS mm, to cut lesions again
            **({} if joint is None else {"ensemble": [_named(m) for m in models]}),
        },
        warnings=warnings,
        seconds=seconds(),
        uncertainty=None if joint is None else _uncertainty(joint, brain, prepared),
    )


def _named(model: Model) -> dict[str, str]:
    return {"id": model.id, "version": model.manifest["version"], "weights_sha256": model.sha256}


def _uncertainty(joint: JointScore, brain: np.ndarray, prepared: PreparedScan) -> Volume:
    native = to_native(joint.uncertainty, prepared).array
    return Volume(np.where(brain, np.maximum(native, 0), 0).astype(np.float32), prepared.native.affine)


def operating_point(models: Sequence[Model], settings: DetectionSettings) -> OperatingPoint:
    """The threshold in use, and what it means."""
    calibration = models[0].manifest["calibration"][CONTRAST]
    own = OperatingPoint(calibration["threshold"], calibration["sentence"])
    if len(models) > 1:
        own = joint_point(models, contrast=CONTRAST)
    if settings.threshold is None:
        return own
    return OperatingPoint(
        settings.threshold,
        f"Marked is what deviates by more than {settings.threshold:.2f} healthy standard deviations, as chosen by the "
        f"user (the model's own operating point is {own.threshold:.2f}).",
    )


def _in_scan_units(pseudo_healthy: np.ndarray, brain: np.ndarray, prepared: PreparedScan) -> np.ndarray:
    """The scan plus the flow's change, with the bias field put back: only what the flow moved differs."""
    change = to_native(pseudo_healthy - prepared.image, prepared).array * prepared.scale.unit
    scan = prepared.native.array
    field = np.where(prepared.corrected > 1e-6, scan / np.maximum(prepared.corrected, 1e-6), 1.0)
    return np.where(brain, np.maximum(scan + change * field, 0), scan).astype(np.float32)


def _region_names() -> Callable:
    from neurogen.preprocess.atlas import region_at

    return lambda point: region_at(tuple(point))


class _MemoryErrorsNamed:
    """Turns every way of running out of memory into OutOfMemory."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            raise OutOfMemory(
                f"The memory did not suffice ({error}). Close other programs, lower --batch-size, or use --device cpu."
            ) from error


class _Clock:
    def __init__(self) -> None:
        self._laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._laps[stage] = round(now - self._last, 2)
        self._last = now

    def seconds(self) -> dict[str, float]:
        """All laps; the time since the last one is that of the results."""
        self.lap("results")
        return dict(self._laps)
