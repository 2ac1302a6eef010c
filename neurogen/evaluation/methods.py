"""What a benchmark asks of a method, and how the shipped models are made to answer.

Anything with a `name`, a `threshold` (None = calibrated by the benchmark) and `score_slices` or `score_volume` can be
put into a table, a colleague's own detector too. Scores are floats, higher = more anomalous.

By name: the plain references, the shipped models by their methods, their mean, the id or the folder of any other model,
and NAME:SETTING=VALUE,... for a slice model's own map with other settings, such as mad-ad:source=mask.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from neurogen.environment import choose_device
from neurogen.errors import ModelUnavailable, UsageError
from neurogen.evaluation.model_methods import Ensemble, ModelMethod, OwnMap, ReflectPublished, crop_from_grid
from neurogen.evaluation.references import HealthyStatistics, ReferenceIntensity, ReferenceZscore
from neurogen.evaluation.score_cache import ScoreCache, TimedScores

if TYPE_CHECKING:
    from neurogen.models import Model, ModelStore

__all__ = ["Ensemble", "ModelMethod", "OwnMap", "ReflectPublished", "crop_from_grid"]  # used under this name

PUBLISHED = "reflect-published"  # the same network, with the anomaly map of the published evaluation
REFLECT_MODELS = {PUBLISHED: "adult-reflect", "reflect": "adult-reflect", "reflect-2": "adult-reflect-2"}
OTHER_MODELS = {"mad-ad": "adult-mad-ad", "deco-diff": "adult-deco-diff", "gaussian": "adult-gaussian"}
MODELS = REFLECT_MODELS | OTHER_MODELS
ENSEMBLE = "ensemble"  # of all shipped models that know the contrast, one for each method
MEMBERS = ("reflect", *OTHER_MODELS)
REFERENCES = ("reference-intensity", "reference-zscore")
METHODS = (*REFERENCES, *MODELS, ENSEMBLE)
STATISTICS_MODEL = "adult-reflect"  # the shipped model that carries the healthy statistics of the FLAIR slices


class SliceMethod(Protocol):
    """Scores axial slices. images (N, H, W) with 0 outside the brain, brain (N, H, W) bool -> (N, H, W) float."""

    name: str
    threshold: float | None

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray: ...


class VolumeMethod(Protocol):
    """Scores prepared scans. image (I, J, K) in [0, 1] on the working grid, brain bool -> (I, J, K) float."""

    name: str
    threshold: float | None

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray: ...


def read_model_statistics(model: "Model") -> HealthyStatistics:
    """Mean and deviation images of the FLAIR training slices, as they travel with the model.

    Raises ModelUnavailable when the model carries none.
    """
    for name in model.manifest["files"]:
        tensors = model.tensors(name.removesuffix(".safetensors"))
        if "flair_reference_mean" in tensors:
            mean, deviation = tensors["flair_reference_mean"], tensors["flair_reference_sd"]
            return HealthyStatistics(mean.float().numpy(), deviation.float().numpy())
    raise ModelUnavailable(
        f"The model {model.id!r} carries no healthy statistics of FLAIR slices (flair_reference_mean), but the file "
        "given has too few stroke-free slices to compute them from. Use the shipped adult-reflect, or give a file with "
        "275 stroke-free slices."
    )


def resolve(
    methods: Sequence[object] | None, build: Callable[[str], object], *, door: str
) -> tuple[list[object], list[str]]:
    """Method objects for names (None = all of METHODS) and notes on those left out.

    A model that is absent is left out with a note when nobody asked for it by name, and refused when somebody did.
    door: the method every object must have, `score_slices` or `score_volume`.
    """
    chosen, notes = [], []
    for method in METHODS if methods is None else methods:
        try:
            chosen.append(_by_name(method, build) if isinstance(method, str) else method)
        except ModelUnavailable as error:
            if methods is not None:
                raise
            notes.append(f"{method} is left out: {error}")
    lacking = [m for m in chosen if not callable(getattr(m, door, None))]
    if lacking:
        raise TypeError(f"{lacking[0]!r} cannot be benchmarked here: it has no {door}(images, brain).")
    return chosen, notes


def timed(method: SliceMethod | VolumeMethod, door: str, images: np.ndarray, brain: np.ndarray) -> TimedScores:
    """The scores of a door, and the seconds they took; of a model's kept scores, those of the run that made them."""
    if isinstance(method, (ModelMethod, Ensemble)):
        return method.timed(door, images, brain)
    start = time.perf_counter()
    scores = getattr(method, door)(images, brain)
    return TimedScores(scores, time.perf_counter() - start)


def model_method(
    name: str, store: "ModelStore", *, contrast: str, device: str, cache: ScoreCache | None = None
) -> ModelMethod | ReflectPublished:
    """The model behind a name of MODELS, an id or a folder, with its manifest's operating point for this contrast;
    with settings behind a colon, its own map."""
    base, settings = parsed(name)
    model = store.get(MODELS.get(base, base))
    known = model.manifest.get("contrast_scales", {})
    if contrast not in known:
        raise ModelUnavailable(
            f"The model {model.id!r} knows {', '.join(known) or 'no contrast'}, but {contrast} is scored here. "
            "Train it with such images, or choose another benchmark."
        )
    device, cache = choose_device(device), cache or ScoreCache()
    if base not in MODELS:
        name = name.replace(base, model.id, 1)  # a row is named after the model, not after its folder
    if base == PUBLISHED:
        return ReflectPublished(name, model, contrast, device)
    if settings:
        return OwnMap(name, model, contrast, device, None, cache, settings)
    return ModelMethod(name, model, contrast, device, operating_threshold(model, contrast), cache)


def parsed(name: str) -> tuple[str, dict[str, Any]]:
    """ "mad-ad:source=mask,steps=2" -> ("mad-ad", {"source": "mask", "steps": 2}). Raises UsageError."""
    base, colon, rest = name.rpartition(":")
    if not colon or "=" not in rest:
        return name, {}
    pairs = [part.partition("=") for part in rest.split(",")]
    if any(not (key and equals and value) for key, equals, value in pairs):
        raise UsageError(f"The settings in {name!r} cannot be read. Write them as METHOD:name=value,name=value.")
    return base, {key: _number_or_text(value) for key, _, value in pairs}


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def ensemble_method(store: "ModelStore", *, contrast: str, device: str, cache: ScoreCache | None = None) -> Ensemble:
    """All of MEMBERS whose models are here and know the contrast."""
    members = []
    for name in MEMBERS:
        try:
            members.append(model_method(name, store, contrast=contrast, device=device, cache=cache))
        except ModelUnavailable:  # its own row says so
            continue
    return Ensemble.of(ENSEMBLE, members)


def operating_threshold(model: "Model", contrast: str, *, reference: str | None = None) -> float | None:
    """The manifest's threshold for a contrast; with `reference`, that of a plain reference which travels along."""
    entry = model.manifest["calibration"].get(contrast, {})
    value = entry.get("reference_thresholds", {}).get(reference) if reference else entry.get("threshold")
    return None if value is None else float(value)


def slice_method(
    name: str, store: "ModelStore", healthy: HealthyStatistics | None, *, device: str, cache: ScoreCache | None = None
) -> SliceMethod:
    """One of METHODS, or another model, for FLAIR slices. healthy None = the statistics that travel with the shipped
    model."""
    if name not in REFERENCES:
        return _of_models(name, store, contrast="flair", device=device, cache=cache)
    threshold = None if healthy is not None else _shipped_reference_threshold(name, store)
    if name == "reference-intensity":
        return ReferenceIntensity(threshold=threshold)
    return ReferenceZscore(healthy or read_model_statistics(store.get(STATISTICS_MODEL)), threshold=threshold)


def volume_method(
    name: str,
    store: "ModelStore",
    healthy: Callable[[], HealthyStatistics],
    *,
    device: str,
    cache: ScoreCache | None = None,
) -> VolumeMethod:
    """One of METHODS, or another model, for prepared T1w scans. healthy() computes the statistics when the z-score asks
    for them."""
    if name not in REFERENCES:
        return _of_models(name, store, contrast="t1w", device=device, cache=cache)
    return ReferenceIntensity() if name == "reference-intensity" else ReferenceZscore(healthy())


def _of_models(
    name: str, store: "ModelStore", *, contrast: str, device: str, cache: ScoreCache | None
) -> ModelMethod | ReflectPublished | Ensemble:
    make = ensemble_method if name == ENSEMBLE else partial(model_method, name)
    return make(store, contrast=contrast, device=device, cache=cache)


def _shipped_reference_threshold(name: str, store: "ModelStore") -> float | None:
    if STATISTICS_MODEL not in store.ids():
        return None
    return operating_threshold(store.get(STATISTICS_MODEL), "flair", reference=name)


def _by_name(name: str, build: Callable[[str], object]) -> object:
    try:
        return build(name)
    except ModelUnavailable as error:
        if name in METHODS or parsed(name)[0] in METHODS:
            raise
        raise UsageError(
            f"The method {name!r} is unknown: {error} Choose from "
            f"{', '.join(METHODS)}, or give the id or the folder of "
            "a model."
        ) from error
