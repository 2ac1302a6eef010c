"""Showing results: an anomaly or uncertainty map over a volume, legends, volumes and methods side by side."""

from collections.abc import Callable, Sequence

import slicer

from NeuroGenLib.heat import applyHeat, heatColorTable
from NeuroGenLib.hierarchy import addToFolder, folderOf
from NeuroGenLib.layouts import (
    COMPARED_VIEWS,
    SIDE_BY_SIDE_VIEWS,
    comparedLayout,
    compositeNodes,
    fitSlices,
    jumpTo,
    linkSlices,
    sideBySideLayout,
    standardLayout,
)
from NeuroGenLib.spread import applySpread

__all__ = [
    "fitSlices",
    "flashSegment",
    "heatColorTable",
    "hideLegend",
    "hideOverlay",
    "jumpTo",
    "linkSlices",
    "sameWindow",
    "setOverlayOpacity",
    "setWindow",
    "showCompared",
    "showLegend",
    "showOverlay",
    "showSideBySide",
    "showSpread",
    "sideBySideLayout",
    "standardLayout",
]

LEGEND_SIZE, LEGEND_PLACE = (0.10, 0.32), (0.98, 0.04)  # of the view: the lower right corner, beside the head
FLASHES = 3
FLASH_MS = 160
_flashing: set[tuple[str, str]] = set()


def showOverlay(
    background,
    foreground,
    opacity: float = 0.7,
    threshold: float = 0.0,
    *,
    signed: bool = True,
    views: tuple[str, ...] | None = None,
) -> None:
    """Show an anomaly map over a volume; scores below `threshold` (healthy standard deviations) are transparent.

    Either volume may be None. The map gets a color table of its own, which lies in its result folder.
    """
    if foreground is not None:
        _keepTable(foreground, applyHeat(foreground, threshold=threshold, signed=signed))
    _showLayers(background, foreground, opacity, views)


def showSpread(background, spread, opacity: float = 0.7, *, views: tuple[str, ...] | None = None) -> None:
    """Show over a volume how far methods disagree (healthy standard deviations, >= 0); clear where they agree."""
    _keepTable(spread, applySpread(spread))
    _showLayers(background, spread, opacity, views)


def setOverlayOpacity(opacity: float) -> None:
    """Blend the foreground of all slice views."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        node.SetForegroundOpacity(opacity)


def hideOverlay(foreground) -> None:
    """Take a volume out of the foreground of all slice views."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if node.GetForegroundVolumeID() == foreground.GetID():
            node.SetForegroundVolumeID(None)


def showSideBySide(inputNode, healthyNode, mapNode, opacity: float = 0.7, threshold: float = 0.0) -> bool:
    """Input, pseudo-healthy and input with the map beside each other, linked; return whether there are views."""
    if not sideBySideLayout():
        return False
    for view, background, foreground in zip(
        SIDE_BY_SIDE_VIEWS, (inputNode, healthyNode, inputNode), (None, None, mapNode)
    ):
        showOverlay(background, foreground, opacity, threshold, views=(view,))
    linkSlices()
    return True


def showCompared(columns: Sequence[tuple[object, object, float]], titles: Sequence[str], opacity: float = 0.7) -> bool:
    """Two methods beside each other, linked and labelled; return whether there are views.

    columns : background, map (or None) and the score below which the map is transparent, of each method
    """
    if not comparedLayout(titles):
        return False
    for views, (background, foreground, threshold) in zip(COMPARED_VIEWS, columns):
        showOverlay(background, foreground, opacity, threshold, views=views)
    linkSlices()
    return True


def sameWindow(node, reference) -> None:
    """Show a volume with the brightness of another, so that toggling shows what differs and nothing else."""
    display = reference.GetDisplayNode()
    if display is not None:
        setWindow(node, display.GetWindowLevelMin(), display.GetWindowLevelMax())


def setWindow(node, low: float, high: float) -> None:
    """Show a volume from black at `low` to white at `high`."""
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(low, high)


def showLegend(node, title: str, *, labels: int = 5, labelFormat: str = "%+.0f"):
    """Show what the colors of a volume mean, in every view that shows it; return the legend's display node.

    The views must exist before: a legend made earlier is not drawn. None where there is no color logic.
    """
    if node.GetDisplayNode() is None:
        return None
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
    if legend is None:
        return None
    legend.SetTitleText(title)
    legend.SetSize(*LEGEND_SIZE)
    legend.SetPosition(*LEGEND_PLACE)
    legend.SetNumberOfLabels(labels)
    legend.SetLabelFormat(labelFormat)
    legend.SetVisibility(True)
    return legend


def hideLegend(node) -> None:
    """Hide the legend of a volume, if it has one."""
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    if legend is not None:
        legend.SetVisibility(False)


def flashSegment(segmentationNode, segmentId: str) -> None:
    """Blink one segment three times, without waiting; it ends as it was."""
    display = segmentationNode.GetDisplayNode()
    key = (segmentationNode.GetID(), segmentId)
    if display is None or key in _flashing or not _hasSegment(segmentationNode, segmentId):
        return
    _flashing.add(key)
    wasVisible = display.GetSegmentVisibility(segmentId)

    def step(left: int) -> None:
        if not slicer.mrmlScene.IsNodePresent(display) or not _hasSegment(segmentationNode, segmentId):
            _flashing.discard(key)
            return
        display.SetSegmentVisibility(segmentId, left % 2 == 0 and (left > 0 or wasVisible))
        if left > 0:
            _later(FLASH_MS, lambda: step(left - 1))
        else:
            _flashing.discard(key)

    step(2 * FLASHES - 1)


def _hasSegment(segmentationNode, segmentId: str) -> bool:
    return segmentationNode.GetSegmentation().GetSegment(segmentId) is not None


def _keepTable(volumeNode, table) -> None:
    """The colors of a result lie in its folder."""
    folder = folderOf(volumeNode)
    if folder:
        addToFolder(folder, table)


def _showLayers(background, foreground, opacity: float, views: tuple[str, ...] | None) -> None:
    if _setLayers(background, foreground, opacity, views):
        fitSlices()


def _setLayers(background, foreground, opacity: float, views: tuple[str, ...] | None) -> bool:
    """Set the layers of the views; return whether any background lies elsewhere than the one before.

    Zoom and slice stay while volumes of one place are compared.
    """
    backgroundId = background.GetID() if background is not None else None
    nodes = compositeNodes(views)
    before = [node.GetBackgroundVolumeID() for node in nodes]
    for node in nodes:
        node.SetBackgroundVolumeID(backgroundId)
        node.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        node.SetForegroundOpacity(opacity)
    return background is not None and any(not _liesAt(each, background) for each in before)


def _liesAt(volumeId: str | None, other) -> bool:
    """Whether a volume fills the same box of the world as another, within 1 mm."""
    node = slicer.mrmlScene.GetNodeByID(volumeId) if volumeId else None
    if node is None:
        return False
    bounds = [[0.0] * 6, [0.0] * 6]
    node.GetRASBounds(bounds[0])
    other.GetRASBounds(bounds[1])
    return all(abs(one - two) <= 1.0 for one, two in zip(*bounds))


def _later(milliseconds: int, call: Callable[[], None]) -> None:
    """Call when the time has passed, or at once where no event loop is."""
    try:
        import qt
    except ImportError:
        call()
        return
    qt.QTimer.singleShot(milliseconds, call)
