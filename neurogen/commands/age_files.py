"""The files of one brain-age reading: age.json, regions.tsv, report.html."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurogen.environment import versions
from neurogen.outputs import input_of, plain, write_json

if TYPE_CHECKING:
    from neurogen.brain_age.age_model import AgeModel
    from neurogen.brain_age.estimate import AgeEstimate
    from neurogen.models import Model
    from neurogen.volumes import Volume

COLUMNS = {
    "label": "Draw-EM label",
    "name": "region",
    "volume_ml": "milliliters",
    "rv": "relational volume: share of all labeled voxels, cerebrospinal fluid included",
    "rv_z": "standard deviations from the growth chart at chart_age_weeks of age.json",
    "rv_centile": "percent of the chart's infants below",
    "svr": "surface-to-volume ratio at 0.5 mm",
    "svr_z": "as rv_z",
    "svr_centile": "as rv_centile",
    "importance": "permutation importance of the region's RV and SVR together, 0 to 1",
    "importance_rv": "of RV alone, 0 to 1",
    "importance_svr": "of SVR alone, 0 to 1",
    "contribution_weeks": "what RV and SVR add to the predicted age, against the mean training scan",
}


def write_age(
    folder: Path,
    estimate: "AgeEstimate",
    labels: "Volume",
    model: "Model",
    loaded: "AgeModel",
    *,
    given: "Volume",
    segmenter: "Model | None" = None,
) -> None:
    """Write all three into an existing folder.

    labels: the map that was measured; given: the input, the same unless `segmenter` found the labels in it.
    """
    from neurogen.commands.age_report import write_report

    rows = region_rows(estimate, loaded)
    write_regions(folder / "regions.tsv", rows)
    record = record_of(estimate, given, model, segmenter)
    write_json(folder / "age.json", record)
    write_report(folder / "report.html", estimate, labels, loaded, rows, plain(record))


def region_rows(estimate: "AgeEstimate", loaded: "AgeModel") -> list[dict[str, Any]]:
    """One table row a region, keys as COLUMNS, by ascending label."""
    from neurogen.brain_age.regions import REGIONS

    n = len(REGIONS)
    scaled = {kind: levels["region"] for kind, levels in loaded.importance.items()}
    measured = estimate.features
    return [
        {
            "label": region.label,
            "name": region.name,
            "volume_ml": float(measured.volume_ml[k]),
            "rv": float(measured.relational_volume[k]),
            "rv_z": float(estimate.z[k]),
            "rv_centile": float(estimate.centile[k]),
            "svr": float(measured.surface_to_volume_ratio[k]),
            "svr_z": float(estimate.z[n + k]),
            "svr_centile": float(estimate.centile[n + k]),
            "importance": scaled["both"][str(region.label)].scaled,
            "importance_rv": scaled["rv"][str(region.label)].scaled,
            "importance_svr": scaled["svr"][str(region.label)].scaled,
            "contribution_weeks": float(estimate.contribution[k] + estimate.contribution[n + k]),
        }
        for k, region in enumerate(REGIONS)
    ]


def write_regions(path: Path, rows: list[dict[str, Any]]) -> None:
    """Tab-separated, a region a line."""
    lines = ["\t".join(COLUMNS)]
    for row in rows:
        lines.append("\t".join(f"{row[c]:.6g}" if isinstance(row[c], float) else str(row[c]) for c in COLUMNS))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def record_of(
    estimate: "AgeEstimate", volume: "Volume", model: "Model", segmenter: "Model | None" = None
) -> dict[str, Any]:
    """The content of age.json. volume: the input; segmenter: what found its regions, None when they were given."""
    from neurogen.brain_age.regions import region_of

    return {
        "predicted_weeks": estimate.predicted,
        "interval_50_weeks": estimate.interval_50,
        "interval_90_weeks": estimate.interval_90,
        "age_weeks": estimate.age,
        "gap_weeks": estimate.gap,
        "corrected_gap_weeks": estimate.corrected_gap,
        "chart_age_weeks": estimate.chart_age,
        "charts": estimate.stratum,
        "brain_ml": float(estimate.features.volume_ml.sum()),
        "distance": estimate.distance,
        "distance_percentile": estimate.distance_percentile,
        "distance_causes": [
            {"label": label, "name": region_of(label).name, "share": share} for label, share in estimate.distance_causes
        ],
        "resampled_from_mm": estimate.resampled_from_mm,
        "warnings": estimate.warnings,
        "model": _facts_of(model),
        "segmented_by": None if segmenter is None else _facts_of(segmenter),
        "input": input_of(volume),
        "columns": COLUMNS,
        "versions": versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "notice": "Research use only. Not a diagnosis.",
    }


def _facts_of(model: "Model") -> dict[str, Any]:
    return {
        "id": model.id,
        "version": model.manifest["version"],
        "files": {name: entry["sha256"] for name, entry in model.manifest["files"].items()},
        "licence": model.manifest["licence"],
    }
