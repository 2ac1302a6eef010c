"""How a result is shown in the slice views: the volume below, the map over it, outlines, legend, side by side."""

import slicer

from NeuroGenADLib.lesion_nodes import Row
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import ViewSettings
from NeuroGenLib import display
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.layouts import SIDE_BY_SIDE_VIEWS, sliceNodes
from NeuroGenLib.nodes import segmentOfLabel

VISIBLE_FROM = 0.5  # of the threshold: the map is transparent where it deviates less


def showResult(result: Result, view: ViewSettings, *, layout: bool = False) -> None:
    """Show a result as `view` says. With `layout`, the layout is switched too, when the user asked for that."""
    below = result.input if view.shown == "input" else result.node(view.shown)
    threshold = VISIBLE_FROM * result.cut.threshold
    mapNode = result.map if view.overlay else None
    place = _place(sideBySide=view.sideBySide != layout)  # where the user was before
    if layout and not view.sideBySide:
        display.standardLayout()
    if view.sideBySide:
        display.showSideBySide(result.input, result.node("pseudoHealthy"), mapNode, view.opacity, threshold)
    display.showOverlay(below or result.input, mapNode, view.opacity, threshold)
    if layout:
        _goTo(place)
        _forgetLegend(result)
    _showLegend(result, view)
    for other in Result.all():
        isShown = other.map.GetID() == result.map.GetID()
        _showOutlines(other, view.outlines and isShown)
        if not isShown:
            display.hideLegend(other.map)


def fitViews(view: ViewSettings) -> None:
    """Fit the volumes into the views, once these have got their place after another layout; the slices stay."""
    place = _place(sideBySide=view.sideBySide)
    display.fitSlices()
    _goTo(place)


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
    for result in Result.all():
        display.hideOverlay(result.map)
        display.hideLegend(result.map)


def lookAt(result: Result, row: Row) -> None:
    """Go to the slices of a region, the whole head in view: a new result opens on what it found."""
    _goTo(result.worldPoint(row.rasMm))


def _place(*, sideBySide: bool) -> tuple[float, ...] | None:
    """The point (RAS mm) where the sagittal, coronal and axial views meet; None where there are no such views."""
    views = ("Yellow", "Green", SIDE_BY_SIDE_VIEWS[0] if sideBySide else "Red")
    found = {node.GetLayoutName(): node.GetSliceToRAS() for node in sliceNodes()}
    if not all(name in found for name in views):
        return None
    return tuple(found[name].GetElement(axis, 3) for axis, name in enumerate(views))


def _goTo(ras) -> None:
    if ras is not None:
        for node in sliceNodes():
            node.JumpSliceByOffsetting(*map(float, ras))


def _forgetLegend(result: Result) -> None:
    """A legend that was made before its view is not drawn there: let it be made anew."""
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(result.map)
    if legend is not None:
        slicer.mrmlScene.RemoveNode(legend)


def _showLegend(result: Result, view: ViewSettings) -> None:
    if view.overlay:
        display.showLegend(result.map, _("SD"))
    else:
        display.hideLegend(result.map)


def _showOutlines(result: Result, visible: bool) -> None:
    segmentation = result.node("lesions")
    shown = segmentation.GetDisplayNode() if segmentation is not None else None
    if shown is not None and slicer.mrmlScene.IsNodePresent(shown):
        shown.SetVisibility(visible)
        shown.SetVisibility2DFill(False)
        shown.SetVisibility2DOutline(True)
