"""The files of one detection: three volumes, a table, a report, and for each what made it."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurogen.environment import versions
from neurogen.outputs import LEAST_FREE_BYTES, file_of, input_of, write_json
from neurogen.progress import Progress, silent

if TYPE_CHECKING:
    from neurogen.anomaly import Detection, DetectionSettings
    from neurogen.anomaly.lesions import Lesion
    from neurogen.models import Model
    from neurogen.volumes import Volume

VOLUMES = {
    "pseudo_healthy": "The scan as it would look without what the model holds for abnormal; intensities of the scan.",
    "anomaly_map": "Deviation in standard deviations of healthy brains; + brighter, - darker than healthy.",
    "lesions": "Marked regions: voxels hold the labels of lesions.tsv, 0 elsewhere.",
}
UNCERTAINTY = "Standard deviation between the calibrated scores of the methods; 0 where they agree."
COLUMNS = {
    "label": "value of the region's voxels in lesions.nii.gz",
    "volume_ml": "volume in milliliters",
    "x_mm": "centroid, RAS: millimeters to the patient's right",
    "y_mm": "centroid, RAS: millimeters to the front",
    "z_mm": "centroid, RAS: millimeters to the top",
    "peak_score": "largest deviation, healthy standard deviations",
    "mean_score": "mean deviation, healthy standard deviations",
    "polarity": "brighter or darker than healthy",
    "side": "the patient's side",
    "region": "name of the template region that holds most of it",
}
_BYTES_PER_VOXEL = 10  # two float32 and one int16 volume; compression makes them smaller


def estimated_bytes(volume: "Volume") -> int:
    """What the results of this scan may take on disk."""
    return LEAST_FREE_BYTES + volume.array.size * _BYTES_PER_VOXEL


def write_detection(
    folder: Path,
    detection: "Detection",
    volume: "Volume",
    settings: "DetectionSettings",
    model: "Model",
    *,
    mask: "Volume | None" = None,
    progress: Progress = silent,
) -> None:
    """Write volumes, table, report and sidecars into an existing folder, the record `detect.json` last."""
    from neurogen.report import write_report
    from neurogen.volumes import save_volume

    record = record_of(detection, volume, settings, model, mask=mask)
    for k, (name, description) in enumerate(VOLUMES.items()):
        progress("writing", k / 5)
        save_volume(getattr(detection, name), folder / f"{name}.nii.gz")
        _sidecar(folder / f"{name}.json", [f"{name}.nii.gz"], description, record)
    if detection.uncertainty is not None:
        save_volume(detection.uncertainty, folder / "uncertainty.nii.gz")
        _sidecar(folder / "uncertainty.json", ["uncertainty.nii.gz"], UNCERTAINTY, record)
    write_lesions(folder / "lesions.tsv", detection.table)
    _sidecar(folder / "lesions.json", ["lesions.nii.gz", "lesions.tsv"], VOLUMES["lesions"], record, columns=COLUMNS)
    progress("report", 3 / 5)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    write_report(folder / "report.html", detection, volume, {**record, "finished": finished})
    _sidecar(folder / "report.json", ["report.html"], "Pictures, table and facts for reading.", record)
    lesions = [asdict(lesion) for lesion in detection.table]
    made = {"finished": finished, "seconds": detection.seconds}
    write_json(folder / "detect.json", {**record, **made, "lesions": lesions})


def record_of(
    detection: "Detection",
    volume: "Volume",
    settings: "DetectionSettings",
    model: "Model",
    *,
    mask: "Volume | None" = None,
) -> dict[str, Any]:
    """What made these results: enough to repeat them. The same for the same input, settings, seed and device."""
    return {
        "notice": "Research use only. Not a diagnosis.",
        "command": "detect",
        "model": {
            "id": model.id,
            "version": model.manifest["version"],
            "method": model.manifest["method"],
            "weights_sha256": model.sha256,
            "licence": model.manifest["licence"],
        },
        **({"ensemble": detection.facts["ensemble"]} if "ensemble" in detection.facts else {}),
        "settings": asdict(settings),
        "seed": settings.seed,
        "device": detection.facts.get("device", settings.device),
        "versions": versions(),
        "input": input_of(volume),
        "mask": None if mask is None else file_of(mask),
        "operating_point": asdict(detection.operating_point),
        "facts": detection.facts,
        "warnings": detection.warnings,
    }


def write_lesions(path: Path, table: "tuple[Lesion, ...]") -> None:
    """Tab-separated, one marked region a line, with the columns of COLUMNS."""
    lines = ["\t".join(COLUMNS)]
    for lesion in table:
        x, y, z = lesion.centroid_ras_mm
        numbers = (lesion.volume_ml, x, y, z, lesion.peak_score, lesion.mean_score)
        cells = [str(lesion.label), *(f"{number:.3f}" for number in numbers)]
        lines.append("\t".join([*cells, lesion.polarity, lesion.side, lesion.region]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sidecar(
    path: Path,
    files: list[str],
    description: str,
    record: Mapping[str, Any],
    *,
    columns: Mapping[str, str] | None = None,
) -> None:
    content = {"files": files, "description": description, **record}
    write_json(path, {**content, "columns": columns} if columns else content)
