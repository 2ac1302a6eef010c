"""What the user chose of the views, the names of the node references, and the settings as a command line."""

from dataclasses import dataclass
from pathlib import Path

from neurogen.anomaly import DetectionSettings

# Node references of the parameter node; COMPARED is the anomaly map beside that of RESULT.
INPUT, MASK, RESULT, COMPARED = "InputVolume", "BrainMask", "AnomalyMap", "ComparedMap"
SHOWN = ("input", "pseudoHealthy", "difference")


@dataclass(frozen=True)
class ViewSettings:
    """How a result is shown. The opacity is that of the map over the volume below, 0 to 1.

    `uncertainty` shows how far methods disagree in place of the anomaly map, where the result knows it; `compared`
    shows two methods beside each other, and goes before `sideBySide`.
    """

    shown: str = "input"  # one of SHOWN: the volume below the map
    overlay: bool = True
    uncertainty: bool = False
    opacity: float = 0.7
    outlines: bool = True
    show3D: bool = True
    sideBySide: bool = False
    compared: bool = False

    def __post_init__(self) -> None:
        if self.shown not in SHOWN:
            raise ValueError(f"{self.shown!r} cannot be shown. Choose one of {', '.join(SHOWN)}.")


def detectArguments(settings: DetectionSettings, scan: Path, out: Path, *, mask: Path | None = None) -> list[str]:
    """The command line that detects in `scan` with these settings."""
    arguments = ["detect", str(scan), "--out", str(out), "--device", settings.device]
    for model in (settings.model, *settings.ensemble):
        arguments += ["--model", model]
    arguments += ["--steps", str(settings.steps)] if settings.steps else []
    arguments += ["--direction", settings.direction, "--batch-size", str(settings.batch_size)]
    arguments += ["--seed", str(settings.seed), "--minimum-lesion-ml", repr(settings.minimum_lesion_ml)]
    arguments += ["--threshold", repr(settings.threshold)] if settings.threshold is not None else []
    arguments += ["--mask", str(mask)] if mask is not None else []
    arguments += ["--registered"] if settings.registered else []
    return arguments + ([] if settings.bias_correction else ["--no-bias-correction"])
