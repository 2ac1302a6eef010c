"""What a user can choose of a detection. Needs no image library, so that Slicer can show it before any is installed."""

from dataclasses import dataclass

from neurogen.anomaly.lesions import DIRECTIONS
from neurogen.errors import UsageError


@dataclass(frozen=True)
class DetectionSettings:
    """How to detect. Every default is a choice of ours unless it names its origin."""

    model: str = "adult-reflect"
    ensemble: tuple[str, ...] = ()  # further models, whose calibrated scores are averaged with those of `model`
    steps: int = 0  # of the correction; 0 = as many as the model was calibrated with (REFLECT: 1, section 5.3.3)
    direction: str = "both"  # "both" | "bright" | "dark"
    threshold: float | None = None  # healthy standard deviations; None = the model's operating point
    registered: bool = False  # the scan already lies in MNI152 space
    bias_correction: bool = True
    device: str = "auto"  # "auto" | "cpu" | "cuda"
    seed: int = 0  # MAD-AD draws at random, the other methods do not
    batch_size: int = 16
    minimum_lesion_ml: float = 0.1

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise UsageError(f"Direction {self.direction!r} is unknown. Choose one of {', '.join(DIRECTIONS)}.")
        if self.steps < 0 or self.batch_size < 1:
            raise UsageError("steps must be at least 0 (as the model was calibrated), batch_size at least 1.")
        if self.threshold is not None and not self.threshold > 0:
            raise UsageError(f"The threshold is {self.threshold}, but a positive score is needed.")
        if self.model in self.ensemble or len(set(self.ensemble)) < len(self.ensemble):
            raise UsageError("A model is named twice. An ensemble takes each model once.")
