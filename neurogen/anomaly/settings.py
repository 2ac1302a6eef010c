"""What a user can choose of a detection. Needs no image library, so that Slicer can show it before any is installed."""

from dataclasses import dataclass

from neurogen.anomaly.lesions import DIRECTIONS
from neurogen.errors import UsageError


@dataclass(frozen=True)
class DetectionSettings:
    """How to detect. Every default is a choice of ours unless it names its origin."""

    model: str = "adult-reflect"
    steps: int = 1  # Euler steps; one as in section 5.3.3
    direction: str = "both"  # "both" | "bright" | "dark"
    threshold: float | None = None  # healthy standard deviations; None = the model's operating point
    registered: bool = False  # the scan already lies in MNI152 space
    bias_correction: bool = True
    device: str = "auto"  # "auto" | "cpu" | "cuda"
    seed: int = 0  # nothing in REFLECT is drawn at random; kept for methods that draw
    batch_size: int = 16
    minimum_lesion_ml: float = 0.1

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise UsageError(f"Direction {self.direction!r} is unknown. Choose one of {', '.join(DIRECTIONS)}.")
        if self.steps < 1 or self.batch_size < 1:
            raise UsageError("steps and batch_size must be at least 1.")
        if self.threshold is not None and not self.threshold > 0:
            raise UsageError(f"The threshold is {self.threshold}, but a positive score is needed.")
