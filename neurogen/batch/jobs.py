"""Which commands can run in a batch: what marks a finished scan, which files they take, what goes to the table."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurogen.errors import InputRefused


@dataclass(frozen=True)
class Scan:
    """One scan of a batch: its file or DICOM folder, the name of its results, and options of its own."""

    path: Path
    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchCommand:
    """What the batch has to know of a command of `neurogen`."""

    record: str  # the file of a result folder that is written last
    pictures: tuple[str, ...]  # BIDS suffixes that the command takes, the preferred first
    columns: tuple[str, ...]  # of the table, filled by `summary`
    summary: Callable[[Mapping[str, Any]], dict[str, Any]]  # from the content of `record`
    scan_options: Mapping[str, str] = field(default_factory=dict)  # column of list.csv -> option
    scan_files: tuple[str, ...] = ()  # those of these columns that hold paths
    dicom: bool = False  # whether a folder of DICOM files is a scan


def detect_summary(record: Mapping[str, Any]) -> dict[str, Any]:
    volumes = [lesion["volume_ml"] for lesion in record["lesions"]]
    return {
        "lesions": len(volumes),
        "volume_ml": round(sum(volumes), 3),
        "largest_ml": round(max(volumes, default=0), 3),
    }


def harmonize_summary(record: Mapping[str, Any]) -> dict[str, Any]:
    (scan,) = record["scans"]
    bits = {name: _rounded(scan[name]) for name in ("bits_before", "bits_after", "bits_reference")}
    return {**bits, "steps": scan["steps"], "stop_reason": scan["stop_reason"]}


def age_summary(record: Mapping[str, Any]) -> dict[str, Any]:
    low, high = record["interval_90_weeks"]
    numbers = {"predicted_weeks": record["predicted_weeks"], "low_90": low, "high_90": high}
    numbers |= {"age_weeks": record["age_weeks"], "corrected_gap_weeks": record["corrected_gap_weeks"]}
    return {name: _rounded(number) for name, number in numbers.items()}


COMMANDS: dict[str, BatchCommand] = {
    "detect": BatchCommand(
        record="detect.json",
        pictures=("T1w",),
        columns=("lesions", "volume_ml", "largest_ml"),
        summary=detect_summary,
        scan_options={"mask": "--mask"},
        scan_files=("mask",),
        dicom=True,
    ),
    "harmonize": BatchCommand(
        record="harmonize.json",
        pictures=("T1w",),
        columns=("bits_before", "bits_after", "bits_reference", "steps", "stop_reason"),
        summary=harmonize_summary,
        scan_options={"mask": "--masks"},
        scan_files=("mask",),
        dicom=True,
    ),
    "brain-age": BatchCommand(
        record="age.json",
        pictures=("desc-drawem87_dseg", "dseg", "T2w"),
        columns=("predicted_weeks", "low_90", "high_90", "age_weeks", "corrected_gap_weeks"),
        summary=age_summary,
        scan_options={"age": "--age"},
    ),
}


def is_done(folder: Path, command: BatchCommand) -> bool:
    return (folder / command.record).is_file()


def read_summary(folder: Path, command: BatchCommand) -> tuple[dict[str, Any], str]:
    """The table's columns of a finished scan, and its warnings. Raises InputRefused for a damaged record."""
    path = folder / command.record
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return command.summary(record), " ".join(_warnings(record["warnings"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputRefused(f"{path} is not a whole record of results ({error}). Run this scan again.") from error


def _rounded(number: float | None) -> float | str:
    return "" if number is None else round(number, 3)


def _warnings(stated: Sequence[str] | Mapping[str, Sequence[str]]) -> list[str]:
    """Those of one scan; `harmonize` names the scan that each belongs to."""
    return [word for words in stated.values() for word in words] if isinstance(stated, Mapping) else list(stated)
