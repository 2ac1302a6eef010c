"""What the user chose: frozen dataclasses, mirrored in the parameter node."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INPUTS, RESULT = "Inputs", "SiteTable"  # node references of the parameter node
ADAPTS = ("site", "scan", "none")
STOPS = ("bits", "entropy", "cap")
PLANES = ("axial", "coronal", "sagittal", "mean")
COMPARISONS = ("harmonized", "input", "fade", "checkerboard")


@dataclass(frozen=True)
class HarmonizeSettings:
    """How scans are harmonized; see `neurogen.harmonize.settings`."""

    model: str = "harmonize-t1-adult"
    adapt: str = "site"
    stop: str = "bits"
    plane: str = "axial"
    mostSteps: int = 40
    shading: bool = True
    together: bool = False  # not where every scan is adapted to by itself
    ownCurve: bool = False
    segmenter: str = ""  # path of a TorchScript network, for the stop rule "entropy"
    device: str = "auto"

    def __post_init__(self) -> None:
        _check(self.adapt, ADAPTS)
        _check(self.stop, STOPS)
        _check(self.plane, PLANES)


@dataclass(frozen=True)
class ViewSettings:
    """How a result is compared with its input. fade: 0 shows the input, 1 the harmonized scan."""

    scan: int = 0  # which of the result's scans
    compare: str = "harmonized"
    fade: float = 0.5

    def __post_init__(self) -> None:
        _check(self.compare, COMPARISONS)


def harmonizeArguments(settings: HarmonizeSettings, scans: Sequence[Path], out: Path) -> list[str]:
    """The command line that harmonizes `scans` with these settings."""
    arguments = ["harmonize", *map(str, scans), "--out", str(out), "--model", settings.model]
    arguments += ["--adapt", settings.adapt, "--stop", settings.stop, "--plane", settings.plane]
    arguments += ["--most-steps", str(settings.mostSteps), "--device", settings.device]
    if not settings.shading:
        arguments.append("--no-shading")
    if settings.together and settings.adapt != "scan":
        arguments.append("--together")
    if settings.ownCurve:
        arguments.append("--own-curve")
    if settings.stop == "entropy":
        arguments += ["--segmenter", settings.segmenter]
    return arguments


def _check(value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(choices)}.")
