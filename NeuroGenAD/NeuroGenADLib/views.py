"""How a result is shown in the slice views: the volume below, the map over it, outlines, legend, side by side."""

import slicer

from NeuroGenADLib.lesion_nodes import Row
from NeuroGenADLib.result import Result, allResults
from NeuroGenADLib.settings import ViewSettings
from NeuroGenLib import display
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.layouts import sliceNodes
from NeuroGenLib.nodes import segmentOfLabel

VISIBLE_FROM = 0.5  # of the threshold: the map is transparent where it deviates less


def showResult(result: Result, view: ViewSettings, *, layout: bool = False) -> None:
    """Show a result as `view` says. With `layout`, the layout is switched too, when the user asked for that."""
    below = result.input if view.shown == "input" else result.node(view.shown)
    threshold = VISIBLE_FROM * result.cut.threshold
    if layout and not view.sideBySide:
        display.standardLayout()
    if view.sideBySide:
        mapNode = result.map if view.overlay else None
        display.showSideBySide(result.input, result.node("pseudoHealthy"), mapNode, view.opacity, threshold)
    display.showOverlay(below or result.input, result.map if view.overlay else None, view.opacity, threshold)
    _showLegend(result, view)
    for other in allResults():
        _showOutlines(other, view.outlines and other.map.GetID() == result.map.GetID())
        if other.map.GetID() != result.map.GetID():
            display.hideLegend(other.map)


def jumpToRow(result: Result, row: Row) -> None:
    """Center all slice views on a lesion and let it blink."""
    display.jumpTo(tuple(result.worldPoint(row.rasMm)))
    segmentation = result.node("lesions")
    if segmentation is not None:
        segmentId = segmentOfLabel(segmentation, row.label)
        if segmentId:
            display.flashSegment(segmentation, segmentId)


def hideResults() -> None:
    """Take every anomaly map out of the views, when the module has nothing to show."""
    for result in allResults():
        display.hideOverlay(result.map)
        display.hideLegend(result.map)


def lookAtLargest(result: Result, rows: tuple[Row, ...]) -> None:
    """Go to the slices of the largest marked region, the whole head in view: a new result opens on what it found."""
    for node in sliceNodes() if rows else ():
        node.JumpSliceByOffsetting(*map(float, result.worldPoint(rows[0].rasMm)))


def _showLegend(result: Result, view: ViewSettings) -> None:
    if view.overlay:
        display.showLegend(result.map, _("Deviation (SD)"))
    else:
        display.hideLegend(result.map)


def _showOutlines(result: Result, visible: bool) -> None:
    segmentation = result.node("lesions")
    shown = segmentation.GetDisplayNode() if segmentation is not None else None
    if shown is not None and slicer.mrmlScene.IsNodePresent(shown):
        shown.SetVisibility(visible)
        shown.SetVisibility2DFill(False)
        shown.SetVisibility2DOutline(True)
