"""The pictures of a report: input, pseudo-healthy, heat map and, of several methods, how far these disagree.

They stand side by side, the patient's right on the left.

Arrays are shown along their own voxel axes, reordered to RAS; an oblique scan is cut along its own planes.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurogen.affines import voxel_volume_ml
from neurogen.volumes import Volume, reorient_to_ras

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    from neurogen.anomaly import Detection

PLANES = ("sagittal", "coronal", "axial")  # the plane across axis 0, 1, 2 of a RAS array
AXIAL_ROWS = 4
ROW_DISTANCE_MM = 12.0  # between two axial pictures
MARGIN_MM = 8.0  # shown around the brain
SCALE_ENDS = 3.0  # the color scale ends at this multiple of the threshold
SPREAD_FROM, SPREAD_ENDS = 1.0, 3.0  # of the scale of the spread between methods, healthy standard deviations
_PANEL_INCHES = 3.0
_DPI = 110
# Patient's right (sagittal: front) on the left of the picture: which in-plane axes to flip is the same for all planes.
_SIDES = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
_BRIGHT = ((0.55, 0.0, 0.05), (0.95, 0.35, 0.05), (1.0, 0.93, 0.45))
_SPREAD = ((0.0, 0.27, 0.11), (0.3, 0.77, 0.33), (0.94, 1.0, 0.8))
_DARK = ((0.05, 0.1, 0.55), (0.05, 0.5, 0.95), (0.65, 0.97, 1.0))


@dataclass(frozen=True)
class Picture:
    """One row of the report: the plane, where it lies, and the PNG."""

    plane: str
    position_mm: float  # RAS millimeters along the plane's axis, at the middle of the picture
    marked_ml: float  # of marked regions within the shown slice
    png: bytes


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn, all (I, J, K) along RAS axes, cropped around the brain."""

    scan: np.ndarray
    pseudo_healthy: np.ndarray
    score: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    window: tuple[float, float]
    threshold: float
    spread: np.ndarray | None = None  # between methods


def make_pictures(detection: "Detection", volume: Volume) -> tuple[Picture, ...]:
    """The most anomalous axial levels, then a coronal and a sagittal cut through the largest score."""
    scene = _scene(detection, volume)
    cuts = [("axial", level) for level in axial_levels(scene)]
    center = _most_anomalous_voxel(scene)
    cuts += [("coronal", center[1]), ("sagittal", center[0])]
    return tuple(_picture(scene, plane, int(index)) for plane, index in cuts)


def axial_levels(scene: Scene, *, rows: int = AXIAL_ROWS, distance_mm: float = ROW_DISTANCE_MM) -> list[int]:
    """K indices with the most marked score (or, where nothing is marked, the largest), apart from each other."""
    marked = scene.labels > 0
    interest = np.where(marked, np.abs(scene.score), 0).sum((0, 1))
    if not marked.any():
        interest = np.abs(scene.score).max((0, 1))
    spacing = np.linalg.norm(scene.affine[:3, 2])
    chosen: list[int] = []
    for level in np.argsort(-interest, kind="stable"):
        if interest[level] <= 0 or len(chosen) == rows:
            break
        if all(abs(level - other) * spacing >= distance_mm for other in chosen):
            chosen.append(int(level))
    return chosen or [len(interest) // 2]


def heat_colors(threshold: float) -> "ListedColormap":
    """Colors over [-3, 3] thresholds: blue darker, red brighter than healthy, clear below half the threshold."""
    from matplotlib.colors import ListedColormap

    values = np.linspace(-SCALE_ENDS, SCALE_ENDS, 601)
    strength = np.clip((np.abs(values) - 0.5) / (SCALE_ENDS - 0.5), 0, 1)
    stops = np.linspace(0, 1, 3)
    hues = [np.stack([np.interp(strength, stops, channel) for channel in zip(*hue)], 1) for hue in (_DARK, _BRIGHT)]
    alpha = np.clip((np.abs(values) - 0.5) / 0.5, 0, 1) * 0.85
    colors = np.where(values[:, None] < 0, hues[0], hues[1])
    return ListedColormap(np.column_stack([colors, alpha]), name=f"healthy deviations, threshold {threshold:g}")


def spread_colors() -> "ListedColormap":
    """Colors over [0, SPREAD_ENDS] healthy standard deviations: green, lighter where methods disagree more, clear below
    SPREAD_FROM."""
    from matplotlib.colors import ListedColormap

    values = np.linspace(0, SPREAD_ENDS, 301)
    stops = np.linspace(SPREAD_FROM, SPREAD_ENDS, len(_SPREAD))
    hue = np.stack([np.interp(values, stops, channel) for channel in zip(*_SPREAD)], 1)
    return ListedColormap(np.column_stack([hue, 0.85 * (values >= SPREAD_FROM)]), name="spread between methods")


def displayed(section: np.ndarray) -> np.ndarray:
    """(first, second) in-plane RAS axes -> rows and columns of a picture: top = second axis up, left = first axis high.

    So the patient's right (axial, coronal) or front (sagittal) is on the left, and front or top is up.
    """
    return section.T[::-1, ::-1]


def _scene(detection: "Detection", volume: Volume) -> Scene:
    scan = reorient_to_ras(volume)
    brain = reorient_to_ras(detection.brain).array > 0
    box = _box(brain, scan.spacing_mm)
    shown = scan.array[box][brain[box]] if brain.any() else scan.array
    start = np.array([part.start for part in box])
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start

    def cropped(part: Volume) -> np.ndarray:
        return reorient_to_ras(part).array[box]

    return Scene(
        scan.array[box],
        cropped(detection.pseudo_healthy),
        cropped(detection.anomaly_map),
        cropped(detection.lesions),
        affine,
        (float(min(scan.array.min(), 0)), float(np.percentile(shown, 99.7)) * 1.05),
        float(detection.operating_point.threshold),
        None if detection.uncertainty is None else cropped(detection.uncertainty),
    )


def _box(brain: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[slice, ...]:
    """Slices around the brain with a margin; the whole field where no brain is known."""
    slices = []
    for axis, size in enumerate(brain.shape):
        filled = np.flatnonzero(brain.any(tuple(other for other in range(3) if other != axis)))
        margin = int(np.ceil(MARGIN_MM / spacing_mm[axis]))
        low, high = (filled[0], filled[-1]) if len(filled) else (0, size - 1)
        slices.append(slice(max(int(low) - margin, 0), min(int(high) + margin, size - 1) + 1))
    return tuple(slices)


def _most_anomalous_voxel(scene: Scene) -> tuple[int, ...]:
    """The middle of the largest marked region, or the voxel of largest score where nothing is marked."""
    counts = np.bincount(scene.labels[scene.labels > 0].ravel())
    if len(counts) == 0:
        return tuple(int(i) for i in np.unravel_index(np.abs(scene.score).argmax(), scene.score.shape))
    voxels = np.argwhere(scene.labels == counts.argmax())
    return tuple(int(i) for i in voxels[np.linalg.norm(voxels - voxels.mean(0), axis=1).argmin()])


def _picture(scene: Scene, plane: str, index: int) -> Picture:
    axis = PLANES.index(plane)
    middle = [(size - 1) / 2 for size in scene.scan.shape]
    middle[axis] = index
    position = float((scene.affine[:3, :3] @ middle + scene.affine[:3, 3])[axis])
    marked = float(np.count_nonzero(scene.labels.take(index, axis)) * voxel_volume_ml(scene.affine))
    return Picture(plane, position, marked, _png(_row(scene, plane, index)))


def _row(scene: Scene, plane: str, index: int) -> "Figure":
    """Three panels and the color scale, on black; a fourth with its scale where the spread between methods is known."""
    axis = PLANES.index(plane)
    spacing = np.delete(np.linalg.norm(scene.affine[:3, :3], axis=0), axis)
    scan, healthy, score, labels = (
        displayed(part.take(index, axis)) for part in (scene.scan, scene.pseudo_healthy, scene.score, scene.labels)
    )
    height_mm, width_mm = scan.shape[0] * spacing[1], scan.shape[1] * spacing[0]
    isJoint = scene.spread is not None
    figure, panels, bars = _canvas(_PANEL_INCHES * height_mm / width_mm + 0.3, scales=2 if isJoint else 1)
    extent = (0, width_mm, 0, height_mm)
    titles = ("input", "pseudo-healthy", "deviation from healthy", "spread between methods")
    for panel, image, title in zip(panels, (scan, healthy, scan, scan), titles):
        low, high = scene.window
        panel.imshow(image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear")
        _label(panel, title, _SIDES[plane])
    _draw_heat(figure, panels[2], bars[0], score, scene.threshold, extent)
    if isJoint:
        _draw_spread(figure, panels[3], bars[1], displayed(scene.spread.take(index, axis)), extent)
    if labels.any():
        outline = (labels > 0).astype(float).repeat(4, 0).repeat(4, 1)  # so that the line follows the voxels' edges
        for panel in panels[2:]:
            panel.contour(outline, [0.5], colors="white", linewidths=0.8, extent=extent, origin="upper")
    return figure


def _canvas(height: float, *, scales: int) -> tuple["Figure", list, list]:
    """A black figure with two panels and, for each color scale, a panel more; figure, panels, places of the scales."""
    from matplotlib.figure import Figure

    width = (2 + scales) * _PANEL_INCHES + 0.95 * scales
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="black")
    ratios = (1, 1, *(1, 0.05, 0.22) * scales)
    grid = figure.add_gridspec(
        1, len(ratios), width_ratios=ratios, wspace=0.02, left=0.005, right=0.995, top=0.92, bottom=0.01
    )
    columns = (0, 1, *(2 + 3 * k for k in range(scales)))
    panels = [figure.add_subplot(grid[0, column]) for column in columns]
    return figure, panels, [figure.add_subplot(grid[0, column + 1]) for column in columns[2:]]


def _draw_heat(figure: "Figure", panel, bar, score: np.ndarray, threshold: float, extent) -> None:
    ends = SCALE_ENDS * threshold
    heat = panel.imshow(
        score, cmap=heat_colors(threshold), vmin=-ends, vmax=ends, extent=extent, interpolation="nearest"
    )
    ticks = {value: f"{value:+.1f}" if value else "0" for value in np.linspace(-ends, ends, 7)}
    _scale(figure, heat, bar, ticks, extend="both")


def _draw_spread(figure: "Figure", panel, bar, spread: np.ndarray, extent) -> None:
    green = panel.imshow(spread, cmap=spread_colors(), vmin=0, vmax=SPREAD_ENDS, extent=extent, interpolation="nearest")
    _scale(figure, green, bar, {value: f"{value:g}" for value in (0, 1, 2, 3)}, extend="max")


def _scale(figure: "Figure", drawn, bar, ticks: dict[float, str], *, extend: str) -> None:
    """The color scale of what was drawn, white on black, with these ticks and their labels."""
    scale = figure.colorbar(drawn, cax=bar, extend=extend)
    scale.set_ticks(list(ticks), labels=list(ticks.values()))
    scale.set_label("healthy standard deviations", color="white", fontsize=8, labelpad=1)
    scale.outline.set_edgecolor("white")
    bar.tick_params(colors="white", labelsize=7, length=2, pad=2)
    bar.set_facecolor("black")


def _label(panel, title: str, sides: tuple[str, str]) -> None:
    panel.set_title(title, color="white", fontsize=9, pad=3)
    panel.set_axis_off()
    for x, side, place in ((0.015, sides[0], "left"), (0.985, sides[1], "right")):
        panel.text(
            x, 0.5, side, color="white", fontsize=11, weight="bold", ha=place, va="center", transform=panel.transAxes
        )


def _png(figure: "Figure") -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor=figure.get_facecolor(), metadata={"Software": "NeuroGen"})
    return stream.getvalue()
