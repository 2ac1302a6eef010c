"""What the user chose: frozen dataclasses, mirrored in the parameter node so that a saved scene brings them back.

Defaults have one home, the dataclasses; the node holds JSON and never redefines them.
"""

import json
import logging
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from neurogen.anomaly import DetectionSettings
from neurogen.errors import UsageError

INPUT, MASK, RESULT = "InputVolume", "BrainMask", "AnomalyMap"  # node references of the parameter node
SHOWN = ("input", "pseudoHealthy", "difference")

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class ViewSettings:
    """How a result is shown. The opacity is that of the anomaly map over the volume below, 0 to 1."""

    shown: str = "input"  # one of SHOWN: the volume below the map
    overlay: bool = True
    opacity: float = 0.7
    outlines: bool = True
    sideBySide: bool = False

    def __post_init__(self) -> None:
        if self.shown not in SHOWN:
            raise UsageError(f"{self.shown!r} cannot be shown. Choose one of {', '.join(SHOWN)}.")


def readSettings(parameterNode, kind: type[Settings]) -> Settings:
    """The settings that a parameter node holds; the default of each that it does not hold or that cannot be read."""
    settings = kind()
    for field in fields(kind):
        text = parameterNode.GetParameter(_key(kind, field.name))
        if not text:
            continue
        try:
            settings = replace(settings, **{field.name: json.loads(text)})
        except (ValueError, TypeError, UsageError) as error:
            logging.warning("The saved setting %s=%s is not used: %s", field.name, text, error)
    return settings


def writeSettings(parameterNode, settings: Any) -> None:
    """Put settings into a parameter node; one that has not changed causes no event."""
    wasModifying = parameterNode.StartModify()
    for name, value in asdict(settings).items():
        key, text = _key(type(settings), name), json.dumps(value)
        if parameterNode.GetParameter(key) != text:
            parameterNode.SetParameter(key, text)
    parameterNode.EndModify(wasModifying)


def detectArguments(settings: DetectionSettings, scan: Path, out: Path, *, mask: Path | None = None) -> list[str]:
    """The command line that detects in `scan` with these settings."""
    arguments = ["detect", str(scan), "--out", str(out), "--device", settings.device]
    arguments += ["--model", settings.model, "--direction", settings.direction]
    arguments += ["--steps", str(settings.steps), "--batch-size", str(settings.batch_size)]
    arguments += ["--seed", str(settings.seed), "--minimum-lesion-ml", repr(settings.minimum_lesion_ml)]
    arguments += ["--threshold", repr(settings.threshold)] if settings.threshold is not None else []
    arguments += ["--mask", str(mask)] if mask is not None else []
    arguments += ["--registered"] if settings.registered else []
    return arguments + ([] if settings.bias_correction else ["--no-bias-correction"])


def _key(kind: type, name: str) -> str:
    return f"{kind.__name__}.{name}"
