"""What is known of a scan beside its voxels: DICOM tags, so that the command line can warn about contrast and age."""

import json
import logging
from pathlib import Path
from typing import Any

import slicer

# Keyword -> (group, element); those that the command line reads of a JSON file beside the scan.
TAGS = {
    "Modality": "0008,0060",
    "SeriesDescription": "0008,103e",
    "RepetitionTime": "0018,0080",
    "EchoTime": "0018,0081",
    "InversionTime": "0018,0082",
    "ContrastBolusAgent": "0018,0010",
    "PatientAge": "0010,1010",
    "BodyPartExamined": "0018,0015",
}
TIMES = ("RepetitionTime", "EchoTime", "InversionTime")  # DICOM: ms; in the JSON file, as BIDS has it: s


def dicomFiles(volumeNode) -> list[str]:
    """The DICOM files that a volume was loaded from, in the order of its slices; empty where it was not."""
    database = getattr(slicer, "dicomDatabase", None)
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is None or not getattr(database, "isOpen", False) or not uids:
        return []
    files = [database.fileForInstance(uid) for uid in uids]
    return files if all(files) else []


def writeSidecar(volumeNode, scanPath: Path) -> None:
    """Put what is known of a volume into the JSON file beside its exported scan, if anything is."""
    facts = _fromDicom(volumeNode) or _fromFile(volumeNode)
    if facts:
        scanPath.with_name(scanPath.name.removesuffix(".gz")).with_suffix(".json").write_text(
            json.dumps(facts), encoding="utf-8"
        )


def _fromDicom(volumeNode) -> dict[str, Any]:
    files = dicomFiles(volumeNode)
    if not files:
        return {}
    values = {name: slicer.dicomDatabase.fileValue(files[0], tag) for name, tag in TAGS.items()}
    facts: dict[str, Any] = {name: value.strip() for name, value in values.items() if value and value.strip()}
    for name in TIMES:
        if name in facts:
            facts[name] = _seconds(facts[name])
    return {name: value for name, value in facts.items() if value is not None}


def _seconds(milliseconds: str) -> float | None:
    """None for what is no number: some scanners write several, or none."""
    try:
        return float(milliseconds) / 1000
    except ValueError:
        return None


def _fromFile(volumeNode) -> dict[str, Any]:
    """The JSON file beside the file that the volume was loaded from; nothing where there is none that can be read."""
    storage = volumeNode.GetStorageNode()
    if storage is None or not storage.GetFileName():
        return {}
    source = Path(storage.GetFileName())
    sidecar = source.with_name(source.name.removesuffix(".gz")).with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logging.warning("%s beside the scan could not be read and was ignored: %s", sidecar, error)
        return {}
    return {name: content[name] for name in TAGS if name in content} if isinstance(content, dict) else {}
