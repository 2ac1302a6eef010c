"""The report of a detection: one HTML file with everything in it, for reading on a screen, in the dark or on paper."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurogen.outputs import plain

if TYPE_CHECKING:
    from neurogen.anomaly import Detection
    from neurogen.anomaly.lesions import Lesion
    from neurogen.report_pictures import Picture
    from neurogen.volumes import Volume

NOTICE = "Research use only. Not a diagnosis."
SIDES = (
    "Radiological sides: the patient's right (R) is on the left of axial and coronal pictures; sagittal pictures face "
    "left (A = front). Color is drawn from half the threshold on and saturates at three times the threshold; "
    "red is brighter, blue darker than healthy; white lines enclose marked regions."
)
SPREAD = (
    " Green shows how far the methods disagree: the standard deviation between their scores, in healthy standard "
    "deviations, clear below 1."
)
_MISSING = "not stated"
_ELSEWHERE = ("name", "sha256", "model", "model_version", "model_sha256")  # facts that have a line of their own


def write_report(path: Path, detection: "Detection", volume: "Volume", record: Mapping[str, Any]) -> None:
    """Write the report. `record` is what made the results (`neurogen.detection_files.record_of`, and `finished`)."""
    from neurogen.report_pictures import make_pictures

    pictures = make_pictures(detection, volume)
    path.write_text(render(detection, pictures, plain(record)), encoding="utf-8")


def render(detection: "Detection", pictures: "Sequence[Picture]", record: Mapping[str, Any]) -> str:
    """The HTML text."""
    name = record["input"]["file"] or "scan"
    sides = SIDES if detection.uncertainty is None else SIDES + SPREAD
    body = [
        f'<header><p class="notice">{NOTICE}</p><h1>{escape(name)}</h1><p class="lead">{_summary(detection.table)}</p>',
        f"<p>{escape(detection.operating_point.sentence)}</p></header>",
        _warnings(detection.warnings),
        f"<section><h2>Pictures</h2><p>{escape(sides)}</p>{''.join(map(_figure, pictures))}</section>",
        f"<section><h2>Marked regions</h2>{_lesion_table(detection.table)}</section>",
        f'<section class="columns">{_scan_facts(record)}{_settings(record)}{_versions(record)}</section>',
        f"<footer>{NOTICE} Made by NeuroGen {escape(record['versions']['neurogen'])} on {escape(_finished(record))}. "
        "Image data stay on this machine; this file loads nothing from elsewhere.</footer>",
    ]
    title = escape(f"NeuroGen: {name}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    html = f'<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>{"".join(body)}</body></html>'
    return f"<!DOCTYPE html>\n{html}\n"


def _summary(table: "Sequence[Lesion]") -> str:
    if not table:
        return "No region exceeds the threshold. This does not mean that the brain is healthy."
    regions = "1 region is marked" if len(table) == 1 else f"{len(table)} regions are marked"
    return f"{regions}, {sum(lesion.volume_ml for lesion in table):.1f} ml in all."


def _warnings(warnings: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>' if items else ""


def _figure(picture: "Picture") -> str:
    axis = {"axial": "z", "coronal": "y", "sagittal": "x"}[picture.plane]
    words = f"{picture.plane.capitalize()}, {axis} = {picture.position_mm:+.0f} mm (RAS)"
    words += f", {picture.marked_ml:.2f} ml marked in this slice" if picture.marked_ml else ", nothing marked"
    encoded = base64.b64encode(picture.png).decode()
    alt = f"{words}: input, pseudo-healthy reconstruction, and deviation from healthy over the input"
    return (
        f'<figure><figcaption>{escape(words)}</figcaption><img alt="{escape(alt)}" '
        f'src="data:image/png;base64,{encoded}"></figure>'
    )


def _lesion_table(table: "Sequence[Lesion]") -> str:
    if not table:
        return "<p>None.</p>"
    heads = ("", "Volume (ml)", "Centroid R, A, S (mm)", "Peak (SD)", "Mean (SD)", "Against healthy", "Side", "Region")
    rows = [
        (
            str(lesion.label),
            f"{lesion.volume_ml:.2f}",
            ", ".join(f"{x:.1f}" for x in lesion.centroid_ras_mm),
            f"{lesion.peak_score:.1f}",
            f"{lesion.mean_score:.1f}",
            {"bright": "brighter", "dark": "darker"}.get(lesion.polarity, lesion.polarity),
            lesion.side,
            lesion.region or _MISSING,
        )
        for lesion in table
    ]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    note = "<p>SD: standard deviations of healthy brains. Numbers are the labels in lesions.nii.gz.</p>"
    return f'<div class="wide"><table class="lesions"><tr>{head}</tr>{lines}</table></div>{note}'


def _scan_facts(record: Mapping[str, Any]) -> str:
    scan = record["input"]
    facts = {
        "File": scan["file"] or _MISSING,
        "Voxels": " x ".join(map(str, scan["shape"])),
        "Voxel size": " x ".join(f"{size:.3g}" for size in scan["spacing_mm"]) + " mm",
        **{_words(k): v for k, v in {**scan["facts"], **record["facts"]}.items() if k not in _ELSEWHERE},
        "SHA-256": scan["sha256"] or _MISSING,
        "Brain mask": record["mask"]["file"] if record["mask"] else "computed",
    }
    return _facts("Scan", facts)


def _settings(record: Mapping[str, Any]) -> str:
    model, members = record["model"], record["facts"].get("ensemble", ())
    names = ", ".join(f"{member['id']} {member['version']}" for member in members)
    hashes = ", ".join(member["weights_sha256"] for member in members)
    facts = {
        "Model": f"mean of {names}" if members else f"{model['id']} {model['version']} ({model['method']})",
        "Weights SHA-256": hashes or model["weights_sha256"],
        "License of weights": model["licence"],
        "Threshold": f"{record['operating_point']['threshold']:.3g} SD",
        **{_words(key): value for key, value in record["settings"].items() if key not in ("model", "threshold")},
        "Device": record["device"],
    }
    return _facts("Settings", facts)


def _versions(record: Mapping[str, Any]) -> str:
    return _facts("Versions", record["versions"])


def _facts(title: str, facts: Mapping[str, Any]) -> str:
    shown = {key: _short(value) for key, value in facts.items() if _short(value)}
    rows = "".join(f"<tr><th>{escape(str(key))}</th><td>{escape(value)}</td></tr>" for key, value in shown.items())
    return f'<div><h2>{escape(title)}</h2><table class="facts">{rows}</table></div>'


def _short(value: Any) -> str:
    """A value for a table cell; numbers rounded, lists and tables left to detect.json."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if isinstance(value, int | str) else ""


def _words(key: str) -> str:
    """A key as it reads in a table: `batch_size` -> `Batch size`; DICOM keywords stay."""
    return key.replace("_", " ").capitalize() if key.islower() else key


def _finished(record: Mapping[str, Any]) -> str:
    return record.get("finished", _MISSING).replace("T", " ").replace("+00:00", " UTC")


STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1b1f24;--soft:#5b6570;--line:#d8dde3;--box:#f4f6f8;--warn:#8a5a00;
--warnbox:#fff6e0}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--text:#e6e9ec;--soft:#9aa4ae;--line:#333a42;--box:#1c2025;
--warn:#f0c36a;--warnbox:#2b2412}}
*{box-sizing:border-box}
body{max-width:64rem;margin:0 auto;padding:1.5rem 1rem 3rem;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.6rem;margin:.6rem 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.3rem 0}
.notice{display:inline-block;margin:0;padding:.25rem .7rem;border:2px solid currentColor;border-radius:.3rem;
font-weight:700;color:#b3261e}
@media(prefers-color-scheme:dark){.notice{color:#ff8a80}}
.lead{font-size:1.15rem;font-weight:600}
.warnings{margin-top:1.2rem;padding:.6rem 1rem;background:var(--warnbox);border-left:4px solid var(--warn)}
.warnings h2{margin:0;color:var(--warn)}
.warnings ul{margin:.3rem 0;padding-left:1.2rem}
figure{margin:1rem 0;break-inside:avoid}
figcaption{margin-bottom:.25rem;color:var(--soft);font-weight:600}
img{display:block;width:100%;height:auto;border-radius:.3rem;background:#000}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
.lesions td{font-variant-numeric:tabular-nums}
.lesions th,.facts th{color:var(--soft);font-weight:600}
.wide{overflow-x:auto}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:0 2rem}
.facts{font-size:.85rem}
.facts th{width:38%;font-weight:500}
.facts td{overflow-wrap:anywhere}
footer{margin-top:2.5rem;padding-top:.8rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}
@media print{:root{--page:#fff;--text:#000;--soft:#444;--line:#bbb;--warnbox:#fff;--warn:#000}
body{max-width:none;padding:0;font-size:10.5pt}.notice{color:#000}
img{-webkit-print-color-adjust:exact;print-color-adjust:exact}h2{break-after:avoid}}
"""
