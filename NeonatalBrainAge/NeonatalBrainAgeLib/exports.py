"""Results as files for other programs: label map, table, record, report."""

import csv
from collections.abc import Collection
from pathlib import Path

from NeonatalBrainAgeLib.result import Result
from NeuroGenLib.files import safeName
from NeuroGenLib.nodes import exportVolume

KINDS = ("nifti", "csv", "html", "json")


def exportResult(result: Result, folder: Path, kinds: Collection[str]) -> list[Path]:
    """Write the chosen kinds to `folder`, each file named after the input; return the paths.

    Raises ValueError or RuntimeError when a part was deleted or cannot be made, OSError when it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = result.input.GetName() if result.input is not None else result.table.GetName()
    stem = safeName(name)
    writers = {"nifti": _writeLabels, "csv": _writeTable, "html": _writeReport, "json": _writeRecord}
    return [writers[kind](result, folder, stem) for kind in KINDS if kind in kinds]


def _writeLabels(result: Result, folder: Path, stem: str) -> Path:
    path = folder / f"{stem}_regions.nii.gz"
    exportVolume(result.needed("labels"), path)
    return path


def _writeTable(result: Result, folder: Path, stem: str) -> Path:
    path, rows = folder / f"{stem}_regions.csv", result.rows()
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _writeReport(result: Result, folder: Path, stem: str) -> Path:
    return _writeText(result.needed("report"), folder / f"{stem}_report.html")


def _writeRecord(result: Result, folder: Path, stem: str) -> Path:
    return _writeText(result.needed("record"), folder / f"{stem}_age.json")


def _writeText(node, path: Path) -> Path:
    path.write_text(node.GetText(), encoding="utf-8")
    return path
