"""The pictures of a brain-age report, each a PNG: growth charts, importance, contributions, colored regions."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurogen.brain_age.growth import CENTILES, NO_NORM, TERM_WEEKS
from neurogen.brain_age.regions import FEATURE_NAMES, LABELS, name_of_feature, region_of
from neurogen.volumes import Volume, reorient_to_ras

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neurogen.brain_age.age_model import AgeModel
    from neurogen.brain_age.estimate import AgeEstimate
    from neurogen.brain_age.importance import Importance

_DPI = 110
_Z_LIMIT = 3.0
_INK, _ACCENT, _BAND = "#1b1f24", "#b3261e", "#3b6ea5"
_OVERLAYS = {
    "term": ("#1b7f5c", "-"),
    "preterm": ("#b26a00", "-"),
    "female": ("#7a4fa3", ":"),
    "male": ("#3d3d3d", ":"),
}
"""Strata whose medians are laid over the charts: color, line."""
_STRATUM_WORDS = {
    "all": "all infants",
    "term": "born at term",
    "preterm": "born preterm",
    "female": "girls",
    "male": "boys",
}
_SIDES = {"axial": "R on the left", "coronal": "R on the left", "sagittal": "A on the left"}
_LEADING = (
    "svr_80",
    "svr_79",
    "svr_82",
    "svr_86",
    "rv_36",
    "rv_38",
)  # published leaders, doi:10.1038/s41598-023-40244-z


def striking_charts(estimate: "AgeEstimate", model: "AgeModel", *, count: int = 6) -> bytes:
    """Growth charts of the features with the largest |z|, this scan as a dot."""
    return _charts(estimate, model, np.argsort(-np.abs(estimate.z))[:count])


def leading_charts(estimate: "AgeEstimate", model: "AgeModel") -> bytes:
    """Growth charts of the regions that the published study found most telling."""
    return _charts(estimate, model, [FEATURE_NAMES.index(name) for name in _LEADING])


def importance_bars(model: "AgeModel", *, count: int = 10) -> bytes:
    """The most important regions for RV, for SVR and for both, with standard errors."""
    figure = _figure(11, 4.2)
    for k, (kind, title) in enumerate((("rv", "RV alone"), ("svr", "SVR alone"), ("both", "RV and SVR"))):
        found = sorted(model.importance[kind]["region"].items(), key=lambda item: -item[1].weeks)[:count]
        _bars(figure.add_subplot(1, 3, k + 1), title, found)
    return _png(figure)


def contribution_bars(estimate: "AgeEstimate", *, count: int = 12) -> bytes:
    """The features that move this scan's age most away from the mean training age."""
    order = np.argsort(-np.abs(estimate.contribution))[:count][::-1]
    figure = _figure(9, 0.34 * count + 0.8)
    axes = figure.add_subplot()
    weeks = estimate.contribution[order]
    axes.barh(range(count), weeks, color=np.where(weeks > 0, _ACCENT, _BAND))
    axes.set_yticks(range(count), [name_of_feature(FEATURE_NAMES[k]) for k in order], fontsize=8)
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_xlabel("weeks added to the mean age of the training scans")
    return _png(figure)


def region_picture(volume: Volume, estimate: "AgeEstimate") -> bytes:
    """An axial, a coronal and a sagittal cut, regions colored by the z of RV and of SVR, dark lines between them."""
    scan = reorient_to_ras(volume)
    labels = _cropped(np.where((scan.array > 0) & (scan.array < 88), scan.array, 0).astype(np.intp))
    figure = _figure(11, 6.2)
    n = len(LABELS)
    for row, (kind, z) in enumerate((("RV", estimate.z[:n]), ("SVR", estimate.z[n:]))):
        lookup = np.full(88, np.nan)
        lookup[LABELS] = z
        for column, (plane, cut) in enumerate(_cuts(labels)):
            axes = figure.add_subplot(2, 3, 3 * row + column + 1)
            axes.set_facecolor("black")
            shown = axes.imshow(
                np.where(_borders(cut), np.nan, lookup[cut]),
                cmap="RdBu_r",
                vmin=-_Z_LIMIT,
                vmax=_Z_LIMIT,
                aspect=_aspect(scan, plane),
            )
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(f"{plane} ({_SIDES[plane]}), z of {kind}", fontsize=9)
    figure.colorbar(shown, ax=figure.axes, shrink=0.7, label="z: red larger, blue smaller than the chart")
    return _png(figure)


def _cropped(labels: np.ndarray) -> np.ndarray:
    """The box of the labels and a few voxels around it."""
    for axis in range(3):
        used = np.flatnonzero(labels.any(axis=tuple({0, 1, 2} - {axis})))
        labels = labels.take(range(max(used[0] - 4, 0), min(used[-1] + 5, labels.shape[axis])), axis)
    return labels


def _borders(cut: np.ndarray) -> np.ndarray:
    """(H, W) bool: the last pixel before another region, to the right or below."""
    found = np.zeros(cut.shape, bool)
    found[:, :-1] |= cut[:, :-1] != cut[:, 1:]
    found[:-1] |= cut[:-1] != cut[1:]
    return found & (cut > 0)


def _cuts(labels: np.ndarray) -> tuple[tuple[str, np.ndarray], ...]:
    """Through the middle of the labeled head; patient's right (sagittal: front) on the left of the picture."""
    middle = [int(np.rint(np.mean(np.flatnonzero(labels.any(axis=tuple({0, 1, 2} - {a})))))) for a in range(3)]
    offset = labels.shape[0] // 12  # beside the midline, through gray and white matter
    sagittal = labels[max(middle[0] - offset, 0)]
    return (
        ("axial", labels[::-1, ::-1, middle[2]].T),
        ("coronal", labels[::-1, middle[1], ::-1].T),
        ("sagittal", sagittal[::-1, ::-1].T),
    )


def _aspect(scan: Volume, plane: str) -> float:
    x, y, z = scan.spacing_mm
    return {"axial": y / x, "coronal": z / x, "sagittal": z / y}[plane]


def _charts(estimate: "AgeEstimate", model: "AgeModel", features: Sequence[int]) -> bytes:
    figure = _figure(11, 6.8)
    for k, feature in enumerate(features):
        _chart(figure.add_subplot(2, 3, k + 1), estimate, model, int(feature))
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    return _png(figure)


def _chart(axes: "Axes", estimate: "AgeEstimate", model: "AgeModel", feature: int) -> None:
    low, high = model.charts.range_of(estimate.stratum)
    ages = np.linspace(low, high, 120)
    curves = model.charts.centile_curves(ages, feature, stratum=estimate.stratum)
    for centile, curve in zip(CENTILES, curves):
        width, label = (1.6, f"centiles, {_STRATUM_WORDS[estimate.stratum]}") if centile == 50 else (0.8, None)
        axes.plot(ages, curve, color=_BAND, linewidth=width, label=label)
        axes.annotate(str(centile), (ages[-1], curve[-1]), fontsize=6, color=_BAND, xytext=(2, -2),
                      textcoords="offset points")  # fmt: skip
    _overlay(axes, estimate, model, feature)
    first = min(model.charts.range_of(stratum)[0] for stratum in (estimate.stratum, *_OVERLAYS))
    if first < TERM_WEEKS:
        axes.axvspan(first, TERM_WEEKS, color="0.85", zorder=0, linewidth=0)
        axes.text(first + 0.2, 0.02, NO_NORM, transform=axes.get_xaxis_transform(), fontsize=6, color="0.35")
    axes.plot(estimate.chart_age, estimate.features.vector()[feature], "o", color=_ACCENT, markersize=6,
              linestyle="none", label="this scan")  # fmt: skip
    axes.set_title(f"{name_of_feature(FEATURE_NAMES[feature])}\nz = {estimate.z[feature]:+.1f}", fontsize=8)
    axes.set_xlabel("postmenstrual weeks", fontsize=7)
    axes.tick_params(labelsize=7)


def _overlay(axes: "Axes", estimate: "AgeEstimate", model: "AgeModel", feature: int) -> None:
    """The medians of the other strata, each over the ages its scans show."""
    for stratum, (color, line) in _OVERLAYS.items():
        if stratum != estimate.stratum:
            ages = np.linspace(*model.charts.range_of(stratum), 80)
            median = model.charts.centile_curves(ages, feature, stratum=stratum)[CENTILES.index(50)]
            axes.plot(ages, median, line, color=color, linewidth=1, label=f"median, {_STRATUM_WORDS[stratum]}")


def _bars(axes: "Axes", title: str, found: "list[tuple[str, Importance]]") -> None:
    found = found[::-1]
    weeks = [one.weeks for _, one in found]
    errors = [one.standard_error for _, one in found]
    axes.barh(range(len(found)), weeks, xerr=errors, color=_BAND, ecolor=_INK, capsize=2)
    axes.set_yticks(range(len(found)), [region_of(int(label)).name for label, _ in found], fontsize=7)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("weeks of error when shuffled", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
