"""How results are shown: in slices the volume below, a map over it, outlines and legend; in 3D the regions."""

import slicer

from NeuroGenADLib.comparison import titlesOf
from NeuroGenADLib.lesion_nodes import Row
from NeuroGenADLib.result import Result
from NeuroGenADLib.settings import ViewSettings
from NeuroGenLib import display
from NeuroGenLib.i18n import tr as _
from NeuroGenLib.layouts import (
    COMPARED,
    COMPARED_VIEWS,
    SIDE_BY_SIDE,
    SIDE_BY_SIDE_VIEWS,
    STANDARD_VIEWS,
    centerThreeD,
    labelViews,
    ownLayout,
    sliceNodes,
)
from NeuroGenLib.nodes import segmentOfLabel

SURFACE = "Closed surface"  # Slicer's name of the representation
VISIBLE_FROM = 0.5  # of the threshold: the map is transparent where it deviates less
# The sagittal, coronal and axial view that say where the user is, in each layout.
_RED, _GREEN, _YELLOW = STANDARD_VIEWS
_PLACES = {
    0: (_YELLOW, _GREEN, _RED),
    SIDE_BY_SIDE: (_YELLOW, _GREEN, SIDE_BY_SIDE_VIEWS[0]),
    COMPARED: (_YELLOW, COMPARED_VIEWS[0][1], COMPARED_VIEWS[0][0]),
}


def showResult(result: Result, view: ViewSettings, *, beside: Result | None = None, layout: bool = False) -> None:
    """Show a result as `view` says; with `beside`, another method's result of the same scan in a second column.

    With `layout`, the layout is switched too, when the user asked for that.
    """
    place = _place()  # where the user was before
    if layout and beside is None and not view.sideBySide:
        display.standardLayout()
    if beside is not None:
        _showColumns(result, beside, view)
    elif view.sideBySide:
        _showSideBySide(result, view)
    _showMap(result, _below(result, view), view, beside=beside)
    shown = [result] if beside is None else [result, beside]
    if layout:
        _goTo(place)
        for each in shown:
            _forgetLegends(each)
    for each in Result.all():
        ids = [one.map.GetID() for one in shown]
        column = ids.index(each.map.GetID()) if each.map.GetID() in ids else None
        _showLegends(each, view if column is not None else None, beside=beside)
        views = COMPARED_VIEWS[column] if beside is not None and column is not None else ()
        _showOutlines(each, view.outlines and column is not None, views)
        if not (each.map.GetID() == result.map.GetID() and view.show3D):
            _hide3D(each)


def showsUncertainty(result: Result, view: ViewSettings, *, beside: Result | None = None) -> bool:
    """Whether the uncertainty map takes the place of the anomaly map; beside another method it never does."""
    return view.uncertainty and beside is None and result.node("uncertainty") is not None


def show3D(result: Result) -> None:
    """Show the marked regions as surfaces inside the outline of the brain; the camera follows when they appear."""
    segmentation, brain = result.node("lesions"), result.node("brain")
    appears = not _isIn3D(segmentation or brain)  # a new outline of the brain is visible before anyone shows it
    if segmentation is not None and segmentation.GetDisplayNode() is not None:
        if not segmentation.GetSegmentation().ContainsRepresentation(SURFACE):
            segmentation.CreateClosedSurfaceRepresentation()
        segmentation.GetDisplayNode().SetVisibility(True)
        segmentation.GetDisplayNode().SetVisibility3D(True)
    if brain is not None and brain.GetDisplayNode() is not None:
        brain.GetDisplayNode().SetVisibility(True)
        brain.GetDisplayNode().SetVisibility3D(True)
    if appears:
        centerThreeD()


def fitViews() -> None:
    """Fit the volumes into the views, once these have got their place after another layout; the slices stay."""
    place = _place()
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
    """Take every map out of the views, when the module has nothing to show."""
    if ownLayout():
        display.standardLayout()
    for result in Result.all():
        for node in _maps(result):
            display.hideOverlay(node)
            display.hideLegend(node)
        _showOutlines(result, False)
        _hide3D(result)


def lookAt(result: Result, row: Row) -> None:
    """Go to the slices of a region, the whole head in view: a new result opens on what it found."""
    _goTo(result.worldPoint(row.rasMm))


def _showColumns(first: Result, second: Result, view: ViewSettings) -> None:
    """Two methods beside each other: the same volume, brightness, colors and range, each at its own threshold."""
    below = [_below(result, view) for result in (first, second)]
    if below[0].GetID() != below[1].GetID():
        display.sameWindow(below[1], below[0])
    columns = [
        (node, result.map if view.overlay else None, VISIBLE_FROM * result.cut.threshold)
        for node, result in zip(below, (first, second))
    ]
    display.showCompared(columns, titlesOf(first, second), view.opacity)


def _showSideBySide(result: Result, view: ViewSettings) -> None:
    if display.showSideBySide(result.input, result.node("pseudoHealthy"), None):
        last = SIDE_BY_SIDE_VIEWS[2:]
        labelViews(last, _("Uncertainty") if showsUncertainty(result, view) else _("Deviation"))
        _showMap(result, result.input, view, views=last)


def _showMap(
    result: Result, below, view: ViewSettings, *, beside: Result | None = None, views: tuple[str, ...] | None = None
) -> None:
    """The anomaly map, or how far methods disagree, over a volume; in the named views or in all but our own."""
    if showsUncertainty(result, view, beside=beside):
        display.showSpread(below, result.node("uncertainty"), view.opacity, views=views)
    else:
        threshold = VISIBLE_FROM * result.cut.threshold
        display.showOverlay(below, result.map if view.overlay else None, view.opacity, threshold, views=views)


def _below(result: Result, view: ViewSettings):
    """The volume below the map: as chosen, or the scan where that was deleted."""
    return (result.node(view.shown) if view.shown != "input" else None) or result.input


def _maps(result: Result) -> list:
    """What can lie over the volume."""
    return [node for node in (result.map, result.node("uncertainty")) if node is not None]


def _place() -> tuple[float, ...] | None:
    """The point (RAS mm) where the sagittal, coronal and axial views meet; None where there are no such views."""
    views = _PLACES[ownLayout()]
    found = {node.GetLayoutName(): node.GetSliceToRAS() for node in sliceNodes()}
    if not all(name in found for name in views):
        return None
    return tuple(found[name].GetElement(axis, 3) for axis, name in enumerate(views))


def _goTo(ras) -> None:
    if ras is not None:
        for node in sliceNodes():
            node.JumpSliceByOffsetting(*map(float, ras))


def _forgetLegends(result: Result) -> None:
    """A legend that was made before its view is not drawn there: let it be made anew."""
    for node in _maps(result):
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
        if legend is not None:
            slicer.mrmlScene.RemoveNode(legend)


def _showLegends(result: Result, view: ViewSettings | None, *, beside: Result | None = None) -> None:
    """The legend of the map that is shown; none for a result that is not."""
    uncertain = view is not None and showsUncertainty(result, view, beside=beside)
    if uncertain:
        display.showLegend(result.node("uncertainty"), _("Spread\nSD"), labels=4, labelFormat="%.1f")
    elif result.node("uncertainty") is not None:
        display.hideLegend(result.node("uncertainty"))
    if view is not None and view.overlay and not uncertain:
        display.showLegend(result.map, _("SD"))
    else:
        display.hideLegend(result.map)


def _showOutlines(result: Result, visible: bool, views: tuple[str, ...] = ()) -> None:
    """The outlines of the regions, in the named views alone, or in all."""
    segmentation = result.node("lesions")
    shown = segmentation.GetDisplayNode() if segmentation is not None else None
    if shown is None or not slicer.mrmlScene.IsNodePresent(shown):
        return
    wasModifying = shown.StartModify()
    shown.RemoveAllViewNodeIDs()
    for node in sliceNodes():
        if node.GetLayoutName() in views:
            shown.AddViewNodeID(node.GetID())
    shown.SetVisibility(True)
    shown.SetVisibility2DFill(False)
    shown.SetVisibility2DOutline(visible)
    shown.EndModify(wasModifying)


def _isIn3D(node) -> bool:
    shown = node.GetDisplayNode() if node is not None else None
    return shown is not None and bool(shown.GetVisibility() and shown.GetVisibility3D())


def _hide3D(result: Result) -> None:
    for node in (result.node("lesions"), result.node("brain")):
        if node is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility3D(False)
