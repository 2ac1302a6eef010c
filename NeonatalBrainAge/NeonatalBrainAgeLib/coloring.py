"""Regions in the color of a number: z-score or importance, in slices and in 3D, with a legend.

A color always means the same number: blue below the growth chart and red above it, white within half a standard
deviation; importance from gray to dark orange.
"""

from dataclasses import dataclass

import numpy as np
import slicer

from NeonatalBrainAgeLib.result import Result
from NeonatalBrainAgeLib.settings import ViewSettings
from NeuroGenLib import display
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.layouts import layoutManager
from NeuroGenLib.nodes import layOnGridOf, segmentIds
from NeuroGenLib.segmentations import COLORS

ENTRIES = 256
SIGNED_LABELS = 7  # a legend from -3 to 3 names whole numbers
NOTHING = -1000.0  # value of voxels outside all regions; below every scale, so that it is transparent


@dataclass(frozen=True)
class Scale:
    """Values from low to high by these colors, evenly spaced."""

    low: float
    high: float
    colors: tuple[tuple[float, float, float], ...]
    title: str

    def rgb(self, values: np.ndarray) -> np.ndarray:
        """(N, 3) colors in [0, 1] of N values; beyond the ends, the last color."""
        steps = np.linspace(self.low, self.high, len(self.colors))
        return np.column_stack([np.interp(values, steps, channel) for channel in zip(*self.colors)])


_SIGNED = ((0.02, 0.19, 0.50), (0.26, 0.58, 0.90), (0.93, 0.93, 0.93), (0.95, 0.45, 0.30), (0.52, 0.03, 0.06))
_RISING = ((0.80, 0.80, 0.80), (0.99, 0.78, 0.36), (0.93, 0.45, 0.10), (0.50, 0.16, 0.02))
SCALES = {
    "svr_z": Scale(-3.0, 3.0, _SIGNED, _("z of SVR")),
    "rv_z": Scale(-3.0, 3.0, _SIGNED, _("z of RV")),
    "importance": Scale(0.0, 1.0, _RISING, _("importance")),
}


def showColors(result: Result, view: ViewSettings) -> None:
    """Color segments and slices of a result as `view` says; a scan that was given lies below."""
    segmentation, scale = result.node("regions"), SCALES.get(view.colorBy)
    if segmentation is not None:
        _paint(segmentation, result, view.colorBy, scale)
        _showSegments(segmentation, outlines=scale is None, in3D=view.show3D)
    below = result.input if result.input is not None and result.input.IsA("vtkMRMLScalarVolumeNode") else None
    if below is not None and below.IsA("vtkMRMLLabelMapVolumeNode"):
        below = None
    volume = None if scale is None else _colorVolume(result, view.colorBy, scale)
    _setLayers(below, volume, view.opacity)
    old = result.node("colors")
    if volume is not None:
        legend = display.showLegend(volume, scale.title, labels=SIGNED_LABELS if scale.low < 0 else 5)
        if legend is not None and scale.low >= 0:
            legend.SetLabelFormat("%.2f")
    elif old is not None:
        display.hideLegend(old)


def hideColors(results: list[Result]) -> None:
    """Take the results out of the views."""
    for result in results:
        segmentation, volume = result.node("regions"), result.node("colors")
        if segmentation is not None and segmentation.GetDisplayNode() is not None:
            segmentation.GetDisplayNode().SetVisibility(False)
        if volume is not None:
            display.hideOverlay(volume)
            display.hideLegend(volume)


def jumpToRegion(result: Result, label: int) -> None:
    """Center all slice views on a region and let it blink."""
    from NeuroGenLib.nodes import segmentOfLabel

    point, segmentation = result.worldPoint(label), result.node("regions")
    if point is not None:
        display.jumpTo(tuple(point))
    if segmentation is not None:
        segmentId = segmentOfLabel(segmentation, label)
        if segmentId:
            display.flashSegment(segmentation, segmentId)


def _colorVolume(result: Result, column: str, scale: Scale):
    """The volume whose voxels hold their region's number; made once, filled anew."""
    labels = result.node("labels")
    if labels is None:
        return None
    node = result.node("colors")
    if node is None:
        title = _("{name} by number").format(name=result.table.GetName())
        node = result.keep("colors", slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", title))
    if node.GetAttribute("NeuroGen.colorBy") != column:
        lookup = np.full(256, NOTHING, np.float32)
        for row in result.rows():
            lookup[row["label"]] = row[column]
        slicer.util.updateVolumeFromArray(node, lookup[slicer.util.arrayFromVolume(labels)])
        layOnGridOf(node, labels)
        node.SetAttribute("NeuroGen.colorBy", column)
        _setScale(result, node, scale)
    return node


def _setScale(result: Result, node, scale: Scale) -> None:
    node.CreateDefaultDisplayNodes()
    shown, table = node.GetDisplayNode(), result.node("colorTable")
    if table is None:
        name = _("{name} colors").format(name=node.GetName())
        table = result.keep("colorTable", slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name))
        table.SetTypeToUser()
        table.SetNumberOfColors(ENTRIES)
    values = np.linspace(scale.low, scale.high, ENTRIES)
    wasModifying = table.StartModify()
    for index, (value, color) in enumerate(zip(values, scale.rgb(values))):
        table.SetColor(index, f"{value:+.2f}", *map(float, color), 1.0)
    table.EndModify(wasModifying)
    shown.SetAndObserveColorNodeID(table.GetID())
    shown.SetInterpolate(False)  # between two regions lies no number of a third
    shown.AutoWindowLevelOff()
    shown.SetWindowLevelMinMax(scale.low, scale.high)
    shown.AutoThresholdOff()
    shown.SetThreshold(NOTHING / 2, -NOTHING)
    shown.ApplyThresholdOn()


def _paint(segmentation, result: Result, column: str, scale: Scale | None) -> None:
    values = {row["label"]: row.get(column, 0.0) for row in result.rows()}
    segments = segmentation.GetSegmentation()
    wasModifying = segmentation.StartModify()
    for segmentId in segmentIds(segmentation):
        segment = segments.GetSegment(segmentId)
        label = segment.GetLabelValue()
        color = COLORS[(label - 1) % len(COLORS)] if scale is None else scale.rgb(np.array([values[label]]))[0]
        segment.SetColor(*map(float, color))
    segmentation.EndModify(wasModifying)


def _showSegments(segmentation, *, outlines: bool, in3D: bool) -> None:
    """Filled by label where slices show no number; surfaces when they are asked for, and then in the middle."""
    hasSurface = segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    if in3D and not hasSurface:
        segmentation.CreateClosedSurfaceRepresentation()
    segmentation.CreateDefaultDisplayNodes()
    shown = segmentation.GetDisplayNode()
    appears = in3D and not (hasSurface and shown.GetVisibility() and shown.GetVisibility3D())
    shown.SetVisibility(True)
    shown.SetVisibility2DFill(outlines)
    shown.SetOpacity2DFill(0.5)
    shown.SetVisibility2DOutline(outlines)
    shown.SetVisibility3D(in3D)
    _showFluid(segmentation, shown)
    if appears and layoutManager() is not None:
        layoutManager().resetThreeDViews()


def _showFluid(segmentation, shown) -> None:
    """In 3D, the outer fluid would hide the brain."""
    for segmentId in segmentIds(segmentation):
        label = segmentation.GetSegmentation().GetSegment(segmentId).GetLabelValue()
        shown.SetSegmentVisibility3D(segmentId, label not in (83, 85))


def _setLayers(below, volume, opacity: float) -> None:
    """The colored regions over the scan, or alone where labels were given."""
    isNew = False
    for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        background, foreground = (volume, None) if below is None else (below, volume)
        wanted = background.GetID() if background is not None else None
        isNew = isNew or node.GetBackgroundVolumeID() != wanted
        node.SetBackgroundVolumeID(wanted)
        node.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        node.SetForegroundOpacity(opacity)
        node.SetLabelVolumeID(None)  # a label map that was loaded lies over all layers
    if isNew and layoutManager() is not None:
        display.fitSlices()
