"""The files of one harmonized site: volumes, table, curve, histograms, report, and what made them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurogen.environment import versions
from neurogen.outputs import input_of, plain, write_json
from neurogen.progress import Progress, silent

if TYPE_CHECKING:
    from neurogen.harmonize.harmonization import Harmonization, SiteResult
    from neurogen.harmonize.settings import HarmonizationSettings
    from neurogen.models import Model
    from neurogen.volumes import Volume

COLUMNS = {
    "scan": "name of the input",
    "bits_before": "bits per brain pixel of 2 mm under the flow of the reference site, before",
    "bits_after": "the same after",
    "bits_reference": "the same of kept-apart scans of the reference site",
    "steps": "of the adaptation",
    "stop_reason": "why adaptation ended; 'already like the reference', 'given back', 'refused' or 'not adapted'",
    "ssim_to_input": "structural similarity of the prepared scan before and after, over the brain, 0 to 1",
    "structure_similarity": "mean local correlation of both, over the brain: 1 where no edge has changed",
    "wasserstein_before": "mean distance of intensity quantiles to the reference's, share of the range, before",
    "wasserstein_after": "the same after",
    "ventricles_before_ml": "fluid around the template's ventricles, by partial volume at the reference's histogram, "
    "before, but without the shading that was taken off",
    "ventricles_after_ml": "the same after",
    "slice_jump": "mean step of the change from slice to slice, share of the range: 0 where all are treated alike",
    "seconds": "of the preparation",
    "note": "why a scan was given back or refused",
}
CURVE = "curve.tsv"
HISTOGRAMS = "histograms.tsv"


def write_site(
    folder: Path,
    result: "SiteResult",
    volumes: "Sequence[Volume]",
    names: Sequence[str],
    settings: "HarmonizationSettings",
    model: "Model",
    refused: Mapping[str, str],
    *,
    progress: Progress = silent,
) -> None:
    """Write everything into an existing folder, the record `harmonize.json` last."""
    from safetensors.torch import save_file

    from neurogen.commands.harmonize_report import write_report
    from neurogen.volumes import save_volume

    record = record_of(settings, model, volumes, names, result)
    done = {name: scan for name, scan in zip(names, result.scans, strict=True) if scan is not None}
    for k, (name, scan) in enumerate(done.items()):
        progress(f"writing {name}", k / (len(done) + 1))
        save_volume(scan.harmonized, folder / f"{name}_harmonized.nii.gz")
        write_json(folder / f"{name}_harmonized.json", {**_about(scan), **record})
    write_table(folder / "harmonization.tsv", done, refused)
    write_curves(folder / CURVE, done)
    write_histograms(folder / HISTOGRAMS, done, _reference_histogram(model))
    save_file({key: value.contiguous() for key, value in result.adapted.items()}, folder / "adaptation.safetensors")
    progress("report", 0.95)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [row_of(name, scan) for name, scan in done.items()]
    write_report(
        folder / "report.html", done, volumes_of(names, volumes), rows, {**record, "finished": finished}, model
    )
    write_json(folder / "harmonize.json", {**record, "finished": finished, "scans": rows, "refused": dict(refused)})


def row_of(name: str, scan: "Harmonization") -> dict[str, Any]:
    """One line of the table, keys as COLUMNS."""
    numbers = (
        scan.bits_before, scan.bits_after, scan.bits_source, scan.steps, scan.stop_reason, scan.ssim,
        scan.anatomy.structure, scan.wasserstein_before, scan.wasserstein_after, scan.anatomy.ventricles_before_ml,
        scan.anatomy.ventricles_after_ml, scan.anatomy.jump, scan.seconds.get("preparation", float("nan")),
        scan.problem,
    )  # fmt: skip
    return dict(zip(COLUMNS, (name, *numbers), strict=True))


def write_table(path: Path, done: "Mapping[str, Harmonization]", refused: Mapping[str, str]) -> None:
    """Tab-separated, one scan a line, refused scans last."""
    lines = ["\t".join(COLUMNS)]
    lines += ["\t".join(_cell(v) for v in row_of(name, scan).values()) for name, scan in done.items()]
    for name, reason in refused.items():
        cells = {"scan": name, "stop_reason": "refused", "note": reason}
        lines.append("\t".join(_cell(cells.get(column, "")) for column in COLUMNS))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_curves(path: Path, done: "Mapping[str, Harmonization]") -> None:
    """The learning curves: scan, step, bits per brain pixel, entropy of the segmenter where one was given."""
    lines = ["scan\tstep\tbits\tentropy"]
    for name, scan in done.items():
        lines += [f"{name}\t{step}\t{bits:.5f}\t{_cell(doubt)}" for step, bits, doubt in scan.curve]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_histograms(path: Path, done: "Mapping[str, Harmonization]", reference: "Sequence[float]") -> None:
    """Shares of brain cells by level 0..255 (255 = 98th percentile): the reference's; each scan's before and after."""
    columns = {"reference": reference}
    for name, scan in done.items():
        columns |= {f"{name}_before": scan.histograms["before"], f"{name}_after": scan.histograms["after"]}
    lines = ["\t".join(["level", *columns])]
    lines += ["\t".join([str(k), *(f"{values[k]:.6g}" for values in columns.values())]) for k in range(256)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def record_of(
    settings: "HarmonizationSettings",
    model: "Model",
    volumes: "Sequence[Volume]",
    names: Sequence[str],
    result: "SiteResult",
) -> dict[str, Any]:
    """What made these results: enough to repeat them."""
    return {
        "notice": "Research use only. Not a diagnosis.",
        "command": "harmonize",
        "model": {
            "id": model.id,
            "version": model.manifest["version"],
            "method": model.manifest["method"],
            "weights_sha256": model.sha256,
            "flow_sha256": model.manifest["files"]["flow.safetensors"]["sha256"],
            "licence": model.manifest["licence"],
        },
        "settings": asdict(settings),
        "seed": settings.seed,
        "device": settings.device,
        "versions": versions(),
        "inputs": [{"name": n, **input_of(v)} for n, v in zip(names, volumes, strict=True)],
        "warnings": {n: scan.warnings for n, scan in zip(names, result.scans, strict=True) if scan is not None},
    }


def volumes_of(names: Sequence[str], volumes: "Sequence[Volume]") -> "dict[str, Volume]":
    """Volumes by name."""
    return dict(zip(names, volumes, strict=True))


def _about(scan: "Harmonization") -> dict[str, Any]:
    if scan.problem:
        return {"description": f"The input itself, given back unchanged: {scan.problem}."}
    return {
        "description": "The brain as the reference site would have taken it, on the scan's own grid; 0 outside the "
        "brain, bias field corrected, in the reference's intensity unit.",
        "anatomy": asdict(scan.anatomy),
    }


def _reference_histogram(model: "Model") -> "Sequence[float]":
    return model.tensors("reference")["histogram"].float().tolist()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4f}"
    return " ".join(str(plain(value)).split())
