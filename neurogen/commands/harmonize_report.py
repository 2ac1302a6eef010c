"""The report of a harmonized site: histograms before, after and of the reference; slices side by side; the curve."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurogen.outputs import plain
from neurogen.report import NOTICE, STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurogen.harmonize.harmonization import Harmonization
    from neurogen.models import Model
    from neurogen.volumes import Volume

MOST_PICTURES = 20  # scans; the table has all
LEVELS_SHOWN = (0.4, 0.55, 0.7)  # of the brain's height
_DPI = 100
_INK, _BEFORE, _AFTER, _REFERENCE = "#1b1f24", "#b26a00", "#1b7f5c", "#3b6ea5"
_SHOWN = {
    "scan": "Scan",
    "bits_before": "Bits before",
    "bits_after": "after",
    "bits_reference": "reference",
    "steps": "Steps",
    "stop_reason": "Ended by",
    "ssim_to_input": "SSIM to input",
    "structure_similarity": "Structure",
    "wasserstein_before": "Wasserstein before",
    "wasserstein_after": "after",
    "note": "Note",
}


def write_report(
    path: Path,
    done: "Mapping[str, Harmonization]",
    volumes: "Mapping[str, Volume]",
    rows: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
    model: "Model",
) -> None:
    """Draw the pictures and write the page."""
    reference = model.tensors("reference")["histogram"].float().numpy()
    figures = []
    for name, scan in list(done.items())[:MOST_PICTURES]:
        figures.append(
            (f"{name}: before (left) and after (right), patient's right on the left", slices(scan, volumes[name]))
        )
        figures.append((f"{name}: intensities of the brain", histograms(scan, reference)))
        if len(scan.curve) > 1:
            figures.append((f"{name}: adaptation", curve(scan)))
    path.write_text(render(rows, figures, plain(record)), encoding="utf-8")


def render(rows: Sequence[Mapping[str, Any]], figures: Sequence[tuple[str, bytes]], record: Mapping[str, Any]) -> str:
    """The HTML text. figures: (caption, PNG)."""
    warnings = [f"{name}: {text}" for name, texts in record["warnings"].items() for text in texts]
    items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
    model = record["model"]
    body = [
        f'<header><p class="notice">{NOTICE}</p><h1>Harmonization</h1><p class="lead">{escape(_lead(rows))}</p>'
        f"<p>Reference site: {escape(model['id'])} {escape(model['version'])}.</p></header>",
        f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>' if items else "",
        f"<section><h2>Scans</h2>{_table(rows)}<p>Bits: per brain pixel of 2 mm under the reference site's flow; fewer "
        "is more like the reference.</p></section>",
        f"<section><h2>Pictures</h2>{''.join(_figure(*figure) for figure in figures)}</section>",
        f'<section class="columns">{_facts("Settings", record["settings"])}{_facts("Versions", record["versions"])}'
        "</section>",
        f"<footer>{NOTICE} Made by NeuroGen {escape(record['versions']['neurogen'])} on {escape(record['finished'])}. "
        "Image data stay on this machine; this file loads nothing from elsewhere.</footer>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>NeuroGen harmonization</title>'
    )
    html = f'<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>{"".join(body)}</body></html>'
    return f"<!DOCTYPE html>\n{html}\n"


def slices(scan: "Harmonization", volume: "Volume") -> bytes:
    """Three axial levels, input and result beside each other, each window from 0 to its 99th brain percentile."""
    import numpy as np
    from matplotlib.figure import Figure

    from neurogen.volumes import reorient_to_ras

    before, after, brain = (reorient_to_ras(v).array for v in (volume, scan.harmonized, scan.brain))
    inside = brain > 0
    used = [np.flatnonzero(inside.any(tuple(o for o in range(3) if o != axis))) for axis in range(3)]
    box = tuple(slice(u[0], u[-1] + 1) for u in used[:2])
    levels = [used[2][int(share * (len(used[2]) - 1))] for share in LEVELS_SHOWN]
    spacing = np.linalg.norm(reorient_to_ras(volume).affine[:3, :3], axis=0)
    figure = Figure(figsize=(6.4, 3.6 * len(levels)), facecolor="black")  # no window system takes part
    axes = figure.subplots(len(levels), 2)
    for row, level in zip(axes, levels):
        for axis, image in zip(row, (before, after)):
            top = float(np.percentile(image[inside], 99))
            axis.imshow(
                image[box][:, :, level].T[::-1, ::-1], cmap="gray", vmin=0, vmax=max(top, 1e-6),
                aspect=spacing[1] / spacing[0],
            )  # fmt: skip
            axis.axis("off")
    return _png(figure)


def histograms(scan: "Harmonization", reference) -> bytes:
    """Shares of the brain by intensity; level 255 is the 98th percentile."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.8))
    axis = figure.subplots()
    lines = (("before", scan.histograms["before"], _BEFORE), ("after", scan.histograms["after"], _AFTER))
    for label, shares, color in (*lines, ("reference site", reference, _REFERENCE)):
        smooth = np.convolve(shares[1:-1], np.ones(5) / 5, mode="same")
        axis.plot(np.arange(1, 255), smooth, label=label, color=color, linestyle="-" if label != "before" else "--")
    axis.set(xlabel="level (255 = 98th percentile of the brain)", ylabel="share of the brain")
    axis.legend(frameon=False)
    return _png(figure)


def curve(scan: "Harmonization") -> bytes:
    """Bits per brain pixel by step of the adaptation, and the reference's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.4))
    axis = figure.subplots()
    steps, bits, _ = zip(*scan.curve)
    axis.plot(steps, bits, marker="o", color=_AFTER, label="harmonized slices")
    axis.axhline(scan.bits_source, color=_REFERENCE, linestyle="--", label="reference site")
    axis.set(xlabel="step", ylabel="bits per brain pixel")
    axis.legend(frameon=False)
    return _png(figure)


def _png(figure: "Figure") -> bytes:
    stream = io.BytesIO()
    figure.tight_layout()
    figure.savefig(stream, format="png", dpi=_DPI, facecolor=figure.get_facecolor())
    return stream.getvalue()


def _lead(rows: Sequence[Mapping[str, Any]]) -> str:
    back = sum(bool(row["note"]) for row in rows)
    done = f"{len(rows) - back} of {len(rows)} scans were harmonized"
    return f"{done}; {back} were given back unchanged, for the reasons below." if back else f"{done}."


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in _SHOWN.values())
    lines = "".join(f"<tr>{''.join(f'<td>{escape(_short(row[key]))}</td>' for key in _SHOWN)}</tr>" for row in rows)
    return f'<div class="wide"><table class="lesions"><tr>{head}</tr>{lines}</table></div>'


def _figure(caption: str, png: bytes) -> str:
    encoded = base64.b64encode(png).decode()
    return (
        f'<figure><figcaption>{escape(caption)}</figcaption><img alt="{escape(caption)}" '
        f'src="data:image/png;base64,{encoded}"></figure>'
    )


def _facts(title: str, facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(k.replace('_', ' '))}</th><td>{escape(_short(v))}</td></tr>" for k, v in facts.items()
    )
    return f'<div><h2>{escape(title)}</h2><table class="facts">{rows}</table></div>'


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
