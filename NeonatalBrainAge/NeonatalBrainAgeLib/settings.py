"""What the user chose: frozen dataclasses, mirrored in the parameter node."""

from dataclasses import dataclass
from pathlib import Path

INPUT, RESULT = "Input", "AgeTable"  # node references of the parameter node
CHARTS = ("all", "term", "preterm", "female", "male")
COLORINGS = ("svr_z", "rv_z", "importance", "regions")
FEATURES = ("svr", "rv")


@dataclass(frozen=True)
class AgeJobSettings:
    """How an age is read. ageWeeks: postmenstrual age at the scan, used when isAgeKnown."""

    isAgeKnown: bool = False
    ageWeeks: float = 40.0
    charts: str = "all"  # one of CHARTS: the infants to compare with
    model: str = "neonatal-age"
    segmenter: str = "neonatal-regions"
    device: str = "auto"

    def __post_init__(self) -> None:
        _check(self.charts, CHARTS)


@dataclass(frozen=True)
class ViewSettings:
    """How a result is shown. opacity: of the colored regions over the scan, 0 to 1."""

    colorBy: str = "svr_z"  # one of COLORINGS
    opacity: float = 0.6
    show3D: bool = False
    feature: str = "svr"  # one of FEATURES: what the growth chart shows

    def __post_init__(self) -> None:
        _check(self.colorBy, COLORINGS)
        _check(self.feature, FEATURES)


def ageArguments(settings: AgeJobSettings, scan: Path, out: Path) -> list[str]:
    """The command line that reads the age of `scan` with these settings."""
    arguments = ["brain-age", str(scan), "--out", str(out), "--charts", settings.charts]
    arguments += ["--model", settings.model, "--segmenter", settings.segmenter, "--device", settings.device]
    return arguments + (["--age", repr(settings.ageWeeks)] if settings.isAgeKnown else [])


def _check(value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(choices)}.")
