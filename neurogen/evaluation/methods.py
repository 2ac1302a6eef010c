"""What a benchmark asks of a method, and how the shipped models are made to answer.

Anything with a `name`, a `threshold` (None = calibrated by the benchmark) and `score_slices` or `score_volume` can be
put into a table, a colleague's own detector too. Scores are floats, higher = more anomalous.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from neurogen.environment import choose_device
from neurogen.errors import ModelUnavailable, UsageError
from neurogen.evaluation.references import HealthyStatistics, ReferenceIntensity, ReferenceZscore
from neurogen.training.cache import pad_pictures

if TYPE_CHECKING:
    from neurogen.anomaly.detector import Detector
    from neurogen.models import Model, ModelStore

PUBLISHED = "reflect-published"  # the same network, with the anomaly map of the published evaluation
REFLECT_MODELS = {PUBLISHED: "adult-reflect", "reflect": "adult-reflect", "reflect-2": "adult-reflect-2"}
OTHER_MODELS = {"mad-ad": "adult-mad-ad", "deco-diff": "adult-deco-diff", "gaussian": "adult-gaussian"}
MODELS = REFLECT_MODELS | OTHER_MODELS
ENSEMBLE = "ensemble"  # of all shipped models that know the contrast, one for each method
MEMBERS = ("reflect", *OTHER_MODELS)
METHODS = ("reference-intensity", "reference-zscore", *MODELS, ENSEMBLE)
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


@dataclass(frozen=True)
class ModelMethod:
    """A model as a benchmark method. Slices are scored for what is too bright, volumes for either direction."""

    name: str
    model: "Model"
    contrast: str
    device: str
    threshold: float | None

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """uint8 slices of any size up to the grid's: 255 becomes 1, zero-padded around, scored, cropped back."""
        from neurogen.anomaly.score import score_slices

        padded = pad_pictures(images.astype(np.float32) / 255)
        scores = score_slices(self.model, padded, pad_pictures(brain), contrast=self.contrast, device=self.device)
        return crop_from_grid(scores, images.shape[1:])

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """A prepared scan, as `detect` scores it between preparation and the way back."""
        return np.abs(self.signed_volume(image, brain))

    def signed_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """The same, + brighter and - darker than healthy."""
        from neurogen.anomaly.score import score_volume

        return score_volume(self.model, image, brain, contrast=self.contrast, device=self.device)[0]


@dataclass(frozen=True)
class Ensemble:
    """The mean of the members' calibrated scores, cut at the mean of their operating points."""

    name: str
    members: tuple[ModelMethod, ...]
    threshold: float | None

    @classmethod
    def of(cls, members: Sequence[ModelMethod]) -> "Ensemble":
        """Raises ModelUnavailable for fewer than two members."""
        from neurogen.anomaly.ensemble import joint_point

        if len(members) < 2:
            raise ModelUnavailable("An ensemble takes two methods at least, but fewer models are here.")
        models = [member.model for member in members]
        return cls(ENSEMBLE, tuple(members), joint_point(models, contrast=members[0].contrast).threshold)

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """uint8 slices as `ModelMethod` takes them."""
        return self._joined([member.score_slices(images, brain) for member in self.members])

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """A prepared scan as `ModelMethod` takes it; members of opposite directions cancel out."""
        return np.abs(self._joined([member.signed_volume(image, brain) for member in self.members]))

    def _joined(self, scores: list[np.ndarray]) -> np.ndarray:
        from neurogen.anomaly.ensemble import joined

        return joined(scores, [m.model for m in self.members], contrast=self.members[0].contrast).score


@dataclass(frozen=True)
class ReflectPublished:
    """A REFLECT model under the map of eq. 5.10 as published: unsigned, clipped, smoothed, no healthy statistics.

    It has no operating point of its own: the benchmark calibrates it where it has healthy scans to do so.
    """

    name: str
    model: "Model"
    contrast: str
    device: str
    threshold: float | None = None

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """uint8 slices as `ModelMethod` takes them."""
        from neurogen.anomaly.published import published_slices

        padded = pad_pictures(images.astype(np.float32) / 255)
        scores = published_slices(self._detector(), padded, pad_pictures(brain), contrast=self.contrast)
        return crop_from_grid(scores, images.shape[1:])

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """A prepared scan as `ModelMethod` takes it."""
        from neurogen.anomaly.published import published_volume

        return published_volume(self._detector(), image, brain, contrast=self.contrast)

    def _detector(self) -> "Detector":
        return _loaded(self.model, self.device)


@lru_cache(maxsize=1)
def _loaded(model: "Model", device: str) -> "Detector":
    from neurogen.anomaly.detector import load_detector

    return load_detector(model, device=device)


def crop_from_grid(slices: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(N, 192, 160) -> (N, *shape): the inverse of `pad_pictures`."""
    top, left = (slices.shape[1] - shape[0]) // 2, (slices.shape[2] - shape[1]) // 2
    return slices[:, top : top + shape[0], left : left + shape[1]]


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


def model_method(name: str, store: "ModelStore", *, contrast: str, device: str) -> ModelMethod | ReflectPublished:
    """The model behind a name of MODELS, with its manifest's operating point for this contrast."""
    model = store.get(MODELS[name])
    known = model.manifest.get("contrast_scales", {})
    if contrast not in known:
        raise ModelUnavailable(
            f"The model {model.id!r} knows {', '.join(known) or 'no contrast'}, but {contrast} is scored here. "
            "Train it with such images, or choose another benchmark."
        )
    if name == PUBLISHED:
        return ReflectPublished(name, model, contrast, choose_device(device))
    return ModelMethod(name, model, contrast, choose_device(device), operating_threshold(model, contrast))


def ensemble_method(store: "ModelStore", *, contrast: str, device: str) -> Ensemble:
    """All of MEMBERS whose models are here and know the contrast."""
    members = []
    for name in MEMBERS:
        try:
            members.append(model_method(name, store, contrast=contrast, device=device))
        except ModelUnavailable:  # its own row says so
            continue
    return Ensemble.of(members)


def operating_threshold(model: "Model", contrast: str, *, reference: str | None = None) -> float | None:
    """The manifest's threshold for a contrast; with `reference`, that of a plain reference which travels along."""
    entry = model.manifest["calibration"].get(contrast, {})
    value = entry.get("reference_thresholds", {}).get(reference) if reference else entry.get("threshold")
    return None if value is None else float(value)


def slice_method(name: str, store: "ModelStore", healthy: HealthyStatistics | None, *, device: str) -> SliceMethod:
    """One of METHODS for FLAIR slices. healthy None = the statistics that travel with the shipped model."""
    if name == ENSEMBLE:
        return ensemble_method(store, contrast="flair", device=device)
    if name in MODELS:
        return model_method(name, store, contrast="flair", device=device)
    threshold = None if healthy is not None else _shipped_reference_threshold(name, store)
    if name == "reference-intensity":
        return ReferenceIntensity(threshold=threshold)
    return ReferenceZscore(healthy or read_model_statistics(store.get(STATISTICS_MODEL)), threshold=threshold)


def volume_method(
    name: str, store: "ModelStore", healthy: Callable[[], HealthyStatistics], *, device: str
) -> VolumeMethod:
    """One of METHODS for prepared T1w scans. healthy() computes the statistics when the z-score asks for them."""
    if name == ENSEMBLE:
        return ensemble_method(store, contrast="t1w", device=device)
    if name in MODELS:
        return model_method(name, store, contrast="t1w", device=device)
    return ReferenceIntensity() if name == "reference-intensity" else ReferenceZscore(healthy())


def _shipped_reference_threshold(name: str, store: "ModelStore") -> float | None:
    if STATISTICS_MODEL not in store.ids():
        return None
    return operating_threshold(store.get(STATISTICS_MODEL), "flair", reference=name)


def _by_name(name: str, build: Callable[[str], object]) -> object:
    if name not in METHODS:
        raise UsageError(f"The method {name!r} is unknown. Choose from {', '.join(METHODS)}.")
    return build(name)
