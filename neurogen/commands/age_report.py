"""The report of one brain-age reading: one HTML file, nothing loaded from elsewhere."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurogen.report import NOTICE, STYLE

if TYPE_CHECKING:
    from neurogen.brain_age.age_model import AgeModel
    from neurogen.brain_age.estimate import AgeEstimate
    from neurogen.volumes import Volume

_STRIKING = 20  # regions in the report's table; all are in regions.tsv
_WORDS = {"all": "all infants", "term": "term-born", "preterm": "preterm-born", "female": "girls", "male": "boys"}


def write_report(
    path: Path,
    estimate: "AgeEstimate",
    volume: "Volume",
    model: "AgeModel",
    rows: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
) -> None:
    """Draw the charts and write the page. record: the content of age.json; rows: of `age_files.region_rows`."""
    from neurogen.commands import age_charts

    figures = (
        ("Regions colored by z-score", age_charts.region_picture(volume, estimate)),
        ("Growth charts of the regions that differ most", age_charts.striking_charts(estimate, model)),
        ("Growth charts of the regions that matter most for the age", age_charts.leading_charts(estimate, model)),
        ("Importance of regions", age_charts.importance_bars(model)),
        ("What moves this scan's age", age_charts.contribution_bars(estimate)),
    )
    path.write_text(render(record, rows, figures), encoding="utf-8")


def render(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], figures: Sequence[tuple[str, bytes]]) -> str:
    """The HTML text. figures: (caption, PNG)."""
    name = record["input"]["file"] or "scan"
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in record["warnings"])
    body = [
        f'<header><p class="notice">{NOTICE}</p><h1>{escape(name)}</h1><p class="lead">{escape(_lead(record))}</p>'
        f"<p>{escape(_gap(record))}</p></header>",
        f'<section class="warnings"><h2>Warnings</h2><ul>{warnings}</ul></section>' if warnings else "",
        "".join(_figure(caption, png) for caption, png in figures),
        f"<section><h2>Regions that differ most</h2>{_table(rows)}</section>",
        f'<section class="columns">{_facts(record)}</section>',
        f"<footer>{NOTICE} Made by NeuroGen {escape(record['versions']['neurogen'])} on {escape(record['finished'])}. "
        "Image data stay on this machine; this file loads nothing from elsewhere.</footer>",
    ]
    title = escape(f"NeuroGen brain age: {name}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    html = f'<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>{"".join(body)}</body></html>'
    return f"<!DOCTYPE html>\n{html}\n"


def _lead(record: Mapping[str, Any]) -> str:
    low, high = record["interval_90_weeks"]
    return (
        f"Brain age {record['predicted_weeks']:.1f} postmenstrual weeks; 9 of 10 readings of this kind lie between "
        f"{low:.1f} and {high:.1f}."
    )


def _gap(record: Mapping[str, Any]) -> str:
    if record["age_weeks"] is None:
        return "No age at scan was given, so no gap is stated."
    gap = record["corrected_gap_weeks"]
    words = "older" if gap > 0 else "younger"
    return (
        f"Age at scan {record['age_weeks']:.1f} weeks: the brain looks {abs(gap):.1f} weeks {words} than brains "
        f"of this age are read on average (uncorrected gap {record['gap_weeks']:+.1f}). "
        "A gap within the interval is ordinary."
    )


def _figure(caption: str, png: bytes) -> str:
    source = base64.b64encode(png).decode()
    return (
        f"<section><h2>{escape(caption)}</h2><figure>"
        f'<img alt="{escape(caption)}" src="data:image/png;base64,{source}"></figure></section>'
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    striking = sorted(rows, key=lambda row: -max(abs(row["rv_z"]), abs(row["svr_z"])))[:_STRIKING]
    heads = ("Region", "Volume (ml)", "RV", "z", "Centile", "SVR", "z", "Centile", "Importance")
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(row))}</tr>" for row in striking)
    note = "<p>z: standard deviations from the growth chart. All regions are in regions.tsv.</p>"
    return f'<div class="wide"><table class="lesions"><tr>{head}</tr>{lines}</table></div>{note}'


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        f"{row['volume_ml']:.2f}",
        f"{row['rv']:.4f}",
        f"{row['rv_z']:+.1f}",
        f"{row['rv_centile']:.0f}",
        f"{row['svr']:.3f}",
        f"{row['svr_z']:+.1f}",
        f"{row['svr_centile']:.0f}",
        f"{row['importance']:.2f}",
    )


def _facts(record: Mapping[str, Any]) -> str:
    scan, model, segmenter = record["input"], record["model"], record["segmented_by"]
    causes = ", ".join(f"{cause['name']} ({100 * cause['share']:.0f} %)" for cause in record["distance_causes"][:3])
    facts = {
        "Labeled volume": f"{record['brain_ml']:.0f} ml, cerebrospinal fluid included",
        "Compared with": f"{_WORDS[record['charts']]} at {record['chart_age_weeks']:.1f} weeks",
        "Distance to training scans": f"{record['distance']:.1f}, farther than {record['distance_percentile']:.0f} % "
        f"of them; most from {causes}",
        "Voxels": " x ".join(map(str, scan["shape"])),
        "Voxel size": " x ".join(f"{size:.3g}" for size in scan["spacing_mm"]) + " mm",
        "SHA-256": scan["sha256"] or "not stated",
        "Regions": "as given" if segmenter is None else f"found by {segmenter['id']} {segmenter['version']}",
        "Model": f"{model['id']} {model['version']}",
        "License of the model": model["licence"],
    }
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in facts.items())
    return f'<div><h2>Scan and model</h2><table class="facts">{rows}</table></div>'
