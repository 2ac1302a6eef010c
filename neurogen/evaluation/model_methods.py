"""Trained models as benchmark methods: as `detect` runs them, their mean, and their own maps with other settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from neurogen.errors import ModelUnavailable, UsageError
from neurogen.evaluation.score_cache import ScoreCache, TimedScores, identity_of
from neurogen.training.cache import pad_pictures

if TYPE_CHECKING:
    from neurogen.anomaly.detector import Detector
    from neurogen.models import Model


@dataclass(frozen=True, eq=False)
class ModelMethod:
    """A model as a benchmark method. Slices are scored for what is too bright, volumes for either direction."""

    name: str
    model: "Model"
    contrast: str
    device: str
    threshold: float | None
    cache: ScoreCache = field(default_factory=ScoreCache)

    @property
    def chosen(self) -> Mapping[str, Any]:
        """What is set otherwise than in the model's manifest."""
        return {}

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """uint8 slices of any size up to the grid's: 255 becomes 1, zero-padded around, scored, cropped back."""
        return self.timed("score_slices", images, brain).scores

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """A prepared scan, as `detect` scores it between preparation and the way back."""
        return self.timed("score_volume", image, brain).scores

    def timed(self, door: str, images: np.ndarray, brain: np.ndarray) -> TimedScores:
        """What a door gives, and the seconds it took."""
        found = self.signed(door, images, brain)
        return found if door == "score_slices" else TimedScores(np.abs(found.scores), found.seconds)

    def signed(self, door: str, images: np.ndarray, brain: np.ndarray) -> TimedScores:
        """The same, + brighter and - darker than healthy."""
        compute = self._slices if door == "score_slices" else self._volume
        identity = identity_of(self.model, self.contrast, {"method": type(self).__name__, **self.chosen})
        return self.cache.get(identity, images, brain, lambda: compute(images, brain))

    def _slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        padded = pad_pictures(images.astype(np.float32) / 255)
        return crop_from_grid(self._padded_scores(padded, pad_pictures(brain)), images.shape[1:])

    def _padded_scores(self, padded: np.ndarray, brain: np.ndarray) -> np.ndarray:
        from neurogen.anomaly.score import score_slices

        return score_slices(self.model, padded, brain, contrast=self.contrast, device=self.device)

    def _volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        from neurogen.anomaly.score import score_volume

        return score_volume(self.model, image, brain, contrast=self.contrast, device=self.device)[0]


@dataclass(frozen=True, eq=False)
class OwnMap(ModelMethod):
    """A slice model's own map with some of its settings changed: how far it moved the scan, without healthy statistics.

    These were measured for the settings that the model came with, and would not be fair to others. The benchmark
    calibrates the threshold where it has healthy scans.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> Mapping[str, Any]:
        return dict(self.settings)

    def _padded_scores(self, padded: np.ndarray, brain: np.ndarray) -> np.ndarray:
        from neurogen.anomaly.detector import ScoreSettings
        from neurogen.anomaly.score import enlarge

        maps = self._detector().slice_maps(padded, brain, self.contrast, ScoreSettings())
        return np.stack([enlarge(cells) for cells in maps.flow])

    def _volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        from neurogen.anomaly.detector import ScoreSettings
        from neurogen.anomaly.score import enlarge
        from neurogen.preprocess.grid import from_slices

        maps, _ = self._detector().volume_maps(image, brain, self.contrast, ScoreSettings())
        return from_slices(enlarge(maps.flow))

    def _detector(self) -> "Detector":
        return _loaded_with(self.model, self.device, tuple(sorted(self.settings.items())))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The mean of the members' calibrated scores, cut at the mean of their operating points."""

    name: str
    members: tuple[ModelMethod, ...]
    threshold: float | None

    @classmethod
    def of(cls, name: str, members: Sequence[ModelMethod]) -> "Ensemble":
        """Raises ModelUnavailable for fewer than two members."""
        from neurogen.anomaly.ensemble import joint_point

        if len(members) < 2:
            raise ModelUnavailable("An ensemble takes two methods at least, but fewer models are here.")
        models = [member.model for member in members]
        return cls(name, tuple(members), joint_point(models, contrast=members[0].contrast).threshold)

    def score_slices(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """uint8 slices as `ModelMethod` takes them."""
        return self.timed("score_slices", images, brain).scores

    def score_volume(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """A prepared scan as `ModelMethod` takes it; members of opposite directions cancel out."""
        return self.timed("score_volume", image, brain).scores

    def timed(self, door: str, images: np.ndarray, brain: np.ndarray) -> TimedScores:
        """What a door gives, and the seconds that its members took."""
        from neurogen.anomaly.ensemble import joined

        found = [member.signed(door, images, brain) for member in self.members]
        models = [member.model for member in self.members]
        score = joined([f.scores for f in found], models, contrast=self.members[0].contrast).score
        return TimedScores(score if door == "score_slices" else np.abs(score), sum(f.seconds for f in found))


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
        return _loaded_with(self.model, self.device, ())


@lru_cache(maxsize=1)
def _loaded_with(model: "Model", device: str, settings: tuple[tuple[str, Any], ...]) -> "Detector":
    """The detector of a model, some settings of its correction changed."""
    from neurogen.anomaly.detector import load_detector

    detector = load_detector(model, device=device)
    try:
        detector.correction = replace(detector.correction, **dict(settings))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{model.manifest['method']} cannot run with {dict(settings)}: {error}") from error
    return detector


def crop_from_grid(slices: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(N, 192, 160) -> (N, *shape): the inverse of `pad_pictures`."""
    top, left = (slices.shape[1] - shape[0]) // 2, (slices.shape[2] - shape[1]) // 2
    return slices[:, top : top + shape[0], left : left + shape[1]]
