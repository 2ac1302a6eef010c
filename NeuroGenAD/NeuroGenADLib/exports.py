"""Results as files for other programs: NIfTI, CSV and HTML report at once, DICOM SEG by a child process."""

import csv
import logging
from collections.abc import Callable, Collection
from html import escape
from pathlib import Path

from NeuroGenADLib.lesion_nodes import NUMBERS, WORDS, rowsOf
from NeuroGenADLib.recut import inWords
from NeuroGenADLib.result import Result
from NeuroGenLib.dicom_export import startDicomSeg, whyNoDicomSeg
from NeuroGenLib.files import safeName
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.job import Job
from NeuroGenLib.nodes import exportSegmentation, exportVolume, segmentIds
from NeuroGenLib.outcome import Outcome

KINDS = ("nifti", "csv", "html")
_VOLUMES = {
    "anomalyMap": "anomaly_map",
    "pseudoHealthy": "pseudo_healthy",
    "difference": "difference",
    "uncertainty": "uncertainty",
}


def exportResult(result: Result, folder: Path, kinds: Collection[str]) -> list[Path]:
    """Write the chosen kinds to `folder`, each file named after the scan; return the paths.

    Earlier exports of the same scan are replaced. Raises ValueError or RuntimeError when a file cannot be made, OSError
    when it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = fileStem(result)
    writers = {"nifti": _writeVolumes, "csv": _writeTable, "html": _writeReport}
    written = [path for kind in KINDS if kind in kinds for path in writers[kind](result, folder / stem)]
    logging.info("Exported %s", ", ".join(map(str, written)))
    return written


def fileStem(result: Result) -> str:
    """The scan's name with the characters that every file system takes."""
    name = result.input.GetName() if result.input is not None else result.map.GetName()
    return safeName(name)


def _writeVolumes(result: Result, stem: Path) -> list[Path]:
    nodes = {name: result.map if role == "anomalyMap" else result.node(role) for role, name in _VOLUMES.items()}
    paths = []
    for name, node in nodes.items():
        if node is not None:
            paths.append(stem.with_name(f"{stem.name}_{name}.nii.gz"))
            exportVolume(node, paths[-1])
    segmentation = result.node("lesions")
    if segmentation is not None:
        paths.append(stem.with_name(f"{stem.name}_regions.nii.gz"))
        exportSegmentation(segmentation, result.map, paths[-1])
    return paths


def _writeTable(result: Result, stem: Path) -> list[Path]:
    path = stem.with_name(f"{stem.name}_regions.csv")
    columns = ["label", *NUMBERS, *WORDS]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for row in rowsOf(result.needed("table")):
            writer.writerow([row.label, *row.numbers.values(), *row.words.values()])
    return [path]


def _writeReport(result: Result, stem: Path) -> list[Path]:
    """The report of the run; where the lesions were cut again since, it says so."""
    path = stem.with_name(f"{stem.name}_report.html")
    path.write_text(_withCutNote(result.needed("report").GetText(), result), encoding="utf-8")
    return [path]


def _withCutNote(html: str, result: Result) -> str:
    record = result.record
    if result.cut == record.defaultCut:
        return html
    note = _("Pictures and table below are those of the run. The regions were cut again in 3D Slicer since:")
    words = inWords(result.cut, record.defaultCut, record.sentence)
    count = _("{count} regions are marked now.").format(count=len(rowsOf(result.needed("table"))))
    return html.replace("</header>", f"<p><b>{escape(note)}</b> {escape(words)} {escape(count)}</p></header>", 1)


def startDicomExport(result: Result, folder: Path, onFinished: Callable[[Outcome], None]) -> tuple[Job, Path]:
    """Start writing the regions as DICOM SEG in a child process; the job to poll and the file that it will write.

    Raises ValueError where `whyNoDicom` says why not.
    """
    reason = whyNoDicom(result)
    if reason:
        raise ValueError(reason)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{fileStem(result)}_regions.dcm"
    model = result.record.attributes["model"]
    return startDicomSeg(result.needed("lesions"), result.input, path, onFinished=onFinished, model=model), path


def whyNoDicom(result: Result) -> str:
    """Why the regions cannot be a DICOM segmentation; empty when they can."""
    lesions = result.node("lesions")
    if lesions is None or not segmentIds(lesions):
        return _("No region is marked.")
    return whyNoDicomSeg(result.input)
